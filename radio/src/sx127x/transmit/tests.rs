//! A transmission on a chip that is only memory and never reports TxDone.

use super::*;
use crate::sx127x::tests::array_chip::{bench, put_packet};
use tokio::sync::oneshot;

fn request(payload: &[u8]) -> (TransmitRequest, oneshot::Receiver<Result<(), TransmitError>>) {
    let (outcome, answer) = oneshot::channel();
    (TransmitRequest { payload: payload.to_vec(), outcome }, answer)
}

/// Catches a packet that is thrown away because loading the FIFO clears its flag.
#[test]
fn a_packet_that_ends_just_before_a_transmission_is_delivered() {
    let mut bench = bench();
    put_packet(&bench.array);
    bench.chip.fulfill(request(b"out").0, &mut bench.link).unwrap();
    assert_eq!(bench.packets.try_recv().unwrap().bytes, [1, 2, 3]);
    assert!(bench.packets.try_recv().is_err());
}

/// Catches a wait that counts each spurious edge as the whole look interval.
#[test]
fn a_chattering_line_does_not_cut_a_transmission_short() {
    let mut bench = bench();
    bench.array.state().wakes = vec![Wake::Edge; 1_000];
    let before = bench.array.state().waited_ms;
    let (request, mut answer) = request(b"out");
    bench.chip.fulfill(request, &mut bench.link).unwrap();
    let Err(TransmitError::TimedOut { within_ms }) = answer.try_recv().unwrap() else { panic!("TxDone never came") };
    assert!(bench.array.state().waited_ms - before >= within_ms);
}

/// Catches a shutdown that is reported as a timeout of the chip.
#[test]
fn a_transmission_abandoned_by_a_shutdown_is_answered_with_ended() {
    let mut bench = bench();
    bench.link.shutdown.request();
    let (request, mut answer) = request(b"out");
    bench.chip.fulfill(request, &mut bench.link).unwrap();
    assert_eq!(answer.try_recv().unwrap(), Err(TransmitError::Ended));
}
