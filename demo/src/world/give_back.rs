//! Gives back to the barn what only a kept copy holds.
//!
//! The shipped command does the same over HTTPS, a request at a time.

use super::wire::Wire;
use herd::position::{Position, Sequence};
use herd::store::Reader;
use herd::wire::{Schema, from_blob};
use mirror::follow::{ask, last_shared};
use service::backup::EncodedRun;
use service::give_back::{MAX_GIVEN_BYTES, MAX_GIVEN_CHANGES};
use service::sync::link::{Link as _, SCHEMA_PATH};

/// Maximum length of a response.
const RESPONSE_BYTES: usize = 512 * 1024;

/// Gives back the changes of a copy that the barn lacks. Returns the head of the barn once it has them.
pub(super) async fn give_back(wire: Wire, copy: Reader) -> Result<Position, String> {
    let end = copy.head().position;
    if !is_held(&wire, &position_in(&copy, Sequence::ZERO)?).await? {
        return Err("the barn has another history".to_owned());
    }
    if !is_held(&wire, &end).await? {
        let shared = last_shared(&wire, &copy).await.map_err(|error| error.to_string())?;
        let mut after = position_in(&copy, shared)?;
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

fn position_in(copy: &Reader, sequence: Sequence) -> Result<Position, String> {
    copy.position_at(sequence).map_err(|error| error.to_string())?.ok_or_else(|| "the copy has changed".to_owned())
}

async fn is_held(wire: &Wire, position: &Position) -> Result<bool, String> {
    ask(wire, position).await.map(|refusal| refusal.is_none()).map_err(|error| error.to_string())
}
