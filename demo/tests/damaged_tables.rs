//! `tables.redb` that is damaged while its process is stopped, and while it runs, at a barn and at an office.
//!
//! Catches: a start that ends because of a file that can be made again, pages that miss rows or show others afterwards, a
//! barn that records nothing more, an office that no longer equals its barn, and damage that a process met and that its next
//! start trusts.
//!
//! A process that ends with an exit code that systemd restarts it after is started again, as systemd does.
//!
//! A bit that flips in the value of a row alone is not shown here. No read tells that from another value; `verify` does, and
//! says to remove the file.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::{Barn, BarnSettings, Client, Office, Process, ProcessError, Side};
use serde_json::{Value, json};
use service::harness::{wait_until, wait_until_within};
use service::lifecycle::Exit;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;
use yard::{Yard, deliver, own_programs, pages, until};

/// Payloads of the log: the tables then have a hundred pages.
const PAYLOADS: usize = 2_000;
/// Payloads of a log whose tables are larger than the page cache of their process (8 MiB), so that a scan of them reads pages
/// from the file whatever was read before.
const MANY_PAYLOADS: usize = 80_000;
/// Payloads of an array.
const ARRAY: usize = 1_000;
/// Animals of a batch.
const BATCH: usize = 50;
/// Bytes of a page of redb. The first one is the header of the file.
const PAGE_BYTES: usize = 4_096;
/// Period of the watchdog, in microseconds. The office probes its writers several times in it.
const WATCHDOG_US: &str = "3000000";
/// Bytes between two flipped bits: each page has 67 of them.
const FLIP_EVERY_BYTES: usize = 61;
/// Maximum time of a healing: a build with debug assertions folds 80,000 payloads in a quarter of it.
const HEAL_TIMEOUT: Duration = Duration::from_secs(60);
/// Starts that healing takes at most: one that meets the damage and ends, and one that folds the log.
const MAX_STARTS: usize = 2;

/// Pages of the office that further payloads do not change: rows from the beginning, the middle and the end of the tables.
const OFFICE_ROWS: [&str; 5] = ["/animals/2", "/animals/1000", "/animals/2001", "/batches/B20", "/payloads/1500"];
/// Lists of the office.
const OFFICE_LISTS: [&str; 3] = ["/animals?limit=1000", "/batches?limit=1000", "/payloads?limit=1000"];
/// Pages of the barn.
const BARN_PATHS: [&str; 5] = [
    "/api/remote/batches?limit=1000",
    "/api/remote/batches/2",
    "/api/remote/batches/1952",
    "/api/remote/payloads?limit=1000",
    "/api/remote/payloads/1500",
];

/// A way in which a file is damaged.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// The file ends in the middle.
    Truncated,
    /// The file has no byte left.
    Empty,
    /// The middle third is zeros.
    Zeros,
    /// A bit in each stretch of bytes is another one.
    Flips,
    /// The same behind the header, so that the file still opens.
    FlipsBehindHeader,
    /// Every byte is another one.
    Garbage,
}

impl Damage {
    const ALL: [Self; 6] =
        [Self::Truncated, Self::Empty, Self::Zeros, Self::Flips, Self::FlipsBehindHeader, Self::Garbage];

    /// Damages a file in place, so that a process that has it open reads the damage.
    fn apply(self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        let length = bytes.len();
        assert!(length > 2 * PAGE_BYTES, "there are tables to damage");
        match self {
            Self::Truncated => bytes.truncate(length / 2),
            Self::Empty => bytes.clear(),
            Self::Zeros => bytes[length / 3..length / 3 * 2].fill(0),
            Self::Flips => flip_bits(&mut bytes),
            Self::FlipsBehindHeader => flip_bits(&mut bytes[PAGE_BYTES..]),
            Self::Garbage => fill_with_garbage(&mut bytes),
        }
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        file.sync_all().unwrap();
    }
}

fn flip_bits(bytes: &mut [u8]) {
    bytes.iter_mut().step_by(FLIP_EVERY_BYTES).for_each(|byte| *byte ^= 4);
}

/// Fills a slice with numbers of a fixed sequence that looks random.
fn fill_with_garbage(bytes: &mut [u8]) {
    let mut state = 1_u64;
    for byte in bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = state.to_be_bytes()[0];
    }
}

/// One of the two processes, with what its pages showed before the damage.
struct PageBaseline<'a> {
    client: &'a Client,
    paths: Vec<&'static str>,
    before: Vec<Value>,
}

impl<'a> PageBaseline<'a> {
    async fn fetch(client: &'a Client, paths: impl IntoIterator<Item = &'static str>) -> Self {
        let paths: Vec<_> = paths.into_iter().collect();
        // An office answers 503 while it makes its index.
        let before = until("the pages are there", async || answers(client, &paths).await.ok()).await;
        Self { client, paths, before }
    }

    /// Waits until the pages are as before the damage. Starts the process again when it has ended, as systemd does.
    async fn wait_until_healed<S: Side>(&self, process: &mut Process<S>, damage: Damage) {
        let mut starts = 0;
        let healed = wait_until_within(HEAL_TIMEOUT, "the pages are as before", async || {
            if process.check_running().is_err() {
                assert!(starts < MAX_STARTS, "{damage:?}: {}", yard::log_end(&process.log()));
                starts += 1;
                restart(process).await?;
            }
            let now = answers(self.client, &self.paths).await.ok()?;
            assert!(now == self.before, "{damage:?}: a page shows something else than before");
            Some(())
        });
        healed.await.unwrap_or_else(|error| panic!("{damage:?}: {error}: {}", yard::log_end(&process.log())));
    }
}

/// Starts a process that does not run. Returns `None` if it ended in a way that systemd starts it again after, or if it still
/// folds: the next start goes on from there.
async fn restart<S: Side>(process: &mut Process<S>) -> Option<()> {
    process.kill();
    match process.start().await {
        Ok(()) => Some(()),
        Err(ProcessError::Exited { status, .. }) if status.code() == Some(Exit::Failure as i32) => None,
        Err(ProcessError::StartTimeout { .. }) => None,
        Err(error) => panic!("{error}: {}", yard::log_end(&process.log())),
    }
}

/// Returns what the pages show, or the status of the first one that is not there.
async fn answers(client: &Client, paths: &[&'static str]) -> Result<Vec<Value>, u16> {
    let mut answers = Vec::new();
    for path in paths {
        answers.push(pages::json(client, path).await?["data"].take());
    }
    Ok(answers)
}

/// Delivers payloads in arrays.
async fn deliver_all(yard: &Yard, payloads: Range<usize>) {
    let payload = |n: usize| format!("hxb:B{}:LF{n:07}:UHF{n:07}", n / BATCH);
    for first in payloads.clone().step_by(ARRAY) {
        let array: Vec<_> = (first..(first + ARRAY).min(payloads.end)).map(payload).collect();
        assert_eq!(deliver(&yard.device, &json!({ "payloads": array })).await.unwrap().0, 200);
    }
}

/// Delivers payloads in arrays, and waits until the office has them.
async fn fill(yard: &Yard, payloads: Range<usize>) {
    deliver_all(yard, payloads).await;
    yard.wait_until_equal().await;
}

fn all_pages() -> impl Iterator<Item = &'static str> {
    OFFICE_ROWS.into_iter().chain(OFFICE_LISTS)
}

fn barn_tables(barn: &Barn) -> PathBuf {
    barn.state_dir().join("tables.redb")
}

fn office_tables(office: &Office) -> PathBuf {
    office.state_dir().join("sites/barn/copy-1/tables.redb")
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_tables_of_a_stopped_barn_are_folded_again_and_it_records_on() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    fill(&yard, 0..PAYLOADS).await;
    let reader = yard.barn.reader().unwrap();
    for (damage, next) in Damage::ALL.into_iter().zip(PAYLOADS..) {
        let shown = PageBaseline::fetch(&reader, BARN_PATHS).await;
        assert_eq!(yard.barn.terminate().await.unwrap().code(), Some(0));
        damage.apply(&barn_tables(&yard.barn));
        shown.wait_until_healed(&mut yard.barn, damage).await;
        fill(&yard, next..next + 1).await;
    }
    yard.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_tables_of_a_stopped_office_are_folded_again_and_it_equals_its_barn() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    fill(&yard, 0..PAYLOADS).await;
    for (damage, next) in Damage::ALL.into_iter().zip(PAYLOADS..) {
        let shown = PageBaseline::fetch(&yard.pages, all_pages()).await;
        assert_eq!(yard.office.terminate().await.unwrap().code(), Some(0));
        damage.apply(&office_tables(&yard.office));
        shown.wait_until_healed(&mut yard.office, damage).await;
        fill(&yard, next..next + 1).await;
        assert!(!yard.office.state_dir().join("sites/barn/copy-2").exists(), "{damage:?}: the log was copied again");
    }
    yard.verify().await;
}

/// Has a running process read all of its damaged tables, and waits until it has ended with the exit code that systemd starts it
/// again after. It may end before, if it has reads of its own.
async fn wait_for_end<S: Side>(process: &mut Process<S>, verify: &[&str]) {
    let verified = process.run(verify).map_err(|error| error.to_string());
    let end = wait_until("the process ends", async || process.check_running().err()).await;
    let end = end.unwrap_or_else(|error| panic!("{error}; {verified:?}: {}", yard::log_end(&process.log())));
    let restarts = matches!(&end, ProcessError::Exited { status, .. } if status.code() == Some(Exit::Failure as i32));
    assert!(restarts, "{end}");
}

/// Has a process probe its writers from the next start on, as under systemd. They look then for damage that a reader has met.
fn supervise<S: Side>(process: &mut Process<S>, socket: &Path) {
    let supervisor = UnixDatagram::bind(socket).unwrap();
    process.set_variable("NOTIFY_SOCKET", socket.to_str().unwrap());
    process.set_variable("WATCHDOG_USEC", WATCHDOG_US);
    // Nobody waits for the messages, but they would fill the socket.
    std::thread::spawn(move || while supervisor.recv(&mut [0; PAGE_BYTES]).is_ok() {});
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a log of 80,000 payloads: part of .ci/long"]
async fn tables_that_are_damaged_under_a_running_process_end_it_once_they_are_read_and_are_folded_again() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    supervise(&mut yard.office, &yard.directory.path().join("notify"));
    fill(&yard, 0..MANY_PAYLOADS).await;
    let reader = yard.barn.reader().unwrap();
    for (damage, next) in [Damage::Truncated, Damage::Zeros, Damage::Garbage].into_iter().zip(MANY_PAYLOADS..) {
        let (at_barn, at_office) =
            (PageBaseline::fetch(&reader, BARN_PATHS).await, PageBaseline::fetch(&yard.pages, all_pages()).await);
        // The rows are in the files then, and not in memory as well.
        assert_eq!(yard.barn.terminate().await.unwrap().code(), Some(0));
        assert_eq!(yard.office.terminate().await.unwrap().code(), Some(0));
        yard.barn.start().await.unwrap();
        yard.office.start().await.unwrap();
        yard.wait_until_equal().await;

        damage.apply(&barn_tables(&yard.barn));
        wait_for_end(&mut yard.barn, &["verify"]).await;
        at_barn.wait_until_healed(&mut yard.barn, damage).await;

        damage.apply(&office_tables(&yard.office));
        wait_for_end(&mut yard.office, &["verify", "barn"]).await;
        at_office.wait_until_healed(&mut yard.office, damage).await;
        fill(&yard, next..next + 1).await;
    }
    yard.verify().await;
}
