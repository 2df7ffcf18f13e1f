//! Invariants of the tables after every change, whatever was sent.
//!
//! Catches: counts that drift from their rows, an animal in two barn batches or in a closed one, tags and lids that lead to
//! an absorbed animal, gaps that do not add up.

use crate::herd_view::{Animal, HerdView, key_of};
use crate::paper::Paper;
use crate::property;
use crate::steps::steps;
use herd::decide::Rules;
use herd::payload::SourceType;
use herd::tables::{AnimalStatus, LidName, MAX_UNCONFIRMED_TAGS, TagState, latest_batch_key, reader_key};
use proptest::prelude::*;

proptest! {
    #![proptest_config(property::cases(600))]

    #[test]
    fn the_tables_agree_with_each_other_after_every_change(steps in steps(60)) {
        let mut paper = Paper::new();
        for step in &steps {
            if paper.step(step, &Rules::default()).is_some() {
                all_hold(&paper.herd()).map_err(|broken| TestCaseError::fail(format!("{broken} after {step:?}")))?;
            }
        }
    }
}

/// Checks all invariants, and returns the first that does not hold.
pub(crate) fn all_hold(herd: &HerdView) -> Result<(), String> {
    totals_count_the_rows(herd)?;
    batches_count_their_members(herd)?;
    barn_memberships_are_one(herd)?;
    tags_lead_to_their_wearers(herd)?;
    lids_lead_to_their_animals(herd)?;
    nothing_leads_to_the_absorbed(herd)?;
    gaps_sum_up(herd)
}

macro_rules! holds {
    ($condition:expr, $($claim:tt)+) => {
        if !$condition {
            return Err(format!($($claim)+));
        }
    };
}

fn totals_count_the_rows(herd: &HerdView) -> Result<(), String> {
    let with = |status| herd.heads().filter(|(_, animal)| animal.status == status).count() as u64;
    let totals = &herd.totals;
    holds!(totals.animals == herd.heads().count() as u64, "{} animals counted", totals.animals);
    holds!(totals.active == with(AnimalStatus::Active), "{} active counted", totals.active);
    holds!(totals.exported == with(AnimalStatus::Exported), "{} exported counted", totals.exported);
    holds!(totals.batches == herd.batches.len() as u64, "{} batches counted", totals.batches);
    let open = herd.batches.values().filter(|batch| batch.closed.is_none()).count() as u64;
    holds!(totals.open_batches == open, "{} open batches counted, {open} are", totals.open_batches);
    holds!(totals.rejected == herd.rejected.len() as u64, "{} rejections counted", totals.rejected);
    holds!(totals.received == totals.accepted + totals.rejected, "{} received", totals.received);
    Ok(())
}

fn batches_count_their_members(herd: &HerdView) -> Result<(), String> {
    for (id, batch) in &herd.batches {
        let of_batch: Vec<_> = herd.memberships.iter().filter(|((_, of), _)| of == id).collect();
        let in_it = of_batch.iter().filter(|(_, row)| row.left.is_none()).count();
        holds!(batch.active as usize == in_it, "batch {id} counts {} active, {in_it} are", batch.active);
        holds!(batch.members as usize == of_batch.len(), "batch {id} counts {} members", batch.members);
        let closed_barn = batch.source == SourceType::Hxb && batch.closed.is_some();
        // An operator may close a batch with animals in it. Only a void returns animals to one whose number leads elsewhere.
        let by_hand = batch.closed.is_some_and(|by| herd.corrections.values().any(|correction| *correction == by.0));
        let is_latest = herd.latest.values().any(|latest| latest == id);
        let lost = closed_barn && batch.active > 0 && !by_hand && is_latest;
        holds!(!lost, "barn batch {id} is closed with {} in it", batch.active);
        let empty_open = batch.source == SourceType::Hxb && batch.closed.is_none() && batch.active == 0;
        holds!(!empty_open, "barn batch {id} is open and empty");
    }
    let pairs: std::collections::BTreeSet<_> = herd.memberships.keys().copied().collect();
    holds!(pairs == herd.members, "memberships and members differ");
    for latest in herd.latest.values() {
        holds!(herd.batches.contains_key(latest), "the latest of a number is {latest}, which there is not");
    }
    for (id, batch) in &herd.batches {
        let key = latest_batch_key(batch.source, &batch.number);
        let mut list = std::iter::successors(herd.latest.get(&key), |id| herd.before.get(id)).take(herd.batches.len());
        holds!(list.any(|listed| listed == id), "batch {id} is not in the list of its number");
    }
    Ok(())
}

fn barn_memberships_are_one(herd: &HerdView) -> Result<(), String> {
    for (id, animal) in herd.heads() {
        let open_barn: Vec<u64> = herd
            .memberships
            .iter()
            .filter(|((of, batch), row)| {
                *of == id && row.left.is_none() && herd.batches[batch].source == SourceType::Hxb
            })
            .map(|((_, batch), _)| *batch)
            .collect();
        let named: Vec<u64> = animal.barn_batch.iter().map(|batch| batch.0).collect();
        holds!(open_barn == named, "animal {id} is in barn batches {open_barn:?}, its row says {named:?}");
        if let (Some(batch), Some(pen)) = (named.first(), &animal.traits.pen) {
            holds!(herd.traits.contains(&(*batch, 0, pen.clone())), "batch {batch} does not show pen {pen} of {id}");
        }
    }
    Ok(())
}

fn tags_lead_to_their_wearers(herd: &HerdView) -> Result<(), String> {
    for ((id, kind, key), row) in &herd.tags {
        let owner = herd.owners.get(&(*kind, key.clone()));
        let animal = &herd.animals[id];
        let worn = if *kind == 0 { key_of(animal.lf.as_ref()) } else { key_of(animal.epc.as_ref()) };
        holds!((row.state == TagState::Current) == (worn == Some(key)), "tag {key} of {id}: {row:?}, wears {worn:?}");
        let leads_here = owner == Some(id);
        holds!(leads_here == (row.state != TagState::Unconfirmed), "tag {key} of {id} is owned by {owner:?}: {row:?}");
    }
    for ((kind, key), owner) in &herd.owners {
        holds!(herd.tags.contains_key(&(*owner, *kind, key.clone())), "{owner} owns {key} and has no row of it");
    }
    for (id, animal) in herd.heads() {
        for (kind, worn) in [(0, &animal.lf), (1, &animal.epc)] {
            let Some(worn) = worn else { continue };
            holds!(herd.tags.contains_key(&(id, kind, worn.key().to_owned())), "{id} wears {worn:?} without a row");
        }
        holds!(animal.unconfirmed <= MAX_UNCONFIRMED_TAGS, "{id} has {} unconfirmed tags", animal.unconfirmed);
    }
    Ok(())
}

fn lids_lead_to_their_animals(herd: &HerdView) -> Result<(), String> {
    let lids_of = |(id, animal): (u64, &Animal)| {
        let key = |lid: &LidName| (reader_key(&lid.reader_group, lid.reader_era, &lid.lid), id);
        animal.lids.iter().map(key).collect::<Vec<_>>()
    };
    let own: Vec<_> = herd.heads().flat_map(lids_of).collect();
    for (key, id) in &own {
        let owner = herd.lids.get(key);
        holds!(owner == Some(id), "lid {:?} of {id} leads to {owner:?}", String::from_utf8_lossy(key));
    }
    holds!(own.len() == herd.lids.len(), "{} lids lead to animals, which have {}", herd.lids.len(), own.len());
    Ok(())
}

fn nothing_leads_to_the_absorbed(herd: &HerdView) -> Result<(), String> {
    let absorbed = |id: &u64| herd.animals[id].absorbed_by.is_some();
    holds!(!herd.owners.values().any(absorbed), "a tag leads to an absorbed animal");
    holds!(!herd.lids.values().any(absorbed), "a lid leads to an absorbed animal");
    holds!(!herd.memberships.keys().any(|(animal, _)| absorbed(animal)), "an absorbed animal is in a batch");
    holds!(!herd.tags.keys().any(|(animal, ..)| absorbed(animal)), "an absorbed animal has a tag");
    for (id, animal) in &herd.animals {
        let mut into = animal.absorbed_by;
        for _ in 0..herd.animals.len() {
            into = into.and_then(|into| herd.animals[&into.0].absorbed_by);
        }
        holds!(into.is_none(), "{id} went up in others in a circle");
    }
    Ok(())
}

fn gaps_sum_up(herd: &HerdView) -> Result<(), String> {
    let mut missed = 0_u64;
    let mut before: Option<(&[u8], u64)> = None;
    for ((counter, first), last) in &herd.gaps {
        holds!(first <= last, "a gap from {first} to {last}");
        let bounds = herd.counters[counter];
        holds!(bounds.lowest < *first && *last < bounds.highest, "gap {first}-{last} is outside of {bounds:?}");
        let apart = before.is_none_or(|(other, end)| other != &**counter || end.saturating_add(1) < *first);
        holds!(apart, "gap {first}-{last} touches the one before");
        before = Some((counter, *last));
        missed += herd::tables::missed_in(*first, *last);
    }
    holds!(missed == herd.totals.missed_events, "{} missed counted, {missed} are", herd.totals.missed_events);
    Ok(())
}
