//! A herd of any size, whose lists are uniform from beginning to end.

use herd::change::{AnimalId, BatchId, Origin};
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::position::{Sequence, StoreId};
use herd::store::{Disk, Incoming, Receipt, Store};

/// 2026-01-15T10:00:00Z.
const OPENING_US: i64 = 1_768_471_200_000_000;
/// Time between two payloads. It keeps the rejections in an hour far below the limit of one channel (10,000).
const STEP_MS: u64 = 1_000;
/// Payloads in a commit.
const GROUP: u64 = 1_000;
/// Payloads that each round adds: one to each long list.
const ROUND: u64 = 4;
/// Changes before the first round: the epoch, and the two of the animal with the long history.
const PRELUDE: u64 = 3;

/// The animal with the long history.
pub(crate) const WATCHED: AnimalId = AnimalId(2);
/// The batch with many members.
pub(crate) const CROWDED: BatchId = BatchId(2);

/// Returns the sequence of the last change after this many rounds.
pub(crate) fn head_after(rounds: u64) -> u64 {
    PRELUDE + rounds * ROUND
}

/// Returns the change that weighs the watched animal in a round.
pub(crate) fn weighed_in(round: u64) -> Sequence {
    Sequence(PRELUDE + round * ROUND + 3)
}

/// Returns the payload of a change. Each round adds an animal in its own batch, a member of the crowded batch, a weight
/// of the watched animal that leaves a gap in its counter, and a rejection.
fn payload(sequence: u64) -> String {
    let Some(n) = sequence.checked_sub(PRELUDE + 1) else {
        return match sequence {
            2 => "event:hxbind000001|lot:CROWDED|lid:W".to_owned(),
            _ => "event:hxbpai000001|lid:W|lf:LF_W|epc:UHF_W".to_owned(),
        };
    };
    let round = n / ROUND;
    match n % ROUND {
        0 => format!("hxb:LOT{round:07}:LF_A{round:07}:UHF_A{round:07}"),
        1 => format!("hxb:CROWDED:LF_B{round:07}:UHF_B{round:07}"),
        2 => format!("event:hxbchi{:07}|lid:W|weight:300.5", round * 3 + 1),
        _ => format!("noise {round:07}"),
    }
}

fn incoming(sequence: u64) -> Incoming {
    let since_boot_ms = sequence * STEP_MS;
    let received_at_us = OPENING_US + i64::try_from(since_boot_ms).unwrap() * 1_000;
    let origin = Origin {
        channel: "radio1".into(),
        rssi_dbm: Some(-87),
        snr_quarter_db: Some(30),
        reader_group: "main".into(),
        ..Origin::default()
    };
    let at = RawReading { received_at_us, synchronized: true, since_boot_ms };
    Incoming { raw: payload(sequence).into_bytes(), origin, at }
}

/// Returns a store that has recorded this many rounds.
pub(crate) fn herd_of(rounds: u64, disk: &dyn Disk) -> Store {
    let clock = RawReading { received_at_us: OPENING_US, synchronized: true, since_boot_ms: 0 }.in_boot(1);
    let mut store = Store::open_source(disk, Rules::default(), clock, || StoreId([7; 16])).unwrap();
    let end = head_after(rounds);
    for first in (2..=end).step_by(usize::try_from(GROUP).unwrap()) {
        let group: Vec<_> = (first..=end.min(first + GROUP - 1)).map(incoming).collect();
        for (receipt, sequence) in store.append(&group).unwrap().into_iter().zip(first..) {
            let kept = Receipt::Kept { sequence: Sequence(sequence) };
            let is_noise = sequence > PRELUDE && (sequence - PRELUDE).is_multiple_of(ROUND);
            assert!(receipt == kept || is_noise && matches!(receipt, Receipt::Rejected { .. }), "{receipt:?}");
        }
    }
    store.settle().unwrap();
    assert_eq!(store.head().position.sequence, Sequence(end));
    store
}
