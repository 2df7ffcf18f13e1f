//! What holds for the recorder.

use super::*;
use crate::disk::Room;
use futures::FutureExt as _;
use herd::change::{Change, Origin};
use herd::clock::{ClockReading, RawReading};
use herd::decide::Rules;
use herd::position::StoreId;
use herd::store::{MemoryDisk, Reader, TablesVerdict, verify_disk};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

const RULES: Rules = Rules { repeat_window_ms: 60_000, export_rest_ms: 86_400_000, rejections_per_hour: 2 };

fn store_on(disk: &MemoryDisk) -> Store {
    let clock = ClockReading { boot: 1, ..ClockReading::default() };
    Store::open_source(disk, RULES, clock, || StoreId([7; 16])).unwrap()
}

fn seams() -> RecorderSeams {
    RecorderSeams { disk: DiskGauge::plenty(), local: None }
}

fn payload(text: &str) -> Incoming {
    let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
    Incoming { raw: text.as_bytes().to_vec(), origin, at: RawReading { since_boot_ms: 5, ..RawReading::default() } }
}

fn scan(n: usize) -> Incoming {
    payload(&format!("hxb:LOT1:LF{n}:UHF{n}"))
}

type Ended = JoinHandle<Result<(), Arc<StoreError>>>;

/// A writer as a task of the test's own thread.
fn running(disk: &MemoryDisk, seams: RecorderSeams) -> (Recorder, Reader, Ended) {
    let store = store_on(disk);
    let reader = store.reader();
    let (recorder, writer) = Recorder::on_this_task(store, seams).unwrap();
    (recorder, reader, tokio::spawn(writer))
}

fn sequence_of(receipt: &Receipt) -> u64 {
    match receipt {
        Receipt::Kept { sequence } | Receipt::Rejected { sequence, .. } => sequence.0,
        other => panic!("nothing was kept: {other:?}"),
    }
}

fn counts(recorder: &Recorder) -> Counts {
    recorder.status().borrow().counts
}

/// Catches a receipt that is given before the commit: after a power cut at that moment the payload would be gone.
#[tokio::test]
async fn whoever_has_a_receipt_finds_the_payload_after_a_power_cut() {
    let disk = MemoryDisk::default();
    let (recorder, _reader, _ended) = running(&disk, seams());
    for n in 0..5 {
        let sequence = sequence_of(&recorder.record(scan(n)).await.unwrap());
        let found = store_on(&disk.after_power_cut()).reader().change(Sequence(sequence)).unwrap();
        let found = Change::from_bytes(&found.expect("it was receipted")).unwrap();
        assert!(matches!(found, Change::Received(received) if received.raw == scan(n).raw));
    }
}

/// Catches a group that is put together in another order, or receipts that go to another caller.
#[tokio::test]
async fn those_who_wait_share_a_commit_in_the_order_in_which_they_came() {
    let disk = MemoryDisk::default();
    let (recorder, _reader, _ended) = running(&disk, seams());
    let lone = (0..50).map(|n| recorder.record(scan(n)).map(|receipt| vec![receipt.unwrap()]).boxed());
    let many = recorder.record_all((50..60).map(scan).collect()).map(Result::unwrap).boxed();
    let receipts: Vec<_> = futures::future::join_all(lone.chain([many])).await.into_iter().flatten().collect();
    // The store's own first change is number 1.
    assert_eq!(receipts.iter().map(sequence_of).collect::<Vec<_>>(), (2..62).collect::<Vec<_>>());
    assert_eq!((counts(&recorder).groups, counts(&recorder).kept), (1, 60));
}

#[tokio::test]
async fn a_group_never_holds_more_than_its_bound_and_what_does_not_fit_is_the_next_ones_first() {
    let disk = MemoryDisk::default();
    let (recorder, _reader, _ended) = running(&disk, seams());
    let lone = recorder.record(scan(0)).map(|receipt| vec![receipt.unwrap()]).boxed();
    let full = recorder.record_all((1..=GROUP_PAYLOADS).map(scan).collect()).map(Result::unwrap).boxed();
    let after = recorder.record(scan(GROUP_PAYLOADS + 1)).map(|receipt| vec![receipt.unwrap()]).boxed();
    let receipts: Vec<_> = futures::future::join_all([lone, full, after]).await.into_iter().flatten().collect();
    assert!(receipts.iter().map(sequence_of).eq(2..GROUP_PAYLOADS as u64 + 4));
    assert_eq!(counts(&recorder).groups, 3);
    let too_many = recorder.record_all((0..=GROUP_PAYLOADS).map(scan).collect()).await;
    assert!(matches!(too_many, Err(RecordError::TooMany { count }) if count == GROUP_PAYLOADS + 1));
    assert_eq!(recorder.record_all(Vec::new()).await.unwrap().len(), 0);
}

/// Catches a writer that waits for company: the paused clock would have to move on for it.
#[tokio::test(start_paused = true)]
async fn a_lone_payload_waits_for_nothing() {
    let (recorder, _reader, _ended) = running(&MemoryDisk::default(), seams());
    let before = tokio::time::Instant::now();
    recorder.record(scan(1)).await.unwrap();
    assert_eq!(tokio::time::Instant::now(), before);
}

#[tokio::test]
async fn when_the_queue_is_full_the_next_caller_waits_and_is_served_when_there_is_room() {
    let store = store_on(&MemoryDisk::default());
    let (recorder, writer) = Recorder::on_this_task(store, seams()).unwrap();
    let all: Vec<_> = (0..QUEUE_PAYLOADS).map(scan).collect();
    let mut queued: Vec<_> =
        all.chunks(GROUP_PAYLOADS).map(|group| recorder.record_all(group.to_vec()).boxed()).collect();
    for one in &mut queued {
        assert!(one.now_or_never().is_none());
    }
    assert_eq!(recorder.room.available_permits(), 0);
    let mut late = recorder.record(scan(QUEUE_PAYLOADS)).boxed();
    assert!((&mut late).now_or_never().is_none());
    let _ended = tokio::spawn(writer);
    assert_eq!(sequence_of(&late.await.unwrap()), QUEUE_PAYLOADS as u64 + 2);
}

#[tokio::test]
async fn a_stop_answers_what_was_queued_and_refuses_what_comes_after() {
    let disk = MemoryDisk::default();
    let store = store_on(&disk);
    let (recorder, writer) = Recorder::on_this_task(store, seams()).unwrap();
    let mut queued: Vec<_> = (0..30).map(|n| recorder.record(scan(n)).boxed()).collect();
    for one in &mut queued {
        assert!(one.now_or_never().is_none());
    }
    recorder.stop();
    assert!(matches!(recorder.record(scan(99)).await, Err(RecordError::Stopping)));
    writer.await.unwrap();
    for (one, sequence) in queued.into_iter().zip(2..) {
        assert_eq!(sequence_of(&one.await.unwrap()), sequence);
    }
    // The tables are durable too, or they would be missing after a power cut and be folded again.
    let proved = verify_disk(&disk.after_power_cut(), &MemoryDisk::default(), &mut |_| {}).unwrap();
    assert_eq!(proved.head.sequence, Sequence(31));
    assert!(matches!(proved.tables, TablesVerdict::Equal { folded: Sequence(31), .. }), "{:?}", proved.tables);
}

#[tokio::test]
async fn a_writer_without_callers_ends() {
    let (recorder, writer) = Recorder::on_this_task(store_on(&MemoryDisk::default()), seams()).unwrap();
    drop(recorder);
    writer.await.unwrap();
}

#[tokio::test]
async fn a_writer_that_is_gone_answers_that_it_has_ended() {
    let (recorder, writer) = Recorder::on_this_task(store_on(&MemoryDisk::default()), seams()).unwrap();
    let mut queued = recorder.record(scan(1)).boxed();
    assert!((&mut queued).now_or_never().is_none());
    drop(writer);
    assert!(matches!(queued.await, Err(RecordError::Ended)));
    assert!(matches!(recorder.record(scan(2)).await, Err(RecordError::Ended)));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_takes_nothing_in_and_takes_it_when_there_is_room_again() {
    let free = Arc::new(AtomicU64::new(1));
    let seen = free.clone();
    let disk = DiskGauge::new(move || Ok(Room { free_bytes: seen.load(Ordering::Relaxed), needed_bytes: 2 }));
    let (recorder, reader, _ended) = running(&MemoryDisk::default(), RecorderSeams { disk, local: None });
    let refused = recorder.record(scan(1)).await;
    assert!(matches!(refused, Err(RecordError::Disk(DiskTrouble::Full { free_bytes: 1, needed_bytes: 2 }))));
    assert!(recorder.status().borrow().trouble.is_some());
    assert_eq!(reader.head().position.sequence, Sequence(1));
    free.store(2, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(sequence_of(&recorder.record(scan(1)).await.unwrap()), 2);
    assert!(recorder.status().borrow().trouble.is_none());
}

#[tokio::test(start_paused = true)]
async fn rejections_above_the_bound_become_one_change_a_minute() {
    let (recorder, reader, _ended) = running(&MemoryDisk::default(), seams());
    for n in 0..5 {
        recorder.record(payload(&format!("noise {n}"))).await.unwrap();
    }
    assert_eq!((counts(&recorder).rejected, counts(&recorder).suppressed), (2, 3));
    reader.subscribe().wait_for(|head| head.position.sequence == Sequence(4)).await.unwrap();
    let change = Change::from_bytes(&reader.change(Sequence(4)).unwrap().unwrap()).unwrap();
    assert!(matches!(change, Change::Suppressed(s) if (s.count, s.channel.as_str()) == (3, "gate")));
}

#[tokio::test]
async fn rejections_not_yet_written_are_written_at_a_stop() {
    let (recorder, reader, ended) = running(&MemoryDisk::default(), seams());
    for n in 0..3 {
        recorder.record(payload(&format!("noise {n}"))).await.unwrap();
    }
    recorder.stop();
    ended.await.unwrap().unwrap();
    assert!(reader.change(Sequence(4)).unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn duplicates_are_counted_by_channel_and_the_counts_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let disk = MemoryDisk::default();
    let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
    let kept = RecorderSeams { disk: DiskGauge::plenty(), local: Some(local) };
    let (recorder, reader, ended) = running(&disk, kept.clone());
    let heard = |rssi_dbm: i16, at: i64| {
        let mut heard = scan(1);
        (heard.origin.rssi_dbm, heard.at.received_at_us) = (Some(rssi_dbm), at);
        heard
    };
    for (rssi_dbm, at) in [(-80, 1), (-70, 2), (-90, 3)] {
        recorder.record(heard(rssi_dbm, at)).await.unwrap();
    }
    let expected = DuplicateCount { count: 2, last_at_us: 3, best_rssi_dbm: Some(-70) };
    assert_eq!(recorder.status().borrow().duplicates["gate"], expected);
    recorder.stop();
    ended.await.unwrap().unwrap();
    drop((recorder, reader));
    let (recorder, _reader, _ended) = running(&disk, kept);
    assert_eq!(recorder.status().borrow().duplicates["gate"], expected);
}

/// Catches a writer that makes its tables durable only at a stop: the first power cut after a quiet night would cost
/// a fold of the whole day.
#[tokio::test(start_paused = true)]
async fn after_a_quiet_minute_the_tables_are_durable() {
    let disk = MemoryDisk::default();
    let (recorder, _reader, _ended) = running(&disk, seams());
    recorder.record(scan(1)).await.unwrap();
    let tables = || verify_disk(&disk.after_power_cut(), &MemoryDisk::default(), &mut |_| {}).unwrap().tables;
    assert!(!matches!(tables(), TablesVerdict::Equal { folded: Sequence(2), .. }));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(matches!(tables(), TablesVerdict::Equal { folded: Sequence(2), .. }));
}

#[tokio::test]
async fn the_same_writer_runs_on_a_thread_of_its_own() {
    let disk = MemoryDisk::default();
    let (recorder, mut thread) = Recorder::on_thread(store_on(&disk), seams()).unwrap();
    let receipts = futures::future::join_all((0..100).map(|n| recorder.record(scan(n)))).await;
    assert!(receipts.into_iter().map(|receipt| sequence_of(&receipt.unwrap())).eq(2..102));
    recorder.stop();
    thread.ended().await.unwrap();
    assert_eq!(store_on(&disk.after_power_cut()).head().folded, Sequence(101));
}

/// Catches a writer that goes on after a failed commit, and a group of which somebody hears nothing, or "stored".
#[tokio::test]
async fn a_failed_commit_is_told_to_the_whole_group_and_ends_the_writer() {
    let mut failed = 0;
    for operations in 0..12 {
        let disk = MemoryDisk::default();
        let (recorder, reader, ended) = running(&disk, seams());
        recorder.record(scan(0)).await.unwrap();
        assert!(disk.fail_after(herd::store::LOG_FILE, operations));
        let group = futures::future::join_all((1..20).map(|n| recorder.record(scan(n)))).await;
        if group.iter().all(Result::is_ok) {
            // So many operations are more than one commit takes.
            continue;
        }
        failed += 1;
        assert!(group.iter().all(|told| matches!(told, Err(RecordError::Failed(_)))), "{operations}: {group:?}");
        assert!(ended.await.unwrap().is_err());
        assert!(matches!(recorder.record(scan(99)).await, Err(RecordError::Ended)));
        drop((recorder, reader));
        let head = store_on(&disk.after_power_cut()).head().position.sequence;
        assert!(
            head == Sequence(2) || head == Sequence(21),
            "{operations}: a group is kept whole or not at all: {head}"
        );
    }
    assert!(failed > 0, "no commit failed");
}
