//! What holds for a writer that is asked whether it lives.

use super::*;
use futures::FutureExt as _;
use herd::change::Origin;
use herd::clock::{ClockReading, RawReading};
use herd::decide::Rules;
use herd::position::{Sequence, StoreId};
use herd::store::{Incoming, LOG_FILE, MemoryDisk, TablesVerdict, verify_disk};
use tokio::time::sleep;

const HISTORY: StoreId = StoreId([7; 16]);

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

/// The next change of the source, for a copy that stands at `handle`'s head.
fn page(source: &Store, handle: &StoreHandle) -> ChangeRun {
    source.reader().run_after(handle.reader().head().position, 1, 10_000).unwrap()
}

#[tokio::test]
async fn a_probe_does_not_keep_a_writer_from_ending_and_one_that_has_ended_hangs_nobody() {
    let (handle, writing) = on_this_task(replica(&MemoryDisk::default()));
    let probe = handle.probe();
    drop(handle);
    writing.await.unwrap();
    probe.ask().await;
}

/// Catches a quiet night in which the probes themselves keep the writer from being quiet.
#[tokio::test(start_paused = true)]
async fn probes_do_not_keep_the_tables_from_being_made_durable() {
    let disk = MemoryDisk::default();
    let (handle, writing) = on_this_task(replica(&disk));
    let writing = tokio::spawn(writing);
    let source = source();
    assert!(handle.begin_apply(page(&source, &handle)).await.unwrap().await.unwrap().is_ok());
    let folded = || match verify_disk(&disk.after_power_cut(), &MemoryDisk::default(), &mut |_| {}).unwrap().tables {
        TablesVerdict::Equal { folded, .. } => folded,
        _ => Sequence::ZERO,
    };
    assert_eq!(folded(), Sequence::ZERO);
    for _ in 0..7 {
        sleep(Duration::from_secs(10)).await;
        handle.probe().ask().await;
    }
    assert_eq!(folded(), Sequence(1));
    drop(handle);
    writing.await.unwrap().unwrap();
}

/// Catches a probe that overtakes the page before it: it would say "alive" while nothing is worked off.
#[tokio::test]
async fn a_writer_whose_commit_never_returns_does_not_answer_and_does_again_when_it_does() {
    let disk = MemoryDisk::default();
    let (handle, mut thread) = on_thread(replica(&disk)).unwrap();
    let source = source();
    let held = disk.hold_syncs(LOG_FILE).expect("a copy has a log");
    let applying = handle.begin_apply(page(&source, &handle)).await.unwrap();
    let probe = handle.probe();
    let mut asked = probe.ask().boxed();
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut asked).await.is_err(), "it answered");
    drop(held);
    asked.await;
    assert!(applying.await.unwrap().is_ok());
    drop(handle);
    thread.join().await.unwrap().unwrap();
}
