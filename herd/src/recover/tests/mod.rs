//! Claims about a recovery: it invents nothing, and keeps each row that is whole.

mod again;
mod damage;
mod epochs;
mod forgeries;
mod forks;
mod given;
mod islands;
mod late;
mod made;
mod rows;

use super::*;
use crate::backup::{copy_log, start_of};
use crate::change::{Acceptance, Correction};
use crate::clock::{ClockReading, WallTime};
use crate::decide::Rules;
use crate::position::Epoch;
use crate::store::raw::{RawRow, announced_rows};
use crate::store::{DamagedRow, JOURNAL_FILE, MemoryDisk, Readmitted, Store, verify_disk};
use crate::testing::TestBarn;
use crate::wire::{BarnHead, Page, to_blob};
use std::collections::BTreeMap;

const PAGE: usize = 4_096;
/// Number of operations on a file that is more than a new log needs.
const MAX_OPERATIONS: u64 = 400;

/// A barn whose log has several rows, and the texts that it has answered as stored, by sequence.
struct Yard {
    disk: MemoryDisk,
    head: Position,
    stored: BTreeMap<u64, Vec<u8>>,
}

impl Yard {
    /// Every second payload is an event, and every fifth has no number. All texts differ.
    fn with(payloads: usize) -> Self {
        let disk = MemoryDisk::default();
        let (mut barn, mut stored) = (TestBarn::on(&disk), BTreeMap::new());
        for n in 0..payloads {
            let text = match n % 10 {
                1 | 6 => format!("hxb:LOT{}:LF{n}:UHF{n}", n % 3),
                0 | 2 | 4 | 8 => format!("event:hxbpai{n:06}|lid:{n}|lf:A{n}|epc:U{n}|weight:245.5"),
                _ => format!("no event {n} {}", "x".repeat(n % 7 * 100)),
            };
            stored.insert(barn.record(&text).0, text.into_bytes());
        }
        let head = barn.reader().head().position;
        Self { disk, head, stored }
    }

    fn content(&self, file: &str) -> Vec<u8> {
        self.disk.content(file).unwrap()
    }

    /// Returns the rows that redb leads to: the first change, the number of changes, and the place in the file.
    fn rows(&self) -> Vec<(u64, u64, usize, usize)> {
        let file = self.content(LOG_FILE);
        let mut rows = BTreeMap::new();
        for at in (0..file.len()).step_by(PAGE) {
            for row in announced_rows(&file[at..(at + PAGE).min(file.len())]) {
                let place = at + usize::try_from(row.offset).unwrap();
                let found = file.get(place..).and_then(RawRow::at).filter(|found| found.is_intact_from(row.first));
                if let Some(found) = found {
                    rows.insert((row.first.0, place), (u64::from(found.count), found.length()));
                }
            }
        }
        rows.into_iter().map(|((first, place), (count, length))| (first, count, place, length)).collect()
    }

    /// Damages each copy of the rows that hold these changes.
    fn damage_rows(&self, changes: std::ops::RangeInclusive<u64>) {
        let mut file = self.content(LOG_FILE);
        for (first, count, place, length) in self.rows() {
            if first <= *changes.end() && first + count > *changes.start() {
                file[place + length - 1] ^= 0x10;
            }
        }
        self.disk.overwrite(LOG_FILE, &file);
        // The journal has the last changes once more.
        self.disk.overwrite(JOURNAL_FILE, &[]);
    }
}

struct Recovered {
    store: Store,
    disk: MemoryDisk,
    end: Position,
    gaps: Gaps,
    readmitted: Readmitted,
}

fn acceptance() -> Acceptance {
    Acceptance { author: "herdlinxd recover".to_owned(), reason: "a damaged log".to_owned() }
}

fn recover(places: Places<'_>) -> Result<Recovered, RecoverError> {
    let found = find_log(places, &mut |_| {})?;
    let disk = MemoryDisk::default();
    let end = found.write(&disk, &mut |_| {})?;
    let (latest, mut id) = (found.latest(places.remembered.as_ref())?, 100);
    let new_id = || {
        id += 1;
        StoreId([id; 16])
    };
    let clock = ClockReading { boot: 2, ..ClockReading::default() };
    let mut store = Store::accept_source(&disk, Some(&latest), acceptance(), &Rules::default(), clock, new_id)?;
    let readmitted = found.readmit(&mut store, end, &acceptance(), &mut |_| {})?;
    store.settle()?;
    let gaps = found.gaps(end, places.remembered.as_ref());
    Ok(Recovered { store, disk, end, gaps, readmitted })
}

fn own(yard: &Yard) -> Places<'_> {
    Places { own: Some(&yard.disk), remembered: Some(yard.head), ..Places::default() }
}

fn backup_of(store: &crate::store::Reader) -> Vec<u8> {
    let made = WallTime { at_us: 1_768_471_200_000_000, synchronized: true };
    let mut file = Vec::new();
    copy_log(store, &start_of(store, "north", made), &mut file, &mut |_| {}).unwrap();
    file
}

impl Recovered {
    /// Returns the raw payloads of the log, with the sequence that they had first.
    fn payloads(&self) -> Vec<(u64, Vec<u8>)> {
        let (reader, mut found) = (self.store.reader(), Vec::new());
        for n in 1..=self.store.head().position.sequence.0 {
            let bytes = reader.change(Sequence(n)).unwrap().unwrap();
            if let Ok(Change::Received(received)) = Change::from_bytes(&bytes) {
                let first = received.readmission.as_ref().map_or(n, |former| former.sequence.0);
                found.push((first, received.raw.clone()));
            }
        }
        found
    }

    /// Checks that the log has no payload that was not stored, none twice, and each with the number that it had.
    fn invents_nothing(&self, yard: &Yard) {
        let payloads = self.payloads();
        let by_place: BTreeMap<_, _> = payloads.iter().cloned().collect();
        assert_eq!(by_place.len(), payloads.len(), "a payload is there twice");
        for (sequence, raw) in by_place {
            assert_eq!(yard.stored.get(&sequence), Some(&raw), "{sequence}");
        }
    }

    /// Checks that the log proves itself, and is that of the barn in the next epoch.
    fn is_sound(&self, yard: &Yard) {
        let head = self.store.head().position;
        assert_eq!((head.store, head.epoch), (yard.head.store, Epoch(2)));
        let verified = verify_disk(&self.disk, &mut |_| {}).unwrap();
        assert_eq!(verified.head, head);
    }
}

#[test]
fn a_whole_log_with_its_journal_is_found_without_opening_it() {
    let yard = Yard::with(100);
    let recovered = recover(own(&yard)).unwrap();
    assert_eq!(recovered.end, yard.head);
    assert_eq!((recovered.gaps.changes, recovered.readmitted.kept, recovered.readmitted.duplicates), (0, 0, 0));
    recovered.is_sound(&yard);
}

/// Catches a recovery that needs what redb needs: the header, the roots, or what the journal announces.
#[test]
fn a_log_without_its_header_is_found_whole() {
    let yard = Yard::with(100);
    let mut file = yard.content(LOG_FILE);
    file[..PAGE].fill(0);
    yard.disk.overwrite(LOG_FILE, &file);
    let places = Places { remembered: None, ..own(&yard) };
    assert_eq!(recover(places).unwrap().end, yard.head);
}

/// Catches what lies behind a damaged row that is given up with it, or taken for the continuation of what is before it.
#[test]
fn what_lies_behind_a_damaged_row_is_appended_once_more_and_the_row_named_as_lost() {
    let yard = Yard::with(100);
    let rows = yard.rows();
    let (first, count, ..) = rows[rows.len() / 2];
    yard.damage_rows(first..=first);
    let recovered = recover(own(&yard)).unwrap();
    recovered.invents_nothing(&yard);
    recovered.is_sound(&yard);
    assert_eq!(recovered.end.sequence.0, first - 1);
    let lost = DamagedRow { first: Sequence(first), last: Sequence(first + count - 1) };
    assert_eq!(recovered.gaps.named[0], lost);
    let kept: Vec<_> = recovered.payloads().into_iter().map(|(first, _)| first).collect();
    let last_row = rows.last().map(|(first, count, ..)| first + count - 1).unwrap();
    let expected: Vec<_> = (2..first).chain(first + count..=last_row).collect();
    assert_eq!(kept, expected);
    // The journal is gone as well, and the machine remembers how far the log went.
    assert_eq!(recovered.gaps.last_known, yard.head.sequence);
}

/// Catches a payload that comes back without its time, its origin, or the number that it had.
#[test]
fn a_payload_that_comes_back_has_its_old_time_and_origin() {
    let yard = Yard::with(60);
    let before: BTreeMap<_, _> = received_in(&recover(own(&yard)).unwrap().store);
    yard.damage_rows(2..=2);
    let after = received_in(&recover(own(&yard)).unwrap().store);
    assert!(!after.is_empty());
    for (sequence, received) in after {
        let was = &before[&sequence];
        assert_eq!((&received.raw, &received.origin, received.clock), (&was.raw, &was.origin, was.clock));
        assert_eq!(received.readmission.unwrap().epoch, Epoch(1));
    }
}

fn received_in(store: &Store) -> BTreeMap<u64, crate::change::Received> {
    let reader = store.reader();
    let changes = (1..=store.head().position.sequence.0).map(|n| (n, reader.change(Sequence(n)).unwrap().unwrap()));
    let received = changes.filter_map(|(n, bytes)| match Change::from_bytes(&bytes) {
        Ok(Change::Received(received)) => Some((received.readmission.as_ref().map_or(n, |r| r.sequence.0), *received)),
        _ => None,
    });
    received.collect()
}

/// Catches a log that is given up because its first change is gone: the machine knows its history.
#[test]
fn a_log_without_its_beginning_goes_on_under_its_own_name() {
    let yard = Yard::with(100);
    yard.damage_rows(1..=1);
    let recovered = recover(own(&yard)).unwrap();
    recovered.invents_nothing(&yard);
    recovered.is_sound(&yard);
    assert_eq!(recovered.end.sequence, Sequence::ZERO);
    assert!(recovered.readmitted.kept > 50, "{:?}", recovered.readmitted);
    let unknown = find_log(Places { remembered: None, ..own(&yard) }, &mut |_| {});
    assert!(matches!(unknown.err(), Some(RecoverError::NoHistory)));
}

/// Catches a gap that stays although a backup, even one that was cut, has what is missing.
#[test]
fn a_cut_backup_fills_the_gap_of_a_damaged_log() {
    let yard = Yard::with(100);
    let whole = recover(own(&yard)).unwrap().disk;
    let reader = Store::open_replica(&whole, yard.head.store).unwrap().reader();
    let (mut backup, mut at) = (Vec::new(), log_start(yard.head.store));
    while at.sequence < reader.head().position.sequence {
        let run = reader.run_after(at, 10, 1_000_000).unwrap();
        at = run.end;
        backup.extend(to_blob(&Page::new(run, at.sequence, BarnHead::default())));
    }
    backup.truncate(backup.len() - 100);
    let last = yard.rows().last().map(|(first, count, ..)| first + count - 1).unwrap();
    yard.damage_rows(20..=40);
    let places = Places { remembered: None, ..own(&yard) };
    assert!(find_log(places, &mut |_| {}).unwrap().end().sequence.0 < 40);
    let recovered = recover(Places { given: Some(&backup), ..places }).unwrap();
    assert!(recovered.end.sequence.0 >= last && recovered.gaps.changes == 0, "{}", recovered.end.sequence);
    recovered.invents_nothing(&yard);
}

/// Catches a copy of another barn that is mixed in, and a file that is no log at all.
#[test]
fn other_files_and_other_histories_are_refused() {
    let yard = Yard::with(40);
    let mut other = TestBarn::on(&MemoryDisk::default());
    other.record("hxb:THEIRS:LF1:UHF1");
    let backup = backup_of(&other.reader());
    let other_store = Position { store: StoreId([77; 16]), ..yard.head };
    let refused = |given: &Vec<u8>, remembered| {
        find_log(Places { given: Some(given), remembered: Some(remembered), ..own(&yard) }, &mut |_| {}).err().unwrap()
    };
    assert!(matches!(refused(&b"PNG and so on".to_vec(), yard.head), RecoverError::WrongFile));
    assert!(matches!(refused(&Vec::new(), yard.head), RecoverError::WrongFile));
    assert!(matches!(refused(&backup, other_store), RecoverError::ForeignLog { .. }));
    let foreign = Places { given: Some(&backup), history: Some(StoreId([77; 16])), ..Places::default() };
    assert!(matches!(find_log(foreign, &mut |_| {}).err().unwrap(), RecoverError::OtherHistory { .. }));
}

/// Catches a payload that carries the bytes of a row, and is taken for one once the row around it is damaged.
#[test]
fn a_payload_that_looks_like_a_row_is_none() {
    let disk = MemoryDisk::default();
    let mut barn = TestBarn::on(&disk);
    for n in 0..20 {
        barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    let at = barn.reader().head().position;
    let forged: crate::store::Changes = [&b"\x63\x01forged"[..]].into_iter().collect();
    let after = forged.chain(at.digest, at.sequence);
    let row = [&b"\x01\x01\x00\x00\x00"[..], &at.digest.0, &after.0, &8_u32.to_le_bytes(), b"\x63\x01forged"].concat();
    assert!(RawRow::at(&row).unwrap().is_intact_from(at.sequence.next()));
    barn.record_bytes(&row);
    for n in 20..60 {
        barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    let head = barn.reader().head().position;
    drop(barn);
    let yard = Yard { disk, head, stored: BTreeMap::new() };
    yard.damage_rows(at.sequence.next().0..=at.sequence.next().0);
    let found = find_log(own(&yard), &mut |_| {}).unwrap();
    for piece in &found.pieces {
        let changes = found.files.changes(piece).unwrap();
        assert!(changes.iter().all(|change| change != b"\x63\x01forged"));
    }
}

/// Catches corrections behind a gap that vanish without a word.
#[test]
fn corrections_behind_a_gap_are_named() {
    let disk = MemoryDisk::default();
    let mut barn = TestBarn::on(&disk);
    for n in 0..40 {
        barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    let corrected = barn.correct(Correction::Void { sequence: Sequence(38) });
    for n in 40..80 {
        barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    let head = barn.reader().head().position;
    drop(barn);
    let yard = Yard { disk, head, stored: BTreeMap::new() };
    yard.damage_rows(3..=3);
    let readmitted = recover(own(&yard)).unwrap().readmitted;
    assert_eq!((readmitted.not_repeated, readmitted.not_repeated_count), (vec![corrected], 1));
}

/// Catches a second give-back, or a second recovery from the same file, that appends everything twice.
#[test]
fn what_came_back_once_is_a_duplicate_the_second_time() {
    let yard = Yard::with(60);
    yard.damage_rows(10..=10);
    let Recovered { mut store, end, readmitted, .. } = recover(own(&yard)).unwrap();
    assert!(readmitted.kept > 20);
    let before = store.head();
    let found = find_log(own(&yard), &mut |_| {}).unwrap();
    let again = found.readmit(&mut store, end, &acceptance(), &mut |_| {}).unwrap();
    assert_eq!((again.kept, again.duplicates), (0, readmitted.kept));
    assert_eq!(store.head(), before);
}

/// Catches a failure of the card that costs the old log, or that a later run cannot get over.
#[test]
fn a_disk_that_fails_while_the_new_log_is_written_changes_nothing() {
    let yard = Yard::with(60);
    yard.damage_rows(10..=10);
    let (log, mut failures) = (yard.content(LOG_FILE), 0);
    for operations in 0..MAX_OPERATIONS {
        let found = find_log(own(&yard), &mut |_| {}).unwrap();
        let disk = MemoryDisk::default();
        drop(Store::open_replica(&disk, yard.head.store).unwrap());
        assert!(disk.fail_after(LOG_FILE, operations));
        let written = found.write(&disk, &mut |_| {});
        drop(found);
        assert_eq!(yard.content(LOG_FILE), log);
        match written {
            Ok(_) => break,
            Err(RecoverError::Store(_) | RecoverError::Verify(_)) => failures += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!((1..MAX_OPERATIONS).contains(&failures), "{failures}");
    recover(own(&yard)).unwrap().invents_nothing(&yard);
}

/// Catches a new log that a power cut leaves in part, and that passes for a whole one.
#[test]
fn a_power_cut_leaves_a_new_log_whole_or_recognizable() {
    let yard = Yard::with(60);
    let found = find_log(own(&yard), &mut |_| {}).unwrap();
    let disk = MemoryDisk::default().recording();
    let end = found.write(&disk, &mut |_| {}).unwrap();
    let (mut replay, mut whole) = (disk.replay(), 0);
    while replay.step().unwrap() {
        let after = replay.disk().after_torn_power_cut(7);
        whole += usize::from(verify_disk(&after, &mut |_| {}).is_ok_and(|verified| verified.head == end));
    }
    assert!(whole > 0);
}

/// Catches a card with blocks that it does not return, which costs everything or ends the recovery.
#[test]
fn blocks_that_the_medium_does_not_return_count_as_zeros() {
    let yard = Yard::with(100);
    assert!(yard.disk.fail_reads(LOG_FILE));
    let found = find_log(own(&yard), &mut |_| {}).unwrap();
    assert_eq!(found.unreadable(), yard.content(LOG_FILE).len() as u64);
    let recovered = recover(own(&yard)).unwrap();
    recovered.invents_nothing(&yard);
    assert_eq!((recovered.end.sequence, recovered.gaps.last_known), (Sequence::ZERO, yard.head.sequence));
}
