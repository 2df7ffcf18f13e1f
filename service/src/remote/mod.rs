//! The read interface for programs: the same calls, under the names of the original, on the barn and on the office.
//!
//! | call | answers |
//! |---|---|
//! | `GET /api/remote/status` | where the store stands, how many of everything, what was never heard, how the process is |
//! | `GET /api/remote/batches` | batches, the latest opened first; `source_type`, `before`, `limit` |
//! | `GET /api/remote/batches/{id}` | one by its id, with a page of its animals; `after`, `limit` |
//! | `GET /api/remote/payloads`, `GET /api/lora/payloads` | payloads, the latest first; `status`, `before`, `limit` |
//! | `GET /api/remote/payloads/{id}` | one by its sequence |
//! | `GET /api/lora/buffer-status` | how many payloads of each status |
//!
//! A list is `{"success":true,"data":[..],"next":..,"total":..,"count":..,"as_of":..}`: `next` is what `before` (or
//! `after`) asks with for the next page, and null at the end; a page may hold fewer entries than its limit, even none,
//! though more follow. Every page costs the same, which with an `offset` it could not. Keys that the original had keep their names, and ours stand beside them.
//!
//! The original kept a buffer between the receipt of a payload and its judgement. Here both are one commit, so that no
//! payload is ever `received` or `processing`: those lists are empty and their counts 0. What waits for its commit is
//! not kept yet, and is told as `queued_payloads`. A `duplicate` makes no change: the barn counts it by channel and
//! remembers the last of them while it runs; the office knows the count that the barn last told.
//!
//! Keys and scopes are the door's affair: wrap the router in a guard that asks for scope read.

mod buffer;
mod calls;
mod compat;
mod duplicates;
mod query;
mod reply;
mod status;

pub use duplicates::{ChannelDuplicates, DuplicateView, MAX_CHANNELS_TOLD};
pub use status::{Process, RadioCounts, RadioView, ReplicaState, SourceState};

use crate::sync::Served;
use axum::Router;
use axum::routing::get;
use calls::Desk;
use herd::clock::Clock;
use herd::query::{Page, PageLimit};
use std::sync::Arc;

/// Where a process says what it is and how it stands.
pub const STATUS_PATH: &str = "/api/remote/status";
/// Where batches are listed; an id behind it names one.
pub const BATCHES_PATH: &str = "/api/remote/batches";
/// Where payloads are listed; a sequence behind it names one.
pub const PAYLOADS_PATH: &str = "/api/remote/payloads";
/// The same list where the original's devices look for it.
pub const LORA_PAYLOADS_PATH: &str = "/api/lora/payloads";
/// Where payloads are counted by status.
pub const BUFFER_STATUS_PATH: &str = "/api/lora/buffer-status";

/// What the answers are made of, besides the store that is [`Served`]: what only the process itself can tell.
pub trait Remote: Served {
    /// The barn's name.
    fn site(&self) -> String;

    /// How the process is.
    fn process(&self) -> Process;

    /// The duplicates by channel, where they were heard.
    fn duplicates_by_channel(&self) -> Vec<ChannelDuplicates> {
        Vec::new()
    }

    /// The last duplicates, the latest first, from below the number `before`; only where they were heard.
    fn recent_duplicates(&self, before: Option<u64>, limit: PageLimit) -> Page<DuplicateView> {
        let _ = (before, limit);
        Page { data: Vec::new(), next: None }
    }
}

/// The calls over what is told by `remote`.
pub fn router(remote: Arc<dyn Remote>, clock: Arc<dyn Clock>) -> Router {
    Router::new()
        .route(STATUS_PATH, get(calls::status))
        .route(BATCHES_PATH, get(calls::batches))
        .route(&format!("{BATCHES_PATH}/{{id}}"), get(calls::batch))
        .route(PAYLOADS_PATH, get(calls::payloads))
        .route(LORA_PAYLOADS_PATH, get(calls::payloads))
        .route(&format!("{PAYLOADS_PATH}/{{id}}"), get(calls::payload))
        .route(BUFFER_STATUS_PATH, get(calls::buffer_status))
        .with_state(Desk { remote, clock })
}

#[cfg(test)]
mod tests;
