//! Queries of any history, corrected or not.
//!
//! Catches: a history that does not end, that breaks off, that shows a change twice or not at all, or that depends on the
//! page size; and a payload, batch or animal that cannot be shown.

use crate::corrections::void;
use crate::herd_view::HerdView;
use crate::property;
use crate::steps::steps;
use crate::voids::{played, successor};
use crate::world::{World, all_rows};
use herd::change::{AnimalId, BatchId, Change, Correction, Outcome, Suppressed};
use herd::clock::ClockReading;
use herd::position::Sequence;
use herd::query::{ChangeBody, ChangeView, HistoryCursor, Page, PageLimit, PayloadFilter, PayloadStatus, QueryError};
use herd::store::Snapshot;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};

/// Returns all entries of a list, page by page, or an error if it does not end within `pages`.
fn all_pages<T, C>(
    pages: u64,
    mut page: impl FnMut(Option<C>) -> Result<Page<T, C>, QueryError>,
) -> Result<Vec<T>, String> {
    let (mut found, mut from) = (Vec::new(), None);
    for _ in 0..pages {
        let Page { data, next } = page(from.take()).map_err(|error| error.to_string())?;
        found.extend(data);
        from = next;
        if from.is_none() {
            return Ok(found);
        }
    }
    Err(format!("after {pages} pages there are more"))
}

fn limit(entries: u64) -> PageLimit {
    PageLimit::new(entries).unwrap()
}

/// Returns the changes of an animal's history, the latest first, read in pages of this size.
pub(crate) fn history(snapshot: &Snapshot, animal: u64, entries: u64, changes: u64) -> Result<Vec<u64>, String> {
    let page = |from: Option<HistoryCursor>| {
        // As in a URL.
        let from = from.map(|place| place.to_string().parse()).transpose()?;
        Ok(snapshot.history(AnimalId(animal), from, limit(entries))?.unwrap_or(Page { data: Vec::new(), next: None }))
    };
    let whole = all_pages(changes + 1, page)?;
    Ok(whole.iter().map(|entry| entry.sequence().0).collect())
}

/// Reads everything, of honest and dishonest sources, and returns the history of each animal.
pub(crate) fn all_read(snapshot: &Snapshot) -> Result<BTreeMap<u64, Vec<u64>>, String> {
    let error = |error: QueryError| error.to_string();
    let changes = snapshot.folded().unwrap().0;
    let herd = HerdView::read(snapshot);
    for n in 1..=changes {
        snapshot.change_view(Sequence(n)).map_err(error)?;
        snapshot.payload(Sequence(n)).map_err(error)?;
    }
    for id in herd.batches.keys().copied().map(BatchId) {
        snapshot.batch_with_others(id).map_err(error)?;
        snapshot.batch_traits(id).map_err(error)?;
        all_pages(changes + 1, |after| {
            snapshot.members(id, after, limit(2)).map(|page| Page { data: page.data, next: page.next.map(AnimalId) })
        })?;
    }
    let mut histories = BTreeMap::new();
    for id in herd.animals.keys().copied() {
        snapshot.animal(AnimalId(id)).map_err(error)?;
        let whole = history(snapshot, id, 1_000, changes).map_err(|why| format!("history of {id}: {why}"))?;
        for entries in [1, 2, 3] {
            let on_pages = history(snapshot, id, entries, changes).map_err(|why| format!("history of {id}: {why}"))?;
            if on_pages != whole {
                return Err(format!("{id} on pages of {entries}: {on_pages:?}, and on one: {whole:?}"));
            }
        }
        if !whole.windows(2).all(|pair| pair[0] > pair[1]) {
            return Err(format!("history of {id} is not in order: {whole:?}"));
        }
        all_pages(changes + 1, |from| {
            Ok(snapshot.weights(AnimalId(id), from, limit(1))?.unwrap_or(Page { data: Vec::new(), next: None }))
        })?;
        histories.insert(id, whole);
    }
    Ok(histories)
}

/// Returns whether the change makes an event that is not, or no longer, one of this animal: the event was voided, or it had
/// merged the animal into another one from which it was split again.
fn is_of_another(herd: &HerdView, n: u64, change: &Change, animal: u64) -> bool {
    let accepted = match (change, change.late_event()) {
        (_, Some(late)) => Some(&late.accepted),
        (Change::Received(received), _) => match &received.outcome {
            Outcome::Accepted(accepted) => Some(&**accepted),
            Outcome::Rejected(_) => None,
        },
        _ => None,
    };
    let of = change.late_event().map_or(n, |late| late.of.0);
    let stands = herd.amendments.get(&of).copied().unwrap_or_default().event_change(Sequence(of)) == Some(Sequence(n));
    !stands || accepted.is_some_and(|accepted| successor(herd, accepted.animal.0) != successor(herd, animal))
}

/// Catches a page that trusts a time of a clock which followed no time source, or doubts one that did.
#[test]
fn times_of_a_clock_without_a_time_source_are_doubtful() {
    let mut world = World::new();
    let doubts = |world: &World| {
        let snapshot = world.store.reader().snapshot().unwrap();
        let (batch, animal) =
            (snapshot.batch(BatchId(2)).unwrap().unwrap(), snapshot.animal(AnimalId(2)).unwrap().unwrap());
        let totals = snapshot.totals().unwrap();
        let told = [
            batch.created_at_doubtful,
            batch.updated_at_doubtful,
            animal.first_seen_doubtful,
            animal.last_seen_doubtful,
            totals.last_received_at_doubtful,
        ];
        let json = [
            serde_json::to_string(&batch).unwrap(),
            serde_json::to_string(&animal).unwrap(),
            serde_json::to_string(&totals).unwrap(),
        ];
        assert_eq!(json.concat().matches("_doubtful\":true").count(), told.iter().filter(|is_told| **is_told).count());
        assert!(!json.concat().contains("_doubtful\":false"));
        told
    };
    let none = world.store.reader().snapshot().unwrap().totals().unwrap();
    assert_eq!((none.last_received_at, none.last_received_at_us, none.last_received_at_doubtful), (None, None, false));
    world.now.synchronized = false;
    world.keeps("hxb:L1:A:U1");
    assert_eq!(doubts(&world), [true; 5]);
    world.now.synchronized = true;
    world.wait(61_000);
    world.keeps("hxb:L1:A:U1");
    assert_eq!(doubts(&world), [true, false, true, false, false]);
}

/// Catches a range of time that is trusted because its clock was right at one end.
#[test]
fn suppressed_rejections_have_times_that_both_count() {
    let at = |synchronized| ClockReading { synchronized, ..ClockReading::default() };
    let trusted = |first, last| {
        let suppressed = Suppressed { channel: "radio1".to_owned(), count: 3, first: at(first), last: at(last) };
        match ChangeView::new(Sequence(7), &Change::Suppressed(suppressed).to_bytes()).body {
            ChangeBody::Suppressed { clock_synchronized, .. } => clock_synchronized,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!([trusted(true, true), trusted(true, false), trusted(false, true)], [true, false, false]);
}

/// Catches a page that reads without end because what it looks for is rare.
#[test]
fn a_page_reads_four_rows_for_each_entry_at_most() {
    let mut world = World::new();
    let weighed = world.keeps("event:hxbchi1|lid:1|lf:A|weight:300");
    for _ in 0..6 {
        world.wait(61_000);
        world.keeps("hxb:L1:A:");
    }
    let snapshot = world.store.reader().snapshot().unwrap();
    let page = snapshot.weights(AnimalId(weighed), None, limit(1)).unwrap().unwrap();
    assert_eq!((page.data.len(), page.next.map(|next| next.to_string())), (0, Some("4".to_owned())));
    let voided: Vec<_> = (0..6).map(|n| world.keeps(&format!("hxb:L2:B{n}:"))).collect();
    let last = world.keeps("hxb:L2:C:");
    for of in &voided {
        world.corrects(void(*of));
    }
    let snapshot = world.store.reader().snapshot().unwrap();
    let page = snapshot.animals(Some(AnimalId(weighed)), limit(1)).unwrap();
    assert_eq!((page.data.len(), page.next), (0, Some(voided[3])));
    let page = snapshot.animals(Some(AnimalId(voided[3])), limit(1)).unwrap();
    assert_eq!((page.data.iter().map(|animal| animal.id.0).collect::<Vec<_>>(), page.next), (vec![last], None));
}

/// Catches a full export that lists an animal twice, or loses one that was merged while it ran.
#[test]
fn an_export_lists_animals_that_were_merged_after_it_began() {
    let mut world = World::new();
    let absorbed = world.keeps("hxb:L1:A:U1");
    let remains = world.keeps("event:hxbind1|lid:1|lot:L1");
    let merged = world.keeps("event:hxbpai1|lid:1|lf:A|epc:U1");
    let snapshot = world.store.reader().snapshot().unwrap();
    let listed = |through: u64| {
        let page = snapshot.animals_through(Sequence(through), None, limit(10)).unwrap();
        page.data.iter().map(|animal| (animal.id.0, animal.absorbed.map(|id| id.0))).collect::<Vec<_>>()
    };
    assert_eq!(listed(merged), [(remains, None)]);
    assert_eq!(listed(merged - 1), [(remains, Some(absorbed)), (remains, None)]);
    assert_eq!(listed(absorbed), [(remains, Some(absorbed))]);
}

/// Catches a lid that is searched in one reader era only.
#[test]
fn a_lid_is_found_in_the_latest_era_that_has_it() {
    let mut world = World::new();
    let first = world.keeps("event:hxbchi1|lid:77|lf:A");
    world.corrects(Correction::NewReaderEra { reader_group: "main".to_owned(), from: None });
    let found = |world: &World| {
        let snapshot = world.store.reader().snapshot().unwrap();
        snapshot.find_animal("77").unwrap().map(|animal| animal.id.0)
    };
    assert_eq!(found(&world), Some(first));
    let second = world.keeps("event:hxbchi1|lid:77|lf:B");
    assert_eq!(found(&world), Some(second));
}

proptest! {
    #![proptest_config(property::cases(60))]

    #[test]
    fn everything_can_be_queried_and_no_history_omits_a_change(
        steps in steps(50), voids in any::<[Index; 3]>(),
    ) {
        let mut paper = played(&steps);
        for index in voids {
            paper.void_one(index);
        }
        let store = paper.copied();
        let snapshot = store.reader().snapshot().unwrap();
        prop_assert_eq!(all_rows(&snapshot), all_rows(&paper.rows));
        let histories = all_read(&snapshot).map_err(TestCaseError::fail)?;
        let herd = HerdView::read(&snapshot);
        for (change, n) in paper.changes.iter().zip(1..) {
            for (animal, before) in change.previous() {
                prop_assert!(*before < Sequence(n), "{} of {} leads on to {}", n, animal, before);
                let listed = is_of_another(&herd, n, change, animal.0) || histories[&animal.0].contains(&n);
                prop_assert!(listed, "change {} of animal {} is not in its history {:?}", n, animal, histories[&animal.0]);
            }
        }
        let ids = |status| {
            let page = |before: Option<u64>| snapshot.payloads(before.map(Sequence), limit(3), PayloadFilter::Status(status));
            all_pages(1_000, page).unwrap().into_iter().map(|payload| payload.id.0).collect::<BTreeSet<u64>>()
        };
        prop_assert_eq!(ids(PayloadStatus::Error), herd.rejected.keys().copied().collect::<BTreeSet<u64>>());
        prop_assert_eq!(ids(PayloadStatus::Processed).len() as u64, herd.totals.accepted);
    }
}
