//! A new copy begins with what an older one holds of the same history.
//!
//! - The source is asked how far it holds the older copy: a request for each step of a binary search. What both hold goes from
//!   one copy into the other, verified by its chain like every page. Only the rest has to pass the network.
//! - A failure ends this, and not the new copy: what is missing comes from the source.

use super::room::NoRoomError;
use super::session::{PageError, outcome_of};
use super::writer::{StoreHandle, WriterEndedError};
use herd::position::{Position, Sequence};
use herd::store::{ApplyError, Reader, StoreError};
use herd::wire::{MAX_PAGE_BYTES, MAX_PAGE_CHANGES};
use service::sync::link::{CHANGES_PATH, Link, LinkError};
use service::sync::query::position_text;
use service::sync::refusal::Refusal;

/// Longest time without progress of a request that asks for one change.
const ASK_IDLE_MS: u64 = 5_000;
/// Maximum length of the response to it.
const ASK_BYTES: usize = 512 * 1024;

/// Why a source did not say whether it holds a position.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The source cannot be asked.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The source refuses to tell.
    #[error("the barn refused with status {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
}

/// Why a new copy has less from the older one than both could share.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The source did not say what it holds.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// There is no room for further changes.
    #[error(transparent)]
    NoRoom(#[from] NoRoomError),
    /// The older copy cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The new copy does not take the changes.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The writer of the new copy has ended.
    #[error(transparent)]
    WriterEnded(#[from] WriterEndedError),
}

/// Asks a source whether it holds a position. Returns its refusal if it does not.
pub async fn ask(link: &impl Link, position: &Position) -> Result<Option<Refusal>, AskError> {
    let path = format!("{CHANGES_PATH}?limit=1&{}", position_text(position));
    let response = link.get(&path, false, ASK_BYTES, ASK_IDLE_MS).await?;
    match (response.status, Refusal::of(&response.body)) {
        (200, _) => Ok(None),
        (409, refusal) => Ok(Some(refusal)),
        (status, Refusal { message, .. }) => Err(AskError::Refused { status, message }),
    }
}

/// Searches for the last change that the source and a copy both hold.
pub async fn last_shared(link: &impl Link, copy: &Reader) -> Result<Sequence, FillError> {
    let (mut held, mut lacking) = (Sequence::ZERO, copy.head().position.sequence.next());
    while held.next() < lacking {
        let middle = Sequence(held.0.midpoint(lacking.0));
        let is_held = match copy.position_at(middle)? {
            Some(position) => ask(link, &position).await?.is_none(),
            None => false,
        };
        *(if is_held { &mut held } else { &mut lacking }) = middle;
    }
    Ok(held)
}

/// Fills a new copy from `older`, up to the last change that the source holds too. Returns that change.
///
/// Cancel-safe: the new copy holds what was applied.
pub async fn fill(link: &impl Link, older: &Reader, new: &StoreHandle) -> Result<Sequence, FillError> {
    let shared = last_shared(link, older).await?;
    loop {
        let at = new.reader().head().position;
        let left = shared.0.saturating_sub(at.sequence.0);
        if left == 0 {
            return Ok(shared);
        }
        let limit = usize::try_from(left).map_or(MAX_PAGE_CHANGES, |left| left.min(MAX_PAGE_CHANGES));
        new.check_room()?;
        let run = older.run_after(at, limit, MAX_PAGE_BYTES)?;
        if run.changes.is_empty() {
            return Ok(at.sequence);
        }
        match outcome_of(&mut new.begin_apply(run).await?).await {
            Ok(_) => {}
            Err(PageError::Apply(error)) => return Err(error.into()),
            Err(PageError::WriterEnded) => return Err(WriterEndedError.into()),
        }
    }
}
