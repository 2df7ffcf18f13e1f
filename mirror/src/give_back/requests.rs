//! Requests to the barn: about what it holds, and with what it gets back.

use super::GiveBackError;
use crate::follow::{AskError, ask};
use crate::link::{HttpsLink, PostBounds};
use herd::change::Acceptance;
use herd::position::Position;
use herd::store::DamagedRow;
use herd::wire::{BlobError, Schema, from_blob};
use serde::Deserialize as _;
use service::backup::EncodedRun;
use service::give_back::{GIVE_BACK_PATH, GiveBackOrder, GiveBackReply, HEALTH_PATH};
use service::sync::link::{Link as _, SCHEMA_PATH};
use service::sync::refusal::Refusal;

/// Limits of a request that gives back: shorter than a command may take.
const BOUNDS: PostBounds = PostBounds { connect_ms: 5_000, response_ms: 4_000, response_bytes: 64 * 1024 };
/// Longest time without progress of a request that asks for a position.
const ASK_IDLE_MS: u64 = 2_000;
/// Maximum length of the response to it: one change.
const ASK_BYTES: usize = 512 * 1024;

/// Asks the barn for its head.
pub(super) async fn head_of(link: &HttpsLink) -> Result<Position, GiveBackError> {
    let response = link.get(SCHEMA_PATH, false, ASK_BYTES, ASK_IDLE_MS).await?;
    if response.status != 200 {
        return Err(refused(response.status, &response.body));
    }
    let schema = from_blob::<Schema>(&response.body);
    let message = |error: BlobError| format!("it describes itself in a way that does not read: {error}");
    let schema = schema.map_err(|error| GiveBackError::Refused { status: response.status, message: message(error) })?;
    Ok(schema.state.position)
}

/// Asks the barn whether a position is on its history.
pub(super) async fn is_held(link: &HttpsLink, position: &Position) -> Result<bool, GiveBackError> {
    match ask(link, position).await {
        Ok(refusal) => Ok(refusal.is_none()),
        Err(AskError::Link(error)) => Err(error.into()),
        Err(AskError::Refused { status, message }) => Err(GiveBackError::Refused { status, message }),
    }
}

/// Asks the barn for the damaged rows of its log that it knows of, in order.
pub(super) async fn damaged_rows(link: &HttpsLink) -> Result<Vec<DamagedRow>, GiveBackError> {
    let response = link.get(HEALTH_PATH, false, ASK_BYTES, ASK_IDLE_MS).await?;
    let value: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let rows = value.get("damaged").and_then(|rows| Vec::<DamagedRow>::deserialize(rows).ok());
    let mut rows = rows.unwrap_or_default();
    // The way through them goes backward from row to row.
    rows.retain(|row| row.first <= row.last);
    rows.sort_unstable();
    Ok(rows)
}

/// Sends changes, and returns the barn's reply.
pub(super) async fn order(
    link: &HttpsLink,
    changes: EncodedRun,
    by: &Acceptance,
    in_place: bool,
) -> Result<GiveBackReply, GiveBackError> {
    let order = GiveBackOrder { author: by.author.clone(), reason: by.reason.clone(), changes, in_place };
    let body = serde_json::to_vec(&order).map_err(|error| refused(0, error.to_string().as_bytes()))?;
    let response = link.post(GIVE_BACK_PATH, body.into(), BOUNDS).await?;
    let reply = serde_json::from_slice(&response.body).ok().filter(|_| response.status == 200);
    reply.ok_or_else(|| refused(response.status, &response.body))
}

/// Returns the barn's refusal in its words.
fn refused(status: u16, body: &[u8]) -> GiveBackError {
    GiveBackError::Refused { status, message: Refusal::of(body).message }
}
