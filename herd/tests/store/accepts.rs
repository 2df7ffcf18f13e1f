//! Payloads that an operator accepts or assigns to another animal, after another decision about them.
//!
//! Catches: one read that counts twice, an event of two animals, a rejection that blocks its text or event id forever,
//! and a late event that is placed by the wrong clock.

use crate::corrections::{accept, lf, merge, void};
use crate::world::World;
use herd::change::{AnimalId, Correction};
use herd::position::Sequence;
use herd::query::{HistoryEntry, PageLimit};

#[test]
fn an_operator_can_accept_a_reused_event_id() {
    let mut world = World::new();
    world.keeps("event:hxbchi000001|weight:267.3|lid:1");
    let text = "event:hxbchi000001|weight:300.0|lid:1";
    assert_eq!(world.rejects(text), "event_id_reused");
    let rejected = world.store.head().position.sequence.0;
    assert_eq!(world.store.reprocess(Sequence::ZERO, 10, world.now).unwrap().accepted, []);
    let accepted = world.corrects(accept(rejected, None));
    let herd = world.herd();
    assert_eq!(herd.only_animal().1.weight_g, Some(300_000));
    assert_eq!(herd.amendments[&rejected].accepted_by, Some(Sequence(accepted)));
    assert_eq!(world.refuses(accept(rejected, None)), "already_accepted");
    let snapshot = world.store.reader().snapshot().unwrap();
    let payload = snapshot.payload(Sequence(rejected)).unwrap().unwrap();
    assert_eq!((payload.status.as_str(), payload.accepted_by), ("processed", Some(Sequence(accepted))));
    // The same payload can be voided again.
    world.corrects(void(rejected));
    assert_eq!(world.herd().only_animal().1.weight_g, Some(267_300));
    assert_eq!(world.refuses(void(rejected)), "already_voided");
}

#[test]
fn a_read_of_the_wrong_animal_is_voided_and_accepted_for_the_right_one() {
    let mut world = World::new();
    let one = world.keeps("hxb:L1:A:U1");
    let two = world.keeps("hxb:L1:B:U2");
    let wrong = world.keeps("hxb:L2:A:U1");
    assert_eq!(world.refuses(accept(wrong, Some(two))), "not_rejected");
    let batch_of = |world: &World, animal: u64| {
        let herd = world.herd();
        let batch = herd.animals[&animal].barn_batch.unwrap();
        herd.batches[&batch.0].number.clone()
    };
    let voided = world.corrects(void(wrong));
    let accepted = world.corrects(accept(wrong, Some(two)));
    assert_eq!([batch_of(&world, one), batch_of(&world, two)], ["L1", "L2"]);
    assert_eq!((world.herd().totals.accepted, world.herd().totals.rejected), (3, 0));
    assert_eq!(world.refuses(accept(wrong, None)), "already_accepted");
    let changes_of = |world: &World, animal: u64| {
        let page = world.store.reader().snapshot().unwrap();
        let page = page.history(AnimalId(animal), None, PageLimit::default()).unwrap().unwrap();
        let entry = |entry: &HistoryEntry| match entry {
            HistoryEntry::Event(event) => (event.sequence.0, event.voided_by.map(|by| by.0)),
            HistoryEntry::Correction(corrected) => (corrected.sequence.0, None),
        };
        page.data.iter().map(entry).collect::<Vec<_>>()
    };
    assert_eq!(changes_of(&world, one), [(voided, None), (wrong, Some(voided)), (one, None)]);
    assert_eq!(changes_of(&world, two), [(accepted, None), (two, None)]);
    // The same payload can be assigned back.
    world.corrects(void(wrong));
    world.corrects(accept(wrong, None));
    assert_eq!([batch_of(&world, one), batch_of(&world, two)], ["L2", "L1"]);
}

#[test]
fn an_operator_chooses_the_animal_of_a_rejected_payload() {
    let mut world = World::new();
    let one = world.keeps("hxb:L1:A:U1");
    let two = world.keeps("hxb:L1:B:U2");
    assert_eq!(world.rejects("hxb:L2:A:U2"), "tags_of_two_animals");
    let rejected = world.store.head().position.sequence.0;
    assert_eq!(world.refuses(accept(rejected, None)), "still_rejected");
    assert_eq!(world.refuses(accept(rejected, Some(99))), "unknown_animal");
    world.corrects(accept(rejected, Some(two)));
    let herd = world.herd();
    assert_eq!(herd.animals[&two].barn_batch.map(|batch| batch.0), Some(rejected + 1));
    assert_eq!((herd.animals[&one].lf.clone(), herd.animals[&two].lf.clone()), (lf("A"), lf("B")));
    assert_eq!(herd.owners[&(0, "A".to_owned())], one);
}

/// Catches an order for one animal that takes a lid or a tag away from another.
#[test]
fn a_payload_is_not_accepted_for_an_animal_if_it_names_another() {
    let mut world = World::new();
    let one = world.keeps("event:hxbpai000001|lid:1|lf:A|epc:U1");
    let two = world.keeps("event:hxbpai000002|lid:2|lf:B|epc:U2");
    assert_eq!(world.rejects("event:hxbchi000001|lid:1|lf:B"), "lid_of_another");
    let rejected = world.store.head().position.sequence.0;
    assert_eq!(world.refuses(accept(rejected, Some(two))), "lid_of_another");
    world.corrects(accept(rejected, Some(one)));
    assert_eq!(world.rejects("event:hxbrep000001|old_lf:A|old_epc:U2|new_lf:C"), "tags_of_two_animals");
    let rejected = world.store.head().position.sequence.0;
    for animal in [one, two] {
        assert_eq!(world.refuses(accept(rejected, Some(animal))), "tag_of_another", "{animal}");
    }
}

#[test]
fn a_payload_whose_copy_is_an_event_is_not_accepted_too() {
    let mut world = World::new();
    let one = world.keeps("event:hxbpai000001|lid:1|lf:A");
    let two = world.keeps("event:hxbpai000002|lid:2|lf:B");
    let text = "event:hxbchi000003|lid:1|lf:B|weight:300";
    assert_eq!(world.rejects(text), "lid_of_another");
    let rejected = world.store.head().position.sequence.0;
    world.corrects(merge(one, two));
    world.wait(61_000);
    let again = world.keeps(text);
    assert_eq!(world.refuses(accept(rejected, None)), "accepted_again");
    assert_eq!(world.refuses(accept(rejected, Some(one))), "accepted_again");
    world.corrects(void(again));
    world.corrects(accept(rejected, None));
}

#[test]
fn an_export_that_is_accepted_days_later_joins_the_batch_of_its_time() {
    let mut world = World::new();
    world.keeps("hxb:L1:A:U1");
    world.keeps("hxb:L1:B:U2");
    let opened = world.keeps("hxe:OUT:C:U3");
    assert_eq!(world.rejects("hxe:OUT:A:U2"), "tags_of_two_animals");
    let rejected = world.store.head().position.sequence.0;
    world.wait(3 * 86_400_000);
    world.corrects(accept(rejected, Some(rejected - 3)));
    let herd = world.herd();
    assert_eq!(herd.batches_named("hxe", "OUT").len(), 1);
    assert_eq!((herd.batches[&opened].members, herd.batches[&opened].closed), (2, None));
    // The batch has rested all the same.
    let next = world.keeps("hxe:OUT:D:U4");
    assert!(world.herd().batches[&opened].closed.is_some() && world.herd().batches[&next].members == 1);
}

/// Catches a page that reads a whole log for one sentence, or tells a part of it as all.
#[test]
fn a_proposal_reads_a_thousand_changes_and_says_if_there_are_more() {
    let mut world = World::new();
    world.keeps("event:hxbchi000001|weight:1|lid:1");
    for n in 2..7_u32 {
        world.rejects(&format!("event:hxbchi000001|weight:{n}|lid:1"));
    }
    let noise: Vec<_> = (8..=1_002).map(|n| world.incoming(&format!("noise {n}"))).collect();
    world.store.append(&noise).unwrap();
    let text = |world: &World| {
        let proposals = world.store.reader().snapshot().unwrap().reader_era_proposals().unwrap();
        proposals[0].text.rsplit(" on ").next().unwrap().to_owned()
    };
    assert_eq!(world.store.head().position.sequence, Sequence(1_002));
    assert!(text(&world).starts_with("reprocesses 1000 rejected payloads; "), "{}", text(&world));
    world.rejects("noise");
    assert!(text(&world).starts_with("reprocesses at least 1000 rejected payloads; "), "{}", text(&world));
}

#[test]
fn five_collisions_propose_a_new_era_in_which_every_id_is_free() {
    let mut world = World::new();
    world.keeps("event:hxbchi000001|weight:1|lid:1");
    let proposals = |world: &World| world.store.reader().snapshot().unwrap().reader_era_proposals().unwrap();
    for n in 2..7_u32 {
        assert!(proposals(&world).is_empty(), "after {} collisions", n - 2);
        assert_eq!(world.rejects(&format!("event:hxbchi000001|weight:{n}|lid:1")), "event_id_reused");
    }
    let proposed = proposals(&world);
    assert_eq!((proposed[0].reader_group.as_str(), proposed[0].reader_era, proposed[0].collisions), ("main", 1, 5));
    assert_eq!((proposed[0].first, proposed[0].last), (Sequence(3), Sequence(7)));
    let effect = |world: &World| proposals(world)[0].text.rsplit(" on ").next().unwrap().to_owned();
    assert_eq!(effect(&world), "reprocesses 5 rejected payloads; no older animal loses anything");
    // An event of the first animal, one of an animal that came since, a short form, and payloads of other readers.
    world.keeps("event:hxbchi000002|weight:300|lid:1");
    world.keeps("event:hxbchi000003|weight:300|lid:2");
    world.keeps("hxb:L1:A:U1");
    for text in ["nonsense", "event:hxbchi000001|weight:1|lid:1"] {
        let mut incoming = world.incoming(text);
        incoming.origin.reader_group = "gate".into();
        world.store.append(&[incoming]).unwrap();
    }
    assert_eq!(
        effect(&world),
        "reprocesses 5 rejected payloads and assigns 2 events to new lids; restores animal 2, which took some of these, to \
         what it had before"
    );
    assert_eq!(
        proposals(&world)[0].command,
        "herdlinxd correct --author NAME --reason WHY new_reader_era --group main --from 3"
    );
    world.corrects(Correction::NewReaderEra { reader_group: "main".to_owned(), from: None });
    assert_eq!(proposals(&world).len(), 0);
    world.keeps("event:hxbchi000001|weight:6|lid:1");
    assert_eq!(world.herd().heads().count(), 5, "lids count anew too");
}
