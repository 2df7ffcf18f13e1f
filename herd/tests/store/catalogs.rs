//! The catalog of an office: it equals the tables and the log, however it came to be.
//!
//! Catches: an entry that is not made anew after a change that touched its animal, a weight that was voided, replaced or
//! moved and still counts, a read that is counted twice, a list, figure or search that an index answers in another way than a
//! look at every animal does, and a catalog that goes on over another history.

use crate::catalog_lists;
use crate::paper::Paper;
use crate::property;
use crate::replicas::run_of;
use crate::steps::{SentPayload, Step, requested, steps};
use crate::voids::played;
use crate::world::{BEGAN_US, STORE, World};
use herd::catalog::{AnimalFilter, Catalog, CatalogAnimal, CatalogError, PageStart, ReadCounts, Sort};
use herd::change::{AnimalId, Change, Correction, WeighingTime};
use herd::clock::iso_utc_if_set;
use herd::position::Sequence;
use herd::query::{AnimalView, PageLimit};
use herd::store::{Changes, MemoryDisk, Reader, Snapshot, Store};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::ops::ControlFlow;

const ALL_TIMES: std::ops::Range<i64> = i64::MIN..i64::MAX;
const DAY_US: i64 = 86_400_000_000;

fn built(reader: &Reader) -> Catalog {
    Catalog::build(reader, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn limit() -> PageLimit {
    PageLimit::new(1_000).unwrap()
}

fn animals(catalog: &Catalog) -> Vec<CatalogAnimal> {
    catalog.page(&AnimalFilter::default(), Sort::default(), PageStart::First, limit()).animals
}

/// Returns everything that a catalog says.
fn answers(catalog: &Catalog, snapshot: &Snapshot) -> String {
    let animals: Vec<_> = animals(catalog).into_iter().map(|animal| (catalog.weighings(animal.id), animal)).collect();
    let reads: Vec<_> = catalog.reads(&ALL_TIMES).collect();
    let days: Vec<_> =
        (-1..4).map(|day| catalog.day(&(BEGAN_US + day * DAY_US..BEGAN_US + (day + 1) * DAY_US))).collect();
    let texts = ["A", "B", "C", "D", "U1", "U2", "U3", "U4", "4161433", "V1", "1", "2", "5", "L1", "l 2", "P1"];
    let found: Vec<_> = texts.into_iter().map(|text| catalog.search(snapshot, text).unwrap()).collect();
    let lots = (catalog.lots(), catalog.export_lots(), catalog.pens());
    let lists = catalog_lists::all(catalog);
    format!(
        "{} {:#?} {animals:#?} {lots:#?} {days:#?} {reads:#?} {found:#?} {lists:#?}",
        catalog.as_of(),
        catalog.to_look_at(&ALL_TIMES)
    )
}

/// Corrections of weights, which [`steps`] makes at the time of the correction only, and inductions with a visual tag.
fn weight_or_visual_tag() -> impl Strategy<Value = Step> {
    let when = prop_oneof![
        Just(WeighingTime::Now),
        (-2_i64..3).prop_map(|days| WeighingTime::At(BEGAN_US + days * DAY_US)),
        (2_u64..40).prop_map(|n| WeighingTime::InsteadOf(Sequence(n))),
        (2_u64..40).prop_map(|n| WeighingTime::InsteadOf(Sequence(n))),
    ];
    let weigh = (2_u64..40, 200_000_u32..400_000, when, any::<u32>()).prop_map(|(animal, weight_g, when, key)| {
        Step::Correct(requested(Correction::Weigh { animal: AnimalId(animal), weight_g, when }, &format!("w {key}")))
    });
    let (sexes, funders) = (option::of(select(vec!["Steer", "Heifer"])), option::of(select(vec!["Co A", "Co B"])));
    let induction = (0_u64..14, 1_u8..4, select(vec!["V1", "V2"]), sexes, funders);
    let induction = induction.prop_map(|(n, lid, visual, sex, funder)| {
        let sex = sex.map(|sex| format!("|sex:{sex}")).unwrap_or_default();
        let funder = funder.map(|funder| format!("|funder:{funder}")).unwrap_or_default();
        let raw = format!("event:hxbind{n:06}|lid:{lid}|lot:L1|pen:P1|visual_id:{visual}|weight:250{sex}{funder}")
            .into_bytes();
        Step::Send(SentPayload { raw, channel: "radio1", reader_group: "main" })
    });
    prop_oneof![3 => weigh, 1 => induction]
}

fn histories(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => steps(2).prop_map(|steps| steps[0].clone()),
        1 => weight_or_visual_tag(),
    ];
    vec(step, 1..longest)
}

/// Returns the first changes of a history as a store.
fn replica_of(paper: &Paper, count: usize) -> Store {
    let mut replica = Store::open_replica(&MemoryDisk::default(), STORE).unwrap();
    apply(&mut replica, paper, count);
    replica
}

/// Applies the next changes of a history, up to the first `count`.
fn apply(replica: &mut Store, paper: &Paper, count: usize) {
    let position = replica.head().position;
    let after = usize::try_from(position.sequence.0).unwrap();
    let bytes: Vec<_> = paper.changes[after..count].iter().map(Change::to_bytes).collect();
    if !bytes.is_empty() {
        let changes: Changes = bytes.iter().map(Vec::as_slice).collect();
        replica.apply(run_of(position, changes)).unwrap();
        replica.settle().unwrap();
    }
}

fn text(tag: Option<&herd::query::TagView>) -> Option<&str> {
    tag.map(|tag| tag.key.as_str())
}

/// Checks an animal against its page.
fn agrees(catalog: &Catalog, snapshot: &Snapshot, view: &AnimalView) -> Result<(), TestCaseError> {
    let animal = catalog.animal(view.id).ok_or_else(|| TestCaseError::fail(format!("no animal {}", view.id)))?;
    prop_assert_eq!(animal.status, view.status);
    prop_assert_eq!(animal.lf.as_deref(), text(view.lf.as_ref()));
    prop_assert_eq!(animal.epc.as_deref(), text(view.epc.as_ref()));
    prop_assert_eq!(animal.is_unconfirmed, !view.unconfirmed_tags.is_empty());
    prop_assert_eq!(&animal.pen, &view.traits.pen);
    prop_assert_eq!(&animal.visual_id, &view.traits.visual_id);
    prop_assert_eq!(animal.weight_g, view.weight_kg.map(|weight| weight.0));
    prop_assert_eq!(animal.last_seen.and_then(|at| iso_utc_if_set(at.at_us)), view.last_seen.clone());
    if let Some(batch) = &view.barn_batch {
        prop_assert_eq!(animal.lot.as_deref(), Some(batch.batch_number.as_str()));
    }
    if !animal.is_returned && animal.inducted.is_some() {
        prop_assert_eq!(animal.inducted.and_then(|at| iso_utc_if_set(at.at_us)), view.first_seen.clone());
    }
    let listed = snapshot.weights(view.id, None, limit()).unwrap().unwrap();
    prop_assert!(listed.next.is_none());
    let mut listed: Vec<_> =
        listed.data.into_iter().map(|weight| (weight.received_at, weight.sequence, weight.weight_g)).collect();
    listed.sort();
    let own = catalog.weighings(view.id).into_iter();
    let own: Vec<_> = own.map(|weighing| (iso_utc_if_set(weighing.at.at_us), weighing.by, weighing.weight_g)).collect();
    prop_assert_eq!(own, listed);
    Ok(())
}

/// Checks a catalog against the tables.
fn agrees_with_tables(catalog: &Catalog, snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let views = snapshot.animals(None, limit()).unwrap().data;
    for view in &views {
        agrees(catalog, snapshot, view)?;
    }
    let (totals, counts) = (snapshot.totals().unwrap(), catalog.counts());
    prop_assert_eq!((counts.all, counts.on_yard, counts.exported), (totals.animals, totals.active, totals.exported));
    let ReadCounts { received, rejected, rejections, .. } = catalog.read_total(&ALL_TIMES);
    prop_assert_eq!((u64::from(received), u64::from(rejected)), (totals.received, totals.rejected));
    prop_assert_eq!(rejections.iter().map(|(_, count)| *count).sum::<u32>(), rejected);
    Ok(())
}

/// Compares two texts, and shows where the first difference is.
fn same(one: &str, other: &str) -> Result<(), TestCaseError> {
    let differs = one.lines().zip(other.lines()).position(|(one, other)| one != other);
    let Some(line) = differs else {
        prop_assert_eq!(one.len(), other.len());
        return Ok(());
    };
    let around =
        |text: &str| text.lines().skip(line.saturating_sub(12)).take(24).map(str::trim).collect::<Vec<_>>().join(" ");
    Err(TestCaseError::fail(format!("followed: {}\nbuilt: {}", around(one), around(other))))
}

proptest! {
    #![proptest_config(property::cases(100))]

    #[test]
    fn following_changes_equals_building_anew(steps in histories(70), sizes in vec(1_usize..9, 1..4)) {
        let paper = played(&steps);
        let mut replica = replica_of(&paper, 0);
        let mut catalog = built(&replica.reader());
        let (mut count, mut sizes) = (0, sizes.iter().cycle());
        while count < paper.changes.len() {
            count = (count + sizes.next().unwrap()).min(paper.changes.len());
            apply(&mut replica, &paper, count);
            let snapshot = replica.reader().snapshot().unwrap();
            catalog.follow(&snapshot).unwrap();
            same(&answers(&catalog, &snapshot), &answers(&built(&replica.reader()), &snapshot))?;
            agrees_with_tables(&catalog, &snapshot)?;
            catalog_lists::agree_with_scans(&catalog, &snapshot);
        }
    }
}

/// Catches a catalog that goes on over another history, or over a copy that is older.
#[test]
fn another_history_and_an_older_copy_are_told_apart() {
    let mut world = World::new();
    world.keeps("hxb:L1:A:U1");
    let older = world.store.reader().snapshot().unwrap();
    let mut catalog = built(&world.store.reader());
    world.keeps("hxb:L1:B:U2");
    assert_eq!(catalog.lag(&older).unwrap(), Some(0));
    assert_eq!(catalog.lag(&world.store.reader().snapshot().unwrap()).unwrap(), Some(1));
    catalog.follow(&world.store.reader().snapshot().unwrap()).unwrap();
    assert_eq!(catalog.lag(&older).unwrap(), None);
    let mut other = World::new();
    for read in ["hxb:L1:A:U3", "hxb:L1:B:U4", "hxb:L1:B:U4"] {
        other.send(read);
    }
    let other = other.store.reader().snapshot().unwrap();
    assert_eq!(catalog.lag(&other).unwrap(), None);
    assert!(matches!(catalog.follow(&other), Err(CatalogError::OtherHistory)));
}
