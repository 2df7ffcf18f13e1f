//! Fuzzes the journal that a start finds: whole records, lies, holes and damage.
//!
//! An input is a script that fills the file. Records hold changes of a real log, or changes that another writer made up, and
//! are signed as they should be. Then blocks are overwritten.
//!
//! Whatever the file holds, changes that are recovered lead to a digest that a record names. As long as no record lies, they
//! are the next changes of the log, without a gap; and if all is whole and in order, they are all of them.
#![no_main]

use fuzz::formats::{BLOCK_BYTES, ROW_AFTER, ROW_HEADER_BYTES, record, row};
use fuzz::script::{Script, ScriptWriter};
use fuzz::seeds;
use fuzz::source::{self, STORE, SourceLog};
use herd::position::{Digest, Sequence, StoreId};
use herd::store::fuzzing::recover_journal;

/// Blocks of a segment. Two of them keep an input small.
const SEGMENT_BLOCKS: usize = 8;
const FILE_BYTES: usize = 2 * SEGMENT_BLOCKS * BLOCK_BYTES;
/// Highest number of a row that is laid here: no log has numbers near the end of the range.
const MAX_FIRST: u64 = u64::MAX / 2;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |bytes: &[u8]| check(Script::new(bytes)));

fn seeds() -> Vec<Vec<u8>> {
    let honest = |script: ScriptWriter, start: u16, count: u8| script.byte(0).below(start).byte(count);
    let body = |n| ScriptWriter::default().below(n);
    vec![
        honest(honest(honest(body(0), 0, 1), 1, 2), 3, 30).finish(),
        honest(honest(body(4), 2, 1), 3, 9).finish(),
        honest(honest(body(4), 4, 1).byte(1).byte(3), 5, 2).finish(),
        honest(honest(body(4), 4, 1).byte(2), 5, 2).finish(),
        honest(body(0), 0, 2).byte(3).below(2).byte(1).piece(b"forged").finish(),
        honest(body(0), 0, 2).byte(4).number(3).piece(&[1; ROW_HEADER_BYTES]).finish(),
        honest(honest(body(0), 0, 2), 2, 2).byte(5).below(70).byte(1).finish(),
        honest(body(0), 0, 2).byte(6).byte(0).finish(),
    ]
}

/// The file that a script fills.
struct ScriptedJournal<'a> {
    log: &'a SourceLog,
    file: Vec<u8>,
    /// Offset of the next record.
    end: usize,
    generation: u64,
    store: StoreId,
    /// Digests after the rows of all records.
    named: Vec<Digest>,
    /// Last change of the records so far, as long as each continues the one before it and nothing else was done.
    continued: Option<usize>,
    has_lie: bool,
}

fn check(mut script: Script<'_>) {
    let log = source::log();
    let body = script.below(log.changes.len() + 1);
    let mut journal = ScriptedJournal {
        log,
        file: vec![0; FILE_BYTES],
        end: 0,
        generation: 1,
        store: STORE,
        named: vec![log.positions[body].digest],
        continued: Some(body),
        has_lie: false,
    };
    while !script.is_at_end() {
        journal.step(&mut script);
    }
    check_recovery(&journal, body);
}

fn check_recovery(journal: &ScriptedJournal<'_>, body: usize) {
    let log = journal.log;
    let segment_bytes = (SEGMENT_BLOCKS * BLOCK_BYTES) as u64;
    let position = &log.positions[body];
    let digest_in_body = |sequence: Sequence| {
        let known = usize::try_from(sequence.0).ok().filter(|n| *n <= body)?;
        Some(log.positions[known].digest)
    };
    let changes = match recover_journal(&journal.file, segment_bytes, position, digest_in_body) {
        Ok(changes) => changes,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(journal.continued, None, "a good journal is refused: {error}");
            return;
        }
    };
    let end = changes.chain(position.digest, position.sequence);
    assert!(journal.named.contains(&end), "the changes lead to a digest that no record names");
    if !journal.has_lie {
        let expected = log.changes[body..].iter().map(Vec::as_slice);
        assert!(changes.iter().eq(expected.take(changes.len())), "other changes than those of the log");
    }
    if let Some(last) = journal.continued {
        assert_eq!(changes.len(), last - body, "changes are lost");
    }
}

impl ScriptedJournal<'_> {
    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() {
            0 => {
                let start = script.below(self.log.changes.len());
                self.add_honest(start, usize::from(script.byte()));
            }
            1 => {
                // A hole in the file.
                self.end += usize::from(script.byte()) * BLOCK_BYTES;
            }
            2 => self.turn(),
            3 => self.add_lie(script),
            4 => {
                let (first, bytes) = (Sequence(script.number()), script.piece());
                let after = bytes.get(ROW_AFTER..ROW_HEADER_BYTES).and_then(|digest| digest.try_into().ok());
                self.named.extend(after.map(Digest));
                self.has_lie = true;
                self.add(first, bytes);
            }
            5 => {
                let (place, flips) = (script.below(FILE_BYTES), script.byte());
                self.file[place] ^= flips;
                self.continued = None;
            }
            6 => self.store = StoreId([script.byte(); 16]),
            7 => self.generation = script.number(),
            _ => {}
        }
    }

    /// Adds a record of the log's own changes.
    fn add_honest(&mut self, start: usize, count: usize) {
        let log = self.log;
        let end = (start + count).min(log.changes.len());
        let changes: Vec<&[u8]> = log.changes[start..end].iter().map(Vec::as_slice).collect();
        let (row, after) = row(Sequence(start as u64 + 1), log.positions[start].digest, &changes);
        self.named.push(after);
        let continues = self.store == STORE && self.generation == 1 && !changes.is_empty();
        let last = self.continued.filter(|last| continues && start <= *last && *last <= end);
        let is_added = self.add(Sequence(start as u64 + 1), &row);
        self.continued = last.filter(|_| is_added).map(|_| end);
    }

    /// Adds a record whose changes nobody decided, and which agrees with itself.
    fn add_lie(&mut self, script: &mut Script<'_>) {
        let start = script.below(self.log.positions.len());
        let changes: Vec<&[u8]> = (0..script.byte()).map(|_| script.piece()).collect();
        let (row, after) = row(Sequence(start as u64 + 1), self.log.positions[start].digest, &changes);
        self.named.push(after);
        self.has_lie = true;
        self.add(Sequence(start as u64 + 1), &row);
    }

    /// Lays a record at the end. Returns whether there was room.
    fn add(&mut self, first: Sequence, row: &[u8]) -> bool {
        let laid = record(self.store, self.generation, Sequence(first.0.min(MAX_FIRST)), row);
        self.continued = None;
        let Some(room) = self.file.get_mut(self.end..self.end + laid.len()) else { return false };
        room.copy_from_slice(&laid);
        self.end += laid.len();
        true
    }

    /// Goes on in the other segment, as after a take-over.
    fn turn(&mut self) {
        let segment = SEGMENT_BLOCKS * BLOCK_BYTES;
        self.end = if self.end < segment { segment } else { 0 };
        self.generation = self.generation.saturating_add(1);
        self.continued = None;
    }
}
