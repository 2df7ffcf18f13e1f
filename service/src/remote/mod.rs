//! The read interface for programs: the calls of the original under their own names, on barn and office alike.
//!
//! | call | returns |
//! |---|---|
//! | `GET /api/remote/status` | state of the store and the process, totals, missed events |
//! | `GET /api/remote/batches` | batches, latest first; `source_type`, `before`, `limit` |
//! | `GET /api/remote/batches/{id}` | one batch with a page of its animals; `after`, `limit` |
//! | `GET /api/remote/payloads`, `GET /api/lora/payloads` | payloads, latest first; `status`, `before`, `limit` |
//! | `GET /api/remote/payloads/{id}` | one payload by its sequence |
//! | `GET /api/lora/buffer-status` | number of payloads by status |
//!
//! A list is `{"success":true,"data":[..],"next":..,"total":..,"count":..,"as_of":..}`. Pass `next` as `before` (or
//! `after`) for the next page; it is null at the end. A page may hold fewer entries than its limit, or none, although
//! more follow. Keys of the original keep their names; ours stand beside them.
//!
//! - Lists are paged by key, like the office's pages, and `offset` is refused. An offset has to walk over the entries
//!   that it skips, and entries that arrive meanwhile push others across the edge of a page. By key, every page costs
//!   the same.
//! - No payload is ever `received` or `processing`. The original buffered a payload between its receipt and its
//!   judgment; here both are one commit. Those lists are empty and their counts are 0. A payload that waits for its
//!   commit is not stored yet and is counted in `queued_payloads`.
//! - A `duplicate` makes no change. The barn counts duplicates by channel and remembers the latest ones while it runs;
//!   the office knows the count in the barn's last heartbeat.
//!
//! The router checks no keys; the caller wraps it in a guard that requires scope read.

mod buffer;
mod calls;
mod compat;
mod duplicates;
mod query;
mod reply;
mod status;

pub use duplicates::{ChannelDuplicates, DuplicateView, MAX_CHANNELS};
pub use status::{OpeningView, ProcessState, RadioCounts, RadioView, ReplicaState, SourceState};

use crate::door::serve::turns::in_turns;
use crate::sync::Served;
use axum::Router;
use axum::routing::get;
use calls::ApiState;
use herd::clock::Clock;
use herd::query::{Page, PageLimit};
use std::sync::Arc;

/// Path of the status of the store and the process.
pub const STATUS_PATH: &str = "/api/remote/status";
/// Path of the list of batches; an id after it selects one.
pub const BATCHES_PATH: &str = "/api/remote/batches";
/// Path of the list of payloads; a sequence after it selects one.
pub const PAYLOADS_PATH: &str = "/api/remote/payloads";
/// Path under which the original's devices read the list of payloads.
pub const LORA_PAYLOADS_PATH: &str = "/api/lora/payloads";
/// Path of the number of payloads by status.
pub const BUFFER_STATUS_PATH: &str = "/api/lora/buffer-status";

/// Source of the parts of a response that are not in the [`Served`] store.
pub trait RemoteApi: Served {
    /// Returns the name of the barn.
    fn site_name(&self) -> String;

    /// Returns the current state of the process.
    fn state(&self) -> ProcessState;

    /// Returns the duplicates by channel. Empty except in the process that received them.
    fn duplicates_by_channel(&self) -> Vec<ChannelDuplicates> {
        Vec::new()
    }

    /// Returns the latest duplicates with a number below `before`, latest first. Empty except in the process that
    /// received them.
    fn recent_duplicates(&self, before: Option<u64>, limit: PageLimit) -> Page<DuplicateView> {
        let _ = (before, limit);
        Page { data: Vec::new(), next: None }
    }
}

/// Returns the routes of the read interface over `api`.
pub fn router(api: Arc<dyn RemoteApi>, clock: Arc<dyn Clock>) -> Router {
    let routes = Router::new()
        .route(STATUS_PATH, get(calls::status))
        .route(BATCHES_PATH, get(calls::batches))
        .route(&format!("{BATCHES_PATH}/{{id}}"), get(calls::batch))
        .route(PAYLOADS_PATH, get(calls::payloads))
        .route(LORA_PAYLOADS_PATH, get(calls::payloads))
        .route(&format!("{PAYLOADS_PATH}/{{id}}"), get(calls::payload))
        .route(BUFFER_STATUS_PATH, get(calls::buffer_status))
        .with_state(ApiState { api, clock });
    in_turns(routes)
}

#[cfg(test)]
mod tests;
