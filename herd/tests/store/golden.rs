//! Frozen bytes and digests.
//!
//! Catches: a field, variant or number that moves in stored changes; a fold that makes other rows of the same log without a
//! new `FOLD_VERSION`; and an accidental change of a decision.

use crate::herd_view::HerdView;
use crate::steps::requested;
use crate::unknown_kinds::replica_of;
use crate::world::{BEGAN_US, STORE, World, all_changes};
use herd::change::{
    Acceptance, AnimalId, BatchId, Change, Corrected, Correction, CorrectionResult, EpochStart, MoveObstacle, Origin,
    Outcome, Readmission, Received, RejectedPayload, Suppressed, TagKind, WeighingTime,
};
use herd::clock::ClockReading;
use herd::decide::leave_payload;
use herd::fold::FOLD_VERSION;
use herd::payload::{Rejection, Tag};
use herd::position::{Digest, Epoch, Sequence, StoreId};
use herd::store::{CorrectionReceipt, MemoryDisk, Receipt};

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
            channel: "radio1".into(),
            rssi_dbm: Some(-93),
            snr_quarter_db: Some(-17),
            frequency_error_hz: Some(-1_250),
            reader_group: "main".into(),
            reader_era: 1,
        },
        clock: clock(),
        outcome: Outcome::Rejected(RejectedPayload { reason: Rejection::FieldCount { found: 2 }, event_id: None }),
        forget_through: Sequence(300),
        previous: Vec::new(),
        readmission: None,
    };
    pinned(&Change::Received(Box::new(received.clone())), REJECTED);
    let (epoch, digest) = (Epoch(1), Digest([0xab; 32]));
    let (author, reason) = ("J. Doe".to_owned(), "card died".to_owned());
    let readmission = Some(Box::new(Readmission { epoch, sequence: Sequence(300), digest, author, reason }));
    let readmitted =
        format!("{}01ac02{}064a2e20446f6509636172642064696564", REJECTED.replacen("0101", "0102", 1), "ab".repeat(32));
    pinned(&Change::Received(Box::new(Received { readmission, ..received })), &readmitted);
}

#[test]
fn an_epoch_is_frozen() {
    let (writer, acceptance) = (StoreId([9; 16]), None);
    let began = EpochStart { epoch: Epoch(2), store: STORE, writer, clock: clock(), acceptance };
    pinned(&Change::Epoch(began.clone()), EPOCH);
    let acceptance = Some(Acceptance { author: "J. Doe".to_owned(), reason: "card died".to_owned() });
    let accepted = format!("{}064a2e20446f6509636172642064696564", EPOCH.replacen("0501", "0502", 1));
    pinned(&Change::Epoch(EpochStart { acceptance, ..began }), &accepted);
}

#[test]
fn suppressed_rejections_are_frozen() {
    let suppressed = Suppressed { channel: "radio1".to_owned(), count: 300, first: clock(), last: clock() };
    pinned(&Change::Suppressed(suppressed), SUPPRESSED);
}

/// Makes every kind of correction and reprocesses a payload, as the last changes. Returns all stored bytes.
fn corrected(world: &mut World) -> Vec<Vec<u8>> {
    let pairs = [
        "event:hxbpai000001|lid:1|lf:A|epc:U1|weight:245.5",
        "hxb:L1:B:U2",
        "event:hxbpai000002|lid:2|lf:D",
        "event:hxbchi000001|lid:1|weight:250",
        "event:hxbchi000001|lid:1|weight:251",
        "hxb:L1:A:U2",
        "hxb:L3:A:B2",
    ];
    for text in pairs {
        world.send(text);
    }
    let (one, two, three) = (AnimalId(2), AnimalId(3), AnimalId(4));
    let corrections = [
        Correction::Void { sequence: Sequence(8) },
        Correction::Retag { animal: one, kind: TagKind::Lf, tag: Tag::read(TagKind::Lf, "EPC:x").unwrap() },
        Correction::Retag { animal: three, kind: TagKind::Lf, tag: None },
        Correction::MovePen { animal: one, pen: "P2".to_owned() },
        Correction::MoveBatch { animal: one, batch_number: "L2".to_owned() },
        Correction::Weigh { animal: one, weight_g: 300_000, when: WeighingTime::Now },
        Correction::AcceptRejected { sequence: Sequence(6), animal: None, batch_number: None },
        Correction::Merge { animal: one, absorbed: two },
        Correction::Died { animal: three },
        Correction::CloseBatch { batch: BatchId(13) },
        Correction::EditBatch { batch: BatchId(3), notes: Some("n".to_owned()) },
        Correction::NewReaderEra { reader_group: "main".to_owned(), from: None },
    ];
    for (n, correction) in corrections.into_iter().enumerate() {
        let receipt = world.store.correct(&requested(correction, &n.to_string()), world.now).unwrap();
        assert!(matches!(receipt, CorrectionReceipt::Kept { .. }), "{n}: {receipt:?}");
    }
    assert_eq!(world.store.reprocess(Sequence::ZERO, 10, world.now).unwrap().accepted, [Sequence(7)]);
    crate::invariants::all_hold(&world.herd()).unwrap();
    all_changes(&world.store)
}

#[test]
fn corrections_and_reprocessed_payloads_are_frozen() {
    let changes = corrected(&mut World::new());
    let changes = &changes[changes.len() - CORRECTED.len()..];
    for bytes in changes {
        assert_eq!(&Change::from_bytes(bytes).unwrap().to_bytes(), bytes);
    }
    let found: Vec<_> = changes.iter().map(hex::encode).collect();
    assert_eq!(found, CORRECTED);
}

/// Returns what version 1 tells of a correction, and takes for the rest.
fn as_version_1_tells(mut corrected: Corrected) -> Corrected {
    // The first grammar took `EPC:` off an LF tag too.
    let [now, then] = ["054550433a7801054550433a58", "054550433a78010158"]
        .map(|tag| postcard::from_bytes::<Tag>(&hex::decode(tag).unwrap()).unwrap());
    let tag_then = |tag: &mut Tag| {
        if *tag == now {
            tag.clone_from(&then);
        }
    };
    if let Correction::Retag { tag: Some(tag), .. } = &mut corrected.correction {
        tag_then(tag);
    }
    let is_weighing = matches!(corrected.correction, Correction::Weigh { .. });
    if let CorrectionResult::States(states) = &mut corrected.result {
        for state in &mut states.animals {
            state.tags.iter_mut().for_each(|held| tag_then(&mut held.tag));
            state.last_seen.synchronized = false;
            state.weighed_at.synchronized = is_weighing;
        }
        states.batches.iter_mut().for_each(|state| state.opened.synchronized = false);
    }
    corrected
}

/// Catches: logs of the first program that cannot be read, or are read as something else than what was corrected.
#[test]
fn corrections_of_version_1_are_read() {
    for (n, (first, current)) in CORRECTED_V1.iter().zip(CORRECTED).enumerate() {
        let [first, current] = [first, current].map(|text| Change::from_bytes(&hex::decode(text).unwrap()));
        let Ok(Change::Corrected(current)) = current else { panic!("{n}: {current:?}") };
        assert_eq!(first, Ok(Change::Corrected(Box::new(as_version_1_tells(*current)))), "{n}");
    }
}

/// Catches: tables that stop at a correction of version 1, or contradict themselves after it.
#[test]
fn corrections_of_version_1_are_folded() {
    let mut world = World::new();
    let mut log = corrected(&mut world);
    let first = log.len() - CORRECTED.len();
    for (change, text) in log[first..].iter_mut().zip(CORRECTED_V1) {
        *change = hex::decode(text).unwrap();
    }
    let replica = replica_of(&MemoryDisk::default(), &log);
    assert_eq!(replica.head().blocked, None);
    crate::invariants::all_hold(&HerdView::read(&replica.reader().snapshot().unwrap())).unwrap();
}

/// Makes a reader era that begins at an earlier payload, and returns the stored bytes of the order and of its steps.
fn moved() -> Vec<Vec<u8>> {
    let mut world = World::new();
    for text in
        ["event:hxbind000001|lid:1|lot:L1", "event:hxbind000001|lid:1|lot:L2", "event:hxbchi000001|lid:1|weight:300"]
    {
        world.send(text);
    }
    let order = Correction::NewReaderEra { reader_group: "main".to_owned(), from: Some(Sequence(3)) };
    world.store.correct(&requested(order, "k"), world.now).unwrap();
    while world.store.step_era_moves(world.now).unwrap().is_some() {}
    let obstacle = MoveObstacle::TooMuchHistory;
    let start = world.herd().era_starts.into_values().next().unwrap();
    let left = leave_payload(&start, Sequence(4), obstacle, clock());
    let changes = all_changes(&world.store).into_iter().skip(4);
    changes.chain([Change::EraMove(Box::new(left)).to_bytes()]).collect()
}

#[test]
fn moves_into_a_reader_era_are_frozen() {
    let changes = moved();
    for bytes in &changes {
        assert_eq!(&Change::from_bytes(bytes).unwrap().to_bytes(), bytes);
    }
    let found: Vec<_> = changes.iter().map(hex::encode).collect();
    assert_eq!(found, MOVED);
}

/// Returns sixty payloads that use every kind, outcome and rule. They are sent half a minute apart.
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
    assert_eq!(FOLD_VERSION, 7, "another fold version has another digest: pin both");
    assert_eq!(found, (OUTCOMES, HEAD, CHAIN_DIGEST.to_owned(), FOLD_DIGEST.to_owned()));
    crate::invariants::all_hold(&world.herd()).unwrap();
}

const ACCEPTED: &str = "0101396576656e743a6878627061693030303030377c6c69643a317c6c663a617c6570633a4550433a75327c7765696768743a3234352e357c783a79003906726164696f31000000046d61696e0180a8c480d99aa406010188270003010003070c68786270616930303030303701013101016101014101064550433a75320102553200000002fcfd0e0000000000000000000101780179030102020300000203030202";
const REJECTED: &str =
    "010108206878623a4c310a010606726164696f3101b901012101c313046d61696e0180a8c480d99aa4060103f0a20401060200ac0200";
const EPOCH: &str = "050102070707070707070707070707070707070909090909090909090909090909090980a8c480d99aa4060103f0a204";
const SUPPRESSED: &str = "060106726164696f31ac0280a8c480d99aa4060103f0a20480a8c480d99aa4060103f0a204";
const CORRECTED: &[&str] = &[
    "0302064a2e20446f65127365656e2077697468206f776e20657965730130086f66666963652d3180a8c480d99aa406010188270008000102000080a8c480d99aa4060101046d61696e01013102000141000002010255310000020000000000000000000190a10f0580a8c480d99aa406010000000000010800024c3380a8c480d99aa4060101090000000880a8c480d99aa40601018827010208",
    "0302064a2e20446f65127365656e2077697468206f776e20657965730131086f66666963652d3180a8c480d99aa4060101882702020001054550433a7801054550433a58000102000080a8c480d99aa4060101046d61696e0101310300014100010a00054550433a7801054550433a58000a010255310000020000000000000000000190a10f0580a8c480d99aa40601000000000000010209",
    "0302064a2e20446f65127365656e2077697468206f776e20657965730132086f66666963652d3180a8c480d99aa4060101882702040000000104000080a8c480d99aa4060101046d61696e0101320100014400010b00000000000000000000000000000000000000010404",
    "0302064a2e20446f65127365656e2077697468206f776e20657965730133086f66666963652d3180a8c480d99aa406010188270302025032000102000080a8c480d99aa4060101046d61696e0101310300014100010a00054550433a7801054550433a58000a010255310000020001025032000000000000000190a10f0580a8c480d99aa4060100000000000001020a",
    "0302064a2e20446f65127365656e2077697468206f776e20657965730134086f66666963652d3180a8c480d99aa406010188270402024c32000102000080a8c480d99aa4060101046d61696e0101310300014100010a00054550433a7801054550433a58000a010255310000020001025032000000000000000190a10f0580a8c480d99aa40601010d0d00010d0d0000010d00024c3280a8c480d99aa40601000001010d80a8c480d99aa4060101882701020c",
    "0302064a2e20446f65127365656e2077697468206f776e20657965730135086f66666963652d3180a8c480d99aa406010188270502e0a71200000102000080a8c480d99aa4060101046d61696e0101310300014100010a00054550433a7801054550433a58000a0102553100000200010250320000000000000001e0a7120e80a8c480d99aa40601010d0d00010d0d00000001020d",
    "0302064a2e20446f65127365656e2077697468206f776e20657965730136086f66666963652d3180a8c480d99aa4060101882709060000010606726164696f31000000046d61696e0180a8c480d99aa4060101882704010004010c687862636869303030303031010131000000000002f8a80f00000000000000000000020000000001020e",
    "0302064a2e20446f65127365656e2077697468206f776e20657965730137086f66666963652d3180a8c480d99aa40601018827010203000202000080a8c480d99aa4060101046d61696e0101310500014100010a00014200011000054550433a7801054550433a58000a010255310000020102553200011000010250320000000000000001f8a80f0f80a8c480d99aa40601010d0d0002030301100d0d000003000080a8c480d99aa40601000000000000000000000000000000000000000102010300024c3180a8c480d99aa4060101100000010380a8c480d99aa4060101882702020f0303",
    "0302064a2e20446f65127365656e2077697468206f776e20657965730138086f66666963652d3180a8c480d99aa406010188270604000104020080a8c480d99aa4060101046d61696e0101320100014400010b0000000000000000000000000000000000000001040b",
    "0302064a2e20446f65127365656e2077697468206f776e20657965730139086f66666963652d3180a8c480d99aa40601018827070d0000010d00024c3280a8c480d99aa4060101120001010d80a8c480d99aa4060101882700",
    "0302064a2e20446f65127365656e2077697468206f776e2065796573023130086f66666963652d3180a8c480d99aa40601018827080301016e0000010300024c3180a8c480d99aa40601011001016e00010380a8c480d99aa4060101882700",
    "0302064a2e20446f65127365656e2077697468206f776e2065796573023131086f66666963652d3180a8c480d99aa406010188270a046d61696e0002046d61696e0200",
    "020180a8c480d99aa406010188270706726164696f31000000046d61696e0180a8c480d99aa40601018827000000010141000102553200000001024c31000000000000000000000002000404011500010210",
];
/// Bytes that the first program stored for the corrections of [`corrected`].
const CORRECTED_V1: [&str; 12] = [
    "0301064a2e20446f65127365656e2077697468206f776e20657965730130086f66666963652d3180a8c480d99aa406010188270008000102000080a8c480d99aa40601046d61696e01013102000141000002010255310000020000000000000000000190a10f050000000000010800024c3380a8c480d99aa40601090000000880a8c480d99aa40601018827010208",
    "0301064a2e20446f65127365656e2077697468206f776e20657965730131086f66666963652d3180a8c480d99aa4060101882702020001054550433a78010158000102000080a8c480d99aa40601046d61696e0101310300014100010a00054550433a78010158000a010255310000020000000000000000000190a10f05000000000000010209",
    "0301064a2e20446f65127365656e2077697468206f776e20657965730132086f66666963652d3180a8c480d99aa4060101882702040000000104000080a8c480d99aa40601046d61696e0101320100014400010b0000000000000000000000000000000000010404",
    "0301064a2e20446f65127365656e2077697468206f776e20657965730133086f66666963652d3180a8c480d99aa406010188270302025032000102000080a8c480d99aa40601046d61696e0101310300014100010a00054550433a78010158000a010255310000020001025032000000000000000190a10f0500000000000001020a",
    "0301064a2e20446f65127365656e2077697468206f776e20657965730134086f66666963652d3180a8c480d99aa406010188270402024c32000102000080a8c480d99aa40601046d61696e0101310300014100010a00054550433a78010158000a010255310000020001025032000000000000000190a10f05010d0d00010d0d0000010d00024c3280a8c480d99aa406000001010d80a8c480d99aa4060101882701020c",
    "0301064a2e20446f65127365656e2077697468206f776e20657965730135086f66666963652d3180a8c480d99aa406010188270502e0a712000102000080a8c480d99aa40601046d61696e0101310300014100010a00054550433a78010158000a0102553100000200010250320000000000000001e0a7120e010d0d00010d0d00000001020d",
    "0301064a2e20446f65127365656e2077697468206f776e20657965730136086f66666963652d3180a8c480d99aa40601018827090600010606726164696f31000000046d61696e0180a8c480d99aa4060101882704010004010c687862636869303030303031010131000000000002f8a80f00000000000000000000020000000001020e",
    "0301064a2e20446f65127365656e2077697468206f776e20657965730137086f66666963652d3180a8c480d99aa40601018827010203000202000080a8c480d99aa40601046d61696e0101310500014100010a00014200011000054550433a78010158000a010255310000020102553200011000010250320000000000000001f8a80f0f010d0d0002030301100d0d000003000080a8c480d99aa40600000000000000000000000000000000000102010300024c3180a8c480d99aa40601100000010380a8c480d99aa4060101882702020f0303",
    "0301064a2e20446f65127365656e2077697468206f776e20657965730138086f66666963652d3180a8c480d99aa406010188270604000104020080a8c480d99aa40601046d61696e0101320100014400010b000000000000000000000000000000000001040b",
    "0301064a2e20446f65127365656e2077697468206f776e20657965730139086f66666963652d3180a8c480d99aa40601018827070d0000010d00024c3280a8c480d99aa40601120001010d80a8c480d99aa4060101882700",
    "0301064a2e20446f65127365656e2077697468206f776e2065796573023130086f66666963652d3180a8c480d99aa40601018827080301016e0000010300024c3180a8c480d99aa406011001016e00010380a8c480d99aa4060101882700",
    "0301064a2e20446f65127365656e2077697468206f776e2065796573023131086f66666963652d3180a8c480d99aa406010188270a046d61696e02046d61696e0200",
];
const MOVED: &[&str] = &[
    "0302064a2e20446f65127365656e2077697468206f776e2065796573016b086f66666963652d3180a8c480d99aa406010188270a046d61696e010302046d61696e0200",
    "070180a8c480d99aa40601018827046d61696e020503010301010002010c687862696e64303030303031000306726164696f31000000046d61696e0280a8c480d99aa4060101882702010002010c687862696e643030303030310101310000000001024c32000000000000000000000003000000010600000103000080a8c480d99aa4060101046d61696e0201310000000000000000000000000000010603000106030000010600024c3280a8c480d99aa40601000001010680a8c480d99aa40601018827010300",
    "070180a8c480d99aa40601018827046d61696e020504010401010004010c687862636869303030303031000406726164696f31000000046d61696e0280a8c480d99aa4060101882704010004010c687862636869303030303031010131000000000002e0a712000000000000000000000300000000000202000080a8c480d99aa4060101046d61696e010131000000000000000000000000000001020200010202000003000080a8c480d99aa4060101046d61696e0201310000000000000000000001e0a7120480a8c480d99aa40601010603000106030000000202040306",
    "070180a8c480d99aa40601018827046d61696e0205040000",
    "070180a8c480d99aa4060103f0a204046d61696e02050401040000020000000000",
];
const OUTCOMES: [u32; 3] = [52, 6, 2];
const HEAD: u64 = 59;
const CHAIN_DIGEST: &str = "bbffb14707d484d9db561d60e28c6787bbd73de1c41b1a5dbc8ec3cd282e2e99";
const FOLD_DIGEST: &str = "5e22d97646f856303f1be76fb42f743f728c14a893a7c3fdedba75210714c364";
