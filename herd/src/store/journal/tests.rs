//! Each of these catches a start that takes something for the end of the log that is not, or drops what it is.

use super::record::BLOCK_BYTES;
use super::recovery::MISSING;
use super::*;
use crate::digest::chain_start;
use crate::position::Epoch;
use crate::store::row::lay_rows;
use crate::store::{DamagedRow, MemoryDisk};

const STORE: StoreId = StoreId([7; 16]);
const BLOCK: u64 = BLOCK_BYTES as u64;
const SEGMENT: u64 = 4 * BLOCK;

/// A log whose change `n` is the text `n`, in records of two changes each.
struct Fixture {
    store: StoreId,
    positions: Vec<Position>,
}

fn texts(from: u64, to: u64) -> Changes {
    let texts: Vec<_> = (from..=to).map(|n| format!("change {n}").into_bytes()).collect();
    texts.iter().map(Vec::as_slice).collect()
}

impl Fixture {
    fn new(store: StoreId) -> Self {
        let start = Position { store, epoch: Epoch(1), sequence: Sequence::ZERO, digest: chain_start(store) };
        let all = texts(1, 40);
        let position = |n| {
            let digest = all.iter().take(n).collect::<Changes>().chain(start.digest, Sequence::ZERO);
            Position { sequence: Sequence(n as u64), digest, ..start }
        };
        Self { store, positions: (0..=40).map(position).collect() }
    }

    fn at(&self, sequence: u64) -> Position {
        self.positions[usize::try_from(sequence).unwrap()]
    }

    /// Returns a record of the changes `from..=to`.
    fn record(&self, generation: u64, from: u64, to: u64) -> Vec<u8> {
        let before = self.at(from - 1);
        let (mut rows, _) = lay_rows(before.sequence, before.digest, &texts(from, to));
        let (first, row) = rows.remove(0);
        lay_record(&Header { store: self.store, generation, first }, &row)
    }

    /// Returns the changes that a file continues a log of `body` changes with.
    fn recover(&self, file: &[u8], body: u64) -> Result<Changes, StoreError> {
        let digest_in_body = |sequence: Sequence| Ok(Some(self.at(sequence.0).digest));
        recovery::changes_after(read_records(file).unwrap(), SEGMENT, &self.at(body), digest_in_body)
    }
}

fn fixture() -> Fixture {
    Fixture::new(STORE)
}

/// Three records, of the changes 11 to 16.
fn three_records(log: &Fixture) -> Vec<u8> {
    [log.record(5, 11, 12), log.record(5, 13, 14), log.record(5, 15, 16)].concat()
}

#[test]
fn a_file_that_is_cut_anywhere_gives_the_records_before_the_cut() {
    let log = fixture();
    let file = three_records(&log);
    for end in 0..=file.len() {
        let whole = (end / BLOCK_BYTES) as u64;
        assert_eq!(log.recover(&file[..end], 10).unwrap(), texts(11, 10 + whole * 2), "cut at {end}");
    }
}

#[test]
fn any_flipped_bit_is_harmless_or_drops_the_last_record_or_is_named() {
    let log = fixture();
    let mut file = three_records(&log);
    let mut outcomes = [0; 3];
    for bit in 0..file.len() * 8 {
        file[bit / 8] ^= 1 << (bit % 8);
        let record = (bit / 8 / BLOCK_BYTES) as u64;
        match log.recover(&file, 10) {
            Ok(changes) if changes == texts(11, 16) => outcomes[0] += 1,
            Ok(changes) => {
                assert_eq!((record, &changes), (2, &texts(11, 14)), "bit {bit}");
                outcomes[1] += 1;
            }
            Err(StoreError::DamagedJournal { offset, at, .. }) => {
                assert!(record < 2, "bit {bit}");
                assert_eq!((offset, at), (record * BLOCK, Sequence(11 + record * 2)), "bit {bit}");
                outcomes[2] += 1;
            }
            Err(other) => panic!("bit {bit}: {other}"),
        }
        file[bit / 8] ^= 1 << (bit % 8);
    }
    // 186 bytes of each record are in use.
    let in_use = 8 * (1 + 32 + 4 + 33 + 69 + 2 * (4 + 9));
    assert_eq!(outcomes, [3 * (BLOCK_BYTES * 8 - in_use), in_use, 2 * in_use]);
}

#[test]
fn stale_records_of_earlier_uses_are_not_mistaken_for_new_ones() {
    let log = fixture();
    // The first segment is in its third use, and holds the end of its first behind it. The second one is taken over.
    let first = [log.record(3, 17, 18), log.record(1, 3, 4), log.record(1, 5, 6), log.record(1, 7, 8)];
    let second = [log.record(2, 9, 12), log.record(2, 13, 16)];
    let file = [first.concat(), second.concat()].concat();
    assert_eq!(log.recover(&file, 16).unwrap(), texts(17, 18));
    assert_eq!(log.recover(&file, 18).unwrap(), texts(19, 18));
    // A card that confirmed the last take-over and lost it: both segments continue the log.
    assert_eq!(log.recover(&file, 8).unwrap(), texts(9, 18));
}

#[test]
fn a_record_whose_commit_did_not_end_is_dropped_among_stale_ones() {
    let log = fixture();
    let mut torn = log.record(3, 17, 18);
    torn[100..].copy_from_slice(&log.record(1, 1, 2)[100..]);
    let file = [torn, log.record(1, 3, 4)].concat();
    assert_eq!(log.recover(&file, 16).unwrap(), texts(17, 16));
}

#[test]
fn a_log_that_ends_within_a_record_takes_the_rest_of_it() {
    let log = fixture();
    let file = [log.record(5, 9, 12), log.record(5, 13, 14)].concat();
    assert_eq!(log.recover(&file, 10).unwrap(), texts(11, 14));
}

#[test]
fn missing_changes_are_named_by_place_and_sequence() {
    let log = fixture();
    let block = vec![0; BLOCK_BYTES];
    let named = |file: &[Vec<u8>], body| match log.recover(&file.concat(), body) {
        Err(StoreError::DamagedJournal { offset, at, .. }) => (offset / BLOCK, at.0),
        other => panic!("{other:?}"),
    };
    let [a, b, c] = [(11, 12), (13, 14), (15, 16)].map(|(from, to)| log.record(5, from, to));
    assert_eq!(named(&[a.clone(), block.clone(), c.clone()], 10), (1, 13), "between two");
    assert_eq!(named(&[a, b.clone(), c.clone()], 7), (0, 8), "log.redb is older than the journal");
    let use_before = [block.clone(), block.clone(), block.clone(), block.clone(), log.record(4, 9, 10)];
    assert_eq!(named(&[&[block, b, c.clone(), c], &use_before[4..]].concat(), 10), (0, 11), "the first of a segment");
}

#[test]
fn records_that_do_not_continue_the_log_are_named() {
    let (log, other) = (fixture(), Fixture::new(StoreId([8; 16])));
    let foreign = log.recover(&other.record(5, 11, 12), 10);
    assert!(matches!(foreign, Err(StoreError::ForeignJournal { journal: StoreId([8, ..]), .. })), "{foreign:?}");
    // The same history, which went another way.
    let forked = Fixture { store: STORE, ..other };
    for (from, to) in [(11, 12), (9, 12)] {
        let refused = log.recover(&forked.record(5, from, to), 10);
        assert!(matches!(refused, Err(StoreError::DamagedJournal { offset: 0, .. })), "{from}..={to}: {refused:?}");
    }
    let refused = log.recover(&forked.record(5, 9, 10), 10);
    assert!(
        matches!(refused, Err(StoreError::DamagedLog { row: DamagedRow { last: Sequence(10), .. }, .. })),
        "{refused:?}"
    );
    // A row whose own digests do not fit, under a check that does.
    let (mut rows, _) = lay_rows(Sequence(10), log.at(10).digest, &texts(11, 12));
    *rows[0].1.last_mut().unwrap() ^= 1;
    let laid = lay_record(&Header { store: STORE, generation: 5, first: Sequence(11) }, &rows[0].1);
    assert!(matches!(log.recover(&laid, 10), Err(StoreError::DamagedJournal { at: Sequence(11), .. })));
    for first in [0, u64::MAX] {
        let laid = lay_record(&Header { store: STORE, generation: 5, first: Sequence(first) }, &rows[0].1);
        assert!(matches!(log.recover(&laid, 10), Err(StoreError::DamagedJournal { .. })), "{first}");
    }
}

#[test]
fn segments_are_used_in_turn_and_the_next_start_continues_with_the_other_one() {
    let log = fixture();
    let disk = MemoryDisk::default().with_segments(2 * BLOCK);
    let write = |from: u64, count: u64| {
        let found = FoundRecords::read(&disk).unwrap().latest_place();
        let mut journal = Journal::open(&disk, STORE, found, true).unwrap().unwrap();
        for n in from..from + count {
            let before = log.at(n - 1);
            let row = lay_rows(before.sequence, before.digest, &texts(n, n)).0.remove(0).1;
            if !journal.has_room(row.len()) {
                journal.turn();
            }
            journal.append(Sequence(n), &row).unwrap();
        }
        let records = read_records(&disk.content(JOURNAL_FILE).unwrap()).unwrap();
        records.iter().map(|record| (record.header.generation, record.header.first.0)).collect::<Vec<_>>()
    };
    assert_eq!(write(1, 3), [(1, 1), (1, 2), (2, 3)]);
    assert_eq!(write(4, 1), [(3, 4), (1, 2), (2, 3)]);
    assert_eq!(write(5, 3), [(5, 7), (1, 2), (4, 5), (4, 6)]);
    assert_eq!(disk.content(JOURNAL_FILE).unwrap().len() as u64, 4 * BLOCK, "it does not grow");
}

#[test]
fn a_cut_file_is_allocated_again_and_a_full_disk_has_none() {
    let disk = MemoryDisk::default().with_segments(SEGMENT);
    let open =
        |disk: &MemoryDisk| Journal::open(disk, STORE, FoundRecords::read(disk).unwrap().latest_place(), true).unwrap();
    assert!(open(&disk).is_some());
    assert!(disk.overwrite(JOURNAL_FILE, &[0; 5_000]));
    assert!(open(&disk).is_some());
    assert_eq!(disk.content(JOURNAL_FILE).unwrap(), vec![0; 2 * usize::try_from(SEGMENT).unwrap()]);
    let full = MemoryDisk::default().without_journal_room();
    assert!(open(&full).is_none());
    assert_eq!(full.content(JOURNAL_FILE).unwrap(), b"", "the room is given back");
}

#[test]
fn a_file_of_any_other_size_is_refused_before_it_is_read() {
    let disk = MemoryDisk::default();
    disk.open_bytes(JOURNAL_FILE).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    assert!(matches!(FoundRecords::read(&disk), Err(StoreError::Storage { doing: "read", .. })));
}

/// Catches a start without what a later version has acknowledged, and a restore over it.
/// Catches a barn that is deaf because of a bad block that holds nothing it needs, and one that begins anew behind a block in which
/// the next record may lie.
#[test]
fn a_block_that_cannot_be_read_ends_a_start_only_where_the_next_record_may_lie() {
    let log = fixture();
    let disk = MemoryDisk::default();
    let segment = usize::try_from(disk.segment_bytes()).unwrap();
    let large = |first| lay_record(&Header { store: STORE, generation: 3, first: Sequence(first) }, &[0; 5_000]);
    let found = |body: u64, behind: &[u8], unreadable: usize| {
        let mut file = [log.record(3, 17, 18), behind.to_vec()].concat();
        file.resize(segment, 0);
        file.extend([log.record(2, 9, 12), log.record(2, 13, 16)].concat());
        file.resize(2 * segment, 0);
        drop(disk.open_bytes(JOURNAL_FILE).unwrap());
        assert!(disk.overwrite(JOURNAL_FILE, &file));
        let begin = unreadable * BLOCK_BYTES;
        assert!(disk.fail_reads_of(JOURNAL_FILE, begin..begin + BLOCK_BYTES));
        let digest_in_body = |sequence: Sequence| Ok(Some(log.at(sequence.0).digest));
        match FoundRecords::read(&disk).unwrap().changes_after(&disk, &log.at(body), digest_in_body) {
            Ok(changes) => Ok(changes.len()),
            Err(StoreError::DamagedJournal { offset, at, why }) => Err((offset / BLOCK, at.0, why)),
            Err(other) => panic!("{other}"),
        }
    };
    let other = segment / BLOCK_BYTES;
    let (blank, stale, cut) = (vec![0; BLOCK_BYTES], large(3), large(19));
    assert_eq!(found(16, &blank, 0), Err((0, 17, UNREADABLE)), "the segment that is used next");
    assert_eq!(found(16, &blank, 1), Err((1, 19, UNREADABLE)), "the place behind the last record");
    assert_eq!(
        found(18, &blank, other),
        Err((other as u64, 19, UNREADABLE)),
        "all is taken over, and the segments turn"
    );
    assert_eq!(found(16, &cut, 2), Err((2, 19, UNREADABLE)), "within the next record");
    assert_eq!(found(16, &stale, 2), Ok(2), "within a record of an earlier use");
    assert_eq!(found(16, &blank, 3), Ok(2), "behind the place of the next record");
    assert_eq!(found(16, &blank, other), Ok(2), "what log.redb has");
    assert_eq!(found(8, &blank, other), Err((other as u64, 9, MISSING)), "what log.redb lacks");
}

#[test]
fn a_record_of_a_later_version_ends_the_start() {
    let (log, disk) = (fixture(), MemoryDisk::default());
    let mut record = log.record(5, 11, 12);
    // The version and its check, behind the tag of the block.
    record[37] += 1;
    let length = u32::from_le_bytes(record[33..37].try_into().unwrap()) as usize;
    let check = *blake3::hash(&record[33..37 + length]).as_bytes();
    record[1..33].copy_from_slice(&check);
    drop(disk.open_bytes(JOURNAL_FILE).unwrap());
    assert!(disk.overwrite(JOURNAL_FILE, &[log.record(5, 9, 10), record].concat()));
    let found = || FoundRecords::read(&disk).unwrap();
    let refused = [
        found().check_nothing_lost().unwrap_err(),
        found().changes_after(&disk, &log.at(10), |_| Ok(None)).unwrap_err(),
    ];
    for (refused, expected) in refused.into_iter().zip([1, 11]) {
        match refused {
            StoreError::DamagedJournal { offset: BLOCK, at, why: LATER_VERSION } => assert_eq!(at, Sequence(expected)),
            other => panic!("{other}"),
        }
    }
}

/// Catches a commit that no segment can hold, and a barn that goes on as if there were no room although its disk fails.
#[test]
fn a_journal_takes_rows_up_to_its_limits_and_no_failing_disk() {
    let open = |disk: &MemoryDisk| Journal::open(disk, STORE, None, true);
    // A record of two blocks has 2 * 4,095 bytes, and 69 of them before its row.
    for (segment_bytes, most) in [(2 * BLOCK, 2 * 4_095 - 69), (1 << 20, 256 * 4_095 - 69)] {
        let journal = open(&MemoryDisk::default().with_segments(segment_bytes)).unwrap().unwrap();
        assert_eq!([most, most + 1].map(|bytes| journal.takes(bytes)), [true, false], "{segment_bytes}");
    }
    let disk = MemoryDisk::default();
    drop(disk.open_bytes(JOURNAL_FILE).unwrap());
    assert!(disk.fail_after(JOURNAL_FILE, 0));
    let failed = open(&disk);
    assert!(matches!(failed, Err(StoreError::Storage { doing: "allocate", .. })), "{failed:?}");
}
