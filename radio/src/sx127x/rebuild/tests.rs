//! How long it is waited between attempts.

use super::*;

#[test]
fn pauses_double_from_100_ms_to_30_s_and_a_steady_chip_is_met_at_once() {
    let mut backoff = Backoff::new();
    let pauses: Vec<u64> = (0..11).map(|_| backoff.next_pause_ms()).collect();
    assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
    backoff.forgive();
    assert_eq!([backoff.next_pause_ms(), backoff.next_pause_ms(), backoff.next_pause_ms()], [0, 100, 200]);
}
