//! Corrections by operators, and what they leave.
//!
//! Catches: a correction that each copy decides again, that is made twice, that changes more than requested, or that leaves
//! wrong counts, tags or batches; a void that forgets later events; and a refusal that writes.

use crate::invariants::all_hold;
use crate::steps::requested;
use crate::world::{World, everything};
use herd::change::{AnimalId, BatchId, Correction, TagKind, WeighingTime};
use herd::payload::Tag;
use herd::position::Sequence;
use herd::query::PageLimit;
use herd::store::{CorrectionReceipt, MAX_REPROCESSED};
use herd::tables::{AnimalStatus, TagState};

impl World {
    pub(crate) fn correct(&mut self, correction: Correction) -> CorrectionReceipt {
        let key = format!("key {}", self.store.head().position.sequence);
        self.correct_under(&key, correction)
    }

    fn correct_under(&mut self, key: &str, correction: Correction) -> CorrectionReceipt {
        let receipt = self.store.correct(&requested(correction, key), self.now).unwrap();
        all_hold(&self.herd()).unwrap();
        receipt
    }

    /// Makes a correction, which must succeed, and returns its change.
    pub(crate) fn corrects(&mut self, correction: Correction) -> u64 {
        let text = format!("{correction:?}");
        match self.correct(correction) {
            CorrectionReceipt::Kept { sequence } => sequence.0,
            other => panic!("{text} should be kept, and is {other:?}"),
        }
    }

    /// Makes a correction, which must be refused and write nothing, and returns the code.
    pub(crate) fn refuses(&mut self, correction: Correction) -> &'static str {
        let (before, text) = (everything(&self.store), format!("{correction:?}"));
        let code = match self.correct(correction) {
            CorrectionReceipt::Refused(refused) => {
                // HTTP answers 404 to these, and 409 to the others.
                assert_eq!(refused.is_unknown(), refused.code().starts_with("unknown_"), "{refused}");
                refused.code()
            }
            other => panic!("{text} should be refused, and is {other:?}"),
        };
        assert_eq!(everything(&self.store), before, "{text} was refused and left something");
        code
    }
}

/// Reads an LF tag.
pub(crate) fn lf(text: &str) -> Option<Tag> {
    Tag::read(TagKind::Lf, text).unwrap()
}

fn epc(text: &str) -> Option<Tag> {
    Tag::read(TagKind::Epc, text).unwrap()
}

pub(crate) fn void(sequence: u64) -> Correction {
    Correction::Void { sequence: Sequence(sequence) }
}

pub(crate) fn merge(animal: u64, absorbed: u64) -> Correction {
    Correction::Merge { animal: AnimalId(animal), absorbed: AnimalId(absorbed) }
}

pub(crate) fn retag(animal: u64, kind: TagKind, tag: Option<&str>) -> Correction {
    Correction::Retag { animal: AnimalId(animal), kind, tag: tag.map(|tag| Tag::read(kind, tag).unwrap().unwrap()) }
}

pub(crate) fn move_pen(animal: u64, pen: &str) -> Correction {
    Correction::MovePen { animal: AnimalId(animal), pen: pen.to_owned() }
}

pub(crate) fn move_batch(animal: u64, number: &str) -> Correction {
    Correction::MoveBatch { animal: AnimalId(animal), batch_number: number.to_owned() }
}

pub(crate) fn weigh(animal: u64, weight_g: u32) -> Correction {
    Correction::Weigh { animal: AnimalId(animal), weight_g, when: WeighingTime::Now }
}

pub(crate) fn died(animal: u64) -> Correction {
    Correction::Died { animal: AnimalId(animal) }
}

pub(crate) fn accept(sequence: u64, animal: Option<u64>) -> Correction {
    Correction::AcceptRejected { sequence: Sequence(sequence), animal: animal.map(AnimalId), batch_number: None }
}

#[test]
fn a_voided_scan_leaves_nothing() {
    let mut world = World::new();
    let seen = world.keeps("hxb:L1:A:U1");
    world.corrects(void(seen));
    let herd = world.herd();
    assert_eq!((herd.totals.animals, herd.totals.active, herd.totals.open_batches), (0, 0, 0));
    assert_eq!(herd.animals[&seen].status, AnimalStatus::Voided);
    assert!(herd.owners.is_empty() && herd.memberships.is_empty() && herd.tags.is_empty());
    // The tags are free for another animal.
    world.wait(61_000);
    let again = world.keeps("hxb:L1:A:U1");
    assert_eq!(world.herd().only_animal().0, again);
}

#[test]
fn voiding_a_move_returns_the_animal_to_its_batch_and_reopens_that() {
    let mut world = World::new();
    let first = world.keeps("hxb:L1:A:U1");
    let moved = world.keeps("hxb:L2:A:U1");
    assert!(world.herd().batches[&first].closed.is_some());
    world.corrects(void(moved));
    let herd = world.herd();
    assert_eq!(herd.only_animal().1.barn_batch, Some(BatchId(first)));
    assert_eq!((herd.batches[&first].closed, herd.batches[&first].active), (None, 1));
    assert!(herd.batches[&moved].closed.is_some() && herd.batches[&moved].members == 0);
}

#[test]
fn events_after_a_voided_one_are_replayed_without_it() {
    let mut world = World::new();
    world.keeps("event:hxbind000001|lid:1|lot:L1|pen:P1");
    let wrong = world.keeps("event:hxbpai000001|lid:1|lf:WRONG|epc:U1|weight:100");
    world.keeps("event:hxbpai000002|lid:1|lf:RIGHT|epc:U1|weight:245.5");
    let animal = world.herd().only_animal().0;
    assert_eq!(world.herd().only_animal().1.lf, lf("WRONG"));
    world.corrects(move_pen(animal, "P9"));
    world.corrects(void(wrong));
    let herd = world.herd();
    let (_, animal) = herd.only_animal();
    assert_eq!((animal.lf.clone(), animal.epc.clone()), (lf("RIGHT"), epc("U1")));
    assert_eq!((animal.weight_g, animal.traits.pen.as_deref()), (Some(245_500), Some("P9")));
    assert!(!herd.owners.contains_key(&(0, "WRONG".to_owned())));
}

#[test]
fn a_void_without_effect_is_still_in_the_history() {
    let mut world = World::new();
    let animal = world.keeps("event:hxbpai000001|lid:1|lf:A|weight:200");
    let earlier = world.keeps("event:hxbchi000001|lid:1|weight:210");
    world.keeps("event:hxbchi000002|lid:1|weight:220");
    let voided = world.corrects(void(earlier));
    let snapshot = world.store.reader().snapshot().unwrap();
    let history = snapshot.history(AnimalId(animal), None, PageLimit::default()).unwrap().unwrap().data;
    assert_eq!(history[0].sequence().0, voided);
}

#[test]
fn a_void_undoes_a_merge() {
    let mut world = World::new();
    let scanned = world.keeps("hxb:L7:LF5:UHF5");
    let inducted = world.keeps("event:hxbind000009|lid:9|lot:L9");
    let paired = world.keeps("event:hxbpai000009|lid:9|lf:LF5|epc:UHF5");
    assert_eq!(world.herd().heads().count(), 1);
    world.corrects(void(paired));
    let herd = world.herd();
    assert_eq!(herd.heads().map(|(id, _)| id).collect::<Vec<_>>(), [scanned, inducted]);
    assert_eq!(herd.animals[&scanned].lf, lf("LF5"));
    assert_eq!((herd.animals[&inducted].lf.clone(), herd.animals[&inducted].epc.clone()), (None, None));
    let snapshot = world.store.reader().snapshot().unwrap();
    let history = |id| {
        let page = snapshot.history(AnimalId(id), None, PageLimit::default()).unwrap().unwrap();
        page.data.iter().map(|entry| entry.sequence().0).collect::<Vec<_>>()
    };
    assert_eq!(history(scanned), [5, scanned]);
    assert_eq!(history(inducted), [5, paired, inducted]);
}

#[test]
fn a_merge_keeps_both_lids_and_the_first_animal_s_tag_wins() {
    let mut world = World::new();
    let one = world.keeps("event:hxbpai000001|lid:1|lf:A|epc:U1|weight:200");
    let two = world.keeps("event:hxbpai000002|lid:2|lf:B|weight:210");
    assert_eq!(world.rejects("event:hxbpai000003|lid:1|lf:B"), "lid_of_another");
    world.corrects(merge(one, two));
    let herd = world.herd();
    let (id, animal) = herd.only_animal();
    assert_eq!(id, one);
    assert_eq!(animal.lids.iter().map(|named| named.lid.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    let tags = [("LF", "A", TagState::Current), ("LF", "B", TagState::Past), ("UHF", "U1", TagState::Current)];
    assert_eq!(herd.tags_of(one), tags);
    assert_eq!(animal.weight_g, Some(210_000));
    // A payload that was rejected because they were two is an event now that they are one.
    let receipt = world.store.reprocess(Sequence::ZERO, MAX_REPROCESSED, world.now).unwrap();
    assert_eq!((receipt.accepted.len(), receipt.judged, receipt.next), (1, 1, None));
    let herd = world.herd();
    assert_eq!((herd.totals.accepted, herd.totals.rejected, herd.rejected.len()), (3, 0, 0));
    all_hold(&herd).unwrap();
}

#[test]
fn a_merge_leaves_the_animal_where_it_was_seen_last() {
    let mut world = World::new();
    let yard = world.keeps("hxb:L1:A:U1");
    let left = world.keeps("hxe:OUT:B:U2");
    world.corrects(merge(yard, left));
    let herd = world.herd();
    assert_eq!(herd.only_animal().1.status, AnimalStatus::Exported);
    assert_eq!((herd.totals.active, herd.totals.exported, herd.batches[&yard].active), (0, 1, 0));
}

#[test]
fn a_retag_makes_the_old_tag_history_and_another_animal_s_tag_is_refused() {
    let mut world = World::new();
    let one = world.keeps("hxb:L1:A:U1");
    let two = world.keeps("hxb:L1:B:U2");
    world.corrects(retag(one, TagKind::Lf, Some("C")));
    assert_eq!(world.refuses(retag(one, TagKind::Lf, Some("B"))), "tag_of_another");
    assert_eq!(world.refuses(retag(one, TagKind::Lf, Some("c"))), "nothing_to_change");
    world.corrects(retag(two, TagKind::Epc, None));
    let herd = world.herd();
    let tags = [("LF", "A", TagState::Past), ("LF", "C", TagState::Current), ("UHF", "U1", TagState::Current)];
    assert_eq!(herd.tags_of(one), tags);
    assert_eq!(herd.animals[&two].epc, None);
    assert_eq!(world.refuses(retag(two, TagKind::Epc, None)), "nothing_to_change");
}

#[test]
fn an_animal_moves_between_pens_and_batches_and_is_weighed() {
    let mut world = World::new();
    let first = world.keeps("event:hxbpai000001|lid:1|lf:A");
    world.keeps("event:hxbind000001|lid:1|lot:L1|pen:P1");
    world.corrects(move_pen(first, "P2"));
    assert_eq!(world.refuses(move_pen(first, "P2")), "nothing_to_change");
    let opened = world.corrects(move_batch(first, "L2"));
    assert_eq!(world.refuses(move_batch(first, "L2")), "nothing_to_change");
    let weighed = world.corrects(weigh(first, 301_000));
    let herd = world.herd();
    let (_, animal) = herd.only_animal();
    assert_eq!(animal.barn_batch, Some(BatchId(opened)));
    assert_eq!(
        (animal.traits.pen.as_deref(), animal.weight_g, animal.weighed),
        (Some("P2"), Some(301_000), Sequence(weighed))
    );
    assert!(herd.traits.contains(&(opened, 0, "P2".into())));
    let snapshot = world.store.reader().snapshot().unwrap();
    let weights = snapshot.weights(AnimalId(first), None, PageLimit::default()).unwrap().unwrap().data;
    assert_eq!(weights.iter().map(|weight| weight.sequence.0).collect::<Vec<_>>(), [weighed]);
}

#[test]
fn dead_animals_are_in_no_batch_and_a_read_of_the_tag_brings_them_back() {
    let mut world = World::new();
    let one = world.keeps("hxb:L1:A:U1");
    world.corrects(died(one));
    let herd = world.herd();
    assert_eq!((herd.totals.active, herd.batches[&one].active), (0, 0));
    for refused in [died(one), move_pen(one, "P"), move_batch(one, "L"), weigh(one, 1), retag(one, TagKind::Lf, None)] {
        assert_eq!(world.refuses(refused), "not_on_yard");
    }
    world.wait(61_000);
    world.keeps("hxb:L1:A:U1");
    assert_eq!(world.herd().only_animal().1.status, AnimalStatus::Active);
}

#[test]
fn an_exported_animal_is_not_moved_weighed_or_dead() {
    let mut world = World::new();
    let one = world.keeps("hxe:OUT:A:U1");
    for refused in [died(one), move_pen(one, "P"), move_batch(one, "L"), weigh(one, 1), retag(one, TagKind::Lf, None)] {
        assert_eq!(world.refuses(refused), "not_on_yard");
    }
}

#[test]
fn a_batch_is_closed_once_and_its_number_opens_another() {
    let mut world = World::new();
    let first = world.keeps("hxb:L1:A:U1");
    world.corrects(Correction::CloseBatch { batch: BatchId(first) });
    assert_eq!(world.refuses(Correction::CloseBatch { batch: BatchId(first) }), "batch_closed");
    assert_eq!(world.refuses(Correction::CloseBatch { batch: BatchId(99) }), "unknown_batch");
    let second = world.keeps("hxb:L1:B:U2");
    assert!(world.herd().batches.contains_key(&second));
    let notes = |text: Option<&str>| Correction::EditBatch { batch: BatchId(first), notes: text.map(str::to_owned) };
    world.corrects(notes(Some("sick")));
    assert_eq!(world.refuses(notes(Some("sick"))), "nothing_to_change");
    assert_eq!(world.herd().batches[&first].notes.as_deref(), Some("sick"));
    world.corrects(notes(None));
    assert_eq!(world.herd().batches[&first].notes, None);
}

#[test]
fn corrections_of_unknown_records_and_self_merges_are_refused() {
    let mut world = World::new();
    let one = world.keeps("hxb:L1:A:U1");
    assert_eq!(world.rejects("invalid:data"), "unknown_prefix");
    let rejected = world.store.head().position.sequence.0;
    for (refused, code) in [
        (died(99), "unknown_animal"),
        (merge(one, one), "merge_with_itself"),
        (merge(one, 99), "unknown_animal"),
        (merge(99, one), "unknown_animal"),
        (void(1), "unknown_payload"),
        (void(99), "unknown_payload"),
        (void(rejected), "not_an_event"),
        (accept(one, None), "not_rejected"),
        (accept(99, None), "unknown_payload"),
        (accept(rejected, None), "still_rejected"),
        (accept(rejected, Some(one)), "still_rejected"),
        (Correction::NewReaderEra { reader_group: "nobody".to_owned(), from: None }, "unknown_reader_group"),
        (Correction::EditBatch { batch: BatchId(99), notes: None }, "unknown_batch"),
    ] {
        assert_eq!(world.refuses(refused.clone()), code, "{refused:?}");
    }
    let two = world.keeps("hxb:L1:B:U2");
    world.corrects(merge(one, two));
    assert_eq!(world.refuses(died(two)), "absorbed_animal");
}

#[test]
fn a_correction_is_made_once_under_its_key_and_another_under_it_is_refused() {
    let mut world = World::new();
    let one = world.keeps("hxb:L1:A:U1");
    let kept = world.correct_under("k", move_pen(one, "P1"));
    let CorrectionReceipt::Kept { sequence } = kept else { panic!("{kept:?}") };
    let head = world.store.head();
    assert_eq!(world.correct_under("k", move_pen(one, "P1")), CorrectionReceipt::Duplicate { of: sequence });
    let other = world.correct_under("k", move_pen(one, "P2"));
    assert!(matches!(&other, CorrectionReceipt::Refused(refused) if refused.code() == "key_reused"), "{other:?}");
    assert_eq!(world.store.head(), head);
}

/// Catches a reprocessing that passes payloads over between two calls, or that never ends.
#[test]
fn rejected_payloads_are_reprocessed_in_pages() {
    let mut world = World::new();
    for n in 0..3 {
        world.rejects(&format!("no event {n}"));
    }
    for (after, limit, judged, next) in
        [(0, 2, 2, Some(3)), (3, 2, 1, None), (0, 3, 3, None), (2, 1, 1, Some(3)), (0, 0, 0, Some(0)), (4, 5, 0, None)]
    {
        let receipt = world.store.reprocess(Sequence(after), limit, world.now).unwrap();
        assert_eq!((receipt.judged, receipt.next), (judged, next.map(Sequence)), "{limit} after {after}");
    }
}
