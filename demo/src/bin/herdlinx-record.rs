//! Records written reads as a barn, each with a time and a signal of its own. `.ci/browser` makes its herd with it.
//!
//! The clock of a running barn is the kernel's, and what arrives over HTTPS has no signal. So reads of other days are
//! recorded here, by the code that records in a barn, and the barn starts on the files.

use clap::Parser;
use herd::change::Origin;
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::position::StoreId;
use herd::randomness::{Randomness as _, RandomnessError, SystemRandomness};
use herd::store::{Directory, Incoming, Store, StoreError};
use serde::Deserialize;
use service::lifecycle::Exit;
use service::process::main_with;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Maximum number of reads in a commit.
const GROUP: usize = 500;
/// Maximum number of reads in all: they are held in memory.
const MAX_READS: usize = 100_000;

/// Record the reads on standard input in the files of a barn that does not run yet
///
/// Each line is a JSON object with `at_us` (microseconds since 1970), `channel` and `payload`, and optionally
/// `reader_group`, `rssi_dbm`, `snr_quarter_db` and `synchronized`. The times must ascend. Prints the number of reads.
#[derive(Debug, Parser)]
#[command(name = "herdlinx-record", version)]
struct Args {
    /// State directory of the barn, which must not have a log
    directory: PathBuf,
}

/// A line of the input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    at_us: i64,
    #[serde(default = "yes")]
    synchronized: bool,
    channel: String,
    #[serde(default = "main_group")]
    reader_group: String,
    rssi_dbm: Option<i16>,
    snr_quarter_db: Option<i16>,
    payload: String,
}

/// Reason why the reads could not be recorded.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("cannot read standard input or write the result: {0}")]
    Stream(#[from] io::Error),
    #[error("line {line} is not a read: {source}")]
    Line { line: usize, source: serde_json::Error },
    #[error("line {line} is earlier than the one before it: sort the reads by `at_us`")]
    Order { line: usize },
    #[error("there are more than {MAX_READS} reads: record fewer")]
    TooMany,
    #[error("no random bytes for the identity of the barn: {0}")]
    Randomness(#[from] RandomnessError),
    #[error("cannot record: {0}")]
    Store(#[from] StoreError),
}

impl From<&RecordError> for Exit {
    fn from(error: &RecordError) -> Self {
        match error {
            RecordError::Line { .. } | RecordError::Order { .. } | RecordError::TooMany => Self::Usage,
            _ => Self::Failure,
        }
    }
}

fn main() -> ExitCode {
    main_with(std::env::args_os(), |args: Args, out| run(&args, io::stdin().lock(), out))
}

fn run(args: &Args, input: impl BufRead, out: &mut dyn Write) -> Result<(), RecordError> {
    let reads = read_lines(input)?;
    let disk = Directory::new(&args.directory)?;
    let first_us = reads.first().map_or(0, |incoming| incoming.at.received_at_us);
    let clock = RawReading { received_at_us: first_us, synchronized: true, since_boot_ms: 0 }.in_boot(1);
    let (store_id, writer_id) = (draw_id()?, draw_id()?);
    let mut ids = [store_id, writer_id].into_iter().cycle();
    let mut store = Store::open_source(&disk, Rules::default(), clock, || ids.next().unwrap_or(store_id))?;
    for group in reads.chunks(GROUP) {
        store.append(group)?;
    }
    store.settle()?;
    Ok(writeln!(out, "{}", reads.len())?)
}

fn read_lines(input: impl BufRead) -> Result<Vec<Incoming>, RecordError> {
    let mut reads: Vec<Incoming> = Vec::new();
    let mut first_us = None;
    for (text, line) in input.lines().zip(1..) {
        let read: Read = serde_json::from_str(&text?).map_err(|source| RecordError::Line { line, source })?;
        if reads.last().is_some_and(|before| before.at.received_at_us > read.at_us) {
            return Err(RecordError::Order { line });
        }
        if reads.len() == MAX_READS {
            return Err(RecordError::TooMany);
        }
        let first_us = *first_us.get_or_insert(read.at_us);
        reads.push(read.into_incoming(first_us));
    }
    Ok(reads)
}

impl Read {
    /// Returns the read as a radio delivers it to a machine that started with the first read, at `first_us`.
    fn into_incoming(self, first_us: i64) -> Incoming {
        let Self { at_us, synchronized, channel, reader_group, rssi_dbm, snr_quarter_db, payload } = self;
        let since_boot_ms = u64::try_from((at_us - first_us) / 1_000).unwrap_or(0);
        let (channel, reader_group) = (channel.into(), reader_group.into());
        let origin = Origin { channel, reader_group, rssi_dbm, snr_quarter_db, ..Origin::default() };
        let at = RawReading { received_at_us: at_us, synchronized, since_boot_ms };
        Incoming { raw: payload.into_bytes(), origin, at }
    }
}

fn draw_id() -> Result<StoreId, RandomnessError> {
    let mut bytes = [0; 16];
    SystemRandomness.fill(&mut bytes)?;
    Ok(StoreId(bytes))
}

fn main_group() -> String {
    "main".to_owned()
}

const fn yes() -> bool {
    true
}
