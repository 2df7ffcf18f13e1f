//! Gives back to a barn what only this office holds.
//!
//! ```text
//! for each complete copy, the oldest first:
//!   search for the last change that the barn holds too      one request per step of a binary search
//!   send the changes after it, page by page                 the barn answers once they are durable
//!   note in the directory of the copy that it was given back
//! ```
//!
//! # Decisions
//!
//! - **The barn is asked how far it holds a copy,** not the copy that was made of it since. So giving back works before a
//!   resync as well as after any number of them.
//! - **Whole changes are sent, and the barn takes the payloads out.** The digests show it which ones it holds, and where each
//!   one was. So an order that is sent twice, by whoever, gives nothing twice.
//! - **A command does one page per request.** The socket drops a command that takes long, and a person sees how far it is.
//! - **A copy that was given back says so in a file of its own.** The next resync may remove it, and nobody is told again that
//!   only this office holds its reads.

use crate::copies::{Copies, CopiesError, CopyNumber};
use crate::link::{HttpsLink, PostBounds, PostError};
use herd::change::Acceptance;
use herd::position::{Position, Sequence};
use herd::store::{Directory, LogSurvey, Reader, Store, StoreError};
use serde::{Deserialize, Serialize};
use service::backup::EncodedRun;
use service::give_back::{GIVE_BACK_PATH, GiveBackOrder, GiveBackReply, MAX_GIVEN_BYTES, MAX_GIVEN_CHANGES};
use service::sync::link::{CHANGES_PATH, Link as _, LinkError};
use service::sync::query::position_text;
use std::thread;
use std::time::{Duration, Instant};

/// Limits of a request that gives back: shorter than a command may take.
const BOUNDS: PostBounds = PostBounds { connect_ms: 5_000, response_ms: 4_000, response_bytes: 64 * 1024 };
/// Longest time without progress of a request that asks for a position.
const ASK_IDLE_MS: u64 = 2_000;
/// Maximum length of the response to it: one change.
const ASK_BYTES: usize = 512 * 1024;

/// Time within which another part of this process that opened a copy, to count what only it holds, has closed it.
const LOCKED_TIMEOUT: Duration = Duration::from_secs(3);
/// Interval at which that is tried again.
const LOCKED_RETRY: Duration = Duration::from_millis(50);

/// Reason why nothing was given back, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum GiveBackError {
    /// The barn cannot be reached.
    #[error("{0}. Nothing is lost by trying again")]
    Link(#[from] LinkError),
    /// The order was not answered.
    #[error("{0}. Nothing is given twice by trying again")]
    Post(#[from] PostError),
    /// The barn refused.
    #[error("the barn refuses with status {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The barn has another history than the copy.
    #[error("the barn holds another history than the copy, from the first change on: nothing was sent")]
    OtherHistory,
    /// The copy could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory of the site could not be read or written.
    #[error(transparent)]
    Copies(#[from] CopiesError),
    /// The copy could not be opened, because the process is shutting down.
    #[error("the command was aborted: {0}")]
    Aborted(#[from] tokio::task::JoinError),
    /// The position to go on from is not in the copy.
    #[error("the copy has changed since the command began: begin it again")]
    Moved,
}

/// The place at which a command goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBackCursor {
    /// Number of the copy.
    pub copy: CopyNumber,
    /// The next thing to do with it.
    pub stage: GiveBackStage,
}

/// A stage of giving a copy back. Each takes a request or a few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GiveBackStage {
    /// Ask the barn whether it holds the whole copy.
    Begin,
    /// Search for the last change that the barn holds, too.
    Search {
        /// A change that it holds.
        held: Sequence,
        /// A later one that it lacks.
        lacking: Sequence,
    },
    /// Send what follows.
    Send {
        /// Position up to which the barn has the payloads.
        after: Position,
    },
}

/// Result of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBackProgress {
    /// Payloads that the barn has appended.
    pub kept: u64,
    /// Payloads that it held already.
    pub duplicates: u64,
    /// Decisions that it does not repeat: the first hundred of this request.
    pub not_repeated: Vec<Sequence>,
    /// Number of all of these.
    pub not_repeated_count: u64,
    /// Place to go on from; `None` if everything was given back.
    pub next: Option<GiveBackCursor>,
}

impl GiveBackProgress {
    /// Adds the result of a later request.
    pub fn add(&mut self, step: Self) {
        const MAX_NAMED: usize = 100;
        self.kept += step.kept;
        self.duplicates += step.duplicates;
        self.not_repeated_count += step.not_repeated_count;
        let room = MAX_NAMED.saturating_sub(self.not_repeated.len());
        self.not_repeated.extend(step.not_repeated.into_iter().take(room));
    }
}

/// The copies of a site, and the one that is served.
#[derive(Clone, Debug)]
pub struct HeldCopies {
    /// The directory.
    pub copies: Copies,
    /// The copy that is served, if it is open.
    pub shown: Option<Reader>,
}

impl HeldCopies {
    /// Returns the first copy that may hold what the barn lacks, after `after`.
    pub fn first_open(&self, after: Option<CopyNumber>) -> Result<Option<GiveBackCursor>, CopiesError> {
        for copy in self.copies.complete()?.into_iter().filter(|copy| Some(*copy) > after) {
            if !is_given_back(&self.copies, copy)? {
                return Ok(Some(GiveBackCursor { copy, stage: GiveBackStage::Begin }));
            }
        }
        Ok(None)
    }

    /// Opens a copy, once another part of this process that reads it is done. Blocks the thread.
    fn open(&self, copy: CopyNumber) -> Result<Reader, GiveBackError> {
        let start = Instant::now();
        loop {
            match self.try_open(copy) {
                Err(GiveBackError::Store(StoreError::Locked { .. })) if start.elapsed() < LOCKED_TIMEOUT => {
                    thread::sleep(LOCKED_RETRY);
                }
                opened => return opened,
            }
        }
    }

    fn try_open(&self, copy: CopyNumber) -> Result<Reader, GiveBackError> {
        if let Some(shown) = self.shown.as_ref().filter(|_| matches!(self.copies.current(), Ok(Some(c)) if c == copy)) {
            return Ok(shown.clone());
        }
        let disk = Directory::new(self.copies.path(copy))?;
        let store = LogSurvey::of(&disk)?.ok_or(GiveBackError::Moved)?.end().store;
        Ok(Store::open_replica(&disk, store)?.reader())
    }

    /// Returns a reader of the newest kept copy that holds what the served one lacks, and was not given back; else of the
    /// served one.
    pub fn open_only_here(&self) -> Result<Reader, GiveBackError> {
        let current = self.copies.current()?;
        for copy in self.copies.complete()?.into_iter().rev().filter(|copy| Some(*copy) != current) {
            if is_given_back(&self.copies, copy)? {
                continue;
            }
            let reader = self.open(copy)?;
            let end = reader.head().position;
            let is_held = match &self.shown {
                Some(shown) => shown.position_at(end.sequence)?.as_ref() == Some(&end),
                None => false,
            };
            if !is_held {
                return Ok(reader);
            }
        }
        self.shown.clone().ok_or(GiveBackError::Moved)
    }

    /// Returns whether nobody needs an old copy: the served one holds all of it, or it was given back.
    pub fn is_spent(&self, copy: CopyNumber) -> bool {
        matches!(self.only_in(copy), Ok(0))
    }

    /// Returns the number of changes that only copies beside the served one hold. `None` if they cannot be compared.
    pub fn count_only_here(&self) -> Option<u64> {
        let current = self.copies.current().ok()?;
        let kept = self.copies.complete().ok()?.into_iter().filter(|copy| Some(*copy) != current);
        let counted = kept.map(|copy| {
            self.only_in(copy).inspect_err(|error| tracing::warn!(%copy, %error, "cannot compare a kept copy")).ok()
        });
        counted.sum()
    }

    /// Returns the number of changes of an old copy that the served one lacks, and that were not given back.
    fn only_in(&self, copy: CopyNumber) -> Result<u64, GiveBackError> {
        if is_given_back(&self.copies, copy)? {
            return Ok(0);
        }
        let shown = self.shown.as_ref().ok_or(GiveBackError::Moved)?;
        let Some(log) = LogSurvey::of(&Directory::new(self.copies.path(copy))?)? else { return Ok(0) };
        let end = log.end().sequence.0;
        // All up to one of them are in both.
        let (mut held, mut lacking) = (0, end + 1);
        while lacking - held > 1 {
            let middle = Sequence(held.midpoint(lacking));
            if log.position_at(middle)? == shown.position_at(middle)? { held = middle.0 } else { lacking = middle.0 }
        }
        Ok(end - held)
    }

    /// Takes the next step with a copy.
    pub async fn step(
        &self,
        link: &HttpsLink,
        cursor: GiveBackCursor,
        acceptance: &Acceptance,
    ) -> Result<GiveBackProgress, GiveBackError> {
        let (held, copy) = (self.clone(), cursor.copy);
        // To open it may take a while.
        let reader = tokio::task::spawn_blocking(move || held.open(copy)).await??;
        let next = match cursor.stage {
            GiveBackStage::Begin => begin(link, &reader).await?,
            GiveBackStage::Search { held, lacking } => Some(search(link, &reader, held, lacking).await?),
            GiveBackStage::Send { after } => return self.send(link, copy, &reader, after, acceptance).await,
        };
        let next = match next {
            Some(stage) => Some(GiveBackCursor { copy, stage }),
            None => self.first_open(Some(copy))?,
        };
        Ok(GiveBackProgress { next, ..GiveBackProgress::default() })
    }

    /// Gives back the changes after a position, up to a page. A copy that was given back to its end is marked.
    async fn send(
        &self,
        link: &HttpsLink,
        copy: CopyNumber,
        reader: &Reader,
        after: Position,
        acceptance: &Acceptance,
    ) -> Result<GiveBackProgress, GiveBackError> {
        if reader.position_at(after.sequence)? != Some(after) {
            return Err(GiveBackError::Moved);
        }
        let end = reader.head().position;
        let run = reader.run_after(after, MAX_GIVEN_CHANGES, MAX_GIVEN_BYTES)?;
        let after = run.end;
        let reply = order(link, EncodedRun::new(run), acceptance).await?;
        let GiveBackReply { kept, duplicates, not_repeated, not_repeated_count, .. } = reply;
        let next = if after.sequence < end.sequence {
            Some(GiveBackCursor { copy, stage: GiveBackStage::Send { after } })
        } else {
            self.copies.mark_given_back(copy, &end)?;
            self.first_open(Some(copy))?
        };
        Ok(GiveBackProgress { kept, duplicates, not_repeated, not_repeated_count, next })
    }
}

/// Returns whether a copy was given back to its end. One that has grown since was not.
pub fn is_given_back(copies: &Copies, copy: CopyNumber) -> Result<bool, CopiesError> {
    let Some(marked) = copies.given_back(copy)? else { return Ok(false) };
    if copies.current()? == Some(copy) {
        // It may be followed again, and grow.
        return Ok(false);
    }
    let survey = Directory::new(copies.path(copy)).and_then(|disk| LogSurvey::of(&disk));
    Ok(matches!(survey, Ok(Some(log)) if log.end() == marked))
}

/// Asks whether the barn holds a whole copy. Returns `None` if it does.
async fn begin(link: &HttpsLink, copy: &Reader) -> Result<Option<GiveBackStage>, GiveBackError> {
    let end = copy.head().position;
    if is_held(link, &end).await? {
        return Ok(None);
    }
    if !is_held(link, &position_in(copy, Sequence::ZERO)?).await? {
        return Err(GiveBackError::OtherHistory);
    }
    Ok(Some(GiveBackStage::Search { held: Sequence::ZERO, lacking: end.sequence }))
}

/// Halves the part of a copy in which the last change is that the barn holds, too.
async fn search(
    link: &HttpsLink,
    copy: &Reader,
    held: Sequence,
    lacking: Sequence,
) -> Result<GiveBackStage, GiveBackError> {
    let middle = Sequence(held.0.midpoint(lacking.0));
    if middle <= held {
        return Ok(GiveBackStage::Send { after: position_in(copy, held)? });
    }
    Ok(if is_held(link, &position_in(copy, middle)?).await? {
        GiveBackStage::Search { held: middle, lacking }
    } else {
        GiveBackStage::Search { held, lacking: middle }
    })
}

fn position_in(copy: &Reader, sequence: Sequence) -> Result<Position, GiveBackError> {
    copy.position_at(sequence)?.ok_or(GiveBackError::Moved)
}

/// Asks the barn whether a position is on its history.
async fn is_held(link: &HttpsLink, position: &Position) -> Result<bool, GiveBackError> {
    let path = format!("{CHANGES_PATH}?limit=1&{}", position_text(position));
    let response = link.get(&path, false, ASK_BYTES, ASK_IDLE_MS).await?;
    match response.status {
        200 => Ok(true),
        409 => Ok(false),
        status => Err(refused(status, &response.body)),
    }
}

async fn order(link: &HttpsLink, changes: EncodedRun, by: &Acceptance) -> Result<GiveBackReply, GiveBackError> {
    let order = GiveBackOrder { author: by.author.clone(), reason: by.reason.clone(), changes };
    let body = serde_json::to_vec(&order).map_err(|error| refused(0, error.to_string().as_bytes()))?;
    let response = link.post(GIVE_BACK_PATH, body.into(), BOUNDS).await?;
    let reply = serde_json::from_slice(&response.body).ok().filter(|_| response.status == 200);
    reply.ok_or_else(|| refused(response.status, &response.body))
}

/// Returns the barn's refusal in its words, of which a terminal obeys none.
fn refused(status: u16, body: &[u8]) -> GiveBackError {
    const SHOWN_CHARS: usize = 300;
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = value.get("message").and_then(serde_json::Value::as_str).unwrap_or("no reason given");
    let message = message.chars().filter(|char| !char.is_control()).take(SHOWN_CHARS).collect();
    GiveBackError::Refused { status, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::store::MemoryDisk;
    use herd::testing::TestBarn;

    fn held_copies(directory: &std::path::Path, shown: Reader) -> HeldCopies {
        HeldCopies { copies: Copies::open(directory).unwrap(), shown: Some(shown) }
    }

    /// Makes a complete copy of a barn.
    fn copy(copies: &Copies, barn: &TestBarn) -> CopyNumber {
        let (number, source) = (copies.begin().unwrap(), barn.reader());
        let disk = Directory::new(copies.path(number)).unwrap();
        let mut store = Store::open_replica(&disk, source.store()).unwrap();
        store.apply(source.run_after(store.head().position, 1_000, 1_000_000).unwrap()).unwrap();
        store.settle().unwrap();
        drop(store);
        copies.finish(number, |_| false).unwrap();
        number
    }

    /// Catches a copy that a resync removes although only it holds some reads, and one that is kept forever.
    #[test]
    fn a_copy_is_needed_until_the_shown_one_or_the_barn_holds_all_of_it() {
        let (directory, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::default());
        let mut lost = TestBarn::on(&disk);
        lost.record("hxb:LOT1:LF1:UHF1");
        let card = disk.after_power_cut();
        let copies = Copies::open(directory.path()).unwrap();
        let early = copy(&copies, &lost);
        for text in ["hxb:LOT1:LF2:UHF2", "hxb:LOT1:LF3:UHF3"] {
            lost.record(text);
        }
        let old = copy(&copies, &lost);
        let mut barn = TestBarn::on(&card);
        barn.record("hxb:LOT1:LF4:UHF4");
        copy(&copies, &barn);

        let held = held_copies(directory.path(), barn.reader());
        assert_eq!(held.count_only_here(), Some(2));
        assert!(held.is_spent(early) && !held.is_spent(old));
        let end = lost.reader().head().position;
        assert_eq!(held.open_only_here().unwrap().head().position, end);
        let first = held.first_open(Some(early)).unwrap();
        assert_eq!(first, Some(GiveBackCursor { copy: old, stage: GiveBackStage::Begin }));

        copies.mark_given_back(old, &end).unwrap();
        assert_eq!((held.count_only_here(), held.is_spent(old)), (Some(0), true));
        assert_eq!(held.open_only_here().unwrap().head().position, barn.reader().head().position);
    }

    /// Catches a note of an earlier end that lets a resync remove what the copy got since then.
    #[test]
    fn a_copy_that_grew_since_it_was_given_back_is_needed_again() {
        let (directory, mut barn) = (tempfile::tempdir().unwrap(), TestBarn::default());
        let before = barn.reader().head().position;
        barn.record("hxb:LOT1:LF1:UHF1");
        let copies = Copies::open(directory.path()).unwrap();
        let old = copy(&copies, &barn);
        copies.mark_given_back(old, &before).unwrap();
        copy(&copies, &TestBarn::default());
        assert!(!is_given_back(&copies, old).unwrap());
    }
}
