//! The recorder's promises: durability before receipts, order, limits, and a clean end.

use super::*;
use crate::disk::DiskSpace;
use futures::FutureExt as _;
use herd::change::{Change, Origin};
use herd::clock::{ClockReading, RawReading};
use herd::decide::Rules;
use herd::position::StoreId;
use herd::store::{Disk, JOURNAL_FILE, LogSurvey, MemoryDisk, Reader, TablesVerdict, verify_disk};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

const RULES: Rules = Rules {
    repeat_window_ms: 60_000,
    export_rest_ms: 86_400_000,
    rejections_per_hour: 2,
    pound_groups: std::collections::BTreeSet::new(),
};

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

type WriterTask = JoinHandle<Result<(), Arc<StoreError>>>;

/// Starts a writer as a task on the thread of the test.
fn start(disk: &MemoryDisk, seams: RecorderSeams) -> (Recorder, Reader, WriterTask) {
    let store = store_on(disk);
    let reader = store.reader();
    let (recorder, writer) = Recorder::on_this_task(store, seams).unwrap();
    (recorder, reader, tokio::spawn(writer))
}

fn sequence_of(receipt: &Receipt) -> u64 {
    match receipt {
        Receipt::Kept { sequence } | Receipt::Rejected { sequence, .. } => sequence.0,
        other => panic!("nothing was recorded: {other:?}"),
    }
}

fn totals(recorder: &Recorder) -> RecorderTotals {
    recorder.status().borrow().totals
}

/// Catches a receipt that is sent before the commit: a power cut at that moment would lose the payload.
#[tokio::test]
async fn a_payload_with_a_receipt_survives_a_power_cut() {
    let disk = MemoryDisk::default();
    let (recorder, _reader, _writer) = start(&disk, seams());
    for n in 0..5 {
        let sequence = sequence_of(&recorder.record(scan(n)).await.unwrap());
        let found = store_on(&disk.after_power_cut()).reader().change(Sequence(sequence)).unwrap();
        let found = Change::from_bytes(&found.expect("it has a receipt")).unwrap();
        assert!(matches!(found, Change::Received(received) if received.raw == scan(n).raw));
    }
}

/// Catches a group in another order than the queue, or a receipt that goes to another caller.
#[tokio::test]
async fn queued_payloads_share_a_commit_in_their_order() {
    let disk = MemoryDisk::default();
    let (recorder, _reader, _writer) = start(&disk, seams());
    let lone = (0..50).map(|n| recorder.record(scan(n)).map(|receipt| vec![receipt.unwrap()]).boxed());
    let many = recorder.record_all((50..60).map(scan).collect()).map(Result::unwrap).boxed();
    let receipts: Vec<_> = futures::future::join_all(lone.chain([many])).await.into_iter().flatten().collect();
    // Change 1 is the store's own.
    assert_eq!(receipts.iter().map(sequence_of).collect::<Vec<_>>(), (2..62).collect::<Vec<_>>());
    assert_eq!((totals(&recorder).groups, totals(&recorder).accepted), (1, 60));
}

/// Catches a caller that is told the number of another one's payload, because one between them has left.
#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_of_a_group_gives_its_receipt_to_nobody() {
    let store = store_on(&MemoryDisk::default());
    let reader = store.reader();
    let (recorder, writer) = Recorder::on_this_task(store, seams()).unwrap();
    let mut callers: Vec<_> = (0..9).map(|n| Some(recorder.record(scan(n)).boxed())).collect();
    for caller in callers.iter_mut().flatten() {
        assert!(caller.now_or_never().is_none());
    }
    for left in [0, 4, 5] {
        callers[left] = None;
    }
    let _writer = tokio::spawn(writer);
    for (n, caller) in callers.into_iter().enumerate().filter_map(|(n, caller)| Some((n, caller?))) {
        let sequence = sequence_of(&caller.await.unwrap());
        let change = Change::from_bytes(&reader.change(Sequence(sequence)).unwrap().unwrap()).unwrap();
        assert!(matches!(change, Change::Received(received) if received.raw == scan(n).raw), "{n}");
    }
    assert_eq!(totals(&recorder).groups, 1);
}

#[tokio::test]
async fn payloads_that_do_not_fit_into_a_group_start_the_next_one() {
    let disk = MemoryDisk::default();
    let (recorder, _reader, _writer) = start(&disk, seams());
    let lone = recorder.record(scan(0)).map(|receipt| vec![receipt.unwrap()]).boxed();
    let full = recorder.record_all((1..=GROUP_PAYLOADS).map(scan).collect()).map(Result::unwrap).boxed();
    let after = recorder.record(scan(GROUP_PAYLOADS + 1)).map(|receipt| vec![receipt.unwrap()]).boxed();
    let receipts: Vec<_> = futures::future::join_all([lone, full, after]).await.into_iter().flatten().collect();
    assert!(receipts.iter().map(sequence_of).eq(2..GROUP_PAYLOADS as u64 + 4));
    assert_eq!(totals(&recorder).groups, 3);
    let too_many = recorder.record_all((0..=GROUP_PAYLOADS).map(scan).collect()).await;
    assert!(matches!(too_many, Err(RecordError::TooMany { count }) if count == GROUP_PAYLOADS + 1));
    assert_eq!(recorder.record_all(Vec::new()).await.unwrap().len(), 0);
}

/// Catches a writer that waits for more payloads: the paused clock would have to advance.
#[tokio::test(start_paused = true)]
async fn a_lone_payload_is_committed_at_once() {
    let (recorder, _reader, _writer) = start(&MemoryDisk::default(), seams());
    let before = tokio::time::Instant::now();
    recorder.record(scan(1)).await.unwrap();
    assert_eq!(tokio::time::Instant::now(), before);
}

#[tokio::test]
async fn a_full_queue_blocks_the_next_caller_until_there_is_room() {
    let store = store_on(&MemoryDisk::default());
    let (recorder, writer) = Recorder::on_this_task(store, seams()).unwrap();
    let all: Vec<_> = (0..QUEUE_PAYLOADS).map(scan).collect();
    let mut queued: Vec<_> =
        all.chunks(GROUP_PAYLOADS).map(|group| recorder.record_all(group.to_vec()).boxed()).collect();
    for one in &mut queued {
        assert!(one.now_or_never().is_none());
    }
    assert_eq!(recorder.queued(), QUEUE_PAYLOADS);
    let mut late = recorder.record(scan(QUEUE_PAYLOADS)).boxed();
    assert!((&mut late).now_or_never().is_none());
    let _writer = tokio::spawn(writer);
    assert_eq!(sequence_of(&late.await.unwrap()), QUEUE_PAYLOADS as u64 + 2);
    assert_eq!(recorder.queued(), 0);
}

/// Catches a payload at the limit that is refused, and a longer one that can fail a commit, whichever way it comes.
#[tokio::test]
async fn a_payload_has_4096_bytes_at_most() {
    let (recorder, _reader, _writer) = start(&MemoryDisk::default(), seams());
    let of_length = |bytes: usize| payload(&format!("{bytes}{}", "x".repeat(bytes - 4)));
    assert_eq!(sequence_of(&recorder.record(of_length(MAX_RAW_BYTES - 1)).await.unwrap()), 2);
    assert_eq!(sequence_of(&recorder.record_packet(of_length(MAX_RAW_BYTES)).await.unwrap()), 3);
    let long = of_length(MAX_RAW_BYTES + 1);
    for refused in [recorder.record(long.clone()).await, recorder.record_packet(long).await] {
        assert!(matches!(refused, Err(RecordError::TooLong { bytes: 4_097 })), "{refused:?}");
    }
}

/// Catches a packet that waits behind callers, who can send again, or for their room.
#[tokio::test]
async fn a_packet_comes_before_all_callers_even_if_their_queue_is_full() {
    let (recorder, writer) = Recorder::on_this_task(store_on(&MemoryDisk::default()), seams()).unwrap();
    let all: Vec<_> = (0..QUEUE_PAYLOADS).map(scan).collect();
    let mut callers: Vec<_> =
        all.chunks(GROUP_PAYLOADS).map(|group| recorder.record_all(group.to_vec()).boxed()).collect();
    for one in &mut callers {
        assert!(one.now_or_never().is_none());
    }
    let mut packet = recorder.record_packet(scan(QUEUE_PAYLOADS)).boxed();
    assert!((&mut packet).now_or_never().is_none());
    let _writer = tokio::spawn(writer);
    assert_eq!(sequence_of(&packet.await.unwrap()), 2);
    for one in callers {
        assert!(one.await.unwrap().iter().all(|receipt| sequence_of(receipt) > 2));
    }
}

/// Catches callers that never get their turn because packets never pause.
#[tokio::test]
async fn a_flood_of_packets_does_not_starve_the_callers() {
    let (recorder, _reader, _writer) = start(&MemoryDisk::default(), seams());
    let lone = recorder.record(scan(0)).boxed();
    let full = recorder.record_all((1..=GROUP_PAYLOADS).map(scan).collect()).boxed();
    let flood = async {
        for n in 0_usize.. {
            let packet = recorder.record_packet(scan(GROUP_PAYLOADS + 1 + n)).await.unwrap();
            assert!(sequence_of(&packet) < 4_000, "{n} packets came first");
        }
    };
    let callers = futures::future::join(lone, full);
    let (lone, full) = match futures::future::select(callers, flood.boxed()).await {
        futures::future::Either::Left((done, _)) => done,
        futures::future::Either::Right(_) => unreachable!("the flood does not end"),
    };
    assert!(lone.is_ok() && full.unwrap().len() == GROUP_PAYLOADS);
}

/// Catches a full disk that costs packets, although only callers can send again, and calls that use up what is left.
#[tokio::test]
async fn packets_are_recorded_from_the_reserve_and_callers_are_refused() {
    let disk = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 50, needed_bytes: 100 }));
    let (recorder, _reader, _writer) = start(&MemoryDisk::default(), RecorderSeams { disk, local: None });
    let (caller, packet) = tokio::join!(recorder.record(scan(1)), recorder.record_packet(scan(2)));
    assert!(matches!(caller, Err(RecordError::Disk(DiskError::Full { .. }))), "{caller:?}");
    assert_eq!(sequence_of(&packet.unwrap()), 2);
    assert!(matches!(recorder.status().borrow().last_error, Some(RecordError::Disk(_))));
}

/// Catches a clock that does not see a disk that hangs, and one that runs on between writes.
#[tokio::test]
async fn the_write_clock_runs_while_a_write_is_under_way() {
    let disk = MemoryDisk::default();
    let (recorder, mut thread) = Recorder::on_thread(store_on(&disk), seams()).unwrap();
    recorder.record(scan(0)).await.unwrap();
    let gate = disk.hold_syncs(herd::store::JOURNAL_FILE).unwrap();
    let mut packet = recorder.record_packet(scan(1)).boxed();
    assert!((&mut packet).now_or_never().is_none());
    while recorder.write_clock().elapsed().is_none() {
        assert!((&mut packet).now_or_never().is_none(), "the disk hangs");
        tokio::task::yield_now().await;
    }
    drop(gate);
    packet.await.unwrap();
    recorder.shut_down();
    thread.ended().await.unwrap();
    assert_eq!(recorder.write_clock().elapsed(), None);
}

#[tokio::test]
async fn a_shutdown_answers_queued_payloads_and_refuses_new_ones() {
    let disk = MemoryDisk::default();
    let store = store_on(&disk);
    let (recorder, writer) = Recorder::on_this_task(store, seams()).unwrap();
    let mut queued: Vec<_> = (0..30).map(|n| recorder.record(scan(n)).boxed()).collect();
    for one in &mut queued {
        assert!(one.now_or_never().is_none());
    }
    recorder.shut_down();
    assert!(matches!(recorder.record(scan(99)).await, Err(RecordError::Stopping)));
    writer.await.unwrap();
    for (one, sequence) in queued.into_iter().zip(2..) {
        assert_eq!(sequence_of(&one.await.unwrap()), sequence);
    }
    // The tables are durable, too. Otherwise they would have to be folded again after a power cut.
    let outcome = verify_disk(&disk.after_power_cut(), &mut |_| {}).unwrap();
    assert_eq!(outcome.head.sequence, Sequence(31));
    assert!(matches!(outcome.tables, TablesVerdict::Equal { folded: Sequence(31), .. }), "{:?}", outcome.tables);
}

#[tokio::test]
async fn a_writer_without_handles_ends() {
    let (recorder, writer) = Recorder::on_this_task(store_on(&MemoryDisk::default()), seams()).unwrap();
    drop(recorder);
    writer.await.unwrap();
}

#[tokio::test]
async fn callers_of_a_dropped_writer_get_an_error() {
    let (recorder, writer) = Recorder::on_this_task(store_on(&MemoryDisk::default()), seams()).unwrap();
    let mut queued = recorder.record(scan(1)).boxed();
    assert!((&mut queued).now_or_never().is_none());
    drop(writer);
    assert!(matches!(queued.await, Err(RecordError::Ended)));
    assert!(matches!(recorder.record(scan(2)).await, Err(RecordError::Ended)));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_payloads_until_there_is_room() {
    let free = Arc::new(AtomicU64::new(1));
    let measured = free.clone();
    let disk = DiskGauge::new(move || Ok(DiskSpace { free_bytes: measured.load(Ordering::Relaxed), needed_bytes: 2 }));
    let (recorder, reader, _writer) = start(&MemoryDisk::default(), RecorderSeams { disk, local: None });
    let refused = recorder.record(scan(1)).await;
    assert!(matches!(refused, Err(RecordError::Disk(DiskError::Full { free_bytes: 1, needed_bytes: 2 }))));
    assert!(recorder.status().borrow().last_error.is_some());
    assert_eq!(reader.head().position.sequence, Sequence(1));
    free.store(2, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(sequence_of(&recorder.record(scan(1)).await.unwrap()), 2);
    assert!(recorder.status().borrow().last_error.is_none());
}

#[tokio::test(start_paused = true)]
async fn rejections_over_the_limit_become_one_change_a_minute() {
    let (recorder, reader, _writer) = start(&MemoryDisk::default(), seams());
    for n in 0..5 {
        let mut noise = payload(&format!("noise {n}"));
        noise.at.received_at_us = n;
        recorder.record(noise).await.unwrap();
    }
    assert_eq!((totals(&recorder).rejected, totals(&recorder).suppressed), (2, 3));
    assert_eq!(recorder.status().borrow().rejections.get("unknown_prefix"), Some(&2));
    reader.subscribe().wait_for(|head| head.position.sequence == Sequence(4)).await.unwrap();
    let change = Change::from_bytes(&reader.change(Sequence(4)).unwrap().unwrap()).unwrap();
    let Change::Suppressed(suppressed) = change else { panic!("{change:?}") };
    assert_eq!((suppressed.count, suppressed.channel.as_str()), (3, "gate"));
    assert_eq!((suppressed.first.received_at_us, suppressed.last.received_at_us), (2, 4));
}

#[tokio::test]
async fn a_shutdown_writes_the_suppressed_rejections() {
    let (recorder, reader, writer) = start(&MemoryDisk::default(), seams());
    for n in 0..3 {
        recorder.record(payload(&format!("noise {n}"))).await.unwrap();
    }
    recorder.shut_down();
    writer.await.unwrap().unwrap();
    assert!(reader.change(Sequence(4)).unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn duplicate_counts_by_channel_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let disk = MemoryDisk::default();
    let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
    let seams = RecorderSeams { disk: DiskGauge::plenty(), local: Some(local.clone()) };
    let (recorder, reader, writer) = start(&disk, seams.clone());
    let repeat = |rssi_dbm: i16, at: i64| {
        let mut payload = scan(1);
        (payload.origin.rssi_dbm, payload.at.received_at_us) = (Some(rssi_dbm), at);
        payload
    };
    for (rssi_dbm, at) in [(-80, 1), (-70, 2), (-90, 3)] {
        recorder.record(repeat(rssi_dbm, at)).await.unwrap();
    }
    let expected = DuplicateStats { count: 2, last_at_us: 3, best_rssi_dbm: Some(-70) };
    assert_eq!(recorder.status().borrow().duplicates["gate"], expected);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(local.list("duplicates").unwrap(), [("gate".to_owned(), expected)], "a power cut does not lose them");
    recorder.record(repeat(-60, 4)).await.unwrap();
    let expected = DuplicateStats { count: 3, last_at_us: 4, best_rssi_dbm: Some(-60) };
    recorder.shut_down();
    writer.await.unwrap().unwrap();
    drop((recorder, reader));
    let (recorder, _reader, _writer) = start(&disk, seams);
    assert_eq!(recorder.status().borrow().duplicates["gate"], expected);
}

/// Catches a `local.redb` that fails and is written to again and again, or never.
#[tokio::test(start_paused = true)]
async fn duplicate_counts_that_could_not_be_written_are_written_a_minute_later() {
    let disk = MemoryDisk::default();
    let local = LocalFile::open_in(&disk).unwrap();
    let seams = RecorderSeams { disk: DiskGauge::plenty(), local: Some(local.clone()) };
    let (recorder, _reader, _writer) = start(&MemoryDisk::default(), seams);
    recorder.record_all(vec![scan(1), scan(1)]).await.unwrap();
    let written = || local.list::<DuplicateStats>("duplicates").unwrap().len();
    assert!(disk.fail_after("local.redb", 0));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(disk.fail_after("local.redb", u64::MAX));
    assert_eq!(written(), 0);
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(written(), 0, "tried again within the minute");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(written(), 1);
}

/// Catches a writer that syncs its tables only at a shutdown: a power cut after a quiet night would mean folding the
/// whole day again. And one that leaves the end of the log in the journal, although nobody is waiting.
#[tokio::test(start_paused = true)]
async fn after_a_quiet_minute_the_tables_are_durable_and_the_log_is_in_one_file() {
    let disk = MemoryDisk::default();
    let (recorder, _reader, _writer) = start(&disk, seams());
    recorder.record(scan(1)).await.unwrap();
    let tables = || verify_disk(&disk.after_power_cut(), &mut |_| {}).unwrap().tables;
    let log_alone = || {
        let cut = disk.after_power_cut();
        Disk::remove(&cut, JOURNAL_FILE).unwrap();
        LogSurvey::of(&cut).unwrap().unwrap().end().sequence
    };
    assert!(!matches!(tables(), TablesVerdict::Equal { folded: Sequence(2), .. }));
    assert_eq!(log_alone(), Sequence::ZERO);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(matches!(tables(), TablesVerdict::Equal { folded: Sequence(2), .. }));
    assert_eq!(log_alone(), Sequence(2));
}

/// Catches a barn whose position of the log is noted nowhere: a log that lost its end would pass for a whole one.
#[tokio::test(start_paused = true)]
async fn the_position_of_the_log_is_noted_at_the_start_once_a_minute_in_traffic_and_at_the_end() {
    let local = LocalFile::open_in(&MemoryDisk::default()).unwrap();
    let seams = RecorderSeams { disk: DiskGauge::plenty(), local: Some(local.clone()) };
    let (recorder, _reader, writer) = start(&MemoryDisk::default(), seams);
    let noted = || crate::log_position::read_position(&local).unwrap().unwrap().sequence.0;
    recorder.record(scan(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    recorder.record(scan(2)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert_eq!(noted(), 1, "a write with each commit would double the syncs");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(noted(), 3);
    recorder.record(scan(3)).await.unwrap();
    recorder.shut_down();
    writer.await.unwrap().unwrap();
    assert_eq!(noted(), 4);
}

#[tokio::test]
async fn the_writer_also_runs_on_its_own_thread() {
    let disk = MemoryDisk::default();
    let (recorder, mut thread) = Recorder::on_thread(store_on(&disk), seams()).unwrap();
    let receipts = futures::future::join_all((0..100).map(|n| recorder.record(scan(n)))).await;
    assert!(receipts.into_iter().map(|receipt| sequence_of(&receipt.unwrap())).eq(2..102));
    recorder.shut_down();
    thread.ended().await.unwrap();
    assert_eq!(store_on(&disk.after_power_cut()).head().folded, Sequence(101));
}

/// Catches a writer that goes on after a failed commit, and a caller that gets no answer, or "stored".
#[tokio::test]
async fn a_failed_commit_fails_the_whole_group_and_ends_the_writer() {
    let mut failed = 0;
    for operations in 0..12 {
        let disk = MemoryDisk::default();
        let (recorder, reader, writer) = start(&disk, seams());
        recorder.record(scan(0)).await.unwrap();
        assert!(disk.fail_after(herd::store::JOURNAL_FILE, operations));
        let group = futures::future::join_all((1..20).map(|n| recorder.record(scan(n)))).await;
        if group.iter().all(Result::is_ok) {
            // One commit takes fewer operations than this.
            continue;
        }
        failed += 1;
        assert!(group.iter().all(|result| matches!(result, Err(RecordError::Failed(_)))), "{operations}: {group:?}");
        assert!(writer.await.unwrap().is_err());
        assert!(matches!(recorder.record(scan(99)).await, Err(RecordError::Ended)));
        drop((recorder, reader));
        let head = store_on(&disk.after_power_cut()).head().position.sequence;
        assert!(
            head == Sequence(2) || head == Sequence(21),
            "{operations}: a group is recorded completely or not at all: {head}"
        );
    }
    assert!(failed > 0, "no commit failed");
}
