//! The end of a loop: what the radio holds is recorded, and what cannot be is counted.

use super::*;
use crate::disk::{DiskGauge, DiskSpace};
use crate::receive::tests::{ControlledRadio, listening, packet, receive_loop, unprobed};
use crate::test_world::World;
use herd::decide::Rules;
use herd::position::Sequence;
use radio::{Counters, HealthReporter, Packet};
use service::harness::LogRecorder;
use service::lifecycle::ShutdownTrigger;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

/// Returns a radio with the first `count` scans in its queue, and the sender that keeps the queue open.
fn radio_with(count: usize) -> (ControlledRadio, Sender<Packet>) {
    let (to_radio, packets) = tokio::sync::mpsc::channel(count);
    let counters = Counters::default();
    counters.watch_queue(&to_radio);
    for n in 1..=count {
        to_radio.try_send(packet(&format!("hxb:LOT1:LF{n}:UHF{n}"))).unwrap();
    }
    (ControlledRadio { packets, counters, health: HealthReporter::default() }, to_radio)
}

/// Catches a shutdown that discards packets which the driver has already read from its chip, or commits them one by one: a
/// slow card has no time for hundreds of commits.
#[tokio::test(start_paused = true)]
async fn a_shutdown_records_the_packets_that_wait_in_the_radio_in_one_commit() {
    const WAITING: usize = 256;
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let shutdown = ShutdownTrigger::default();
    shutdown.request();
    let (radio, _to_radio) = radio_with(WAITING);
    let ended = receive_loop(&world, &shutdown).run(radio, listening().0, unprobed()).await;
    assert_eq!(ended, ReceiveEnd::Stopped);
    assert_eq!(world.reader.head().position.sequence, Sequence(1 + WAITING as u64));
    assert_eq!(world.received(6).raw, b"hxb:LOT1:LF5:UHF5");
    assert_eq!(world.recorder.status().borrow().totals.groups, 1);
}

/// Catches a shutdown that waits for a disk that hangs, hides that the writer has ended, or what was lost by it.
#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_writer_less_than_a_second() {
    for is_ended in [false, true] {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let (shutdown, start) = (ShutdownTrigger::default(), Instant::now());
        shutdown.request();
        // All room is taken, as if the writer hung.
        let _room = if is_ended { None } else { Some(world.recorder.take_all_room().await) };
        let receive_loop = receive_loop(&world, &shutdown);
        if is_ended {
            world.writer.abort();
            assert!(world.writer.await.unwrap_err().is_cancelled());
        }
        let expected = if is_ended { ReceiveEnd::WriterEnded } else { ReceiveEnd::Stopped };
        let ((log, _recording), (radio, _to_radio)) = (LogRecorder::start(), radio_with(2));
        assert_eq!(receive_loop.run(radio, listening().0, unprobed()).await, expected);
        assert_eq!(unrecorded_in(&log), ["unrecorded=2"]);
        assert!(start.elapsed() < Duration::from_secs(1), "the clock of the test is paused");
    }
}

/// Catches a tail of a full radio that goes without a log line, because more packets wait than fit into the recorder's queue,
/// packets that overtake each other while they wait for room there, and a stop that never ends because there are always more.
#[tokio::test(start_paused = true)]
async fn a_shutdown_records_the_packets_that_wait_in_a_full_radio_in_their_order() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let shutdown = ShutdownTrigger::default();
    shutdown.request();
    let (log, _recording) = LogRecorder::start();
    let (radio, _to_radio) = radio_with(HANDOVER_PACKETS + 3);
    assert_eq!(receive_loop(&world, &shutdown).run(radio, listening().0, unprobed()).await, ReceiveEnd::Stopped);
    assert_eq!(world.reader.head().position.sequence, Sequence(1 + HANDOVER_PACKETS as u64));
    for n in 1..=HANDOVER_PACKETS {
        assert_eq!(world.received(n as u64 + 1).raw, format!("hxb:LOT1:LF{n}:UHF{n}").as_bytes());
    }
    assert_eq!(unrecorded_in(&log), ["unrecorded=3"]);
}

/// Catches a stop on a full disk that counts the packet in hand and not those behind it.
#[tokio::test(start_paused = true)]
async fn a_shutdown_on_a_full_disk_names_the_number_of_packets_that_are_lost() {
    let full = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 0, needed_bytes: 1 }));
    let world = World::new(Rules::default(), full);
    let shutdown = ShutdownTrigger::default();
    let (log, _recording) = LogRecorder::start();
    let (radio, _to_radio) = radio_with(3);
    let task = tokio::spawn(receive_loop(&world, &shutdown).run(radio, listening().0, unprobed()));
    let mut status = world.recorder.status();
    status.wait_for(|status| status.last_error.is_some()).await.unwrap();
    shutdown.request();
    assert_eq!(task.await.unwrap(), ReceiveEnd::Stopped);
    assert_eq!(unrecorded_in(&log), ["unrecorded=3"]);
    assert_eq!(world.reader.head().position.sequence, Sequence(1));
}

/// Returns the numbers of unrecorded packets in the errors of the log.
fn unrecorded_in(log: &LogRecorder) -> Vec<String> {
    let errors = log.take().into_iter().filter(|line| line.starts_with("ERROR"));
    errors.filter_map(|line| line.split(' ').find(|word| word.starts_with("unrecorded=")).map(str::to_owned)).collect()
}
