//! Events of one animal in every order.
//!
//! Catches: a rule that gives the animal another tag, weight, batch or history because its events arrived in another order.

use crate::herd_view::HerdView;
use crate::invariants::all_hold;
use crate::world::World;
use herd::payload::Traits;
use herd::position::Sequence;
use herd::tables::TagState;
use herd::text::Text;
use std::collections::BTreeSet;

/// Facts that must not depend on the order. Sequences and times may.
#[derive(Debug, PartialEq)]
struct AnimalFacts {
    lids: Vec<Text>,
    tags: Vec<(&'static str, String, TagState)>,
    traits: Traits,
    weight_g: Option<u32>,
    status: herd::tables::AnimalStatus,
    barn_batch: Option<Text>,
    /// Numbers of all barn batches that the animal is or was in.
    barn_batches: BTreeSet<Text>,
    /// Traits that its batch shows.
    shown: BTreeSet<(u8, Text)>,
}

impl AnimalFacts {
    fn of(herd: &HerdView) -> Self {
        let (id, animal) = herd.only_animal();
        let number = |batch: u64| herd.batches[&batch].number.clone();
        let open = animal.barn_batch.map(|batch| batch.0);
        let shown = herd.traits.iter().filter(|(batch, ..)| Some(*batch) == open);
        Self {
            lids: animal.lids.iter().map(|named| named.lid.clone()).collect(),
            tags: herd.tags_of(id).into_iter().map(|(kind, key, state)| (kind, key.to_owned(), state)).collect(),
            traits: animal.traits.clone(),
            weight_g: animal.weight_g,
            status: animal.status,
            barn_batch: open.map(number),
            barn_batches: herd.memberships.keys().map(|(_, batch)| number(*batch)).collect(),
            shown: shown.map(|(_, which, value)| (*which, value.clone())).collect(),
        }
    }
}

/// Returns every order of `items`.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |at: usize| {
        let mut rest = items.to_vec();
        let first = rest.remove(at);
        orders(&rest).into_iter().map(move |mut order| {
            order.insert(0, first.clone());
            order
        })
    };
    (0..items.len()).flat_map(with_first).collect()
}

fn facts_after(order: &[&str]) -> AnimalFacts {
    let mut world = World::new();
    for text in order {
        world.keeps(text);
        world.wait(1_000);
        all_hold(&world.herd()).unwrap();
    }
    AnimalFacts::of(&world.herd())
}

#[test]
fn case_13_induction_pairing_and_repair_have_one_result_in_every_order() {
    let texts = [
        "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
        "event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5",
        "event:hxbrep000001|old_lf:LF_EAR_0001|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged",
    ];
    let in_order = facts_after(&texts);
    assert_eq!(in_order.weight_g, Some(245_500));
    assert_eq!(in_order.barn_batch.as_deref(), Some("LOT2024-001"));
    for order in orders(&texts) {
        assert_eq!(facts_after(&order), in_order, "{order:#?}");
    }
}

/// A repair that comes before the one that put its old tag on is rejected meanwhile: it may be of another animal.
#[test]
fn case_13_two_repairs_after_one_another_leave_the_last_tag_in_every_order_once_reprocessed() {
    let texts = [
        "event:hxbpai000001|lf:A|epc:U|lid:1",
        "event:hxbrep000001|old_lf:A|new_lf:B|lid:1",
        "event:hxbrep000002|old_lf:B|new_lf:C|lid:1",
    ];
    let expected = [("LF", "A", TagState::Past), ("LF", "B", TagState::Past), ("LF", "C", TagState::Current)];
    for order in orders(&texts) {
        let mut world = World::new();
        for text in &order {
            world.send(text);
            world.wait(1_000);
        }
        let comes_early = order == [texts[0], texts[2], texts[1]];
        assert_eq!(world.herd().rejected.len(), usize::from(comes_early), "{order:#?}");
        world.store.reprocess(Sequence::ZERO, 10, world.now).unwrap();
        let herd = world.herd();
        all_hold(&herd).unwrap();
        assert_eq!(herd.tags_of(herd.only_animal().0)[..3], expected, "{order:#?}");
    }
}

#[test]
fn case_17_scan_induction_and_pairing_are_one_animal_in_every_order() {
    let scan = "hxb:LOT7:LF5:UHF5";
    let induction = "event:hxbind000009|lot:LOT9|lid:9|pen:P4|sex:M|funder:F";
    let pairing = "event:hxbpai000009|lid:9|lf:LF5|epc:UHF5";
    for order in orders(&[scan, induction, pairing]) {
        let seen = facts_after(&order);
        assert_eq!(seen.lids, ["9"], "{order:#?}");
        let tags = [("LF", "LF5".to_owned(), TagState::Current), ("UHF", "UHF5".to_owned(), TagState::Current)];
        assert_eq!(seen.tags, tags, "{order:#?}");
        let last = order.iter().rev().find(|text| **text != pairing).unwrap();
        let expected = if *last == scan { "LOT7" } else { "LOT9" };
        assert_eq!(seen.barn_batch.as_deref(), Some(expected), "{order:#?}");
        assert_eq!(seen.barn_batches, ["LOT7", "LOT9"].map(Text::from).into(), "{order:#?}");
        let shown = [(0, "P4"), (1, "M"), (2, "F")].map(|(which, value)| (which, Text::from(value)));
        assert_eq!(seen.shown, shown.into(), "{order:#?}");
    }
}

#[test]
fn a_new_tag_beside_one_that_only_the_merged_animal_wears_is_unconfirmed_in_every_order() {
    let scan = "hxb:LOT7:LF5:UHF5";
    let induction = "event:hxbind000009|lot:LOT7|lid:9";
    let pairing = "event:hxbpai000009|lid:9|lf:LF6|epc:UHF5";
    let expected = [("LF", "LF5"), ("LF", "LF6"), ("UHF", "UHF5")];
    for order in [[scan, induction, pairing], [induction, scan, pairing]] {
        let tags = facts_after(&order).tags;
        assert_eq!(tags.iter().map(|(kind, key, _)| (*kind, key.as_str())).collect::<Vec<_>>(), expected);
        let states = [TagState::Current, TagState::Unconfirmed, TagState::Current];
        assert_eq!(tags.iter().map(|(_, _, state)| *state).collect::<Vec<_>>(), states, "{order:#?}");
    }
}

#[test]
fn a_pairing_after_the_export_of_the_same_tags_shows_the_animal_as_back() {
    let mut world = World::new();
    world.keeps("hxe:X:LF5:UHF5");
    world.keeps("event:hxbind000009|lot:LOT7|lid:9");
    let pairing = world.keeps("event:hxbpai000009|lid:9|lf:LF5|epc:UHF5");
    let herd = world.herd();
    all_hold(&herd).unwrap();
    assert_eq!(herd.only_animal().1.returned.map(|by| by.0), Some(pairing));
}
