//! Gives back to the barn what only a kept copy holds.
//!
//! The shipped command does the same over HTTPS, a request at a time.

use super::wire::Wire;
use herd::position::{Position, Sequence};
use herd::store::Reader;
use herd::wire::{Schema, from_blob};
use service::backup::EncodedRun;
use service::give_back::{MAX_GIVEN_BYTES, MAX_GIVEN_CHANGES};
use service::sync::link::{CHANGES_PATH, Link as _, SCHEMA_PATH};
use service::sync::query::position_text;

/// Maximum length of a response.
const RESPONSE_BYTES: usize = 512 * 1024;

/// Gives back the changes of a copy that the barn lacks. Returns the head of the barn once it has them.
pub(super) async fn give_back(wire: Wire, copy: Reader) -> Result<Position, String> {
    let end = copy.head().position;
    if !is_held(&wire, &end).await? {
        let mut after = last_shared(&wire, &copy, end.sequence).await?;
        while after.sequence < end.sequence {
            let run = copy.run_after(after, MAX_GIVEN_CHANGES, MAX_GIVEN_BYTES).map_err(|error| error.to_string())?;
            after = run.end;
            wire.give_back(EncodedRun::new(run)).await.map_err(|error| error.to_string())?;
        }
    }
    let response = wire.get(SCHEMA_PATH, false, RESPONSE_BYTES, 0).await.map_err(|error| error.to_string())?;
    let schema: Schema = from_blob(&response.body).map_err(|error| error.to_string())?;
    Ok(schema.state.position)
}

/// Searches for the last change that barn and copy have in common.
async fn last_shared(wire: &Wire, copy: &Reader, end: Sequence) -> Result<Position, String> {
    let (mut held, mut lacking) = (Sequence::ZERO, end);
    if !is_held(wire, &position_in(copy, held)?).await? {
        return Err("the barn has another history".to_owned());
    }
    loop {
        let middle = Sequence(held.0.midpoint(lacking.0));
        if middle <= held {
            return position_in(copy, held);
        }
        if is_held(wire, &position_in(copy, middle)?).await? {
            held = middle;
        } else {
            lacking = middle;
        }
    }
}

fn position_in(copy: &Reader, sequence: Sequence) -> Result<Position, String> {
    copy.position_at(sequence).map_err(|error| error.to_string())?.ok_or_else(|| "the copy has changed".to_owned())
}

async fn is_held(wire: &Wire, position: &Position) -> Result<bool, String> {
    let path = format!("{CHANGES_PATH}?limit=1&{}", position_text(position));
    let response = wire.get(&path, false, RESPONSE_BYTES, 0).await.map_err(|error| error.to_string())?;
    match response.status {
        200 => Ok(true),
        409 => Ok(false),
        status => Err(format!("the barn answers with status {status}")),
    }
}
