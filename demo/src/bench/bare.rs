//! A server with the barn's TLS, key check and JSON, and without a store. It measures the cost of HTTPS alone.

use super::BenchError;
use super::lag::RECEIVE_PATH;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use herd::clock::SystemClock;
use herd::payload::content_hash;
use herd::randomness::SystemRandomness;
use herd::store::LocalFile;
use serde_json::{Value, json};
use service::door::auth::require;
use service::door::certificate::Identity;
use service::door::keys::{KeyRing, Scope};
use service::door::reply::{ApiError, StrictJson};
use service::door::serve::connections::Connections;
use service::door::serve::{bind, serve};
use service::lifecycle::ShutdownTrigger;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

#[derive(serde::Deserialize)]
struct Call {
    payload: Option<String>,
    payloads: Option<Vec<String>>,
}

/// A running server with its own runtime, as a process would have it. Dropping it stops the server.
#[derive(Debug)]
pub struct BareServer {
    /// Address of the server.
    pub address: SocketAddr,
    /// SHA-256 of its public key.
    pub spki_sha256: [u8; 32],
    /// A key that it accepts.
    pub key: String,
    shutdown: ShutdownTrigger,
    runtime: Option<Runtime>,
}

impl BareServer {
    /// Starts a server. Its certificate and keys are in `directory`, which must exist.
    pub fn start(directory: &Path) -> Result<Self, BenchError> {
        let identity = Identity::load_or_generate(directory, &[])?;
        let local = LocalFile::open(directory.join("local.redb"))?;
        let keys = KeyRing::load(local, Arc::new(SystemClock::default()), SystemRandomness)?;
        let key = keys.add("bench", [Scope::Ingest].into())?.reveal().to_owned();
        let routes = Router::new().route(RECEIVE_PATH, post(answer)).layer(DefaultBodyLimit::max(512 * 1024));
        let guarded = require(Arc::new(keys), Scope::Ingest).protect(routes);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let shutdown = ShutdownTrigger::default();
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let server = {
            // `serve` spawns its tasks on this runtime.
            let _context = runtime.enter();
            serve(listener, guarded, &identity, &Connections::default(), shutdown.signal())?
        };
        let (address, spki_sha256) = (server.addr, identity.spki_sha256());
        Ok(Self { address, spki_sha256, key, shutdown, runtime: Some(runtime) })
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        self.shutdown.request();
        if let Some(runtime) = self.runtime.take() {
            // Blocking until it ends would panic inside the runtime of the caller. The client, and with it every
            // connection, is gone by now.
            runtime.shutdown_background();
        }
    }
}

async fn answer(StrictJson(call): StrictJson<Call>) -> Result<Response, ApiError> {
    match call {
        Call { payload: Some(text), .. } => Ok((StatusCode::CREATED, Json(stored(&text))).into_response()),
        Call { payloads: Some(texts), .. } => {
            let results: Vec<_> = texts.iter().map(|text| stored(text)).collect();
            Ok(Json(json!({ "success": true, "results": results })).into_response())
        }
        _ => Err(ApiError::bad_request("send `payload` or `payloads`")),
    }
}

/// Returns a reply of the same length as the barn's, so that both cost the client the same.
fn stored(text: &str) -> Value {
    let hash = content_hash(text.as_bytes()).to_string();
    json!({
        "success": true, "status": "stored", "payload_id": 100_000, "payload_hash": hash,
        "message": "recorded as change 100000",
    })
}
