//! Fixed work for counting instructions with callgrind. `.ci/instructions` runs it.
//!
//! # Decisions
//!
//! - **The stores are made first, by a run without callgrind.** Under callgrind a program is fifty times slower, so only
//!   the measured work and the opening of the store run there.
//! - **Counting starts and ends at the function `counted`, for all threads.** Callgrind sets its counts to zero before it
//!   and writes them after it. Its option `--toggle-collect` was rejected: it knows one thread, and a store may fold and
//!   flush on others.
//! - **The work ends with [`Store::settle`]**, so that what a store puts off counts, too.
//! - **Input, clock and origin are fixed.** Counts of two runs differ by a few in a thousand, because hash maps and the
//!   allocator do not start equal.
//! - **The directory may be on any disk.** Callgrind counts instructions of the program only, and none of the kernel.
//! - **Calls of the payload route go into its router, without TLS and HTTP.** Those count what hyper and rustls need, which
//!   is not ours to change. A call is made when the one before it was answered, so that groups are the same in each run.

use super::floor::PAGE_BYTES;
use super::https::arrays;
use super::lag::{RECEIVE_PATH, bodies};
use super::store::{PAGE_CHANGES, SOURCE_ID, copy};
use super::traffic::{self, PAYLOADS_PER_HEAD};
use super::{BenchError, store};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use daemon::disk::DiskGauge;
use daemon::ingest::{Ingest, LineLimit, router};
use daemon::recorder::{Recorder, RecorderSeams, WriterThread};
use herd::clock::{Clock, RawReading};
use herd::decide::Rules;
use herd::randomness::SystemRandomness;
use herd::store::{ChangeRun, Directory, Incoming, LocalFile, Reader, Store};
use http_body_util::BodyExt as _;
use service::door::auth::KEY_HEADER;
use service::door::keys::{KeyRing, Scope};
use service::lifecycle::ShutdownTrigger;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

/// Changes that a store holds before the measured work.
const HELD: usize = 20_000;
/// Animals of a large herd.
const HERD: usize = 100_000;
/// Maximum number of changes of one kind of work.
const MAX_CHANGES: usize = 20_000;
/// Arrival of the first payload: 2026-01-15 10:00 UTC.
const START_US: i64 = 1_768_471_200_000_000;
/// Time between two payloads, those of a busy chute played tenfold.
const STEP_MS: u64 = 100;
/// Malformed payloads per well-formed one, as on a busy day.
const MALFORMED: f64 = 0.05;

/// Work whose instructions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Work {
    /// A source appends groups of 1,000 payloads
    #[value(name = "append-1000")]
    Append1000,
    /// A source appends groups of 100 payloads
    #[value(name = "append-100")]
    Append100,
    /// A source appends one payload at a time
    #[value(name = "append-lone")]
    AppendLone,
    /// A replica applies pages of 10,000 changes
    #[value(name = "apply-10000")]
    Apply10000,
    /// A source appends groups of 1,000 check-ins of random animals of a large herd
    #[value(name = "scattered-1000")]
    Scattered1000,
    /// The payload route takes arrays of 100
    #[value(name = "ingest-array-100")]
    IngestArray100,
    /// The payload route takes one payload at a time
    #[value(name = "ingest-single")]
    IngestSingle,
}

impl Work {
    /// All kinds of work.
    pub const ALL: [Self; 7] = [
        Self::Append1000,
        Self::Append100,
        Self::AppendLone,
        Self::Apply10000,
        Self::Scattered1000,
        Self::IngestArray100,
        Self::IngestSingle,
    ];

    /// Returns the name of the directory of its stores.
    fn name(self) -> &'static str {
        match self {
            Self::Append1000 => "append-1000",
            Self::Append100 => "append-100",
            Self::AppendLone => "append-lone",
            Self::Apply10000 => "apply-10000",
            Self::Scattered1000 => "scattered-1000",
            Self::IngestArray100 => "ingest-array-100",
            Self::IngestSingle => "ingest-single",
        }
    }

    /// Returns the number of changes that its stores hold before.
    fn held(self) -> usize {
        if self == Self::Scattered1000 { HERD * PAYLOADS_PER_HEAD } else { HELD }
    }

    /// Returns the number of changes in a commit.
    fn group(self) -> usize {
        match self {
            Self::Append1000 | Self::Scattered1000 => 1_000,
            Self::Append100 | Self::IngestArray100 => 100,
            Self::AppendLone | Self::IngestSingle => 1,
            Self::Apply10000 => PAGE_CHANGES,
        }
    }

    /// Returns the number of changes that are counted. Enough that the first commit, which reads the texts of the repeat
    /// window from the log, is a few hundredths of them.
    fn changes(self) -> usize {
        match self {
            Self::Append1000 | Self::Scattered1000 => 10_000,
            Self::Append100 | Self::AppendLone | Self::IngestArray100 | Self::IngestSingle => 3_000,
            Self::Apply10000 => MAX_CHANGES,
        }
    }
}

/// Creates the stores for all kinds of work in `directory`.
pub fn prepare(directory: &Path) -> Result<(), BenchError> {
    for work in Work::ALL {
        let place = directory.join(work.name());
        let (held, new) = payloads(work);
        let mut source = open_source(&place.join("source"))?;
        append(&mut source, &held, 1_000)?;
        if work == Work::Apply10000 {
            let (mut replica, _) = copy(&source.reader(), &place.join("replica"))?;
            replica.settle()?;
            append(&mut source, &new, 1_000)?;
        }
        source.settle()?;
    }
    Ok(())
}

/// Does the work on the stores in `directory`, once, and returns the number of changes that it was.
pub fn work(directory: &Path, work: Work) -> Result<usize, BenchError> {
    let place = directory.join(work.name());
    let mut source = open_source(&place.join("source"))?;
    if work == Work::Apply10000 {
        return apply(&source.reader(), &place.join("replica"));
    }
    let (_, payloads) = payloads(work);
    if matches!(work, Work::IngestArray100 | Work::IngestSingle) {
        return ingest(source, &place, &payloads, work);
    }
    let before = source.head().position.sequence.0;
    counted(&mut || append(&mut source, &payloads, work.group()))?;
    let appended = source.head().position.sequence.0 - before;
    anyhow::ensure!(appended == payloads.len() as u64, "{} payloads became {appended} changes", payloads.len());
    Ok(payloads.len())
}

/// The function whose instructions callgrind counts, by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut() -> Result<(), BenchError>) -> Result<(), BenchError> {
    work()
}

fn apply(source: &Reader, directory: &Path) -> Result<usize, BenchError> {
    let mut replica = Store::open_replica(&Directory::new(directory)?, source.store())?;
    let mut runs: Vec<ChangeRun> = Vec::new();
    let (mut at, end) = (replica.head().position, source.head().position);
    while at != end {
        let run = source.run_after(at, PAGE_CHANGES, PAGE_BYTES)?;
        at = run.end;
        runs.push(run);
    }
    let changes = runs.iter().map(|run| run.changes.len()).sum();
    counted(&mut || {
        for run in runs.drain(..) {
            replica.apply(run)?;
        }
        Ok(replica.settle()?)
    })?;
    anyhow::ensure!(replica.head() == source.head(), "the replica differs from its source");
    Ok(changes)
}

/// Sends the payloads to the route, in arrays or in single calls, and returns their number. JSON cannot hold those that
/// are not UTF-8.
fn ingest(source: Store, directory: &Path, payloads: &[Incoming], work: Work) -> Result<usize, BenchError> {
    let is_text = |payload: &&Incoming| std::str::from_utf8(&payload.raw).is_ok();
    let texts: Vec<_> = payloads.iter().filter(is_text).map(|payload| payload.raw.clone()).collect();
    let count = texts.len();
    let (calls, expected) = match work {
        Work::IngestArray100 => (arrays(texts)?, &[StatusCode::OK][..]),
        _ => (bodies(texts)?, &[StatusCode::CREATED, StatusCode::UNPROCESSABLE_ENTITY][..]),
    };
    let reader = source.reader();
    let before = reader.head().position.sequence.0;
    let mut route = Some(Route::new(source, directory)?);
    counted(&mut || {
        let Some(route) = route.take() else { return Ok(()) };
        for call in &calls {
            let status = route.call(call)?;
            anyhow::ensure!(expected.contains(&status), "a call of the payload route was answered with {status}");
        }
        route.end()
    })?;
    let appended = reader.head().position.sequence.0 - before;
    anyhow::ensure!(appended == count as u64, "{count} payloads became {appended} changes");
    Ok(count)
}

/// The payload route of a barn and its writer, with one key.
struct Route {
    router: Router,
    writer: WriterThread,
    runtime: Runtime,
    key: String,
}

impl Route {
    fn new(source: Store, directory: &Path) -> Result<Self, BenchError> {
        let clock: Arc<dyn Clock> = Arc::new(SteppingClock(AtomicU64::new(HELD as u64)));
        let local = LocalFile::open(directory.join("local.redb"))?;
        let keys = KeyRing::load(local, clock.clone(), SystemRandomness)?;
        let key = keys.add("bench", [Scope::Ingest].into())?.reveal().to_owned();
        let reader = source.reader();
        let (recorder, writer) = Recorder::on_thread(source, RecorderSeams { disk: DiskGauge::plenty(), local: None })?;
        let shutdown = ShutdownTrigger::default().signal();
        let reader_group = store::origin().reader_group.into();
        let ingest = Ingest { recorder, reader, clock, reader_group, lines: LineLimit::default(), shutdown };
        let runtime = Builder::new_current_thread().enable_time().build()?;
        Ok(Self { router: router(ingest, Arc::new(keys)), writer, runtime, key })
    }

    /// Returns the status of the response, whose body is read to its end.
    fn call(&self, body: &Bytes) -> Result<StatusCode, BenchError> {
        let request =
            Request::post(RECEIVE_PATH).header(KEY_HEADER, &self.key).header(CONTENT_TYPE, "application/json");
        let request = request.body(axum::body::Body::from(body.clone()))?;
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await?;
            let status = response.status();
            response.into_body().collect().await?;
            Ok(status)
        })
    }

    /// Ends the writer, which settles the store.
    fn end(self) -> Result<(), BenchError> {
        let Self { router, mut writer, runtime, .. } = self;
        drop(router);
        Ok(runtime.block_on(writer.ended())?)
    }
}

/// A clock that shows the arrival of the next payload each time it is read.
struct SteppingClock(AtomicU64);

impl Clock for SteppingClock {
    fn read(&self) -> RawReading {
        reading(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn boot_id(&self) -> String {
        "bench".to_owned()
    }
}

fn append(source: &mut Store, payloads: &[Incoming], group: usize) -> Result<(), BenchError> {
    for group in payloads.chunks(group) {
        for receipt in source.append(group)? {
            store::expect_durable(&receipt)?;
        }
    }
    Ok(source.settle()?)
}

fn open_source(directory: &Path) -> Result<Store, BenchError> {
    Ok(Store::open_source(&Directory::new(directory)?, Rules::default(), reading(0).in_boot(1), || SOURCE_ID)?)
}

/// Returns the payloads that the stores of `work` hold before it, and its own.
fn payloads(work: Work) -> (Vec<Incoming>, Vec<Incoming>) {
    let mut raw = if work == Work::Scattered1000 {
        let check_ins = traffic::scattered_check_ins(14, HERD, work.changes());
        traffic::large_herd(HERD).chain(check_ins).collect()
    } else {
        traffic::in_chute_order(12, HELD + MAX_CHANGES, MALFORMED)
    };
    raw.truncate(work.held() + work.changes());
    let mut held: Vec<_> =
        raw.into_iter().zip(0..).map(|(raw, n)| Incoming { raw, origin: store::origin(), at: reading(n) }).collect();
    let new = held.split_off(work.held());
    (held, new)
}

/// Returns the clock at the arrival of the payload `n`.
fn reading(n: u64) -> RawReading {
    let since_boot_ms = n * STEP_MS;
    let received_at_us = START_US.saturating_add_unsigned(since_boot_ms * 1_000);
    RawReading { received_at_us, synchronized: true, since_boot_ms }
}
