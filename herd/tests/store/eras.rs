//! Readers that began again, and orders that move their payloads into a new reader era.
//!
//! Catches: an old animal that keeps a lot or a weight of a new one, a payload that is moved twice or not at all after a
//! kill, and a late move that brings an animal back to the yard.

use crate::corrections::{died, void, weigh};
use crate::herd_view::HerdView;
use crate::invariants::all_hold;
use crate::steps::requested;
use crate::views::all_read;
use crate::world::{STORE, World, everything, open_source, origin};
use herd::change::{AnimalId, Correction, WeighingTime};
use herd::decide::Rules;
use herd::position::Sequence;
use herd::query::{ChangeBody, PageLimit};
use herd::store::{
    CorrectionReceipt, Incoming, JOURNAL_FILE, MAX_CHANGES_SEARCHED, MAX_MOVED, MemoryDisk, Receipt, Store,
};
use herd::tables::{AnimalStatus, TagState};

pub(crate) fn era_from(from: u64) -> Correction {
    Correction::NewReaderEra { reader_group: "main".to_owned(), from: Some(Sequence(from)) }
}

impl World {
    /// Begins an era at a payload, takes all steps, and returns the order.
    pub(crate) fn begins_era(&mut self, from: u64) -> u64 {
        let order = self.corrects(era_from(from));
        self.moves_all();
        order
    }

    fn moves_all(&mut self) {
        while self.store.step_era_moves(self.now).unwrap().is_some() {
            all_hold(&self.herd()).unwrap();
        }
    }

    /// Sends a payload, and returns the change that holds it, accepted or not.
    fn records(&mut self, text: &str) -> u64 {
        match self.send(text) {
            Receipt::Kept { sequence } | Receipt::Rejected { sequence, .. } => sequence.0,
            other => panic!("`{text}` should be recorded, and is {other:?}"),
        }
    }

    /// Sends inductions and pairings of animals with the lids `1..=head`, and returns the first payload.
    fn lot(&mut self, name: char, head: u64) -> u64 {
        let first = self.store.head().position.sequence.0 + 1;
        for lid in 1..=head {
            self.records(&format!("event:hxbind{lid:06}|lid:{lid}|lot:L{name}|pen:P{name}"));
            self.records(&format!(
                "event:hxbpai{lid:06}|lid:{lid}|lf:{name}{lid}|epc:U{name}{lid}|weight:{}",
                200 + lid
            ));
        }
        first
    }

    /// Returns `(lid, LF tag, lot, weight)` of each animal that counts, in the order of their tags.
    fn animals(&self) -> Vec<(String, String, String, u32)> {
        let herd = self.herd();
        let mut animals: Vec<_> = herd
            .heads()
            .map(|(_, animal)| {
                let lids: Vec<&str> = animal.lids.iter().map(|name| name.lid.as_str()).collect();
                let lot = animal.barn_batch.map(|batch| herd.batches[&batch.0].number.to_string());
                let tag = animal.lf.as_ref().map(|tag| tag.key().to_owned());
                (lids.join("+"), tag.unwrap_or_default(), lot.unwrap_or_default(), animal.weight_g.unwrap_or_default())
            })
            .collect();
        animals.sort_by(|one, other| one.1.cmp(&other.1));
        animals
    }
}

fn animal(lid: &str, tag: &str, lot: &str, kg: u32) -> (String, String, String, u32) {
    (lid.to_owned(), tag.to_owned(), lot.to_owned(), kg * 1_000)
}

fn unconfirmed(herd: &HerdView) -> usize {
    herd.tags.values().filter(|held| held.state == TagState::Unconfirmed).count()
}

#[test]
fn two_lots_through_a_reader_that_began_again_are_two_lots_after_the_order() {
    let mut world = World::new();
    world.lot('A', 3);
    let first = world.lot('B', 3);
    for lid in 1..=3 {
        world.keeps(&format!("event:hxbchi{lid:06}|lid:{lid}|weight:{}", 300 + lid));
    }
    assert_eq!(world.herd().heads().count(), 3, "the second lot is taken for the first");
    assert_eq!(world.animals()[0].3, 301_000, "and its weights too");
    world.begins_era(first);
    let lots = [
        animal("1", "A1", "LA", 201),
        animal("2", "A2", "LA", 202),
        animal("3", "A3", "LA", 203),
        animal("1", "B1", "LB", 301),
        animal("2", "B2", "LB", 302),
        animal("3", "B3", "LB", 303),
    ];
    assert_eq!(world.animals(), lots);
    let herd = world.herd();
    assert_eq!((unconfirmed(&herd), herd.totals.rejected, herd.totals.missed_events), (0, 0, 0));
    assert_eq!(herd.batches_named("hxb", "LA")[0].1.active, 3);
    assert_eq!(herd.batches_named("hxb", "LB")[0].1.active, 3);
    // What the readers send from now on belongs to the era.
    world.keeps("event:hxbchi000004|lid:1|weight:310");
    assert_eq!(world.animals()[3], animal("1", "B1", "LB", 310));
    all_read(&world.store.reader().snapshot().unwrap()).unwrap();
}

/// The reader counts its pairings on, so that these were taken for reads of the old animals.
#[test]
fn tags_that_were_unconfirmed_beside_old_animals_are_those_of_the_new_ones() {
    let mut world = World::new();
    world.lot('A', 2);
    let first = world.records("event:hxbind000001|lid:1|lot:LB");
    world.keeps("event:hxbpai000003|lid:1|lf:B1|epc:UB1|weight:300");
    let scanned = world.keeps("hxb:LB:B1:UB1");
    world.keeps("hxe:OUT:B1:UB1");
    assert_eq!(unconfirmed(&world.herd()), 2);
    world.begins_era(first);
    let herd = world.herd();
    assert_eq!(unconfirmed(&herd), 0);
    assert_eq!(herd.heads().count(), 3);
    let new = &herd.animals[&first];
    assert_eq!((new.status, new.weight_g), (AnimalStatus::Exported, Some(300_000)), "it left before the order");
    assert_eq!(herd.animals[&scanned].absorbed_by, Some(AnimalId(first)), "the scan was of the same animal");
    assert_eq!(world.animals()[..2], [animal("1", "A1", "LA", 201), animal("2", "A2", "LA", 202)]);
}

#[test]
fn an_animal_that_was_founded_in_the_wrong_era_keeps_its_number_and_its_corrections() {
    let mut world = World::new();
    world.lot('A', 2);
    let first = world.lot('B', 3);
    let third = world.herd().heads().map(|(id, _)| id).last().unwrap();
    world.corrects(weigh(third, 777_000));
    world.begins_era(first);
    let herd = world.herd();
    let row = &herd.animals[&third];
    assert_eq!(row.lids.iter().map(|name| (name.reader_era, name.lid.as_str())).collect::<Vec<_>>(), [(2, "3")]);
    assert_eq!((row.weight_g, row.status), (Some(777_000), AnimalStatus::Active));
    world.corrects(died(third));
    assert_eq!(world.herd().heads().count(), 5);
}

#[test]
fn an_order_is_applied_once_and_another_order_moves_everything_into_the_next_era() {
    let mut world = World::new();
    world.lot('A', 3);
    let first = world.lot('B', 3);
    let request = requested(era_from(first), "one key");
    let CorrectionReceipt::Kept { sequence: order } = world.store.correct(&request, world.now).unwrap() else {
        panic!()
    };
    world.moves_all();
    let before = everything(&world.store);
    assert_eq!(world.store.correct(&request, world.now).unwrap(), CorrectionReceipt::Duplicate { of: order });
    world.moves_all();
    assert_eq!(everything(&world.store), before);
    let animals = world.animals();
    let ids: Vec<u64> = world.herd().heads().map(|(id, _)| id).collect();
    let orders = |world: &World| {
        let moves = world.store.reader().snapshot().unwrap().reader_era_moves().unwrap();
        moves.into_iter().map(|order| (order.reader_era, order.done)).collect::<Vec<_>>()
    };
    assert_eq!(orders(&world), [(2, true)]);
    world.corrects(era_from(first));
    assert_eq!(orders(&world), [(3, false)], "one that is done is shown while its era is the current one");
    world.moves_all();
    assert_eq!(orders(&world), [(3, true)]);
    assert_eq!(world.animals(), animals);
    assert_eq!(world.herd().heads().map(|(id, _)| id).collect::<Vec<_>>(), ids);
    let is_third = |world: &World, id: u64| world.herd().animals[&id].lids.iter().all(|name| name.reader_era == 3);
    assert!(ids[3..].iter().all(|id| is_third(&world, *id)));
    world.corrects(era_from(first));
    world.corrects(Correction::NewReaderEra { reader_group: "main".to_owned(), from: None });
    assert_eq!(orders(&world), [(4, false)], "one that is not done is shown in a later era as well");
}

#[test]
fn an_order_needs_a_group_and_a_change_that_exist() {
    let mut world = World::new();
    world.lot('A', 1);
    for from in [0, 99] {
        assert_eq!(world.refuses(era_from(from)), "unknown_payload");
    }
    let nobody = Correction::NewReaderEra { reader_group: "nobody".to_owned(), from: Some(Sequence(2)) };
    assert_eq!(world.refuses(nobody), "unknown_reader_group");
}

#[test]
fn an_event_that_contradicts_the_era_is_voided_with_the_reason() {
    let mut world = World::new();
    world.lot('A', 2);
    let first = world.records("event:hxbind000001|lid:1|lot:LB");
    world.records("event:hxbind000002|lid:2|lot:LB");
    world.keeps("event:hxbpai000003|lid:2|lf:B2|weight:302");
    let stray = world.keeps("event:hxbpai000004|lid:1|lf:B2|weight:999");
    world.begins_era(first);
    let lots = [
        animal("1", "", "LB", 0),
        animal("1", "A1", "LA", 201),
        animal("2", "A2", "LA", 202),
        animal("2", "B2", "LB", 302),
    ];
    assert_eq!(world.animals(), lots);
    assert_eq!(unconfirmed(&world.herd()), 0);
    let snapshot = world.store.reader().snapshot().unwrap();
    let by = snapshot.payload(Sequence(stray)).unwrap().unwrap().voided_by.unwrap();
    let ChangeBody::EraMove { void_reason: Some(reason), .. } = snapshot.change_view(by).unwrap().unwrap().body else {
        panic!("change {by} has no reason");
    };
    assert!(reason.contains("lid"), "{reason}");
}

#[test]
fn a_moved_event_can_be_voided_and_later_events_stay() {
    let mut world = World::new();
    world.lot('A', 2);
    let first = world.lot('B', 2);
    world.keeps("event:hxbchi000001|lid:1|weight:301");
    world.begins_era(first);
    let last = world.keeps("event:hxbchi000002|lid:1|weight:302");
    world.corrects(void(last));
    assert_eq!(world.animals()[2], animal("1", "B1", "LB", 301));
    // Without its pairing the new animal has no tags, and the old ones are as they were.
    world.corrects(void(first + 1));
    assert_eq!(world.animals()[0], animal("1", "", "LB", 301));
    assert_eq!(world.animals()[1..3], [animal("1", "A1", "LA", 201), animal("2", "A2", "LA", 202)]);
    all_read(&world.store.reader().snapshot().unwrap()).unwrap();
}

#[test]
fn a_move_is_in_the_histories_of_both_animals_and_its_weight_in_one() {
    let mut world = World::new();
    let old = world.lot('A', 1);
    let first = world.records("event:hxbind000001|lid:1|lot:LB");
    let weighed = world.keeps("event:hxbchi000001|lid:1|weight:301");
    world.begins_era(first);
    let snapshot = world.store.reader().snapshot().unwrap();
    let weights = |animal: u64| {
        let page = snapshot.weights(AnimalId(animal), None, PageLimit::default()).unwrap().unwrap();
        page.data.iter().map(|weight| weight.weight_g).collect::<Vec<_>>()
    };
    assert_eq!((weights(old), weights(first)), (vec![201_000], vec![301_000]));
    let payload = snapshot.payload(Sequence(weighed)).unwrap().unwrap();
    assert_eq!((payload.animal, payload.reader_era), (Some(AnimalId(first)), 2));
    // The moved weighing can be replaced, and stays replaced when the history is written again.
    let moved = payload.accepted_by.unwrap();
    let when = WeighingTime::InsteadOf(moved);
    world.corrects(Correction::Weigh { animal: AnimalId(first), weight_g: 305_000, when });
    assert_eq!(world.herd().animals[&first].weight_g, Some(305_000));
    let read = world.keeps("event:hxbrep000001|lid:1|new_lf:B9");
    world.corrects(void(read));
    assert_eq!(world.herd().animals[&first].weight_g, Some(305_000));
}

/// A barn with two lots of this size through readers that began again, and the first payload of the second lot.
fn began_again(head: u64) -> (World, u64) {
    let mut world = World::new();
    world.lot('A', head);
    let first = world.lot('B', head);
    for lid in 1..=head {
        world.keeps(&format!("event:hxbchi{lid:06}|lid:{lid}|weight:{}", 300 + lid));
    }
    (world, first)
}

#[test]
fn an_order_goes_on_after_a_kill_at_every_step() {
    let (mut world, first) = began_again(30);
    world.corrects(era_from(first));
    let order = world.disk.after_power_cut();
    let mut steps = 0;
    while world.store.step_era_moves(world.now).unwrap().is_some() {
        steps += 1;
    }
    assert!(steps > 90 / MAX_MOVED, "{steps} steps");
    let whole = everything(&world.store);
    let clock = world.now.in_boot(1);
    for killed_after in 0..steps {
        let disk = order.after_kill();
        let mut store = open_source(&disk, Rules::default(), clock);
        for _ in 0..killed_after {
            store.step_era_moves(world.now).unwrap();
        }
        for disk in [disk.after_power_cut(), disk.after_torn_power_cut(killed_after + 1)] {
            let mut store = open_source(&disk, Rules::default(), clock);
            while store.step_era_moves(world.now).unwrap().is_some() {}
            assert_eq!(everything(&store), whole, "killed after {killed_after} steps");
        }
    }
}

#[test]
fn an_order_goes_on_after_a_disk_that_failed_in_a_step() {
    let (mut world, first) = began_again(12);
    world.corrects(era_from(first));
    let order = world.disk.after_power_cut();
    world.moves_all();
    let whole = everything(&world.store);
    let mut failed = 0;
    for writes in 0..12 {
        let disk = order.after_kill();
        let mut store = open_source(&disk, Rules::default(), world.now.in_boot(1));
        disk.fail_after(JOURNAL_FILE, writes);
        while let Ok(Some(_)) = store.step_era_moves(world.now) {}
        failed += u64::from(store.step_era_moves(world.now).is_err());
        drop(store);
        let mut store = open_source(&disk.after_power_cut(), Rules::default(), world.now.in_boot(1));
        while store.step_era_moves(world.now).unwrap().is_some() {}
        assert_eq!(everything(&store), whole, "failed after {writes} writes");
    }
    assert!(failed > 0);
}

#[test]
fn payloads_and_corrections_between_the_steps_belong_to_the_era_already() {
    let (mut world, first) = began_again(30);
    world.corrects(era_from(first));
    world.store.step_era_moves(world.now).unwrap();
    let (moved, unmoved) = (1, 30);
    for lid in [moved, unmoved] {
        world.keeps(&format!("event:hxbrep{lid:06}|lid:{lid}|new_lf:C{lid}|weight:999"));
    }
    world.corrects(weigh(first, 888_000));
    world.moves_all();
    let animals = world.animals();
    assert_eq!(animals.len(), 60);
    assert!(animals.contains(&animal("1", "C1", "LB", 888)), "{animals:?}");
    assert!(animals.contains(&animal("30", "C30", "LB", 999)), "{animals:?}");
    assert!(animals.contains(&animal("30", "A30", "LA", 230)), "{animals:?}");
    assert_eq!(unconfirmed(&world.herd()), 0);
}

#[test]
fn a_replica_needs_nothing_but_the_log() {
    let (mut world, first) = began_again(3);
    world.begins_era(first);
    let mut replica = Store::open_replica(&MemoryDisk::default(), STORE).unwrap();
    let run = world.store.reader().run_after(replica.head().position, 10_000, 1 << 24).unwrap();
    replica.apply(run).unwrap();
    assert_eq!(everything(&replica), everything(&world.store));
}

#[test]
fn a_rejected_payload_before_the_order_is_accepted_into_its_era_later() {
    let mut world = World::new();
    world.lot('A', 1);
    let first = world.records("event:hxbind000001|lid:1|lot:LB");
    let one = world.keeps("hxb:LB:B1:UB1");
    let two = world.keeps("hxb:LB:B2:UB2");
    let both = world.records("event:hxbpai000001|lid:1|lf:B1|epc:UB2");
    world.begins_era(first);
    world.corrects(crate::corrections::merge(one, two));
    assert_eq!(world.store.reprocess(Sequence::ZERO, 10, world.now).unwrap().accepted, [Sequence(both)]);
    assert_eq!(world.animals()[0], animal("1", "A1", "LA", 201));
    let snapshot = world.store.reader().snapshot().unwrap();
    let payload = snapshot.payload(Sequence(both)).unwrap().unwrap();
    assert_eq!((payload.reader_era, payload.animal), (2, Some(AnimalId(first))));
}

#[test]
fn a_payload_whose_animal_has_too_long_a_history_stays_where_it_was_and_the_order_goes_on() {
    const TOO_MANY: u64 = 10_001;
    let mut world = World::new();
    world.lot('A', 1);
    let texts: Vec<_> = (2..=TOO_MANY).map(|n| world.incoming(&format!("event:hxbchi{n:06}|lid:1"))).collect();
    texts.chunks(1_000).for_each(|group| drop(world.store.append(group).unwrap()));
    let first = world.records("event:hxbind000001|lid:1|lot:LB");
    world.keeps("event:hxbchi000001|lid:1|weight:300");
    world.begins_era(first);
    let moves = &world.store.reader().snapshot().unwrap().reader_era_moves().unwrap()[0];
    assert_eq!((moves.moved, moves.left, moves.done), (1, 1, true));
    world.corrects(Correction::NewReaderEra { reader_group: "main".to_owned(), from: None });
    let moves = world.store.reader().snapshot().unwrap().reader_era_moves().unwrap();
    assert_eq!(moves.len(), 1, "an order that left a payload is shown for good");
    assert_eq!(world.herd().heads().next().unwrap().1.weight_g, Some(300_000), "it is still the old one's");
}

/// Catches a step without a bound, for which radios would wait, one that searches the same changes for ever, and a younger
/// order that is taken before an older one.
#[test]
fn steps_are_bounded_and_the_oldest_order_comes_first() {
    let mut world = World::new();
    let first = world.records("event:hxbind000001|lid:1|lot:L");
    for lid in 2..=MAX_MOVED + 5 {
        world.records(&format!("event:hxbind{lid:06}|lid:{lid}|lot:L"));
    }
    let of_another_group = |n| Incoming {
        origin: origin("radio2", "east"),
        ..world.incoming(&format!("event:hxbind{n:06}|lid:{n}|lot:E"))
    };
    let others: Vec<_> = (0..MAX_CHANGES_SEARCHED + 200).map(of_another_group).collect();
    world.store.append(&others).unwrap();
    let last = world.store.head().position.sequence;
    let older = world.corrects(era_from(first));
    let younger = Correction::NewReaderEra { reader_group: "east".to_owned(), from: Some(last) };
    let younger = world.corrects(younger);
    // No more than a few, so that steps which never end fail.
    let steps = (0..9).map_while(|_| world.store.step_era_moves(world.now).unwrap());
    let steps = steps.map(|step| (step.order.0, step.payloads, step.through.0, step.is_done));
    let taken: Vec<_> = steps.collect();
    let moved = first - 1 + MAX_MOVED;
    let expected = [
        (older, MAX_MOVED, moved, false),
        (older, 5, moved + MAX_CHANGES_SEARCHED, false),
        (older, 0, last.0, true),
        (younger, 1, older, true),
    ];
    assert_eq!(taken, expected);
}
