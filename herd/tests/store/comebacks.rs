//! Payloads that were lost and come back after their animals were seen again.
//!
//! Catches: an old event that takes effect as if it had arrived last: an animal that is back on the yard, or that left on the day
//! of an earlier export.

use crate::catalog_figures::built;
use crate::corrections::void;
use crate::world::{BEGAN_US, World};
use herd::change::{Acceptance, AnimalId, AnimalStatus};
use herd::position::Sequence;

const DAY_MS: u64 = 86_400_000;
const DAY_US: i64 = 86_400_000_000;

impl World {
    /// Brings back a payload that another barn had received on this day, and returns the change that holds it.
    fn readmits(&mut self, text: &str, day: u64) -> u64 {
        let mut other = World::new();
        other.wait(day * DAY_MS);
        other.send(text);
        let reader = other.store.reader();
        let run = reader.run_after(reader.position_at(Sequence(1)).unwrap().unwrap(), 10, 1 << 20).unwrap();
        let acceptance = Acceptance { author: "J. Doe".to_owned(), reason: "the card died".to_owned() };
        let readmitted = self.store.readmit(&run, &acceptance).unwrap();
        assert_eq!(readmitted.kept, 1, "{readmitted:?}");
        self.store.head().position.sequence.0
    }
}

#[test]
fn an_earlier_export_that_comes_back_is_not_the_last_one() {
    let mut world = World::new();
    let animal = AnimalId(world.keeps("hxb:L1:A:"));
    world.wait(5 * DAY_MS);
    world.keeps("hxe:OUT2:A:");
    let exported = |world: &World| built(world).animal(animal).unwrap().exported.map(|at| at.at_us);
    assert_eq!(exported(&world), Some(BEGAN_US + 5 * DAY_US));
    world.wait(5 * DAY_MS);
    world.readmits("hxe:OUT1:A:", 2);
    assert_eq!(exported(&world), Some(BEGAN_US + 5 * DAY_US));
    // One that happened after it is.
    world.readmits("hxe:OUT3:A:", 7);
    assert_eq!(exported(&world), Some(BEGAN_US + 7 * DAY_US));
}

/// The sighting, and then an earlier event, are replayed.
#[test]
fn an_old_sighting_that_came_back_brings_no_animal_to_the_yard_when_an_era_moves_it() {
    let mut world = World::new();
    let animal = world.keeps("event:hxbpai000001|lid:1|lf:A1");
    let read = world.keeps("event:hxbchi000001|lf:A1");
    world.wait(5 * DAY_MS);
    world.keeps("hxe:OUT:A1:");
    world.wait(5 * DAY_MS);
    let sighted = world.readmits("event:hxbind000007|lf:A1|lot:L7|lid:1", 2);
    let state = |world: &World| {
        let herd = world.herd();
        let row = &herd.animals[&animal];
        (row.status, row.last_seen.at_us, row.returned, row.barn_batch, herd.totals.open_batches)
    };
    let expected = (AnimalStatus::Exported, BEGAN_US + 5 * DAY_US, None, None, 1);
    assert_eq!(state(&world), expected);
    world.begins_era(sighted);
    let moved = world.store.reader().snapshot().unwrap().payload(Sequence(sighted)).unwrap().unwrap();
    assert_eq!((moved.reader_era, moved.animal, moved.voided_by), (2, Some(AnimalId(animal)), None));
    assert_eq!(state(&world), expected);
    world.corrects(void(read));
    assert_eq!(state(&world), expected);
}
