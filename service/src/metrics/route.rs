//! The route that serves a scrape.

use super::text_format::{TEXT_FORMAT, is_wanted, to_text_format};
use crate::door::reply::{ApiError, NoQuery};
use crate::door::serve::turns::in_turns;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// Path of the route.
pub const METRICS_PATH: &str = "/metrics";
/// Prefix of every name.
const PREFIX: &str = "herdlinx";
/// Content type of a scrape, unless the request asks for the older format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Creates the route over the metrics of `parts`.
///
/// It does not check keys: put a guard in front of it.
pub fn router(parts: Vec<Box<dyn Collector>>) -> Router {
    let mut registry = Registry::with_prefix(PREFIX);
    for part in parts {
        registry.register_collector(part);
    }
    in_turns(Router::new().route(METRICS_PATH, get(scrape)).with_state(Arc::new(registry)))
}

async fn scrape(State(registry): State<Arc<Registry>>, _: NoQuery, headers: HeaderMap) -> Result<Response, ApiError> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let wants_text = is_wanted(accept);
    // On a blocking thread, because it reads the tables and queries the file system.
    let encoded = tokio::task::spawn_blocking(move || {
        let mut page = String::new();
        text::encode(&mut page, &registry).map(|()| page)
    });
    if let Ok(Ok(page)) = encoded.await {
        if wants_text {
            return Ok(([(header::CONTENT_TYPE, TEXT_FORMAT)], to_text_format(&page)).into_response());
        }
        return Ok(([(header::CONTENT_TYPE, OPENMETRICS)], page).into_response());
    }
    tracing::error!("failed to encode the metrics");
    let message = "the metrics are not available at the moment";
    Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "not_told", message))
}
