//! Backups of logs in memory: what is written, what is read, and what is refused.

use super::*;
use crate::change::{Acceptance, MAX_CHANGE_BYTES};
use crate::clock::{ClockReading, WallTime};
use crate::decide::Rules;
use crate::digest::log_start;
use crate::position::{Epoch, Sequence, StoreId};
use crate::store::{Changes, MemoryDisk, Reader, Store};
use crate::testing::TestBarn;
use crate::wire::{BackupStart, BarnHead, BlobError, BlobKind, ExportEnd, Page, blob_kind, blob_length, to_blob};
use proptest::prelude::*;
use std::io::{ErrorKind, Read, Write};

const MADE: WallTime = WallTime { at_us: 1_768_471_200_000_000, synchronized: true };

fn backup_of(reader: &Reader) -> Vec<u8> {
    let mut file = Vec::new();
    let summary = copy_log(reader, &start_of(reader, "north", MADE), &mut file, &mut |_| {}).unwrap();
    assert_eq!((summary.bytes, summary.end), (file.len() as u64, reader.head().position));
    file
}

fn prove(file: &[u8]) -> Result<BackupSummary, BackupError> {
    BackupReader::open(file)?.prove(&mut |_| {})
}

/// Returns a replica that holds these changes, of a kind that no fold knows, and nothing else.
fn replica_of(changes: Changes) -> Store {
    let store_id = StoreId([7; 16]);
    let mut store = Store::open_replica(&MemoryDisk::default(), store_id).unwrap();
    store.apply(ChangeRun::following(log_start(store_id), changes)).unwrap();
    store
}

fn unknown_changes(count: u32, length: usize) -> Changes {
    let changes: Vec<_> = (0..count).map(|n| [&[0x63, 1][..], &n.to_le_bytes(), &vec![7; length]].concat()).collect();
    changes.iter().map(Vec::as_slice).collect()
}

/// Returns the blobs of a file.
fn blobs_of(mut file: &[u8]) -> Vec<&[u8]> {
    let mut blobs = Vec::new();
    while let Some(length) = blob_length(file).unwrap() {
        let (blob, rest) = file.split_at(length);
        blobs.push(blob);
        file = rest;
        if file.is_empty() {
            break;
        }
    }
    blobs
}

/// Catches any change of the format, which would make the backups in drawers unreadable. `wire` freezes the blobs.
#[test]
fn the_bytes_of_a_backup_are_frozen() {
    let store = replica_of([&b"\x63\x01one"[..], b"\x63\x07two"].into_iter().collect());
    let file = backup_of(&store.reader());
    let (start, end) = (log_start(StoreId([7; 16])), store.head().position);
    let page = ChangeRun::following(start, [&b"\x63\x01one"[..], b"\x63\x07two"].into_iter().collect());
    let expected = [
        to_blob(&BackupStart { site: "north".to_owned(), made: MADE, end, epochs: Vec::new() }),
        to_blob(&Page::new(page, end.sequence, BarnHead::default())),
        to_blob(&ExportEnd { count: 2, end }),
    ];
    assert_eq!(hex::encode(&file), hex::encode(expected.concat()));
    assert_eq!(blake3::hash(&file).to_string(), GOLDEN);
}

/// The digest of the file above.
const GOLDEN: &str = "42e6958e16f6d5493a725c89128f493ba8d7180cf628440b6bca104733b5177c";

/// Catches a backup that lacks a change, and a count of something else than payloads.
#[test]
fn a_backup_proves_what_the_log_holds() {
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1", "no event", "hxb:LOT1:LF2:UHF2"]);
    let file = backup_of(&barn.reader());
    let reader = BackupReader::open(file.as_slice()).unwrap();
    assert_eq!((reader.start().site.as_str(), reader.start().made), ("north", MADE));
    assert_eq!(reader.start().epochs, [(Epoch(1), Sequence(1))]);
    let summary = reader.prove(&mut |_| {}).unwrap();
    assert_eq!((summary.end, summary.payloads), (barn.reader().head().position, 3));
}

/// Catches a writer that counts something else than a reader, and a progress that stands still or tells another length.
#[test]
fn writer_and_reader_report_the_same_content_and_progress() {
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1", "no event", "hxb:LOT1:LF2:UHF2"]);
    let pages = replica_of(unknown_changes(25_000, 0));
    for (reader, payloads, expected) in [(pages.reader(), 0, &[10_000, 20_000, 25_000][..]), (barn.reader(), 3, &[4])] {
        let (mut file, mut to, mut from) = (Vec::new(), Vec::new(), Vec::new());
        let written = copy_log(&reader, &start_of(&reader, "north", MADE), &mut file, &mut |at| to.push(at)).unwrap();
        let read = BackupReader::open(file.as_slice()).unwrap().prove(&mut |at| from.push(at)).unwrap();
        let of = reader.head().position.sequence.0;
        let expected: Vec<_> = expected.iter().map(|done| BackupProgress { done: *done, of }).collect();
        assert_eq!((written, written.payloads), (read, payloads));
        assert_eq!((&to, &from), (&expected, &expected));
    }
}

/// Catches a backup of a store that grows, whose end is not the one that its start names.
#[test]
fn changes_that_arrive_meanwhile_are_not_in_the_backup() {
    let mut barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]);
    let reader = barn.reader();
    let start = start_of(&reader, "north", MADE);
    barn.record("hxb:LOT1:LF2:UHF2");
    let mut file = Vec::new();
    copy_log(&reader, &start, &mut file, &mut |_| {}).unwrap();
    assert_eq!(prove(&file).unwrap().end.sequence, Sequence(2));
}

/// Catches a page that grows with the log, on either side.
#[test]
fn pages_keep_to_their_bounds_and_a_single_large_change_has_its_own() {
    for changes in [unknown_changes(25_000, 1), unknown_changes(900, 3_000), unknown_changes(9, MAX_CHANGE_BYTES - 6)] {
        let store = replica_of(changes.clone());
        let file = backup_of(&store.reader());
        let mut reader = BackupReader::open(file.as_slice()).unwrap();
        let mut pages = 0;
        while let Some(run) = reader.next_run().unwrap() {
            assert!(run.changes.len() <= RUN_CHANGES && run.changes.bytes() <= RUN_BYTES, "{}", run.changes.bytes());
            pages += 1;
        }
        assert!(pages >= 3, "{pages}");
        assert_eq!(reader.progress(), BackupProgress { done: changes.len() as u64, of: changes.len() as u64 });
    }
}

/// Catches a cut that passes for a whole backup, and one that is not told apart from damage.
#[test]
fn a_backup_that_is_cut_anywhere_is_cut() {
    let file = backup_of(&TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2"]).reader());
    for length in 0..file.len() {
        match prove(&file[..length]).unwrap_err() {
            BackupError::Cut { offset, .. } => assert_eq!(offset, length as u64),
            other => panic!("{length}: {other}"),
        }
    }
}

/// Catches a bit that no digest covers.
#[test]
fn a_backup_with_any_bit_flipped_is_refused() {
    let file = backup_of(&TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]).reader());
    for at in 0..file.len() {
        for bit in [1, 0x80] {
            let mut altered = file.clone();
            altered[at] ^= bit;
            assert!(prove(&altered).is_err(), "bit {bit} at {at}");
        }
    }
}

/// Catches damage that is told of another place than where it is.
#[test]
fn damage_is_told_with_its_place_and_the_change_before_it() {
    let store = replica_of(unknown_changes(900, 3_000));
    let mut file = backup_of(&store.reader());
    let blobs = blobs_of(&file);
    let (place, changes) = (blobs[0].len() + blobs[1].len(), blobs[1].len() / 3_000);
    file[place + 1_000] ^= 1;
    match prove(&file).unwrap_err() {
        BackupError::Damaged { offset, after, why: BlobError::DigestMismatch } => {
            assert_eq!((offset, after.0), (place as u64, changes as u64));
        }
        other => panic!("{other}"),
    }
}

/// Catches a backup that is put together of sound parts: pages left out, doubled, or of another barn.
#[test]
fn sound_parts_in_another_order_are_refused() {
    let ours = backup_of(&replica_of(unknown_changes(300, 3_000)).reader());
    let blobs = blobs_of(&ours);
    let others = backup_of(&TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]).reader());
    let theirs = blobs_of(&others);
    let (start, first, second, end) = (blobs[0], blobs[1], blobs[2], blobs[blobs.len() - 1]);
    let chain = |file: &[&[u8]]| matches!(prove(&file.concat()), Err(BackupError::Chain { .. }));
    assert!(chain(&[start, second]), "a page is missing");
    assert!(chain(&[start, first, first]), "a page is doubled");
    assert!(chain(&[start, theirs[1]]), "a page of another history");
    assert!(chain(&[start, first, end]), "an end after too few pages");
    assert!(chain(&[theirs[0], first]), "the start of another history");
    let joined = [ours.as_slice(), &others].concat();
    assert!(matches!(prove(&joined), Err(BackupError::Trailing { offset }) if offset == ours.len() as u64));
    let live = to_blob(&crate::wire::Acknowledgment { durable: log_start(StoreId([7; 16])) });
    assert!(matches!(prove(&[start, &live].concat()), Err(BackupError::Damaged { why: BlobError::Kind { .. }, .. })));
}

/// Catches a start that lists epochs which its changes do not begin, and an end with a wrong count.
#[test]
fn a_start_or_an_end_that_tells_lies_is_refused() {
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]);
    let file = backup_of(&barn.reader());
    let blobs = blobs_of(&file);
    let start = BackupStart { epochs: vec![(Epoch(2), Sequence(1))], ..start_of(&barn.reader(), "north", MADE) };
    assert!(matches!(prove(&[&to_blob(&start), blobs[1], blobs[2]].concat()), Err(BackupError::Epochs)));
    let more = vec![(Epoch(1), Sequence(1)), (Epoch(2), Sequence(9))];
    let start = BackupStart { epochs: more, ..start };
    assert!(matches!(prove(&[&to_blob(&start), blobs[1], blobs[2]].concat()), Err(BackupError::Epochs)));
    let end = to_blob(&ExportEnd { count: 3, end: barn.reader().head().position });
    let counted = prove(&[blobs[0], blobs[1], &end].concat());
    assert!(matches!(counted, Err(BackupError::Count { found: 2, stated: 3 })));
}

/// Catches a hostile file that makes a reader gather without end: changes without bytes, pages without changes or with too
/// many, and epochs that the start does not list.
#[test]
fn pages_that_no_writer_makes_are_refused() {
    let page = |after, changes: Changes| {
        let run = ChangeRun::following(after, changes);
        let sequence = run.end.sequence;
        (to_blob(&Page::new(run.clone(), sequence, BarnHead::default())), run.end)
    };
    let start = log_start(StoreId([7; 16]));
    let read = |changes: Changes, epochs: Vec<(Epoch, Sequence)>| {
        let (blob, end) = page(start, changes);
        let file = [to_blob(&BackupStart { site: "north".to_owned(), made: MADE, end, epochs }), blob].concat();
        BackupReader::open(file.as_slice()).unwrap().next_run().map(|run| run.unwrap().changes.len())
    };
    let count = |count: usize| (0..count).map(|_| &b"\x63\x01"[..]).collect();
    assert_eq!(read(count(RUN_CHANGES), Vec::new()).unwrap(), RUN_CHANGES);
    assert!(matches!(read(count(RUN_CHANGES + 1), Vec::new()), Err(BackupError::Page { changes: 10_001, .. })));
    assert!(matches!(read(count(0), Vec::new()), Err(BackupError::Page { changes: 0, .. })));
    let empty = [&b"\x63\x01"[..], b""].into_iter().collect();
    assert!(matches!(read(empty, Vec::new()), Err(BackupError::EmptyChange { .. })));

    // The page before the end already tells that the epochs are others.
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]);
    let unlisted = BackupStart { epochs: Vec::new(), ..start_of(&barn.reader(), "north", MADE) };
    let file = backup_of(&barn.reader());
    let file = [&to_blob(&unlisted), blobs_of(&file)[1]].concat();
    assert!(matches!(BackupReader::open(file.as_slice()).unwrap().next_run(), Err(BackupError::Epochs)));
}

/// Catches a commit of a restore that needs memory for any number of small changes.
#[test]
fn a_commit_of_a_restore_is_bounded_in_changes() {
    let file = backup_of(&replica_of(unknown_changes(95_000, 0)).reader());
    let (mut reader, mut commits) = (BackupReader::open(file.as_slice()).unwrap(), Vec::new());
    restore_log(&MemoryDisk::default(), &mut reader, &mut |at| commits.push(at.done)).unwrap();
    assert_eq!(commits, [40_000, 80_000, 95_000]);
}

/// Catches a wrong file that is called damaged, which would make a person look for a better copy of it.
#[test]
fn another_file_is_no_backup_and_a_later_version_is_named() {
    for other in [&b"PNG"[..], &[0; 100], &to_blob(&ExportEnd { count: 0, end: log_start(StoreId([1; 16])) })] {
        assert!(matches!(prove(other), Err(BackupError::NotABackup)), "{other:?}");
    }
    let mut later = backup_of(&TestBarn::default().reader());
    later[8] = 2;
    assert!(matches!(prove(&later), Err(BackupError::Version { found: 2 })));
    // Behind the start, another version is damage.
    let mut damaged = backup_of(&TestBarn::default().reader());
    let second = blobs_of(&damaged)[0].len();
    damaged[second + 8] = 2;
    assert!(matches!(prove(&damaged), Err(BackupError::Damaged { why: BlobError::Malformed, .. })));
}

/// Catches a backup of a damaged log that looks whole.
#[test]
fn a_writer_refuses_pages_that_do_not_lead_to_its_end() {
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]);
    let reader = barn.reader();
    let start = start_of(&reader, "north", MADE);
    let mut writer = BackupWriter::begin(Vec::new(), &start).unwrap();
    let run = next_run(&reader, writer.position(), start.end.sequence).unwrap();
    let mut altered = run.clone();
    altered.changes.push(b"\x63\x01one more");
    assert!(matches!(writer.push(altered), Err(BackupWriteError::Chain { .. })));
    let nothing = ChangeRun::following(writer.position(), Changes::default());
    assert!(matches!(writer.push(nothing), Err(BackupWriteError::Chain { .. })));
    assert!(matches!(writer.finish(), Err(BackupWriteError::Chain { .. })));
}

/// Catches a restored log that differs from the one that was backed up, or that nobody may continue.
#[test]
fn a_restored_log_has_equal_digests_and_the_next_epoch_follows_it() {
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1", "no event", "hxb:LOT1:LF2:UHF2"]);
    let (file, disk) = (backup_of(&barn.reader()), MemoryDisk::default());
    let mut reader = BackupReader::open(file.as_slice()).unwrap();
    let summary = restore_log(&disk, &mut reader, &mut |_| {}).unwrap();
    assert_eq!(summary.end, barn.reader().head().position);

    let acceptance = Acceptance { author: "J. Doe".to_owned(), reason: "the card died".to_owned() };
    let (rules, clock) = (Rules::default(), ClockReading::default());
    let head = summary.end;
    let store = Store::accept_source(&disk, Some(&head), acceptance, &rules, clock, || StoreId([9; 16])).unwrap();
    assert_eq!((store.head().position.epoch, store.head().position.sequence), (Epoch(2), head.sequence.next()));
    assert_eq!(store.reader().position_at(head.sequence).unwrap(), Some(head));
    let again = backup_of(&store.reader());
    assert_eq!(prove(&again).unwrap().payloads, 3);
    let epochs = &BackupReader::open(again.as_slice()).unwrap().start().epochs.clone();
    assert_eq!(epochs[..], [(Epoch(1), Sequence(1)), (Epoch(2), head.sequence.next())]);
}

/// Catches a cut or damaged backup of which a log is made all the same.
#[test]
fn no_log_is_made_of_a_file_that_is_not_whole() {
    let file = backup_of(&replica_of(unknown_changes(300, 3_000)).reader());
    let altered = {
        let mut altered = file.clone();
        altered[file.len() / 2] ^= 1;
        altered
    };
    for broken in [&file[..file.len() - 1], &altered] {
        let mut reader = BackupReader::open(broken).unwrap();
        let restored = restore_log(&MemoryDisk::default(), &mut reader, &mut |_| {});
        assert!(matches!(restored, Err(RestoreLogError::Backup(_))));
    }
}

/// A medium that fails after some bytes.
struct FailingMedium<'a>(&'a [u8], ErrorKind);

impl Read for FailingMedium<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(to)? {
            0 => Err(self.1.into()),
            read => Ok(read),
        }
    }
}

/// Catches a failure of the medium that is told as a cut file.
#[test]
fn a_medium_that_fails_is_not_a_file_that_ends() {
    let file = backup_of(&TestBarn::default().reader());
    let read = |length, kind| {
        BackupReader::open(FailingMedium(&file[..length], kind)).and_then(|reader| reader.prove(&mut |_| {}))
    };
    for length in 0..file.len() {
        match read(length, ErrorKind::Other) {
            Err(BackupError::Read { offset, .. }) => assert_eq!(offset, length as u64),
            other => panic!("{length}: {other:?}"),
        }
        // So a stream tells its end.
        match read(length, ErrorKind::UnexpectedEof) {
            Err(BackupError::Cut { offset, .. }) => assert_eq!(offset, length as u64),
            other => panic!("{length}: {other:?}"),
        }
    }
}

/// A medium with room for some bytes.
struct FullMedium {
    room: usize,
    flushes: bool,
}

impl Write for FullMedium {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        if taken == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.flushes { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }
}

/// Catches a backup that a full stick cut, and that counts as written.
#[test]
fn a_medium_without_room_is_told_with_the_whole_parts_on_it() {
    let reader = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]).reader();
    let file = backup_of(&reader);
    let write =
        |room, flushes| copy_log(&reader, &start_of(&reader, "north", MADE), FullMedium { room, flushes }, &mut |_| {});
    let mut ends = vec![0];
    for blob in blobs_of(&file) {
        ends.push(ends[ends.len() - 1] + blob.len());
    }
    for (room, flushes) in (0..file.len()).map(|room| (room, true)).chain([(file.len(), false)]) {
        let whole = ends.iter().rfind(|end| **end <= room).unwrap();
        match write(room, flushes) {
            Err(BackupWriteError::Write { bytes, .. }) => assert_eq!(bytes, *whole as u64, "{room}"),
            other => panic!("{room}: {other:?}"),
        }
    }
    assert!(write(file.len(), true).is_ok());
}

proptest! {
    /// Catches a panic on a file from anywhere, and an accepted one that is not a backup of these very bytes.
    #[test]
    fn any_bytes_are_a_whole_backup_or_a_typed_error(
        cut in 0_usize..3_000, flips in prop::collection::vec((0_usize..3_000, 1_u8..), 0..4),
        junk in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let whole = backup_of(&TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1", "x", "hxb:LOT1:LF2:UHF2"]).reader());
        let mut file = whole[..cut.min(whole.len())].to_vec();
        for (at, bits) in flips {
            if let Some(byte) = file.get_mut(at) {
                *byte ^= bits;
            }
        }
        file.extend_from_slice(&junk);
        prop_assert_eq!(prove(&file).is_ok(), file == whole);
        prop_assert!(prove(&junk).is_err());
    }
}

/// Catches a kind of a later version that ends the reading of a file without a word.
#[test]
fn every_blob_of_a_backup_is_of_a_known_kind() {
    let file = backup_of(&TestBarn::default().reader());
    let kinds: Vec<_> = blobs_of(&file).into_iter().map(|blob| blob_kind(blob).unwrap()).collect();
    assert_eq!(kinds, [BlobKind::BackupStart, BlobKind::Page, BlobKind::ExportEnd]);
}
