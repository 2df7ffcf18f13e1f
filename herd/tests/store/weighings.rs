//! Weights that people put right, of events that are voided, accepted again or moved into a reader era; and weights that are
//! accepted late.
//!
//! Catches: a weight that is listed beside the one that replaces it, one that stays although its event has gone, and lists, gains
//! and rows that do not agree about it.

use crate::catalog_figures::built;
use crate::corrections::{accept, void};
use crate::world::{BEGAN_US, World};
use herd::change::{AnimalId, Correction, WeighingTime};
use herd::clock::RawReading;
use herd::position::Sequence;
use herd::query::PageLimit;
use std::collections::BTreeMap;

const YEAR_US: i64 = 365 * 86_400_000_000;

impl World {
    /// Puts a weighing right a second later, and returns the change.
    fn reweighs(&mut self, animal: u64, weighing: u64, kg: u32) -> u64 {
        self.wait(1_000);
        let when = WeighingTime::InsteadOf(Sequence(weighing));
        self.corrects(Correction::Weigh { animal: AnimalId(animal), weight_g: kg * 1_000, when })
    }

    /// Sends a payload a second later, and returns the change that holds it, accepted or not.
    fn records_later(&mut self, text: &str) -> u64 {
        self.wait(1_000);
        self.send(text);
        self.store.head().position.sequence.0
    }

    /// Returns the weights of each animal in kg, oldest first. The list, the catalog and the row of each must agree.
    fn weights(&self) -> BTreeMap<u64, Vec<u32>> {
        let (snapshot, catalog, limit) =
            (self.store.reader().snapshot().unwrap(), built(self), PageLimit::new(100).unwrap());
        let weights_of = |id: u64, row: Option<u32>| {
            let page = snapshot.weights(AnimalId(id), None, limit).unwrap().unwrap();
            let mut listed: Vec<_> = page.data.iter().map(|weight| (weight.sequence, weight.weight_g)).collect();
            listed.sort_unstable();
            let by_time = catalog.weighings(AnimalId(id));
            let mut in_catalog: Vec<_> = by_time.iter().map(|weighing| (weighing.by, weighing.weight_g)).collect();
            in_catalog.sort_unstable();
            assert_eq!(listed, in_catalog, "animal {id}: list and catalog");
            assert_eq!(by_time.last().map(|weighing| weighing.weight_g), row, "animal {id}: last weight and row");
            by_time.iter().map(|weighing| weighing.weight_g / 1_000).collect()
        };
        self.herd().heads().map(|(id, row)| (id, weights_of(id, row.weight_g))).collect()
    }
}

#[test]
fn a_weight_that_was_put_right_goes_with_the_event_of_its_payload() {
    let mut world = World::new();
    let animal = world.records_later("event:hxbind1|lid:1|lot:L");
    let late = world.records_later("event:hxbchi1|lid:0|weight:200");
    world.wait(1_000);
    let accepted = world.corrects(accept(late, Some(animal)));
    let read = world.records_later("event:hxbchi2|lid:1|weight:300");
    let right = world.reweighs(animal, accepted, 210);
    world.reweighs(animal, right, 211);
    world.reweighs(animal, read, 310);
    assert_eq!(world.weights()[&animal], [211, 310]);
    world.corrects(void(late));
    assert_eq!(world.weights()[&animal], [310]);
    world.corrects(void(read));
    assert!(world.weights()[&animal].is_empty());
    // A person who accepts the event anew takes its weight as it was read.
    world.wait(1_000);
    world.corrects(accept(late, Some(animal)));
    world.corrects(accept(read, None));
    assert_eq!(world.weights()[&animal], [200, 300]);
}

#[test]
fn a_weight_that_was_put_right_does_not_stay_with_an_animal_that_an_era_takes_it_from() {
    let mut world = World::new();
    let old = world.records_later("event:hxbind000001|lid:1|lot:LA");
    world.records_later("event:hxbpai000001|lid:1|lf:A1|weight:201");
    let first = world.records_later("event:hxbind000001|lid:1|lot:LB");
    let weighed = world.records_later("event:hxbchi000001|lid:1|weight:300");
    world.reweighs(old, weighed, 250);
    assert_eq!(world.weights(), [(old, vec![201, 250])].into());
    world.begins_era(first);
    assert_eq!(world.weights(), [(old, vec![201]), (first, vec![300])].into());
}

/// Both kinds of events: of a payload that was one at once, and of one that a person accepted.
#[test]
fn a_weight_that_was_put_right_stays_with_its_animal_through_moves_into_eras() {
    let mut world = World::new();
    world.records_later("event:hxbind000001|lid:1|lot:LA");
    world.records_later("event:hxbchi000001|lid:1|weight:201");
    let first = world.records_later("event:hxbind000002|lid:2|lot:LB");
    let late = world.records_later("event:hxbchi000001|lid:2|weight:300");
    world.wait(1_000);
    let accepted = world.corrects(accept(late, None));
    let read = world.records_later("event:hxbchi000002|lid:2|weight:400");
    let wrong = world.reweighs(first, accepted, 310);
    world.reweighs(first, read, 410);
    assert_eq!(world.weights()[&first], [310, 410]);
    for era in 2..5 {
        world.begins_era(first);
        assert_eq!(world.weights()[&first], [310, 410], "era {era}");
    }
    // The one that was accepted is the current weight once the other has gone.
    world.corrects(void(read));
    assert_eq!(world.weights()[&first], [310]);
    world.begins_era(first);
    assert_eq!(world.weights()[&first], [310]);
    world.reweighs(first, wrong, 320);
    world.begins_era(first);
    assert_eq!(world.weights()[&first], [320]);
    world.corrects(void(late));
    assert!(world.weights()[&first].is_empty());
    // Accepted anew, both count as they were read, also when they are moved.
    world.wait(1_000);
    world.corrects(accept(late, None));
    world.corrects(accept(read, None));
    assert_eq!(world.weights()[&first], [300, 400]);
    world.begins_era(first);
    assert_eq!(world.weights()[&first], [300, 400]);
}

/// Returns the weight of an animal that was weighed 200 kg, then 300 kg, of which the payload of one is accepted late. `now`
/// makes the clock that the late one arrived by.
fn weight_accepted_late(is_last: bool, now: impl Fn(RawReading) -> RawReading) -> Option<u32> {
    let mut world = World::new();
    let animal = world.records_later("event:hxbind1|lid:1|lot:L");
    let mut late = 0;
    for (kg, is_late) in [(200, !is_last), (300, is_last)] {
        let known = world.now;
        if is_late {
            world.now = now(known);
            late = world.records_later(&format!("event:hxbchi{kg}|lid:0|weight:{kg}"));
            world.now = known;
            world.wait(1_000);
        } else {
            world.records_later(&format!("event:hxbchi{kg}|lid:1|weight:{kg}"));
        }
    }
    world.wait(1_000);
    world.corrects(accept(late, Some(animal)));
    world.herd().only_animal().1.weight_g
}

/// Catches an older weight that wins because a clock ran ahead, and a newer one that loses because it was never set.
#[test]
fn a_weight_that_is_accepted_late_is_compared_by_times_only_if_both_are_known() {
    let ahead = |now| RawReading { received_at_us: BEGAN_US + YEAR_US, synchronized: false, ..now };
    let unset = |now| RawReading { received_at_us: 5, synchronized: false, ..now };
    for (what, clock) in [("ahead", ahead as fn(RawReading) -> RawReading), ("unset", unset), ("right", |now| now)] {
        assert_eq!(weight_accepted_late(false, clock), Some(300_000), "{what}: the older one is late");
        assert_eq!(weight_accepted_late(true, clock), Some(300_000), "{what}: the newer one is late");
    }
}
