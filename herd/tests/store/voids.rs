//! Voids: histories replayed without an event.
//!
//! Catches: a void that leaves an animal that was never seen, that merges two animals without a reason, that gives back a
//! tag which another animal has taken, or that forgets later events or animals merged before.

use crate::corrections::{lf, merge, move_pen, retag, void, weigh};
use crate::herd_view::HerdView;
use crate::invariants::all_hold;
use crate::paper::Paper;
use crate::steps::{SentPayload, Step, requested};
use crate::views::history;
use crate::world::World;
use herd::change::{AnimalId, Change, Outcome, TagKind};
use herd::clock::iso_utc;
use herd::decide::Rules;
use herd::payload::SourceType;
use herd::position::Sequence;
use herd::tables::{AnimalStatus, TagState};

pub(crate) fn voiding(of: u64) -> Step {
    Step::Correct(requested(void(of), &format!("void {of}")))
}

/// Returns the payloads whose events count, each with its animal.
pub(crate) fn live_events(paper: &Paper, herd: &HerdView) -> Vec<(u64, u64)> {
    let event = |(change, by): (&Change, u64)| {
        let (of, animal) = match (change, change.late_event()) {
            (_, Some(late)) => (late.of.0, late.accepted.animal.0),
            (Change::Received(received), _) => match &received.outcome {
                Outcome::Accepted(accepted) => (by, accepted.animal.0),
                Outcome::Rejected(_) => return None,
            },
            _ => return None,
        };
        let amendments = herd.amendments.get(&of).copied().unwrap_or_default();
        (amendments.event_change(Sequence(of)) == Some(Sequence(by))).then_some((of, animal))
    };
    paper.changes.iter().zip(1..).filter_map(event).collect()
}

/// Returns the animal that this one was merged into, or the animal itself.
pub(crate) fn successor(herd: &HerdView, animal: u64) -> u64 {
    std::iter::successors(Some(animal), |id| herd.animals[id].absorbed_by.map(|by| by.0)).last().unwrap()
}

/// Checks that the animals that count are exactly those with an event.
pub(crate) fn heads_have_events(paper: &Paper, herd: &HerdView) -> Result<(), String> {
    let seen: std::collections::BTreeSet<u64> =
        live_events(paper, herd).into_iter().map(|(_, animal)| successor(herd, animal)).collect();
    let counted = herd.heads().map(|(id, _)| id).collect();
    if seen == counted { Ok(()) } else { Err(format!("{seen:?} have events and {counted:?} count")) }
}

/// Renders a herd without the facts that a void may change.
///
/// These are the last change of an animal, batches that never had an animal, and the closing of export batches: one that had
/// rested when a voided event named it has still rested.
pub(crate) fn without_marks(herd: &HerdView) -> String {
    let animals: Vec<_> = herd
        .heads()
        .map(|(id, animal)| {
            let mut animal = animal.clone();
            (animal.last, animal.unconfirmed) = (Sequence::ZERO, 0);
            (id, animal)
        })
        .collect();
    let batches: Vec<_> = herd
        .batches
        .iter()
        .filter(|(_, batch)| batch.members > 0)
        .map(|(id, batch)| (id, batch.active, batch.members, batch.source == SourceType::Hxb && batch.closed.is_none()))
        .collect();
    format!("{animals:#?} {:#?} {:#?} {:#?} {:#?} {batches:#?}", herd.tags, herd.owners, herd.lids, herd.memberships)
}

#[test]
fn corrections_alone_do_not_make_an_animal() {
    let mut world = World::new();
    let seen = world.keeps("hxb:L1:A:U1");
    world.corrects(move_pen(seen, "P9"));
    world.corrects(weigh(seen, 300_000));
    world.corrects(void(seen));
    let herd = world.herd();
    assert_eq!(herd.animals[&seen].status, AnimalStatus::Voided);
    assert_eq!((herd.heads().count(), herd.totals.active), (0, 0));
}

#[test]
fn no_animal_is_left_if_all_events_of_two_merged_ones_are_void() {
    let mut world = World::new();
    let one = world.keeps("hxb:L1:A:U1");
    let two = world.keeps("hxb:L1:B:U2");
    world.corrects(merge(one, two));
    world.corrects(void(one));
    let herd = world.herd();
    assert_eq!(herd.only_animal().0, one, "it is known by what was read of the other");
    assert_eq!(herd.tags_of(one).len(), 2);
    world.corrects(void(two));
    assert_eq!(world.herd().heads().count(), 0);
}

/// Sends a scan, an induction, and a pairing that merges them, and returns `(scan, induction, pairing)`.
fn paired(world: &mut World) -> (u64, u64, u64) {
    let scanned = world.keeps("hxb:L7:LF5:UHF5");
    let inducted = world.keeps("event:hxbind000009|lid:9|lot:L9");
    (scanned, inducted, world.keeps("event:hxbpai000009|lid:9|lf:LF5|epc:UHF5"))
}

#[test]
fn a_repair_takes_no_tag_off_an_animal_that_was_split_off() {
    let mut world = World::new();
    let (scanned, inducted, pairing) = paired(&mut world);
    world.keeps("event:hxbrep000001|lid:9|old_lf:LF5|new_lf:LF6");
    world.corrects(void(pairing));
    let herd = world.herd();
    assert_eq!(herd.animals[&scanned].lf, lf("LF5"));
    assert_eq!(herd.tags_of(inducted), [("LF", "LF6", TagState::Current)]);
}

#[test]
fn a_retag_takes_no_tag_off_an_animal_that_was_split_off() {
    let mut world = World::new();
    let (scanned, inducted, pairing) = paired(&mut world);
    world.corrects(retag(inducted, TagKind::Lf, Some("LF6")));
    world.corrects(retag(inducted, TagKind::Lf, Some("LF5")));
    world.corrects(void(pairing));
    let herd = world.herd();
    assert_eq!(herd.animals[&scanned].lf, lf("LF5"));
    assert_eq!(herd.animals[&inducted].lf, lf("LF6"));
    // Nor in a second replay.
    let weighed = world.keeps("event:hxbchi000001|lid:9|weight:300");
    world.corrects(void(weighed));
    assert_eq!(world.herd().animals[&scanned].lf, lf("LF5"));
}

#[test]
fn a_merge_by_a_tag_that_the_animal_never_wore_is_undone() {
    let mut world = World::new();
    let scanned = world.keeps("hxb:L7:LF5:UHF5");
    let wrong = world.keeps("event:hxbrep000001|old_epc:UHF5|new_epc:UHF6");
    let inducted = world.keeps("event:hxbind000009|lid:9|lot:L9");
    world.keeps("event:hxbchi000009|lid:9|epc:UHF6|weight:300");
    assert_eq!(world.herd().only_animal().0, inducted);
    world.corrects(void(wrong));
    let herd = world.herd();
    assert_eq!(herd.heads().map(|(id, _)| id).collect::<Vec<_>>(), [scanned, inducted]);
    assert_eq!(herd.tags_of(scanned), [("LF", "LF5", TagState::Current), ("UHF", "UHF5", TagState::Current)]);
    assert_eq!(herd.tags_of(inducted), [("UHF", "UHF6", TagState::Current)]);
}

#[test]
fn an_animal_that_was_split_off_keeps_corrections_made_meanwhile() {
    let mut world = World::new();
    let scanned = world.keeps("hxb:L7:LF5:UHF5");
    let exported = world.keeps("hxe:OUT:LF5:UHF5");
    world.keeps("event:hxbind000009|lid:9|lot:L9");
    let pairing = world.keeps("event:hxbpai000009|lid:9|lf:LF5|epc:UHF5");
    let first = world.corrects(void(exported));
    let second = world.corrects(void(pairing));
    let snapshot = world.store.reader().snapshot().unwrap();
    assert_eq!(history(&snapshot, scanned, 9, 99).unwrap(), [second, first, pairing, exported, scanned]);
    assert_eq!(world.herd().animals[&scanned].status, AnimalStatus::Active);
}

#[test]
fn first_seen_is_the_first_event_that_is_left() {
    let mut world = World::new();
    let first = world.keeps("hxb:L1:A:U1");
    let before = world.now.received_at_us;
    world.wait(61_000);
    world.keeps("hxb:L1:A:U1");
    world.corrects(void(first));
    let animal = world.store.reader().snapshot().unwrap().animal(AnimalId(first)).unwrap().unwrap();
    assert_eq!(animal.first_seen, animal.last_seen);
    assert_eq!(animal.last_seen, Some(iso_utc(before + 61_000_000)));
}

#[test]
fn a_replayed_merge_leaves_the_animal_where_the_merge_had_left_it() {
    let mut world = World::new();
    let two = world.keeps("hxb:L1:B:U2");
    let wrong = world.keeps("event:hxbchi000002|lf:B|weight:900");
    let one = world.keeps("hxb:L1:A:U1");
    let seen = world.keeps("event:hxbchi000001|lf:A");
    world.keeps("hxe:OUT:A:U1");
    world.corrects(void(wrong));
    world.corrects(merge(one, two));
    let before = world.herd();
    world.corrects(void(seen));
    assert_eq!(without_marks(&world.herd()), without_marks(&before));
}

#[test]
fn a_replayed_merge_takes_the_status_of_the_animal_that_was_touched_last_without_the_voided_event() {
    let mut world = World::new();
    let scanned = world.keeps("hxb:L1:A:U1");
    let exported = world.keeps("event:hxbexp000001|lid:3");
    let seen = world.keeps("event:hxbchi000001|lf:A");
    world.corrects(merge(exported, scanned));
    assert_eq!(world.herd().only_animal().1.status, AnimalStatus::Active);
    world.corrects(void(seen));
    assert_eq!(world.herd().only_animal().1.status, AnimalStatus::Exported);
}

#[test]
fn a_merge_takes_no_sighting_back() {
    let mut world = World::new();
    let one = world.keeps("hxb:L1:A:U1");
    world.wait(5_000);
    let two = world.keeps("hxb:L1:B:U2");
    let seen_at_us = world.now.received_at_us;
    world.wait(5_000);
    world.corrects(move_pen(one, "P1"));
    world.corrects(merge(one, two));
    assert_eq!(world.herd().only_animal().1.last_seen.at_us, seen_at_us);
}

#[test]
fn a_chain_of_merges_is_replayed_whole() {
    let mut world = World::new();
    let first = world.keeps("hxb:L1:LF0:UHF0");
    let mut root = first;
    for n in 1..40 {
        let next = world.keeps(&format!("hxb:L1:LF{n}:UHF{n}"));
        world.corrects(merge(next, root));
        root = next;
    }
    let weighed = world.keeps("event:hxbchi000001|lf:LF0|weight:300");
    let before = world.herd();
    assert_eq!((before.only_animal().0, before.tags_of(root).len()), (root, 80));
    world.corrects(void(weighed));
    assert_eq!(world.herd().tags_of(root), before.tags_of(root));
    let snapshot = world.store.reader().snapshot().unwrap();
    assert_eq!(snapshot.animal(AnimalId(first)).unwrap().unwrap().id, AnimalId(root));
    assert_eq!(history(&snapshot, first, 7, 200).unwrap().last(), Some(&first));
}

/// Voids every subset of the events, in order and in reverse. An event is a reader group and a text.
fn every_subset_may_be_voided(events: &[(&'static str, &str)]) {
    let sent = |(reader_group, text): &(&'static str, &str)| {
        Step::Send(SentPayload { raw: text.as_bytes().to_vec(), channel: "radio1", reader_group })
    };
    let steps: Vec<Step> = events.iter().map(sent).collect();
    let paper = played(&steps);
    let live: Vec<u64> = live_events(&paper, &paper.herd()).into_iter().map(|(of, _)| of).collect();
    for subset in 1..1_u32 << live.len() {
        let mut of: Vec<u64> = (0..).zip(&live).filter(|(n, _)| subset >> n & 1 == 1).map(|(_, of)| *of).collect();
        for _ in 0..2 {
            let mut paper = played(&steps);
            for (done, of_one) in (1..).zip(&of) {
                assert!(paper.step(&voiding(*of_one), &Rules::default()).is_some(), "{of_one} is not voided");
                let herd = paper.herd();
                let all = all_hold(&herd).and_then(|()| heads_have_events(&paper, &herd));
                all.unwrap_or_else(|broken| panic!("{broken} after the voids of {:?}", &of[..done]));
            }
            of.reverse();
        }
    }
}

#[test]
fn two_animals_are_not_merged_over_a_tag_that_a_void_gives_back() {
    let events = [
        ("main", "event:hxbind000000|lid:1|lf:X|epc:U2"),
        ("main", "event:hxbind000001|epc:U3"),
        ("main", "event:hxbrep000001|new_lf:A|old_lf:X|old_epc:U2"),
        ("main", "event:hxbind000002|lid:1|epc:U3"),
    ];
    let mut world = World::new();
    let [one, other, repair, _] = events.map(|(_, text)| world.keeps(text));
    assert_eq!(world.herd().only_animal().0, one);
    world.corrects(void(repair));
    let herd = world.herd();
    assert_eq!(herd.heads().map(|(id, _)| id).collect::<Vec<_>>(), [one, other]);
    let own = [("LF", "X", TagState::Current), ("UHF", "U2", TagState::Current), ("UHF", "U3", TagState::Unconfirmed)];
    assert_eq!(herd.tags_of(one), own);
    assert_eq!(herd.tags_of(other), [("UHF", "U3", TagState::Current)]);
    every_subset_may_be_voided(&events);
}

#[test]
fn two_animals_are_not_merged_over_a_tag_that_a_void_gives_back_to_a_lid_of_another_reader_group() {
    every_subset_may_be_voided(&[
        ("other", "event:hxbind000000|lid:1|epc:EPC:u1"),
        ("main", "event:hxbind000001|epc:U4"),
        ("main", "event:hxbind000000"),
        ("main", "hxb:L1:B:U1"),
        ("main", "hxb:L1:A:U1"),
        ("main", "event:hxbrep000000|new_lf:A|old_epc:EPC:u1"),
        ("other", "event:hxbind000001|lid:1|epc:U4"),
    ]);
}

#[test]
fn two_animals_are_not_merged_by_a_lid_whose_event_was_voided() {
    let mut world = World::new();
    let one = world.keeps("event:hxbchi000001|lf:A");
    let lid = world.keeps("event:hxbpai000001|lid:7|lf:A");
    let other = world.keeps("event:hxbind000001|epc:U2");
    world.keeps("event:hxbpai000002|lid:7|epc:U2");
    assert_eq!(world.herd().only_animal().0, one);
    world.corrects(void(lid));
    assert_eq!(world.herd().heads().map(|(id, _)| id).collect::<Vec<_>>(), [one, other]);
}

#[test]
fn a_void_does_not_decide_earlier_events_again() {
    let mut world = World::new();
    let first = world.keeps("event:hxbind000001|lf:D|epc:U1");
    world.keeps("hxb:L1:D:U4");
    world.keeps("hxb:L1:D:U1");
    let other = world.keeps("event:hxbind000002|epc:U4");
    world.corrects(void(first));
    let worn = [("LF", "D", TagState::Current), ("UHF", "U1", TagState::Current), ("UHF", "U4", TagState::Unconfirmed)];
    let one = world.herd().heads().next().unwrap().0;
    assert_eq!(world.herd().tags_of(one), worn);
    // The tag that the first void did not give back is free now.
    world.corrects(void(other));
    let before = world.herd();
    let last = world.keeps("event:hxbchi000003|lf:D");
    world.corrects(void(last));
    assert_eq!(world.herd().tags_of(one), worn);
    assert_eq!(without_marks(&world.herd()), without_marks(&before));
}

#[test]
fn a_void_keeps_what_an_earlier_void_decided_for_an_animal_split_off_since() {
    let mut world = World::new();
    let scanned = world.keeps("event:hxbind000000|epc:U1");
    let wrong = world.keeps("hxb:L1:A:U2");
    world.keeps("hxb:L1:B:U2");
    let inducted = world.keeps("event:hxbind000001|lid:3|lf:B");
    let merge_scanned = world.keeps("event:hxbind000002|lid:3|epc:U1");
    world.corrects(void(wrong));
    world.keeps("event:hxbrep000000|lid:3|new_epc:U4");
    world.keeps("event:hxbrep000001|new_lf:A|old_epc:U4");
    let merge_other = world.keeps("event:hxbind000003|lid:3|epc:U2");
    assert_eq!(world.herd().only_animal().0, inducted);
    // Splits off both, and decides from `wrong` on, because that counted when `merge_scanned` was decided: B is the other's.
    world.corrects(void(merge_scanned));
    let herd = world.herd();
    assert_eq!(herd.heads().map(|(id, _)| id).collect::<Vec<_>>(), [scanned, wrong, inducted]);
    assert_eq!(herd.tags_of(wrong), [("LF", "B", TagState::Current), ("UHF", "U2", TagState::Current)]);
    // `wrong` is in the history of the other alone now, and B must stay there all the same.
    world.corrects(void(merge_other));
    let herd = world.herd();
    all_hold(&herd).unwrap();
    assert_eq!(herd.tags_of(wrong), [("LF", "B", TagState::Current), ("UHF", "U2", TagState::Current)]);
    let own = [("LF", "A", TagState::Current), ("LF", "B", TagState::Unconfirmed), ("UHF", "U4", TagState::Past)];
    assert_eq!(herd.tags_of(inducted), own);
}

pub(crate) fn played(steps: &[Step]) -> Paper {
    let mut paper = Paper::new();
    for step in steps {
        paper.step(step, &Rules::default());
    }
    paper
}
