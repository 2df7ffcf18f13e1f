//! The backups in a directory, and which of them may go.
//!
//! A file is one of a store's backups if its name says so and its start names the store. Any other file of a person is never
//! touched. Only the start is read: a file has its name because it was proved whole.

use super::super::target::{finished_path, remove_abandoned};
use super::error::NightlyError;
use super::schedule::VerifyTime;
use herd::backup::BackupReader;
use herd::clock::WallTime;
use herd::position::{Position, Sequence};
use herd::store::Reader;
use std::cmp::Reverse;
use std::fs::{File, Metadata, read_dir};
use std::io::{BufReader, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// End of the name of a backup.
const SUFFIX: &str = ".backup";
/// Maximum number of entries of a directory that are looked at.
const MAX_ENTRIES: usize = 100_000;
/// Number of digits of the store id in a name. The start of the file has all.
const STORE_DIGITS: usize = 8;
/// Room that an estimate adds for the start, the end, and payloads that arrive meanwhile.
const ESTIMATE_MARGIN_BYTES: u64 = 64 * 1024;

/// A backup in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShelfFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Position after its last change.
    pub(super) end: Position,
    /// Time of modification, in microseconds since the Unix epoch.
    pub(super) modified_us: i64,
    /// True if the log goes on from its end, so that the log has everything that it holds.
    pub(super) is_contained: bool,
    /// False if it was read and is not whole.
    pub(super) is_sound: bool,
}

impl ShelfFile {
    pub(super) fn verify_time(&self) -> VerifyTime {
        VerifyTime::Wall(self.modified_us)
    }

    /// Returns about how many bytes a backup up to `head` has.
    pub(super) fn estimate_bytes(&self, head: Sequence) -> u64 {
        let per_change = self.bytes / self.end.sequence.0.max(1) + 1;
        let new = head.0.saturating_sub(self.end.sequence.0);
        self.bytes.saturating_add(new.saturating_mul(2 * per_change)).saturating_add(ESTIMATE_MARGIN_BYTES)
    }
}

/// The backups of one store in a directory, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf(Vec<ShelfFile>);

/// Room for a file that is about to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes that are free on the medium; `None` if that is unknown.
    pub(super) free_bytes: Option<u64>,
    /// Maximum size of all backups together.
    pub(super) max_bytes: u64,
}

impl Shelf {
    /// Reads the directory, and removes what interrupted backups of the store left.
    pub(super) fn read(directory: &Path, reader: &Reader) -> Result<Self, NightlyError> {
        let entries = match read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(NightlyError::Missing(directory.to_owned()));
            }
            entries => entries.map_err(NightlyError::io("read", directory))?,
        };
        let mut files = Vec::new();
        for entry in entries.take(MAX_ENTRIES) {
            let path = entry.map_err(NightlyError::io("read", directory))?.path();
            if let Some(path_of_whole) = finished_path(&path).filter(|path| is_named_after(path, reader)) {
                if let Err(error) = remove_abandoned(&path_of_whole, &path) {
                    tracing::debug!(%error, "a partial backup stays");
                }
            } else if is_named_after(&path, reader) {
                files.extend(look_into(path, reader)?);
            }
        }
        Ok(Self::of(files))
    }

    fn of(mut files: Vec<ShelfFile>) -> Self {
        // Of two with one end, the later name has the later date.
        files.sort_by(|one, other| {
            let key = |file: &ShelfFile| Reverse((file.end.epoch, file.end.sequence, file.path.clone()));
            key(one).cmp(&key(other))
        });
        Self(files)
    }

    /// Returns the newest backup that the log goes on from and that is not known to be damaged.
    pub(super) fn newest(&self) -> Option<&ShelfFile> {
        self.0.iter().find(|file| file.is_contained && file.is_sound)
    }

    /// Notes that a file was read and is not whole.
    pub(super) fn mark_damaged(&mut self, path: &Path) {
        self.0.iter_mut().filter(|file| file.path == path).for_each(|file| file.is_sound = false);
    }

    /// Returns the size of all backups together.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|file| file.bytes).sum()
    }

    /// Returns the backups that may go if `newest` stays, oldest first.
    fn removable<'a>(&'a self, newest: Option<&'a Path>) -> impl Iterator<Item = &'a ShelfFile> {
        self.0.iter().rev().filter(move |file| file.is_contained && Some(file.path.as_path()) != newest)
    }

    /// Returns the backups to remove before one of `needed_bytes` is written: the oldest, as few as make room for it. If all
    /// do not, the error is the room that there would be.
    pub(super) fn make_room(&self, needed_bytes: u64, room: Room) -> Result<Vec<&ShelfFile>, RoomError> {
        let mut removable = self.removable(self.newest().map(|file| file.path.as_path()));
        let (total, mut freed, mut old) = (self.bytes(), 0, Vec::new());
        loop {
            let limit = room.max_bytes.saturating_sub(total - freed);
            let free = room.free_bytes.map(|free| free.saturating_add(freed));
            let is_free = free.is_none_or(|free| free >= needed_bytes);
            if limit >= needed_bytes && is_free {
                return Ok(old);
            }
            let Some(file) = removable.next() else {
                return Err(if is_free { RoomError::Limit(limit) } else { RoomError::Medium(free.unwrap_or(0)) });
            };
            freed += file.bytes;
            old.push(file);
        }
    }

    /// Returns the backups that are more than `keep`, or more than fit into `max_bytes`, oldest first. `verified` is the one
    /// that was just proved, which stays.
    pub(super) fn excess<'a>(&'a self, verified: &'a Path, keep: usize, max_bytes: u64) -> Vec<&'a ShelfFile> {
        let contained = self.0.iter().filter(|file| file.is_contained).count();
        let (mut count, mut total) = (contained, self.bytes());
        self.removable(Some(verified))
            .take_while(|file| {
                let is_excess = count > keep || total > max_bytes;
                count = count.saturating_sub(1);
                total = total.saturating_sub(file.bytes);
                is_excess
            })
            .collect()
    }

    /// Returns the backups that the log does not go on from. They are never removed.
    pub(super) fn foreign(&self) -> impl Iterator<Item = &ShelfFile> {
        self.0.iter().filter(|file| !file.is_contained)
    }
}

/// Room that there would be without everything that may go, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoomError {
    /// On the medium.
    Medium(u64),
    /// Below `max_bytes`.
    Limit(u64),
}

/// Returns the name of a backup that ends at `end`: `north-07070707-epoch1-change1234-20260115T0930Z.backup`.
pub(super) fn file_name(site: &str, end: &Position, made: WallTime) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let site: String = site.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    // A leading point would hide the file.
    let site = site.trim_start_matches('.');
    let date = made.iso_utc().map_or_else(|| "undated".to_owned(), |iso| compact(&iso));
    format!("{site}-{}-epoch{}-change{}-{date}{SUFFIX}", store_digits(end), end.epoch, end.sequence)
}

/// Returns `20260115T0930Z` for an ISO 8601 time: file systems of sticks take no colon.
fn compact(iso: &str) -> String {
    let minutes: String = iso.chars().take("2026-01-15T09:30".len()).filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{minutes}Z")
}

fn store_digits(position: &Position) -> String {
    position.store.to_string().chars().take(STORE_DIGITS).collect()
}

/// Returns whether the name is one that [`file_name`] gives to a backup of the store.
fn is_named_after(path: &Path, reader: &Reader) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(stem) = name.strip_suffix(SUFFIX) else { return false };
    let mut parts = stem.rsplitn(5, '-');
    let (_date, change, epoch, store) = (parts.next(), parts.next(), parts.next(), parts.next());
    let is_number = |part: Option<&str>, prefix| {
        part.and_then(|part| part.strip_prefix(prefix)).is_some_and(|digits| digits.parse::<u64>().is_ok())
    };
    let digits: String = reader.store().to_string().chars().take(STORE_DIGITS).collect();
    is_number(change, "change") && is_number(epoch, "epoch") && store == Some(digits.as_str()) && parts.next().is_some()
}

/// Reads the start of a file. Returns `None` if it is no backup of the store, or cannot be read: it is left alone then.
fn look_into(path: PathBuf, reader: &Reader) -> Result<Option<ShelfFile>, NightlyError> {
    let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match opened {
        Ok((metadata, file)) if metadata.is_file() => (metadata, file),
        Ok(_) => return Ok(None),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "cannot read a backup; it is left alone");
            return Ok(None);
        }
    };
    let end = match BackupReader::open(BufReader::new(file)) {
        Ok(backup) => backup.start().end,
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "a backup is damaged; it is left alone");
            return Ok(None);
        }
    };
    if end.store != reader.store() {
        return Ok(None);
    }
    let is_contained = reader.position_at(end.sequence)? == Some(end);
    let (bytes, modified_us) = (metadata.len(), modified_us(&metadata));
    Ok(Some(ShelfFile { path, bytes, end, modified_us, is_contained, is_sound: true }))
}

pub(super) fn modified_us(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000).saturating_add(metadata.mtime_nsec() / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::position::{Digest, Epoch, StoreId};
    use herd::testing::TestBarn;

    fn end(sequence: u64) -> Position {
        Position { store: StoreId([1; 16]), epoch: Epoch(1), sequence: Sequence(sequence), digest: Digest([0; 32]) }
    }

    /// Returns a shelf of files that end at these changes, of 100 bytes each. Those of `foreign` are of another history.
    fn shelf(changes: &[u64], foreign: &[u64]) -> Shelf {
        let file = |sequence: &u64| ShelfFile {
            path: sequence.to_string().into(),
            bytes: 100,
            end: end(*sequence),
            modified_us: 0,
            is_contained: !foreign.contains(sequence),
            is_sound: true,
        };
        Shelf::of(changes.iter().map(file).collect())
    }

    fn names(files: &[&ShelfFile]) -> Vec<u64> {
        files.iter().map(|file| file.end.sequence.0).collect()
    }

    fn room(free_bytes: u64, max_bytes: u64) -> Room {
        Room { free_bytes: Some(free_bytes), max_bytes }
    }

    /// Catches a stick that fills up, and one on which the newest backup goes first, or before there is a newer one.
    #[test]
    fn the_oldest_go_first_and_the_newest_never() {
        let shelf = shelf(&[30, 10, 20, 40], &[]);
        let excess = |keep, max_bytes| names(&shelf.excess(Path::new("40"), keep, max_bytes));
        assert_eq!(excess(4, 400), [0; 0]);
        assert_eq!(excess(2, 400), [10, 20]);
        assert_eq!(excess(4, 150), [10, 20, 30]);
        assert_eq!(excess(0, 0), [10, 20, 30]);

        assert_eq!(names(&shelf.make_room(100, room(100, 500)).unwrap()), [0; 0]);
        assert_eq!(names(&shelf.make_room(150, room(999, 500)).unwrap()), [10]);
        assert_eq!(names(&shelf.make_room(150, room(0, 900)).unwrap()), [10, 20]);
        assert_eq!(shelf.make_room(150, room(999, 200)), Err(RoomError::Limit(100)));
        assert_eq!(shelf.make_room(400, room(50, 900)), Err(RoomError::Medium(350)));
        let unknown = Room { free_bytes: None, max_bytes: 500 };
        assert_eq!(names(&shelf.make_room(100, unknown).unwrap()), [0; 0]);
    }

    /// Catches the only copy of lost reads that is removed because a newer file of another history is there.
    #[test]
    fn a_backup_that_the_log_does_not_go_on_from_is_never_removed() {
        let shelf = shelf(&[10, 20, 30, 90], &[20, 90]);
        assert_eq!(shelf.newest().unwrap().end.sequence.0, 30);
        assert_eq!(names(&shelf.excess(Path::new("30"), 1, 0)), [10]);
        assert_eq!(shelf.make_room(100, room(0, 900)), Ok(vec![&shelf.0[3]]));
        assert_eq!(shelf.foreign().count(), 2);
    }

    /// Catches a damaged file that is kept as the newest one, while the last good one goes.
    #[test]
    fn a_damaged_file_is_not_the_newest_and_goes_in_its_turn() {
        let mut shelf = shelf(&[10, 20, 30], &[]);
        shelf.mark_damaged(Path::new("30"));
        assert_eq!(shelf.newest().unwrap().end.sequence.0, 20);
        assert_eq!(shelf.make_room(100, room(0, 900)), Ok(vec![&shelf.0[2]]));
        assert_eq!(shelf.make_room(150, room(0, 900)).unwrap().len(), 2);
    }

    /// Catches an estimate that fills the medium, and one so large that backups are removed for nothing.
    #[test]
    fn an_estimate_adds_twice_the_usual_size_for_each_new_change() {
        let file = |bytes, sequence| ShelfFile { bytes, end: end(sequence), ..shelf(&[1], &[]).0[0].clone() };
        for (bytes, sequence, head, expected) in [
            (1_000, 100, 110, 1_000 + 10 * 2 * 11),
            (1_000, 100, 100, 1_000),
            (1_000, 100, 90, 1_000),
            (500, 0, 1, 500 + 2 * 501),
        ] {
            let estimate = file(bytes, sequence).estimate_bytes(Sequence(head));
            assert_eq!(estimate, expected + 65_536, "{bytes} {sequence} {head}");
        }
    }

    /// Catches a person who is told to plug in a stick that is there.
    #[test]
    fn only_a_directory_that_does_not_exist_is_missing() {
        let place = tempfile::tempdir().unwrap();
        let reader = TestBarn::default().reader();
        let none = Shelf::read(&place.path().join("none"), &reader);
        assert!(matches!(none, Err(NightlyError::Missing(_))), "{none:?}");
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = Shelf::read(&file, &reader);
        assert!(matches!(refused, Err(NightlyError::Io { doing: "read", .. })), "{refused:?}");
    }

    /// Catches a name that a stick refuses, one that this module does not recognize, and a foreign file that it takes.
    #[test]
    fn names_carry_site_store_epoch_change_and_date() {
        let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]);
        let reader = barn.reader();
        let end = reader.head().position;
        let made = WallTime { at_us: 1_768_471_200_000_000, synchronized: true };
        let name = file_name("..North/Barn: ä-1", &end, made);
        assert_eq!(name, "North_Barn___-1-02020202-epoch1-change2-20260115T1000Z.backup");
        assert!(is_named_after(Path::new(&name), &reader));
        let undated = file_name("north", &end, WallTime::default());
        assert!(undated.ends_with("-undated.backup") && is_named_after(Path::new(&undated), &reader), "{undated}");
        for other in [
            "north.backup",
            "north-02020202.backup",
            "x-03030303-epoch1-change2-undated.backup",
            "x-02020202-epoch1-changed-undated.backup",
            "x-02020202-epochs-change2-undated.backup",
            "02020202-epoch1-change2-undated.backup",
            "x-02020202-epoch1-change2-undated.log",
        ] {
            assert!(!is_named_after(Path::new(other), &reader), "{other}");
        }
    }
}
