//! Gives back to a barn what only this office holds.
//!
//! ```text
//! for each damaged row that the barn names, the last one first:
//!   send its changes, as the shown copy has them             the barn writes them in their place, if its log proves them
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
//! - **A copy that was given back says so in a file of its own.** Once the shown copy has followed the barn past what it
//!   appended, the next resync may remove it, and nobody is told again that only this office holds its reads. Until then the
//!   barn may lose its card, and with it what it was given.
//! - **What cannot be read or returned is named and passed over.** A copy that does not open, and a row that an order does not
//!   take, would keep back everything behind them for ever. Both stay for `recover` at the barn.

mod progress;
mod requests;
#[cfg(test)]
mod tests;

pub use progress::{GiveBackCursor, GiveBackProgress, GiveBackStage, OnlyHere, UnreadableCopy};

use crate::copies::{Copies, CopiesError, CopyNumber, GivenBack};
use crate::link::{HttpsLink, PostError};
use herd::change::Acceptance;
use herd::position::{Position, Sequence};
use herd::store::{ChangeRun, DamagedRow, Directory, LogSurvey, Reader, Store, StoreError};
use requests::{damaged_rows, head_of, is_held, order};
use service::backup::EncodedRun;
use service::give_back::{GiveBackReply, MAX_GIVE_BACK_BYTES, MAX_GIVEN_BYTES, MAX_GIVEN_CHANGES};
use service::sync::link::LinkError;
use std::thread;
use std::time::{Duration, Instant};

/// Time within which another part of this process that opened a copy, to count what only it holds, has closed it.
const LOCKED_TIMEOUT: Duration = Duration::from_secs(3);
/// Interval at which that is tried again.
const LOCKED_RETRY: Duration = Duration::from_millis(50);

/// Maximum length of the changes of a damaged row in an order. In base64 they take four thirds of it, and author, reason and the
/// lengths of the changes have the rest of [`MAX_GIVE_BACK_BYTES`].
const MAX_ROW_BYTES: usize = MAX_GIVE_BACK_BYTES * 11 / 16;

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

/// The copies of a site, and the one that is served.
#[derive(Clone, Debug)]
pub struct HeldCopies {
    /// The directory.
    pub copies: Copies,
    /// The copy that is served, if it is open.
    pub shown: Option<Reader>,
}

impl HeldCopies {
    /// Opens the current copy of a site that no process follows. One that cannot be opened compares with no other. Blocks the
    /// thread.
    pub fn of_files(copies: Copies) -> Self {
        let held = Self { copies, shown: None };
        let current = held.copies.current().ok().flatten();
        let shown = current.and_then(|copy| {
            let opened =
                held.open(copy).inspect_err(|error| tracing::warn!(%copy, %error, "cannot open the current copy"));
            opened.ok()
        });
        Self { shown, ..held }
    }

    /// Returns the place to begin at.
    pub fn begin(&self) -> Result<Option<GiveBackCursor>, CopiesError> {
        let stage = GiveBackStage::Mend { before: Sequence(u64::MAX) };
        Ok(self.copies.current()?.map(|copy| GiveBackCursor { copy, stage }))
    }

    /// Returns the first copy that may hold what the barn lacks, after `after`.
    fn first_open(&self, after: Option<CopyNumber>) -> Result<Option<GiveBackCursor>, CopiesError> {
        let current = self.copies.current()?;
        for copy in self.copies.kept()?.into_iter().filter(|copy| Some(*copy) > after) {
            if (Some(copy) == current || !self.is_without_log(copy)) && !self.is_given_back(copy)? {
                return Ok(Some(GiveBackCursor { copy, stage: GiveBackStage::Begin }));
            }
        }
        Ok(None)
    }

    /// Returns the first copy as [`first_open`](Self::first_open) does, which may open many logs.
    async fn next_open(&self, after: Option<CopyNumber>) -> Result<Option<GiveBackCursor>, GiveBackError> {
        let held = self.clone();
        Ok(tokio::task::spawn_blocking(move || held.first_open(after)).await??)
    }

    /// Returns whether a copy has no log, as after a person has carried it to the barn.
    fn is_without_log(&self, copy: CopyNumber) -> bool {
        matches!(Directory::new(self.copies.path(copy)).and_then(|disk| LogSurvey::of(&disk)), Ok(None))
    }

    /// Opens a copy, once another part of this process that reads it is done. Blocks the thread.
    fn open(&self, copy: CopyNumber) -> Result<Reader, GiveBackError> {
        once_unlocked(|| self.try_open(copy))
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
    /// served one. A copy that cannot be read is passed over, and an error only if no other holds anything.
    pub fn open_only_here(&self) -> Result<Reader, GiveBackError> {
        let current = self.copies.current()?;
        let mut unreadable = None;
        for copy in self.copies.kept()?.into_iter().rev().filter(|copy| Some(*copy) != current) {
            if self.is_without_log(copy) || self.is_given_back(copy)? {
                continue;
            }
            match self.open_if_needed(copy) {
                Ok(None) => {}
                Ok(Some(reader)) => return Ok(reader),
                Err(GiveBackError::Store(error)) if !is_unreadable(&error) => return Err(error.into()),
                Err(error) => {
                    // The count of what is only here has warned of it, and a backup opens the copy for each of its parts.
                    tracing::debug!(%copy, %error, "a kept copy cannot be read, and is passed over");
                    unreadable = Some(error);
                }
            }
        }
        match unreadable {
            Some(error) => Err(error),
            None => self.shown.clone().ok_or(GiveBackError::Moved),
        }
    }

    /// Opens a copy, unless the served one holds its end.
    fn open_if_needed(&self, copy: CopyNumber) -> Result<Option<Reader>, GiveBackError> {
        let reader = self.open(copy)?;
        let end = reader.head().position;
        let is_held = match &self.shown {
            Some(shown) => shown.position_at(end.sequence)?.as_ref() == Some(&end),
            None => false,
        };
        Ok((!is_held).then_some(reader))
    }

    /// Returns whether nobody needs an old copy: the served one holds all of it, or it was given back.
    pub fn is_spent(&self, copy: CopyNumber) -> bool {
        matches!(self.only_in(copy), Ok(0))
    }

    /// Returns the number of changes that only copies beside the served one hold. Waits for another part of this process that
    /// reads one of them, and blocks the thread.
    pub fn count_only_here(&self) -> OnlyHere {
        let kept = self.copies.current().and_then(|current| Ok((current, self.copies.kept()?)));
        let (current, kept) = match kept {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "cannot list the kept copies");
                return OnlyHere::default();
            }
        };
        let (mut changes, mut uncompared) = (0, Vec::new());
        for copy in kept.into_iter().filter(|copy| Some(*copy) != current) {
            match once_unlocked(|| self.only_in(copy)) {
                Ok(count) => changes += count,
                Err(error) => {
                    tracing::warn!(%copy, %error, "cannot compare a kept copy");
                    uncompared.push(copy);
                }
            }
        }
        OnlyHere { changes: (changes > 0 || uncompared.is_empty()).then_some(changes), uncompared }
    }

    /// Returns the number of changes of an old copy that the served one lacks, and that were not given back.
    fn only_in(&self, copy: CopyNumber) -> Result<u64, GiveBackError> {
        if self.is_given_back(copy)? {
            return Ok(0);
        }
        let Some(log) = LogSurvey::of(&Directory::new(self.copies.path(copy))?)? else { return Ok(0) };
        let shown = self.shown.as_ref().ok_or(GiveBackError::Moved)?;
        let end = log.end().sequence.0;
        // All up to one of them are in both.
        let (mut held, mut lacking) = (0, end + 1);
        while lacking - held > 1 {
            let middle = Sequence(held.midpoint(lacking));
            if log.position_at(middle)? == shown.position_at(middle)? { held = middle.0 } else { lacking = middle.0 }
        }
        Ok(end - held)
    }

    /// Returns whether a copy was given back to its end, and the shown one has what the barn made of it.
    fn is_given_back(&self, copy: CopyNumber) -> Result<bool, CopiesError> {
        let Some(GivenBack { end, barn }) = self.copies.given_back(copy)? else { return Ok(false) };
        let is_followed = |shown: &Reader| shown.position_at(barn.sequence).is_ok_and(|own| own == Some(barn));
        // A current one may be followed again, and grow.
        if self.copies.current()? == Some(copy) || !self.shown.as_ref().is_some_and(is_followed) {
            return Ok(false);
        }
        let survey = Directory::new(self.copies.path(copy)).and_then(|disk| LogSurvey::of(&disk));
        // One that has grown since was not given back to its end.
        Ok(matches!(survey, Ok(Some(log)) if log.end() == end))
    }

    /// Takes the next step with a copy.
    pub async fn step(
        &self,
        link: &HttpsLink,
        cursor: GiveBackCursor,
        acceptance: &Acceptance,
    ) -> Result<GiveBackProgress, GiveBackError> {
        match self.step_in_copy(link, cursor, acceptance).await {
            Err(GiveBackError::Store(error)) if is_unreadable(&error) => self.pass_over(cursor, &error).await,
            outcome => outcome,
        }
    }

    /// Goes on with the next copy after one that cannot be read.
    async fn pass_over(&self, cursor: GiveBackCursor, error: &StoreError) -> Result<GiveBackProgress, GiveBackError> {
        let GiveBackCursor { copy, stage } = cursor;
        if matches!(stage, GiveBackStage::Mend { .. }) {
            // The shown copy returns no row. It is named when its turn comes among the others.
            return Ok(GiveBackProgress { next: self.next_open(None).await?, ..GiveBackProgress::default() });
        }
        tracing::warn!(%copy, %error, "a kept copy cannot be read, and is passed over");
        let unreadable = vec![UnreadableCopy { copy, why: error.to_string() }];
        Ok(GiveBackProgress { unreadable, next: self.next_open(Some(copy)).await?, ..GiveBackProgress::default() })
    }

    async fn step_in_copy(
        &self,
        link: &HttpsLink,
        cursor: GiveBackCursor,
        acceptance: &Acceptance,
    ) -> Result<GiveBackProgress, GiveBackError> {
        let (held, copy) = (self.clone(), cursor.copy);
        // To open it may take a while.
        let reader = tokio::task::spawn_blocking(move || held.open(copy)).await??;
        let next = match cursor.stage {
            GiveBackStage::Mend { before } => return self.mend(link, copy, &reader, before, acceptance).await,
            GiveBackStage::Begin => begin(link, &reader).await?,
            GiveBackStage::Search { held, lacking } => Some(search(link, &reader, held, lacking).await?),
            GiveBackStage::Send { after } => return self.send(link, copy, &reader, after, acceptance).await,
        };
        let next = match next {
            Some(stage) => Some(GiveBackCursor { copy, stage }),
            None => self.next_open(Some(copy)).await?,
        };
        Ok(GiveBackProgress { next, ..GiveBackProgress::default() })
    }

    /// Returns the changes of the last damaged row of the barn's log before `before`.
    async fn mend(
        &self,
        link: &HttpsLink,
        copy: CopyNumber,
        reader: &Reader,
        before: Sequence,
        acceptance: &Acceptance,
    ) -> Result<GiveBackProgress, GiveBackError> {
        let row = damaged_rows(link).await?.into_iter().rfind(|row| row.last < before);
        let Some(row) = row else {
            return Ok(GiveBackProgress { next: self.next_open(None).await?, ..GiveBackProgress::default() });
        };
        let next = Some(GiveBackCursor { copy, stage: GiveBackStage::Mend { before: row.first } });
        let is_mended = match row_in(reader, row) {
            Some(run) => match order(link, EncodedRun::new(run), acceptance, true).await {
                Ok(_) => true,
                Err(error) if concerns_the_row(&error) => {
                    tracing::warn!(first = row.first.0, last = row.last.0, %error, "a damaged row was not returned");
                    false
                }
                Err(error) => return Err(error),
            },
            None => false,
        };
        let (mended, unmended) = if is_mended { (vec![row], Vec::new()) } else { (Vec::new(), vec![row]) };
        Ok(GiveBackProgress { mended, unmended, next, ..GiveBackProgress::default() })
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
        let reply = order(link, EncodedRun::new(run), acceptance, false).await?;
        let GiveBackReply { kept, duplicates, not_repeated, not_repeated_count, .. } = reply;
        let next = if after.sequence < end.sequence {
            Some(GiveBackCursor { copy, stage: GiveBackStage::Send { after } })
        } else {
            let barn = head_of(link).await?;
            self.copies.mark_given_back(copy, &GivenBack { end, barn })?;
            self.next_open(Some(copy)).await?
        };
        let done =
            GiveBackProgress { kept, duplicates, not_repeated, not_repeated_count, ..GiveBackProgress::default() };
        Ok(GiveBackProgress { next, ..done })
    }
}

/// Returns the changes of a row, if the copy has all of them and an order takes them.
fn row_in(copy: &Reader, row: DamagedRow) -> Option<ChangeRun> {
    let changes = usize::try_from(row.last.0.checked_sub(row.first.0)?.checked_add(1)?).ok()?;
    if changes > MAX_GIVEN_CHANGES {
        return None;
    }
    let after = copy.position_at(Sequence(row.first.0.checked_sub(1)?)).ok()??;
    let run = copy.run_after(after, changes, MAX_ROW_BYTES).ok()?;
    (run.changes.len() == changes && run.changes.bytes() <= MAX_ROW_BYTES).then_some(run)
}

/// Returns whether a copy cannot be read, now or later. One that is in use, or whose disk is full, can be read after a while.
fn is_unreadable(error: &StoreError) -> bool {
    !matches!(error, StoreError::Locked { .. } | StoreError::Canceled { .. })
}

/// Returns whether an order failed for the row that it holds: the barn refuses that row, or it is too long for the link. Any
/// other order may be taken all the same.
fn concerns_the_row(error: &GiveBackError) -> bool {
    matches!(error, GiveBackError::Refused { status: 400 | 409 | 413, .. } | GiveBackError::Post(PostError::InDoubt(_)))
}

/// Tries again while another part of this process has the files of a copy open.
fn once_unlocked<T>(attempt: impl Fn() -> Result<T, GiveBackError>) -> Result<T, GiveBackError> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(GiveBackError::Store(StoreError::Locked { .. })) if start.elapsed() < LOCKED_TIMEOUT => {
                thread::sleep(LOCKED_RETRY);
            }
            outcome => return outcome,
        }
    }
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
