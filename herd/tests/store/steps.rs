//! Random histories. They use so few tags, lids, batches and event ids that payloads collide, merge, move, export, repair
//! and arrive late all the time, while clocks advance, machines reboot, and operators make corrections.

use crate::world::origin;
use herd::change::{AnimalId, BatchId, Correction, Origin, TagKind, WeighingTime};
use herd::clock::RawReading;
use herd::decide::CorrectionRequest;
use herd::payload::Tag;
use herd::position::Sequence;
use herd::store::Incoming;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(SentPayload),
    Wait { ms: u64 },
    Reboot,
    Correct(CorrectionRequest),
    Reprocess,
}

#[derive(Clone)]
pub(crate) struct SentPayload {
    pub(crate) raw: Vec<u8>,
    pub(crate) channel: &'static str,
    pub(crate) reader_group: &'static str,
}

impl std::fmt::Debug for SentPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} over {}", String::from_utf8_lossy(&self.raw), self.reader_group, self.channel)
    }
}

impl SentPayload {
    pub(crate) fn origin(&self) -> Origin {
        origin(self.channel, self.reader_group)
    }

    pub(crate) fn incoming(&self, at: RawReading) -> Incoming {
        Incoming { raw: self.raw.clone(), origin: self.origin(), at }
    }
}

impl Step {
    /// Advances the clock by the step.
    pub(crate) fn pass(&self, now: &mut RawReading) {
        match self {
            Self::Send(_) | Self::Correct(_) | Self::Reprocess => {}
            Self::Wait { ms } => {
                now.since_boot_ms += ms;
                now.received_at_us += i64::try_from(*ms).unwrap() * 1_000;
            }
            Self::Reboot => now.since_boot_ms = 1_000,
        }
    }
}

pub(crate) fn steps(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        24 => sent().prop_map(Step::Send),
        8 => correction().prop_map(Step::Correct),
        1 => Just(Step::Reprocess),
        2 => select(vec![1, 20_000, 59_999, 60_000, 61_000, 3_600_000, 86_400_000]).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Reboot),
    ];
    vec(step, 1..longest)
}

pub(crate) fn sent() -> impl Strategy<Value = SentPayload> {
    let raw = prop_oneof![
        8 => short_form().prop_map(String::into_bytes),
        16 => event_form().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..12),
        1 => "[ -~]{0,40}".prop_map(String::into_bytes),
    ];
    (raw, select(vec!["radio1", "radio2"]), select(vec!["main", "main", "main", "other"]))
        .prop_map(|(raw, channel, reader_group)| SentPayload { raw, channel, reader_group })
}

/// Returns any correction. Most name something that does not exist or cannot be corrected, which is tried too.
fn correction() -> impl Strategy<Value = CorrectionRequest> {
    let number = || 2_u64..30;
    let animal = move || number().prop_map(AnimalId);
    let correction = prop_oneof![
        6 => number().prop_map(|n| Correction::Void { sequence: Sequence(n) }),
        4 => (animal(), animal()).prop_map(|(animal, absorbed)| Correction::Merge { animal, absorbed }),
        2 => (animal(), select(vec![TagKind::Lf, TagKind::Epc]), option::of(lf()))
            .prop_map(|(animal, kind, tag)| Correction::Retag { animal, kind, tag: tag.and_then(|tag| Tag::read(kind, tag).unwrap()) }),
        1 => (animal(), select(vec!["P1", "P2"])).prop_map(|(animal, pen)| Correction::MovePen { animal, pen: pen.into() }),
        2 => (animal(), batch())
            .prop_map(|(animal, number)| Correction::MoveBatch { animal, batch_number: number.into() }),
        1 => animal().prop_map(|animal| Correction::Weigh { animal, weight_g: 300_000, when: WeighingTime::Now }),
        1 => animal().prop_map(|animal| Correction::Died { animal }),
        1 => number().prop_map(|n| Correction::CloseBatch { batch: BatchId(n) }),
        1 => (number(), option::of(Just("notes".to_owned())))
            .prop_map(|(n, notes)| Correction::EditBatch { batch: BatchId(n), notes }),
        3 => (number(), option::of(animal()))
            .prop_map(|(n, animal)| Correction::AcceptRejected { sequence: Sequence(n), animal, batch_number: None }),
        2 => option::of(number()).prop_map(|from| Correction::NewReaderEra {
            reader_group: "main".into(), from: from.map(Sequence),
        }),
    ];
    (correction, any::<u32>()).prop_map(|(correction, key)| requested(correction, &key.to_string()))
}

pub(crate) fn requested(correction: Correction, key: &str) -> CorrectionRequest {
    CorrectionRequest {
        author: "J. Doe".to_owned(),
        reason: "seen with own eyes".to_owned(),
        idempotency_key: key.to_owned(),
        channel: "office-1".to_owned(),
        correction,
    }
}

fn lf() -> impl Strategy<Value = &'static str> {
    select(vec!["A", "B", "C", "D", "a ", "124000224161433", "0124000224161433"])
}

fn epc() -> impl Strategy<Value = &'static str> {
    select(vec!["U1", "U2", "U3", "U4", "EPC:u1"])
}

fn batch() -> impl Strategy<Value = &'static str> {
    select(vec!["L1", "L2", "L3"])
}

fn short_form() -> impl Strategy<Value = String> {
    (select(vec!["hxb", "hxb", "hxe"]), batch(), lf(), epc(), select(vec!["", " ", "\r\n"]))
        .prop_map(|(prefix, batch, lf, epc, end)| format!("{prefix}:{batch}:{lf}:{epc}{end}"))
}

fn counter() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0_u64..14, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1), 1 => any::<u64>()]
}

fn event_form() -> impl Strategy<Value = String> {
    let id =
        (select(vec!["hxb", "hxb", "hxe"]), select(vec!["ind", "pai", "pai", "chi", "rep", "rep", "exp"]), counter());
    let names = (option::of(1_u8..4), option::of(lf()), option::of(epc()), option::of(lf()), option::of(epc()));
    let tells =
        (option::of(batch()), option::of(select(vec!["P1", "P2"])), option::of(select(vec!["0", "-5", "245.5"])));
    (id, names, tells).prop_map(|((source, kind, counter), (lid, lf, epc, old_lf, old_epc), (batch, pen, weight))| {
        let (lf_key, epc_key) = if kind == "rep" { ("new_lf", "new_epc") } else { ("lf", "epc") };
        let mut text = format!("event:{source}{kind}{counter:06}");
        let lid = lid.map(|lid| lid.to_string());
        let fields = [
            ("lid", lid.as_deref()),
            (lf_key, lf),
            (epc_key, epc),
            ("old_lf", old_lf.filter(|_| kind == "rep")),
            ("old_epc", old_epc.filter(|_| kind == "rep")),
            ("lot", batch.filter(|_| kind == "ind" || kind == "exp")),
            ("pen", pen.filter(|_| kind == "ind")),
            ("weight", weight),
        ];
        for (key, value) in fields {
            if let Some(value) = value {
                text.extend(["|", key, ":", value]);
            }
        }
        text
    })
}
