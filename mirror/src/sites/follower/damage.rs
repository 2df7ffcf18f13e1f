//! The steps after a copy has turned out to be damaged.
//!
//! - **It is made again beside the damaged one,** which is kept while it may hold what the new one lacks, and shown
//!   meanwhile if it can still be opened. The database has to be opened anew: when it panics on a damaged page, its locks
//!   stay poisoned.
//! - **Once a day.** A disk that damages a second copy is one for a person.
//! - **Any other failure of a writer ends the process.** A restart opens the files again, which mends a failed commit.

use super::followers::{Retry, Step};
use super::stores::{OpenCopies, OpenCopy, OpenError};
use super::{SiteFollower, WriterError};
use herd::store::StoreError;
use service::lifecycle::Exit;

impl SiteFollower {
    /// Returns the next step after `copy` could not be written any more. `open` has the others.
    pub(super) async fn step_after_writer(
        &mut self,
        copy: Option<OpenCopy>,
        open: &OpenCopies,
    ) -> Result<Step, WriterError> {
        let why = match copy {
            None => "it has no writer".to_owned(),
            Some(OpenCopy { mut thread, .. }) => match thread.join().await {
                Some(Err(error)) if is_damage(&error) => return Ok(self.step_after_damage(&error, open)),
                Some(Err(error)) => error.to_string(),
                Some(Ok(())) => "its writer ended without a request".to_owned(),
                None => "its writer panicked".to_owned(),
            },
        };
        Err(WriterError { site: self.site.name.to_string(), why })
    }

    fn step_after_damage(&mut self, error: &StoreError, open: &OpenCopies) -> Step {
        self.view.change(|state| state.stopped_because = None);
        if open.building.is_some() {
            tracing::error!(why = %error, "the shown copy is damaged; the new one goes on");
            return Step::FollowAgain;
        }
        if self.own_steps.take_after_damage() {
            tracing::error!(why = %error, "the copy is damaged: a new one is made, and this one is kept");
            return Step::CopyAgain;
        }
        Step::Halt(format!("the second damaged copy within a day, so the disk may be failing: {error}"))
    }

    /// Returns what to do after no copy could be opened.
    pub(super) fn retry_after(&mut self, error: &OpenError) -> Retry {
        match error {
            OpenError::Store(damage) if is_damage(damage) && self.own_steps.take_after_damage() => Retry::Copy,
            _ if error.may_pass() => Retry::Open,
            _ => Retry::OnCommand,
        }
    }
}

fn is_damage(error: &StoreError) -> bool {
    Exit::from(error) == Exit::Damaged
}
