//! Fuzzes the pages that a hostile source sends to a replica.
//!
//! An input is a script of pages. Each begins at a position of the replica, of a real barn or of nobody. It holds the
//! barn's changes as they are or altered, and others, and it names the end that its changes lead to, or another one. So a
//! source can lie consistently.
//!
//! A page that is accepted continues the chain: what it adds is the end of the page, what it repeats was here, and the
//! replica is then at the position that follows from its own changes. A refused page changes nothing. At the end, the
//! replica holds the accepted changes byte by byte, is the same after a power cut, and its tables equal those of a replica
//! that got all changes at once.
#![no_main]

use fuzz::script::{Script, ScriptWriter};
use fuzz::seeds;
use fuzz::source::{self, STORE, SourceLog};
use herd::change::MAX_CHANGE_BYTES;
use herd::digest::{chain_next, chain_start};
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::store::{ApplyError, ChangeRun, Changes, Head, MemoryDisk, Store};

/// Maximum number of pages in a script: enough for a gap, an overlap and a lie about each.
const MAX_PAGES: usize = 8;
/// Maximum number of items on a page.
const MAX_ITEMS: usize = 40;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |bytes: &[u8]| check(Script::new(bytes)));

fn seeds() -> Vec<Vec<u8>> {
    let honest = |script: ScriptWriter, start, count| {
        script.byte(0).byte(1).byte(0).below(start).number(u64::from(count)).byte(0)
    };
    let all = u16::try_from(source::log().changes.len()).unwrap_or(u16::MAX);
    let new = ScriptWriter::default;
    let overlapping = honest(honest(new(), 0, 20), 10, 30);
    let liar =
        new().byte(0).byte(3).byte(0).below(0).number(9).byte(1).below(9).below(30).byte(7).byte(2).piece(b"\x63");
    vec![
        honest(new(), 0, all.min(249)).finish(),
        overlapping.finish(),
        honest(honest(new(), 0, 3), 3, 3).finish(),
        liar.byte(0).finish(),
        honest(new(), 0, 5).byte(1).below(4).byte(1).byte(2).piece(b"forged").byte(0).finish(),
        honest(new(), 0, 5).byte(3).number(4).byte(9).byte(0).byte(3).finish(),
    ]
}

/// The content of a replica, as a list.
struct Model {
    changes: Vec<Vec<u8>>,
    digests: Vec<Digest>,
}

impl Model {
    fn new() -> Self {
        Self { changes: Vec::new(), digests: vec![chain_start(STORE)] }
    }

    fn add(&mut self, change: &[u8]) {
        self.changes.push(change.to_vec());
        let sequence = Sequence(self.changes.len() as u64);
        self.digests.push(chain_next(self.digests[self.digests.len() - 1], sequence, change));
    }

    fn end(&self) -> (Sequence, Digest) {
        (Sequence(self.changes.len() as u64), self.digests[self.changes.len()])
    }

    fn run(&self) -> Changes {
        self.changes.iter().map(Vec::as_slice).collect()
    }
}

fn check(mut script: Script<'_>) {
    let disk = MemoryDisk::default();
    let (mut replica, mut model) = (open(&disk), Model::new());
    for _ in 0..MAX_PAGES {
        if script.is_at_end() {
            break;
        }
        let page = read_page(&mut script, &replica);
        apply(&mut replica, &mut model, page);
    }
    check_log(&replica, &model);
    assert!(replica.settle().is_ok());
    let head = replica.head();
    assert!(head.folded == head.position.sequence || head.blocked.is_some());
    drop(replica);

    let cut = open(&disk.after_power_cut());
    assert_eq!(cut.head(), head, "a power cut changed the replica");
    check_log(&cut, &model);
    assert_eq!(at_once(&model), head, "the tables depend on the pages");
}

fn open(disk: &MemoryDisk) -> Store {
    Store::open_replica(disk, STORE).unwrap_or_else(|error| panic!("the replica does not open: {error}"))
}

/// Returns the head of a replica that gets all changes on one page.
fn at_once(model: &Model) -> Head {
    let mut replica = open(&MemoryDisk::default());
    let run = ChangeRun::following(replica.head().position, model.run());
    assert!(replica.apply(run).is_ok() && replica.settle().is_ok());
    replica.head()
}

fn apply(replica: &mut Store, model: &mut Model, page: ChangeRun) {
    let before = replica.head();
    let (after, changes, end) = (page.after, page.changes.clone(), page.end);
    match replica.apply(page) {
        Ok(receipt) => {
            let new = usize::try_from(receipt.changes).unwrap_or(usize::MAX);
            let known = changes.len().checked_sub(new).unwrap_or_else(|| panic!("{new} changes of {}", changes.len()));
            changes.iter().skip(known).for_each(|change| model.add(change));
            for (change, n) in changes.iter().zip(after.sequence.0..) {
                assert_eq!(usize::try_from(n).ok().and_then(|n| model.changes.get(n)).map(Vec::as_slice), Some(change));
            }
            assert_eq!(receipt.position, replica.head().position);
            assert_eq!((receipt.position.sequence, receipt.position.digest), model.end());
            let named = usize::try_from(end.sequence.0).ok().and_then(|n| model.digests.get(n));
            assert_eq!(named, Some(&end.digest), "the page names another end");
            assert!(new == 0 || receipt.position == end);
        }
        Err(ApplyError::Store(error)) => panic!("a memory disk does not fail: {error}"),
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            assert_eq!(replica.head(), before, "a refused page changed the replica");
        }
    }
}

fn check_log(replica: &Store, model: &Model) {
    let reader = replica.reader();
    let position = replica.head().position;
    assert_eq!((position.sequence, position.digest), model.end());
    for (n, expected) in (1..).zip(&model.changes) {
        let read = reader.change(Sequence(n)).unwrap_or_else(|error| panic!("change {n} cannot be read: {error}"));
        assert_eq!(read.as_ref(), Some(expected), "change {n}");
    }
}

/// Reads a page: its beginning, its items, and its end.
fn read_page(script: &mut Script<'_>, replica: &Store) -> ChangeRun {
    let log = source::log();
    let after = read_after(script, replica, log);
    let mut changes = Changes::default();
    for _ in 0..usize::from(script.byte()).min(MAX_ITEMS) {
        read_item(script, log, &mut changes);
    }
    let mut page = ChangeRun::following(after, changes);
    alter_end(script, &mut page.end);
    page
}

fn read_after(script: &mut Script<'_>, replica: &Store, log: &SourceLog) -> Position {
    let head = replica.head().position;
    match script.byte() {
        0 => head,
        1 => log.positions[script.below(log.positions.len())],
        2 => {
            let earlier = Sequence(script.number() % (head.sequence.0 + 1));
            replica.reader().position_at(earlier).ok().flatten().unwrap_or(head)
        }
        _ => Position {
            sequence: Sequence(script.number()),
            digest: Digest([script.byte(); 32]),
            store: if script.byte() == 0 { STORE } else { StoreId([8; 16]) },
            ..head
        },
    }
}

/// Adds changes of the barn, one of them altered, or one of the fuzzer's.
fn read_item(script: &mut Script<'_>, log: &SourceLog, to: &mut Changes) {
    match script.byte() {
        0 => {
            let start = script.below(log.changes.len());
            let count = usize::try_from(script.number()).unwrap_or(usize::MAX);
            log.run(start, count.min(log.changes.len())).iter().for_each(|change| to.push(change));
        }
        1 => {
            let mut altered = log.changes[script.below(log.changes.len())].clone();
            let place = script.below(altered.len());
            altered[place] ^= script.byte();
            to.push(&altered);
        }
        2 => to.push(script.piece()),
        3 => {
            let change = &log.changes[script.below(log.changes.len())];
            let (start, piece) = (script.below(change.len()), script.piece());
            let end = (start + piece.len()).min(change.len());
            to.push(&[&change[..start], piece, &change[end..]].concat());
        }
        4 => to.push(&vec![script.byte(); MAX_CHANGE_BYTES + script.below(2)]),
        _ => {}
    }
}

/// Leaves the end that the changes lead to, or names another one.
fn alter_end(script: &mut Script<'_>, end: &mut Position) {
    match script.byte() {
        1 => end.digest.0[31] ^= 1,
        2 => end.sequence = Sequence(script.number()),
        3 => end.epoch = Epoch(end.epoch.0.wrapping_add(script.byte().into())),
        4 => end.store = StoreId([8; 16]),
        _ => {}
    }
}
