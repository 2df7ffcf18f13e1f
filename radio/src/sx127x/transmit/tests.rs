//! What a transmission does beside transmitting, on a chip that is nothing but memory and never says TxDone.

use super::super::array::{bench, put_packet};
use super::*;

fn order(payload: &[u8]) -> (Order, oneshot::Receiver<Result<(), TransmitError>>) {
    let (outcome, answer) = oneshot::channel();
    (Order { payload: payload.to_vec(), outcome }, answer)
}

#[test]
fn a_packet_that_ended_just_before_a_transmission_is_delivered() {
    let mut bench = bench();
    put_packet(&bench.array);
    bench.chip.fulfil(order(b"out").0, &mut bench.owner).unwrap();
    assert_eq!(bench.packets.try_recv().unwrap().bytes, [1, 2, 3]);
    assert!(bench.packets.try_recv().is_err());
}

#[test]
fn a_line_that_chatters_does_not_cut_a_transmission_short() {
    let mut bench = bench();
    bench.array.state().wakes = vec![Wake::Edge; 1_000];
    let before = bench.array.state().waited_ms;
    let (order, mut answer) = order(b"out");
    bench.chip.fulfil(order, &mut bench.owner).unwrap();
    let Err(TransmitError::TimedOut { within_ms }) = answer.try_recv().unwrap() else { panic!("TxDone never came") };
    assert!(bench.array.state().waited_ms - before >= within_ms);
}

#[test]
fn a_transmission_that_is_given_up_because_the_radio_ends_says_so() {
    let mut bench = bench();
    bench.owner.stop.wish();
    let (order, mut answer) = order(b"out");
    bench.chip.fulfil(order, &mut bench.owner).unwrap();
    assert_eq!(answer.try_recv().unwrap(), Err(TransmitError::Ended));
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_answers_nothing_holds_nobody_for_ever() {
    let (orders, _kept_and_never_read) = std::sync::mpsc::sync_channel(WAITING_ORDERS);
    let answered_within = answered_within(&Modulation::default());
    let transmitter = Transmitter { orders, allowed: true, allowance: Allowance::new(None), answered_within };
    let outcome = tokio::time::timeout(answered_within * 2, transmitter.transmit(b"is anybody there")).await;
    assert_eq!(outcome, Ok(Err(TransmitError::Unanswered { within_s: answered_within.as_secs() })));
}
