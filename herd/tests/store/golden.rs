//! Bytes and digests that are frozen.
//!
//! Would catch: a field, a variant or a number that moves in what logs already hold; a fold that makes other rows of
//! the same log without a new `FOLD_VERSION`; a decision that changed without anybody meaning it.

use crate::world::{BEGAN_US, STORE, World};
use herd::change::{Change, EpochBegan, Origin, Outcome, Received, Rejected, Suppressed};
use herd::clock::ClockReading;
use herd::fold::FOLD_VERSION;
use herd::payload::Rejection;
use herd::position::{Epoch, Sequence, StoreId};
use herd::store::Receipt;

fn clock() -> ClockReading {
    ClockReading { received_at_us: BEGAN_US, synchronized: true, boot: 3, since_boot_ms: 70_000 }
}

fn pinned(change: &Change, hex_bytes: &str) {
    assert_eq!(hex::encode(change.to_bytes()), hex_bytes);
    assert_eq!(Change::from_bytes(&hex::decode(hex_bytes).unwrap()).as_ref(), Ok(change));
}

#[test]
fn an_accepted_payload_is_frozen() {
    let mut world = World::new();
    world.keeps("hxb:L1:A:U1");
    world.keeps("event:hxbind000001|lid:1|lot:L2|pen:P1");
    let sequence = world.keeps("event:hxbpai000007|lid:1|lf:a|epc:EPC:u2|weight:245.5|x:y");
    let stored = world.store.reader().change(Sequence(sequence)).unwrap().unwrap();
    assert_eq!(hex::encode(&stored), ACCEPTED);
    let change = Change::from_bytes(&stored).unwrap();
    let Change::Received(received) = &change else { panic!("{change:?}") };
    let Outcome::Accepted(accepted) = &received.outcome else { panic!("{change:?}") };
    assert_eq!((accepted.animal.0, accepted.absorbed.map(|other| other.0)), (3, Some(2)), "it merges two animals");
    assert_eq!(change.to_bytes(), stored);
}

#[test]
fn a_rejected_payload_is_frozen() {
    let received = Received {
        raw: b" hxb:L1\n".to_vec(),
        text_start: 1,
        text_bytes: 6,
        origin: Origin {
            channel: "radio1".to_owned(),
            rssi_dbm: Some(-93),
            snr_quarter_db: Some(-17),
            frequency_error_hz: Some(-1_250),
            reader_group: "main".to_owned(),
            reader_era: 1,
        },
        clock: clock(),
        outcome: Outcome::Rejected(Rejected { reason: Rejection::FieldCount { found: 2 }, event_id: None }),
        forget_through: Sequence(300),
        previous: Vec::new(),
    };
    pinned(&Change::Received(Box::new(received)), REJECTED);
}

#[test]
fn an_epoch_is_frozen() {
    let began = EpochBegan { epoch: Epoch(2), store: STORE, writer: StoreId([9; 16]), clock: clock() };
    pinned(&Change::Epoch(began), EPOCH);
}

#[test]
fn suppressed_rejections_are_frozen() {
    let suppressed = Suppressed { channel: "radio1".to_owned(), count: 300, first: clock(), last: clock() };
    pinned(&Change::Suppressed(suppressed), SUPPRESSED);
}

/// Sixty payloads that use every kind, outcome and rule, half a minute apart.
fn sixty() -> Vec<String> {
    let mut texts: Vec<String> = [
        "hxb:BATCH001:LF123:UHF456",
        "hxe:EXPORT001:LF789:UHF012",
        "hxb:LOT1:LF0:UHF0",
        "hxb:LOT1:LF1:UHF1",
        "hxb:LOT1:LF2:UHF2",
        "hxe:BATCH001:LF123:UHF456",
        "invalid:data",
        "hxb:B:L:U:X",
        "hxb: :LF1:UHF1",
        "event:hxbrep000001|old_lf:LF_EAR_0001|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged",
        "event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5",
        "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
        "event:hxbchi000001|weight:267.3|lid:1",
        "event:hxbchi000001|weight:300.0|lid:1",
        "hxb:LOT7:LF5:UHF5",
        "event:hxbind000009|lot:LOT9|lid:9|pen:P4",
        "event:hxbpai000009|lid:9|lf:LF5|epc:UHF5",
        "hxb:LOT8:LF6:UHF6",
        "hxb:LOT8:LF6:UHF7",
        "hxb:LOT8:LF6:UHF7 ",
        "hxb:LOT8:124000224161433:U19",
        "hxb:LOT8:0124000224161433:U19",
        "event:hxbpai000010|lid:10|lf:T|weight:0",
        "event:hxbpai000011|lid:11|lf:V|weight:NaN",
        "event:hxbrep000002|lid:10|old_lf:V|new_lf:W",
        "event:hxbpai000012|lid:11|lf:T",
        "event:hxbchi000117|lid:1",
        "event:hxbchi000121|lid:1",
        "event:hxbchi000119|lid:1",
        "event:hxeexp000001|lid:9|batch:EXPORT001",
        "event:hxbchi000122|lid:9|weight:301",
        "event:hxbchi000001|weight:267.3|lid:1",
    ]
    .map(str::to_owned)
    .into();
    texts.extend((0..28_u32).map(|n| match n % 3 {
        0 => format!("hxb:BATCH_2025-12-04_7325:LF{}:UHF{}", n % 9, n % 9),
        1 => format!("event:hxbpai{:06}|lid:{}|lf:NEW{}|epc:0900000000{:06}", 20 + n, 30 + n % 4, n % 4, n % 4),
        _ => format!("hxe:OUT{}:LF{}:UHF{}", n % 2, n % 5, n % 5),
    }));
    texts
}

#[test]
fn a_fixed_log_has_its_digests() {
    let mut world = World::new();
    let mut outcomes = [0_u32; 3];
    for text in sixty() {
        outcomes[match world.send(&text) {
            Receipt::Kept { .. } => 0,
            Receipt::Rejected { .. } => 1,
            Receipt::Duplicate { .. } | Receipt::Suppressed => 2,
        }] += 1;
        world.wait(30_000);
    }
    let head = world.store.head();
    let found = (outcomes, head.position.sequence.0, head.position.digest.to_string(), head.fold_digest.to_string());
    assert_eq!(FOLD_VERSION, 1, "another fold has another digest: pin it beside its version");
    assert_eq!(found, (OUTCOMES, HEAD, CHAIN_DIGEST.to_owned(), FOLD_DIGEST.to_owned()));
    crate::invariants::all_hold(&world.herd()).unwrap();
}

const ACCEPTED: &str = "0101396576656e743a6878627061693030303030377c6c69643a317c6c663a617c6570633a4550433a75327c7765696768743a3234352e357c783a79003906726164696f31000000046d61696e0180a8c480d99aa406010188270003010003070c68786270616930303030303701013101016101014101064550433a75320102553200000002fcfd0e0000000000000000000101780179030102020300000203030202";
const REJECTED: &str =
    "010108206878623a4c310a010606726164696f3101b901012101c313046d61696e0180a8c480d99aa4060103f0a20401060200ac0200";
const EPOCH: &str = "050102070707070707070707070707070707070909090909090909090909090909090980a8c480d99aa4060103f0a204";
const SUPPRESSED: &str = "060106726164696f31ac0280a8c480d99aa4060103f0a20480a8c480d99aa4060103f0a204";
const OUTCOMES: [u32; 3] = [52, 6, 2];
const HEAD: u64 = 59;
const CHAIN_DIGEST: &str = "bbffb14707d484d9db561d60e28c6787bbd73de1c41b1a5dbc8ec3cd282e2e99";
const FOLD_DIGEST: &str = "59bdfba0df88b825708d28e12a784abaf7f493bf1c9e7056ffca19c73e372dbc";
