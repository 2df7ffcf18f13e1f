//! Memory that a real barn's process needs for the full export of a million changes.

use crate::yard::shipped::shipped_programs;
use bytes::{Buf as _, Bytes, BytesMut};
use demo::bench::memory::{Memory, mib};
use demo::bench::traffic::in_chute_order;
use demo::bench::{Budget, yard};
use demo::processes::{Barn, BarnSettings, Client, ReplyStream};
use herd::position::{Position, Sequence};
use herd::wire::{BlobKind, ExportEnd, Page, blob_kind, blob_length, from_blob};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use service::sync::link::BLOB_TYPE;
use service::sync::serve::FULL_EXPORT_PATH;
use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

const CHANGES: usize = 1_000_000;
/// Limit for the memory of an export above that of the process at rest.
const MAX_ABOVE_IDLE_BYTES: u64 = 64 * 1024 * 1024;
/// Timeout for filling the store.
const FILL_TIMEOUT: Duration = Duration::from_secs(600);
/// Pause between two looks at the memory of a process that comes to rest.
const REST_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Memory of a process at rest changes by less than this between two looks.
const RESTING_BYTES: u64 = 256 * 1024;
/// Number of looks by which a process must have come to rest.
const MAX_LOOKS: usize = 30;
/// Pause of a slow reader before each piece.
const SLOW_WAIT: Duration = Duration::from_millis(20);
/// Pieces after which a slow reader hangs up.
const SLOW_PIECES: usize = 500;
/// Number of exports that the barn serves at the same time.
const CONCURRENT_EXPORTS: usize = 8;
const TABLES_TYPE: &str = "application/json";
/// Capacity of the queue to the JSON parser, in pieces.
const QUEUED_PIECES: usize = 16;

/// The full export as tables. The entries are only counted, not kept.
#[derive(Deserialize)]
struct Export {
    success: bool,
    position: Position,
    folded: Sequence,
    tables: BTreeMap<String, EntryCount>,
    count: BTreeMap<String, u64>,
    ended_at: SnapshotState,
}

#[derive(Deserialize)]
struct SnapshotState {
    position: Position,
    folded: Sequence,
}

/// Number of entries in a list.
#[derive(Debug, PartialEq)]
struct EntryCount(u64);

impl<'de> Deserialize<'de> for EntryCount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = EntryCount;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<EntryCount, A::Error> {
                let mut count = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(EntryCount(count))
            }
        }
        from.deserialize_seq(Entries)
    }
}

/// Reads the pieces of an answer as they arrive, on a separate thread.
struct PieceReader {
    coming: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for PieceReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.piece.is_empty() {
            self.piece = self.coming.blocking_recv().unwrap_or_default();
        }
        let length = into.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}

async fn read_tables(mut reply: ReplyStream) -> Export {
    let (pieces, taken) = mpsc::channel(QUEUED_PIECES);
    let reading = tokio::task::spawn_blocking(|| {
        serde_json::from_reader(BufReader::new(PieceReader { coming: taken, piece: Bytes::new() })).unwrap()
    });
    while let Some(piece) = reply.next().await.unwrap() {
        pieces.send(piece).await.unwrap();
    }
    drop(pieces);
    reading.await.unwrap()
}

/// Checks that the pages follow one another and recomputes their digest chain. Returns the end of the export.
async fn read_blobs(mut reply: ReplyStream) -> ExportEnd {
    let (mut buffer, mut at, mut count) = (BytesMut::new(), None::<Position>, 0);
    let mut end = None;
    while let Some(piece) = reply.next().await.unwrap() {
        buffer.extend_from_slice(&piece);
        while let Some(length) = blob_length(&buffer).unwrap().filter(|length| *length <= buffer.len()) {
            let blob = buffer.split_to(length);
            assert_eq!(end, None, "nothing comes after the end");
            if blob_kind(&blob).unwrap() == BlobKind::ExportEnd {
                end = Some(from_blob::<ExportEnd>(&blob).unwrap());
                continue;
            }
            let run = from_blob::<Page>(&blob).unwrap().into_run();
            assert!(at.is_none_or(|at| at == run.after), "no gap between pages");
            assert_eq!(run.changes.chain(run.after.digest, run.after.sequence), run.end.digest);
            count += run.changes.len() as u64;
            at = Some(run.end);
        }
    }
    let end = end.expect("the answer has an end");
    assert_eq!((Some(end.end), end.count, buffer.len()), (at, count, 0));
    end
}

async fn read_slowly(mut reply: ReplyStream) {
    for _ in 0..SLOW_PIECES {
        sleep(SLOW_WAIT).await;
        assert!(reply.next().await.unwrap().is_some(), "a million changes have more pieces");
    }
}

/// Waits until the process has come to rest, and returns its memory.
async fn at_rest(barn: &Barn) -> u64 {
    let mut before = Memory::of(barn.pid()).unwrap().resident_bytes;
    for _ in 0..MAX_LOOKS {
        sleep(REST_POLL_INTERVAL).await;
        let now = Memory::of(barn.pid()).unwrap().resident_bytes;
        if now.abs_diff(before) < RESTING_BYTES {
            return now;
        }
        before = now;
    }
    panic!("the process does not come to rest: it has {} MiB", mib(before))
}

/// Checks that the peak memory of the process while `read` takes an answer is little above `idle`.
#[expect(clippy::print_stderr, reason = "the figures are in the output of the test")]
async fn assert_needs_little<T>(what: &str, barn: &Barn, idle: u64, read: impl Future<Output = T>) -> T {
    Memory::reset_peak(barn.pid()).unwrap();
    let began = std::time::Instant::now();
    let result = read.await;
    let took = began.elapsed().as_secs_f64();
    let Memory { peak_bytes, resident_bytes, .. } = Memory::of(barn.pid()).unwrap();
    let above = peak_bytes.saturating_sub(idle);
    eprintln!(
        "{what}: {} MiB above the {} MiB at rest, {} MiB afterwards, {took:.1} s",
        mib(above),
        mib(idle),
        mib(resident_bytes)
    );
    assert!(above < MAX_ABOVE_IDLE_BYTES, "{what} takes {} MiB above the {} MiB at rest", mib(above), mib(idle));
    result
}

async fn begun(client: &Client, accept: &str) -> ReplyStream {
    client.open(FULL_EXPORT_PATH, accept).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: part of .ci/long"]
async fn exporting_a_million_changes_takes_little_more_memory_than_the_barn_has_at_rest() {
    let directory = tempfile::tempdir().unwrap();
    let mut barn = Barn::new(&shipped_programs(), &directory.path().join("barn"), &BarnSettings::default()).unwrap();
    let budget = Budget::new(FILL_TIMEOUT);
    let filled =
        tokio::task::block_in_place(|| yard::fill(&barn, in_chute_order(11, CHANGES - 1, 0.0), budget)).unwrap();
    assert_eq!(filled.payloads, CHANGES - 1, "the store was not filled in {FILL_TIMEOUT:?}");
    barn.start().await.unwrap();
    let auditor = barn.client(&barn.key("auditor", &["sync"]).unwrap()).unwrap();
    let idle = at_rest(&barn).await;

    let blobs = async { read_blobs(begun(&auditor, BLOB_TYPE).await).await };
    let end = assert_needs_little("blobs", &barn, idle, blobs).await;
    assert_eq!((end.count, end.end.sequence), (CHANGES as u64, Sequence(CHANGES as u64)));

    let tables = async { read_tables(begun(&auditor, TABLES_TYPE).await).await };
    let tables = assert_needs_little("tables", &barn, idle, tables).await;
    assert!(tables.success);
    assert_eq!((tables.position, tables.folded), (end.end, end.end.sequence));
    assert_eq!((tables.ended_at.position, tables.ended_at.folded), (end.end, end.end.sequence));
    assert_eq!(tables.tables["payloads"], EntryCount(CHANGES as u64 - 1));
    for (table, counted) in &tables.tables {
        eprintln!("{table}: {}", counted.0);
        assert_eq!(tables.count[table], counted.0, "{table}");
    }

    for (what, accept) in [("blobs, slowly", BLOB_TYPE), ("tables, slowly", TABLES_TYPE)] {
        let read = async { read_slowly(begun(&auditor, accept).await).await };
        assert_needs_little(what, &barn, idle, read).await;
    }
    let all = async {
        let mut reading = JoinSet::new();
        for n in 0..CONCURRENT_EXPORTS {
            let accept = if n % 2 == 0 { BLOB_TYPE } else { TABLES_TYPE };
            reading.spawn(read_slowly(begun(&auditor, accept).await));
        }
        reading.join_all().await;
    };
    assert_needs_little("eight at one time, slowly", &barn, idle, all).await;
    barn.terminate().await.unwrap();
}
