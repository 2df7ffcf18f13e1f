//! Fuzzes the reader of a backup file.
//!
//! An input is a script of blobs: the start, pages and the end of a backup of a real barn, as they are or with a lie, and bytes
//! of the fuzzer's. Header and digest of each blob are right unless its bytes are altered afterwards, so a file can lie
//! consistently.
//!
//! A file that is proved holds a chain from the first change to the position that its start names, and begins the epochs
//! that it lists. Its length is that of the file. Cut anywhere, lengthened, or with a bit flipped, it is refused. What was read
//! of it makes a backup again, which is proved to hold the same.
#![no_main]

use fuzz::script::{Script, ScriptWriter};
use fuzz::{seeds, source};
use herd::backup::{BackupError, BackupReader, BackupSummary, BackupWriter};
use herd::clock::WallTime;
use herd::digest::{chain_next, chain_start};
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::store::{ChangeRun, Changes};
use herd::wire::{BackupStart, BarnHead, ExportEnd, Page, to_blob};

/// Maximum number of blobs in a file.
const MAX_BLOBS: usize = 12;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |bytes: &[u8]| check(&file_of(Script::new(bytes))));

fn seeds() -> Vec<Vec<u8>> {
    let new = ScriptWriter::default;
    let start = |end| new().byte(0).below(end).byte(0);
    let page = |script: ScriptWriter, after, count: u16| script.byte(1).below(after).number(count.into()).byte(0);
    let end = |script: ScriptWriter, at| script.byte(2).below(at).byte(0).finish();
    vec![
        end(page(start(9), 0, 9), 9),
        end(page(page(start(20), 0, 12), 12, 8), 20),
        end(start(0), 0),
        page(start(9), 0, 4).finish(),
        end(page(page(start(9), 0, 9), 3, 2), 9),
        new().byte(3).piece(b"HERDLINX").finish(),
    ]
}

/// A file that was proved, as it was read.
struct ProvedFile {
    start: BackupStart,
    runs: Vec<ChangeRun>,
    summary: BackupSummary,
}

fn read(file: &[u8]) -> Result<ProvedFile, BackupError> {
    let mut reader = BackupReader::open(file)?;
    let (start, mut runs) = (reader.start().clone(), Vec::new());
    while let Some(run) = reader.next_run()? {
        runs.push(run);
    }
    Ok(ProvedFile { start, runs, summary: reader.summary() })
}

fn check(file: &[u8]) {
    let proved = match read(file) {
        Ok(proved) => proved,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    let ProvedFile { start, runs, summary } = proved;
    assert_eq!((summary.end, summary.bytes), (start.end, file.len() as u64));
    check_chain(&start, &runs);
    assert!(read(&[file, b"x"].concat()).is_err(), "a byte was added");
    // Any place will do, and the last digest selects one by chance.
    let place = usize::from(file[file.len() - 1]) * 251 % file.len();
    assert!(read(&file[..place]).is_err(), "cut at {place}");
    let mut altered = file.to_vec();
    altered[place] ^= 1;
    assert!(read(&altered).is_err(), "bit flipped at {place}");
    check_again(&start, runs, summary);
}

/// Checks that the pages chain the changes from the first one to the end.
fn check_chain(start: &BackupStart, runs: &[ChangeRun]) {
    let (mut sequence, mut digest) = (Sequence::ZERO, chain_start(start.end.store));
    for run in runs {
        assert_eq!((run.after.sequence, run.after.digest), (sequence, digest));
        for change in run.changes.iter() {
            sequence = sequence.next();
            digest = chain_next(digest, sequence, change);
        }
        assert_eq!((run.end.sequence, run.end.digest), (sequence, digest));
    }
    assert_eq!((start.end.sequence, start.end.digest), (sequence, digest));
    let begun: Vec<_> = runs.iter().flat_map(ChangeRun::epochs_begun).collect();
    assert_eq!(begun, start.epochs);
}

/// Checks that what was read makes a backup that holds the same.
fn check_again(start: &BackupStart, runs: Vec<ChangeRun>, summary: BackupSummary) {
    let mut file = Vec::new();
    let written = BackupWriter::begin(&mut file, start).and_then(|mut writer| {
        runs.into_iter().try_for_each(|run| writer.push(run))?;
        writer.finish()
    });
    let written = written.unwrap_or_else(|error| panic!("what was read cannot be written: {error}"));
    assert_eq!((written.end, written.payloads), (summary.end, summary.payloads));
    let again = read(&file).unwrap_or_else(|error| panic!("what was written cannot be read: {error}"));
    assert_eq!(again.summary, written);
}

/// Makes a file of blobs.
fn file_of(mut script: Script<'_>) -> Vec<u8> {
    let mut file = Vec::new();
    for _ in 0..MAX_BLOBS {
        if script.is_at_end() {
            break;
        }
        match script.byte() {
            0 => file.extend(start_of(&mut script)),
            1 => file.extend(page_of(&mut script)),
            2 => file.extend(end_of(&mut script)),
            3 => file.extend_from_slice(script.piece()),
            _ => {
                let place = script.below(file.len());
                if let Some(byte) = file.get_mut(place) {
                    *byte ^= script.byte();
                }
            }
        }
    }
    file
}

fn start_of(script: &mut Script<'_>) -> Vec<u8> {
    let positions = &source::log().positions;
    let mut end = positions[script.below(positions.len())];
    let mut epochs = if end.sequence == Sequence::ZERO { Vec::new() } else { vec![(Epoch(1), Sequence(1))] };
    match script.byte() {
        1 => epochs.push((Epoch(2), Sequence(script.number()))),
        2 => epochs.clear(),
        lie => alter(&mut end, lie, script),
    }
    to_blob(&BackupStart { site: "north".to_owned(), made: WallTime::default(), end, epochs })
}

fn page_of(script: &mut Script<'_>) -> Vec<u8> {
    let log = source::log();
    let start = script.below(log.changes.len());
    let count = usize::try_from(script.number()).unwrap_or(usize::MAX).min(log.changes.len());
    let mut changes: Changes = log.run(start, count);
    let lie = script.byte();
    if lie == 1 {
        changes.push(script.piece());
    }
    let mut run = ChangeRun::following(log.positions[start], changes);
    alter(&mut run.end, lie, script);
    let head = run.end.sequence;
    to_blob(&Page::new(run, head, BarnHead::default()))
}

fn end_of(script: &mut Script<'_>) -> Vec<u8> {
    let positions = &source::log().positions;
    let mut end = positions[script.below(positions.len())];
    let mut count = end.sequence.0;
    match script.byte() {
        1 => count = script.number(),
        lie => alter(&mut end, lie, script),
    }
    to_blob(&ExportEnd { count, end })
}

/// Makes another position of it, if the lie is about positions.
fn alter(position: &mut Position, lie: u8, script: &mut Script<'_>) {
    match lie {
        3 => position.sequence = Sequence(script.number()),
        4 => position.digest = Digest([script.byte(); 32]),
        5 => position.epoch = Epoch(script.byte().into()),
        6 => position.store = StoreId([8; 16]),
        _ => {}
    }
}
