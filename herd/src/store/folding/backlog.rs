//! The backlog: what a replica's log has, or is about to have, and its fold has not.

use super::publisher::{Publisher, Sealed};
use super::run::{Run, RunSize};
use crate::position::{Position, Sequence};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Maximum size of the changes that were handed over and are not folded yet. A single commit may be larger.
const MAX_UNFOLDED_BYTES: usize = 8 * 1024 * 1024;
/// Maximum number of runs that are decoded ahead of the fold. A decoded change takes about a kilobyte, and a run has at most
/// 1,000.
const DECODED_AHEAD: usize = 4;

#[derive(Debug, Default)]
struct BacklogState {
    /// Runs whose fold has not begun, oldest first.
    waiting: VecDeque<Arc<Run>>,
    /// Everything that was handed over and is not published, with the run that is being folded.
    unfolded: RunSize,
    /// The last change that the log has durably.
    durable: Sequence,
    /// A folded run whose changes the log has not yet, and its size.
    sealed: Option<(Sealed, RunSize)>,
    /// No more runs come.
    is_closing: bool,
    /// Everything that is not published is given up.
    is_canceled: bool,
    /// The thread has ended.
    has_ended: bool,
}

/// Runs on their way from the log to the tables.
#[derive(Debug)]
pub(super) struct Backlog {
    state: Mutex<BacklogState>,
    changed: Condvar,
    publisher: Publisher,
    max_changes: u64,
}

impl BacklogState {
    fn has_room(&self, run: RunSize, max_changes: u64) -> bool {
        let RunSize { changes, bytes } = self.unfolded;
        changes == 0 || (changes + run.changes <= max_changes && bytes + run.bytes <= MAX_UNFOLDED_BYTES)
    }

    /// Returns the first run to decode ahead of the fold.
    fn undecoded(&self) -> Option<Arc<Run>> {
        self.waiting.iter().take(DECODED_AHEAD).find(|run| !run.is_decoded()).cloned()
    }

    fn add(&mut self, run: RunSize) {
        self.unfolded.changes += run.changes;
        self.unfolded.bytes += run.bytes;
    }

    fn remove(&mut self, run: RunSize) {
        self.unfolded.changes -= run.changes;
        self.unfolded.bytes -= run.bytes;
    }
}

impl Backlog {
    /// Makes an empty backlog. `max_changes` of it may wait; a single commit may be larger.
    pub(super) fn new(publisher: Publisher, max_changes: u64) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), publisher, max_changes }
    }

    /// Makes an empty backlog for another thread.
    pub(super) fn successor(&self) -> Self {
        Self::new(self.publisher.clone(), self.max_changes)
    }

    fn lock(&self) -> MutexGuard<'_, BacklogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: impl FnMut(&mut BacklogState) -> bool) -> MutexGuard<'_, BacklogState> {
        self.changed.wait_while(self.lock(), condition).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the runs of a commit have room, and decodes those that wait meanwhile. Returns false if the thread has
    /// ended, so that nobody makes room.
    pub(super) fn wait_for_room(&self, runs: &[Run]) -> bool {
        let size = RunSize::of(runs);
        loop {
            let must_wait = |state: &BacklogState| !state.has_ended && !state.has_room(size, self.max_changes);
            let state = self.wait_while(|state| must_wait(state) && state.undecoded().is_none());
            if !must_wait(&state) {
                return !state.has_ended;
            }
            let run = state.undecoded();
            drop(state);
            if let Some(run) = run {
                run.decode();
            }
        }
    }

    /// Adds the runs of a commit, which is about to be written to the log.
    pub(super) fn add(&self, runs: Vec<Run>) {
        let mut state = self.lock();
        state.add(RunSize::of(&runs));
        state.waiting.extend(runs.into_iter().map(Arc::new));
        drop(state);
        self.changed.notify_all();
    }

    /// Notes that the log has everything that was added, up to `position`, and publishes that. If it is folded already, its
    /// rows are published, too.
    pub(super) fn log_is_durable(&self, position: Position) {
        let mut state = self.lock();
        state.durable = position.sequence;
        let (sealed, size) = state.sealed.take().unzip();
        state.remove(size.unwrap_or_default());
        // Under the lock: the fold goes on once the slot is empty, and its rows must be visible by then.
        self.publisher.publish(Some(position), sealed);
        if !state.waiting.is_empty() {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Publishes a folded run if the log has it, and returns whether it did. Otherwise leaves it to
    /// [`log_is_durable`](Self::log_is_durable).
    pub(super) fn finish(&self, run: &Run, sealed: Sealed) -> bool {
        let mut state = self.lock();
        if state.durable < run.last {
            state.sealed = Some((sealed, run.size()));
            return false;
        }
        drop(state);
        self.publisher.show_tables(sealed);
        self.lock().remove(run.size());
        self.changed.notify_all();
        true
    }

    /// Waits for the next run to fold, and takes it. Returns `None` if no more come.
    pub(super) fn next(&self) -> Option<Arc<Run>> {
        let mut state = self.wait_while(|state| {
            let has_work = state.is_closing || !state.waiting.is_empty();
            !state.is_canceled && (state.sealed.is_some() || !has_work)
        });
        if state.is_canceled { None } else { state.waiting.pop_front() }
    }

    /// Takes the next run to fold, if one waits.
    pub(super) fn take(&self) -> Option<Arc<Run>> {
        self.lock().waiting.pop_front()
    }

    /// Returns whether more waits than may.
    pub(super) fn is_over_limit(&self) -> bool {
        !self.lock().has_room(RunSize::default(), self.max_changes)
    }

    /// Lets the thread end after the last run.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.changed.notify_all();
    }

    /// Lets the thread end after the run that it folds, without publishing it.
    pub(super) fn cancel(&self) {
        self.lock().is_canceled = true;
        self.changed.notify_all();
    }

    /// Notes the end of the thread, so that nobody waits for it any more.
    pub(super) fn note_end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// Returns whether the thread has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().has_ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches memory without a limit at an office that copies a barn, and one that waits although there is room.
    #[test]
    fn runs_wait_up_to_both_limits_and_any_single_commit_is_let_in() {
        let size = |changes, bytes| RunSize { changes, bytes };
        let mut state = BacklogState::default();
        assert!(state.has_room(size(u64::MAX, usize::MAX), 10));
        state.add(size(4, MAX_UNFOLDED_BYTES - 5));
        let runs = [(6, 5, true), (7, 5, false), (6, 6, false), (0, 0, true)];
        for (changes, bytes, expected) in runs {
            assert_eq!(state.has_room(size(changes, bytes), 10), expected, "{changes} changes of {bytes} bytes");
        }
        state.add(size(6, 5));
        assert!(state.has_room(RunSize::default(), 10) && !state.has_room(size(1, 0), 10));
        state.remove(size(4, MAX_UNFOLDED_BYTES - 5));
        assert_eq!(state.unfolded, size(6, 5));
    }
}
