//! Tests of the writer and its liveness probes.

use super::*;
use futures::FutureExt as _;
use herd::change::Origin;
use herd::clock::{ClockReading, RawReading};
use herd::decide::Rules;
use herd::position::{Sequence, StoreId};
use herd::store::{Background, Incoming, JOURNAL_FILE, MemoryDisk, TABLES_FILE, TablesVerdict, verify_disk};
use tokio::time::{sleep, timeout};

const HISTORY: StoreId = StoreId([7; 16]);
/// Time after which a writer counts as one that goes on.
const WRITER_LIMIT: Duration = Duration::from_secs(60);

fn source() -> Store {
    let clock = ClockReading { boot: 1, ..ClockReading::default() };
    let mut store = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || HISTORY).unwrap();
    let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
    for n in 0..5 {
        let raw = format!("hxb:LOT1:LF{n}:UHF{n}").into();
        store.append(&[Incoming { raw, origin: origin.clone(), at: RawReading::default() }]).unwrap();
    }
    store
}

fn replica(disk: &MemoryDisk) -> Store {
    Store::open_replica(disk, HISTORY).unwrap()
}

/// Returns the source's next change after the head of `handle`'s copy.
fn page(source: &Store, handle: &StoreHandle) -> ChangeRun {
    source.reader().run_after(handle.reader().head().position, 1, 10_000).unwrap()
}

/// Catches a probe that keeps the writer alive, and one that waits for a writer that has ended.
#[tokio::test]
async fn a_writer_ends_despite_its_probes_which_then_return() {
    let (handle, writer) = split_writer(replica(&MemoryDisk::default()));
    let probe = handle.probe();
    drop(handle);
    writer.await.unwrap();
    probe.wait().await;
}

/// Catches probes that count as pages, which would put the flush off through a quiet night.
#[tokio::test(start_paused = true)]
async fn probes_do_not_delay_the_flush_of_the_tables() {
    let disk = MemoryDisk::default();
    let (handle, writer) = split_writer(replica(&disk));
    let writer = tokio::spawn(writer);
    let source = source();
    assert!(handle.begin_apply(page(&source, &handle)).await.unwrap().await.unwrap().is_ok());
    let folded = || match verify_disk(&disk.after_power_cut(), &mut |_| {}).unwrap().tables {
        TablesVerdict::Equal { folded, .. } => folded,
        _ => Sequence::ZERO,
    };
    assert_eq!(folded(), Sequence::ZERO);
    for _ in 0..7 {
        sleep(Duration::from_secs(10)).await;
        handle.probe().wait().await;
    }
    assert_eq!(folded(), Sequence(1));
    drop(handle);
    writer.await.unwrap().unwrap();
}

/// Catches tables that are never durable because the yard never rests.
#[tokio::test(start_paused = true)]
async fn the_tables_are_flushed_although_pages_never_pause() {
    let (disk, mut source) = (MemoryDisk::default(), source());
    let (handle, writer) = split_writer(replica(&disk));
    let writer = tokio::spawn(writer);
    let began = Instant::now();
    let mut n = 100;
    while began.elapsed() <= FLUSH_AT_LATEST {
        let raw = format!("hxb:LOT1:LF{n}:UHF{n}").into();
        let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
        source.append(&[Incoming { raw, origin, at: RawReading::default() }]).unwrap();
        assert!(handle.begin_apply(page(&source, &handle)).await.unwrap().await.unwrap().is_ok());
        sleep(Duration::from_secs(10)).await;
        n += 1;
    }
    let tables = verify_disk(&disk.after_power_cut(), &mut |_| {}).unwrap().tables;
    assert!(matches!(tables, TablesVerdict::Equal { folded, .. } if folded >= Sequence(25)), "{tables:?}");
    drop(handle);
    writer.await.unwrap().unwrap();
}

/// Catches a first copy whose rows stay in memory, and would have to be folded again after a kill.
#[tokio::test(start_paused = true)]
async fn the_tables_are_flushed_soon_after_a_bulk() {
    let (disk, mut source) = (MemoryDisk::default(), source());
    let scan = |n| Incoming {
        raw: format!("hxb:LOT{}:LF{n}:UHF{n}", n / 100).into(),
        origin: Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() },
        at: RawReading::default(),
    };
    source.append(&(100..100 + BULK_CHANGES).map(scan).collect::<Vec<_>>()).unwrap();
    let (handle, writer) = split_writer(replica(&disk));
    let writer = tokio::spawn(writer);
    let run = source.reader().run_after(handle.reader().head().position, 10_000, 10_000_000).unwrap();
    let end = run.end.sequence;
    assert!(handle.begin_apply(run).await.unwrap().await.unwrap().is_ok());
    sleep(FLUSH_AFTER_BULK * 2).await;
    let tables = verify_disk(&disk.after_power_cut(), &mut |_| {}).unwrap().tables;
    assert!(matches!(tables, TablesVerdict::Equal { folded, .. } if folded == end), "{tables:?}");
    drop(handle);
    writer.await.unwrap().unwrap();
}

/// Catches a probe that overtakes the page before it, and so reports a stuck writer as alive.
#[tokio::test]
async fn a_probe_waits_for_the_commit_before_it() {
    let disk = MemoryDisk::default();
    let (handle, mut thread) = spawn_writer(replica(&disk)).unwrap();
    let source = source();
    let held = disk.hold_syncs(JOURNAL_FILE).expect("a copy has a log");
    let pending = handle.begin_apply(page(&source, &handle)).await.unwrap();
    let probe = handle.probe();
    let mut wait = probe.wait().boxed();
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut wait).await.is_err(), "the probe returned early");
    drop(held);
    wait.await;
    assert!(pending.await.unwrap().is_ok());
    drop(handle);
    thread.join().await.unwrap().unwrap();
}

/// Catches a writer that goes on for hours after its tables have failed, because no further page comes.
#[tokio::test]
async fn a_probe_ends_a_writer_whose_tables_have_failed() {
    let disk = MemoryDisk::default().uncached().with_flushes(1 << 20, Background::Threads).with_unfolded(100);
    let source = source();
    let mut copy = replica(&disk);
    copy.apply(source.reader().run_after(copy.head().position, 3, 10_000).unwrap()).unwrap();
    copy.settle().unwrap();
    let (handle, mut thread) = spawn_writer(copy).unwrap();
    assert!(disk.fail_reads(TABLES_FILE));
    let applied = handle.begin_apply(page(&source, &handle)).await.unwrap().await.unwrap();
    assert!(applied.is_ok(), "the log has the page: {applied:?}");
    let probes = async {
        loop {
            tokio::select! {
                biased;
                ended = thread.join() => return ended,
                () = async { handle.probe().wait().await } => {}
            }
        }
    };
    let ended = timeout(WRITER_LIMIT, probes).await.expect("no probe ends the writer");
    // The fold or the flush finds it first.
    assert!(matches!(ended, Some(Err(StoreError::Rows(_) | StoreError::Storage { .. }))), "{ended:?}");
}
