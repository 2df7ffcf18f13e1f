//! One attempt at a backup, on a thread of its own.

use super::super::room::{RoomKeeper, room_for_backup};
use super::super::target::{BackupTarget, FinishStep, prove_file_at};
use super::error::NightlyError;
use super::schedule::{Schedule, VerifyTime};
use super::settings::{BackupSettings, one_disk_warning};
use super::shelf::{Room, RoomError, Shelf, ShelfFile, file_name};
use super::state::{BackupStates, VerifiedFile};
use crate::lifecycle::{Shutdown, min_free_bytes};
use herd::backup::{BackupSummary, BackupWriteError, copy_log, start_of};
use herd::clock::RawReading;
use herd::store::Reader;
use rustix::fs::{Timespec, Timestamps, UTIME_OMIT, futimens};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes after which the file is synced, so that the kernel's cache holds no more of it.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes that a file which ran out of room needs more, at least.
const FULL_MARGIN_BYTES: u64 = 64 * 1024;
/// Maximum time of a rest.
const MAX_REST: Duration = Duration::from_millis(500);

/// Step of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NightlyStep {
    /// The directory is about to be read.
    ReadDirectory,
    /// A part of the file is about to be written.
    Write,
    /// The file is being finished, or proved again.
    Finish(FinishStep),
    /// An older backup is about to be removed.
    Remove,
}

/// Observes the steps. An error counts as one of the medium in that step: so do the tests let a medium fail.
pub(super) type OnStep = Arc<dyn Fn(NightlyStep) -> io::Result<()> + Send + Sync>;

/// Result of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The directory holds a backup that is new enough.
    Undue(VerifiedFile),
    /// A backup was written, or proved again.
    Verified(VerifiedFile),
    /// The process is shutting down.
    Interrupted,
    /// There is no new backup.
    Failed {
        /// The reason.
        error: NightlyError,
        /// The newest backup of the directory, if it could be read.
        found: Option<VerifiedFile>,
        /// Bytes of a file that grew larger than there was room for.
        tried_bytes: u64,
    },
}

/// An attempt at a backup of one store.
pub(super) struct Job {
    pub(super) settings: BackupSettings,
    pub(super) directory: PathBuf,
    pub(super) state_dir: PathBuf,
    pub(super) site: String,
    pub(super) reader: Reader,
    pub(super) schedule: Schedule,
    pub(super) states: BackupStates,
    /// Size that an earlier attempt reached before it ran out of room.
    pub(super) tried_bytes: u64,
    pub(super) shutdown: Shutdown,
    pub(super) on_step: OnStep,
}

impl Job {
    pub(super) fn run(mut self) -> Outcome {
        let mut found = None;
        match self.attempt(&mut found) {
            Ok(outcome) => outcome,
            Err(_) if self.shutdown.is_requested() => Outcome::Interrupted,
            Err(error) => Outcome::Failed { error, found, tried_bytes: self.tried_bytes },
        }
    }

    fn attempt(&mut self, found: &mut Option<VerifiedFile>) -> Result<Outcome, NightlyError> {
        self.pace().step(NightlyStep::ReadDirectory).map_err(NightlyError::io("read", &self.directory))?;
        let mut backups = Shelf::read(&self.directory, &self.reader)?;
        self.look_at_place();
        if let Some(newest) = backups.newest() {
            let newest = found.insert(verified(newest, newest.verify_time()));
            if !self.states.is_due(&self.site, &self.schedule, Some(newest.time)) {
                return Ok(Outcome::Undue(newest.clone()));
            }
        }
        for foreign in backups.foreign() {
            tracing::warn!(
                site = self.site, file = %foreign.path.display(),
                "a backup holds changes that this log lacks; it is never removed: keep it until they are given back"
            );
        }
        if let Some(file) = self.prove_again(&mut backups)? {
            return Ok(Outcome::Verified(file));
        }
        let file = self.write(&backups)?;
        self.remove_excess(&file.path);
        Ok(Outcome::Verified(file))
    }

    /// Warns of a directory on the disk that it is to outlive. A medium may be mounted there later.
    fn look_at_place(&self) {
        let warning = one_disk_warning(&self.directory, &self.state_dir);
        if self.states.warn(&self.site, warning.as_deref()) {
            tracing::warn!(site = self.site, "{}", warning.unwrap_or_default());
        }
    }

    /// Proves the newest backup again if the log did not grow. Returns `None` if one must be written.
    fn prove_again(&self, backups: &mut Shelf) -> Result<Option<VerifiedFile>, NightlyError> {
        let head = self.reader.head().position;
        let Some(newest) = backups.newest().filter(|newest| newest.end == head).cloned() else { return Ok(None) };
        match self.prove(&newest.path) {
            Ok(()) => {
                self.sync_directory()?;
                Ok(Some(verified(&newest, self.mark_time(&newest.path))))
            }
            Err(error) if self.shutdown.is_requested() => Err(error),
            Err(error) => {
                tracing::warn!(site = self.site, %error, "the last backup is damaged; a new one is written");
                backups.mark_damaged(&newest.path);
                Ok(None)
            }
        }
    }

    fn prove(&self, path: &Path) -> Result<(), NightlyError> {
        let file = File::open(path).map_err(NightlyError::io("open", path))?;
        let mut pace = self.pace();
        prove_file_at(&file, path, &mut |step| pace.step(NightlyStep::Finish(step)))?;
        Ok(())
    }

    /// Makes the names in the directory durable, which an earlier attempt may have failed to.
    fn sync_directory(&self) -> Result<(), NightlyError> {
        let step = self.pace().step(NightlyStep::Finish(FinishStep::SyncDirectory));
        let synced = step.and_then(|()| File::open(&self.directory)).and_then(|opened| opened.sync_all());
        synced.map_err(NightlyError::io("sync", &self.directory))
    }

    fn write(&mut self, backups: &Shelf) -> Result<VerifiedFile, NightlyError> {
        let now = self.states.now();
        let start = start_of(&self.reader, &self.site, now.wall());
        let estimate = backups.newest().map_or(0, |newest| newest.estimate_bytes(start.end.sequence));
        let limit_bytes = self.make_room(backups, estimate.max(self.tried_bytes))?;
        let path = self.directory.join(file_name(&self.site, &start.end, now.wall()));
        let target = BackupTarget::create(&path, false)?;
        let mut file = NightlyFile {
            room: RoomKeeper::new(target.file(), target.directory(), &self.state_dir, min_free_bytes),
            file: target.file(),
            bytes: 0,
            limit_bytes,
            unsynced_bytes: 0,
            pace: self.pace(),
        };
        let copied = copy_log(&self.reader, &start, &mut file, &mut |_| {});
        let (bytes, mut pace) = (file.bytes, file.pace);
        let summary = copied.inspect_err(|error| {
            if is_full(error) {
                self.tried_bytes = self.tried_bytes.max(bytes.saturating_add(FULL_MARGIN_BYTES));
            }
        })?;
        target.finish(&summary, &mut |step| pace.step(NightlyStep::Finish(step)))?;
        let BackupSummary { end, bytes, .. } = summary;
        Ok(VerifiedFile { time: self.mark_time(&path), path, bytes, change: end.sequence })
    }

    /// Removes the oldest backups until there is room for one of about `needed_bytes`, and returns how large it may become.
    fn make_room(&self, backups: &Shelf, needed_bytes: u64) -> Result<u64, NightlyError> {
        let max_bytes = self.settings.max_bytes;
        let room = Room { free_bytes: room_for_backup(&self.directory, &self.state_dir, min_free_bytes), max_bytes };
        let old = backups.make_room(needed_bytes, room).map_err(|error| match error {
            RoomError::Limit(room_bytes) => NightlyError::Limit { needed_bytes, room_bytes },
            RoomError::Medium(room_bytes) => {
                NightlyError::NoRoom { path: self.directory.clone(), needed_bytes, room_bytes }
            }
        })?;
        let mut used_bytes = backups.bytes();
        for file in old {
            self.remove(&file.path)?;
            used_bytes -= file.bytes;
        }
        Ok(max_bytes.saturating_sub(used_bytes))
    }

    /// Removes the backups that are too many. What cannot be removed costs room, and the new backup stands.
    fn remove_excess(&self, verified: &Path) {
        let removed = Shelf::read(&self.directory, &self.reader).and_then(|backups| {
            let keep = usize::try_from(self.settings.keep).unwrap_or(usize::MAX);
            let excess = backups.excess(verified, keep, self.settings.max_bytes);
            excess.iter().try_for_each(|file| self.remove(&file.path))
        });
        if let Err(error) = removed {
            tracing::warn!(site = self.site, %error, "an old backup stays; remove it by hand if room is short");
        }
    }

    fn remove(&self, path: &Path) -> Result<(), NightlyError> {
        let removed = (self.on_step)(NightlyStep::Remove).and_then(|()| std::fs::remove_file(path));
        removed.map_err(NightlyError::io("remove", path))?;
        tracing::info!(site = self.site, file = %path.display(), "removed an old backup; a newer one holds the same");
        Ok(())
    }

    /// Dates the file, so that the next process knows when it was proved, and returns the time.
    fn mark_time(&self, path: &Path) -> VerifyTime {
        let now = self.states.now();
        let file = File::open(path);
        if let Err(error) = file.and_then(|file| Ok(futimens(file, &modified_at(now))?)) {
            tracing::debug!(%error, file = %path.display(), "the medium keeps no time of modification");
        }
        VerifyTime::SinceBoot(now.since_boot_ms)
    }

    fn pace(&self) -> Pace {
        Pace { on_step: self.on_step.clone(), shutdown: self.shutdown.clone(), since: Instant::now() }
    }
}

/// Returns whether a backup ended because there was no more room.
fn is_full(error: &BackupWriteError) -> bool {
    let BackupWriteError::Write { source, .. } = error else { return false };
    matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn verified(file: &ShelfFile, time: VerifyTime) -> VerifiedFile {
    VerifiedFile { path: file.path.clone(), bytes: file.bytes, change: file.end.sequence, time }
}

fn modified_at(now: RawReading) -> Timestamps {
    let (tv_sec, micros) = (now.received_at_us.div_euclid(1_000_000), now.received_at_us.rem_euclid(1_000_000));
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    Timestamps { last_access, last_modification: Timespec { tv_sec, tv_nsec: micros * 1_000 } }
}

/// Rests after each step as long as it took, and ends the attempt at a shutdown.
struct Pace {
    on_step: OnStep,
    shutdown: Shutdown,
    /// End of the last rest.
    since: Instant,
}

impl Pace {
    fn step(&mut self, step: NightlyStep) -> io::Result<()> {
        std::thread::sleep(self.since.elapsed().min(MAX_REST));
        self.since = Instant::now();
        if self.shutdown.is_requested() {
            return Err(io::Error::other(NightlyError::ShuttingDown));
        }
        (self.on_step)(step)
    }
}

/// The file of a backup, which stays below a limit and is synced as it grows.
struct NightlyFile<'a> {
    room: RoomKeeper<'a>,
    file: &'a File,
    bytes: u64,
    limit_bytes: u64,
    unsynced_bytes: u64,
    pace: Pace,
}

impl Write for NightlyFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pace.step(NightlyStep::Write)?;
        let needed_bytes = self.bytes.saturating_add(bytes.len() as u64);
        if needed_bytes > self.limit_bytes {
            let error = NightlyError::Limit { needed_bytes, room_bytes: self.limit_bytes };
            return Err(io::Error::new(ErrorKind::StorageFull, error));
        }
        if self.unsynced_bytes >= SYNC_BYTES {
            self.file.sync_data()?;
            self.unsynced_bytes = 0;
        }
        let written = self.room.write(bytes)?;
        self.bytes += written as u64;
        self.unsynced_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.room.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::ShutdownTrigger;
    use std::os::unix::fs::MetadataExt as _;

    /// Returns the writer of a file in `directory`, which is on another disk than the store.
    fn nightly_file<'a>(file: &'a File, directory: &Path, limit_bytes: u64) -> NightlyFile<'a> {
        let shutdown = ShutdownTrigger::default().signal();
        NightlyFile {
            room: RoomKeeper::new(file, directory, Path::new("/proc"), min_free_bytes),
            file,
            bytes: 0,
            limit_bytes,
            unsynced_bytes: 0,
            pace: Pace { on_step: Arc::new(|_| Ok(())), shutdown, since: Instant::now() },
        }
    }

    /// Catches a bound that is passed by a byte, and one that a file of just that size is refused for.
    #[test]
    fn a_file_may_fill_its_bound_and_not_pass_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create(directory.path().join("north.backup.partial")).unwrap();
        let mut to = nightly_file(&file, directory.path(), 10);
        to.write_all(b"seven b").unwrap();
        to.write_all(b"10.").unwrap();
        let full = to.write(b"x").unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        assert!(full.to_string().contains("needs about 11 bytes"), "{full}");
        assert_eq!((to.bytes, file.metadata().unwrap().len()), (10, 10));
    }

    /// Catches a kernel whose cache fills with the pages of a slow stick, and a sync for each page.
    #[test]
    fn a_file_is_synced_each_time_that_it_has_grown_by_a_part() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create(directory.path().join("north.backup.partial")).unwrap();
        let mut to = nightly_file(&file, directory.path(), u64::MAX);
        let part = vec![7; 4 * 1024 * 1024];
        to.write_all(&part[1..]).unwrap();
        to.write_all(&part[..1]).unwrap();
        assert_eq!(to.unsynced_bytes, SYNC_BYTES);
        to.write_all(b"x").unwrap();
        assert_eq!((to.unsynced_bytes, to.bytes), (1, SYNC_BYTES + 1));
    }

    /// Catches an attempt that never remembers how large its file became, and so fills the medium night after night.
    #[test]
    fn only_an_error_of_the_room_means_that_there_was_no_more() {
        let written = |kind: ErrorKind| is_full(&BackupWriteError::Write { bytes: 9, source: kind.into() });
        assert_eq!([ErrorKind::StorageFull, ErrorKind::QuotaExceeded].map(written), [true, true]);
        assert_eq!([ErrorKind::Other, ErrorKind::ReadOnlyFilesystem].map(written), [false, false]);
    }

    /// Catches an age of a backup that is wrong by the part of a second, and a time before 1970 that is refused.
    #[test]
    fn a_file_keeps_the_time_of_its_proof_to_the_microsecond() {
        let file = tempfile::tempfile().unwrap();
        for received_at_us in [1_768_471_200_123_456, 1_768_471_200_999_999, 0, -1] {
            let now = RawReading { received_at_us, ..RawReading::default() };
            futimens(&file, &modified_at(now)).unwrap();
            let found = file.metadata().unwrap();
            let expected = (received_at_us.div_euclid(1_000_000), received_at_us.rem_euclid(1_000_000) * 1_000);
            assert_eq!((found.mtime(), found.mtime_nsec()), expected);
            assert_eq!(super::super::shelf::modified_us(&found), received_at_us);
        }
    }
}
