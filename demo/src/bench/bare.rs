//! The barn's door without a store behind it: the same TLS, key check and JSON, answered at once. What HTTPS costs.

use super::Failed;
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

/// A server on a runtime of its own, as a process would have it. It ends when this is dropped.
#[derive(Debug)]
pub struct BareServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// SHA-256 of its public key.
    pub spki_sha256: [u8; 32],
    /// A key that it lets in.
    pub key: String,
    stop: ShutdownTrigger,
    runtime: Option<Runtime>,
}

impl BareServer {
    /// Starts it; its certificate and its keys lie in `directory`, which must be there.
    pub fn start(directory: &Path) -> Result<Self, Failed> {
        let identity = Identity::load_or_generate(directory, &[])?;
        let local = LocalFile::open(directory.join("local.redb"))?;
        let keys = KeyRing::load(local, Arc::new(SystemClock::default()), SystemRandomness)?;
        let key = keys.add("bench", [Scope::Ingest].into())?.reveal().to_owned();
        let routes = Router::new().route(RECEIVE_PATH, post(answer)).layer(DefaultBodyLimit::max(512 * 1024));
        let guarded = require(Arc::new(keys), Scope::Ingest).protect(routes);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let stop = ShutdownTrigger::default();
        let stopping = stop.signal();
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let serving = {
            let _spawns_there = runtime.enter();
            serve(listener, guarded, &identity, stopping)?
        };
        let (address, spki_sha256) = (serving.addr, identity.spki_sha256());
        Ok(Self { address, spki_sha256, key, stop, runtime: Some(runtime) })
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(runtime) = self.runtime.take() {
            // A runtime cannot be waited for within another one; its connections are gone with the client.
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

/// As long as the barn's own answer, so that both cost the client the same.
fn stored(text: &str) -> Value {
    let hash = content_hash(text.as_bytes()).to_string();
    json!({
        "success": true, "status": "stored", "payload_id": 100_000, "payload_hash": hash,
        "message": "stored as change 100000",
    })
}
