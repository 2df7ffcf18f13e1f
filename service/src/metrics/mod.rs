//! `GET /metrics`: what a process knows of itself, as OpenMetrics text 1.0.
//!
//! Nothing is counted for this page: a scrape reads the state that the parts hold anyway. Names begin with
//! `herdlinx_`, say their unit, and end in `_total` where they count. Labels are bounded: sites, radios and keys are
//! named by an operator, reasons and routes by the program.

mod families;
mod process;
mod stores;

pub use families::{Families, Family, NO_LABELS};
pub use process::ProcessMetrics;
pub use prometheus_client::collector::Collector;
pub use prometheus_client::encoding::DescriptorEncoder;
pub use stores::{deliveries, stores};

use crate::door::reply::{ApiError, NoQuery};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// Where they are scraped.
pub const METRICS_PATH: &str = "/metrics";
/// What stands before every name.
const PREFIX: &str = "herdlinx";
/// The form of the answer, whatever was asked for: whoever scrapes knows it.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The one call, over what the parts of a process tell. Keys and scopes are the door's affair: wrap it.
pub fn router(parts: Vec<Box<dyn Collector>>) -> Router {
    let mut registry = Registry::with_prefix(PREFIX);
    for part in parts {
        registry.register_collector(part);
    }
    Router::new().route(METRICS_PATH, get(scrape)).with_state(Arc::new(registry))
}

async fn scrape(State(registry): State<Arc<Registry>>, _: NoQuery) -> Result<Response, ApiError> {
    // It reads the tables and asks the file system.
    let told = tokio::task::spawn_blocking(move || {
        let mut page = String::new();
        text::encode(&mut page, &registry).map(|()| page)
    });
    if let Ok(Ok(page)) = told.await {
        return Ok(([(header::CONTENT_TYPE, OPENMETRICS)], page).into_response());
    }
    tracing::error!("the metrics could not be written");
    let message = "the metrics cannot be told at the moment";
    Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "not_told", message))
}
