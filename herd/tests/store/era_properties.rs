//! Orders that move payloads into a reader era, in random histories of two lots.
//!
//! Catches: a reader era that was begun late and differs from one that was begun in time.

use crate::eras::era_from;
use crate::herd_view::HerdView;
use crate::invariants::all_hold;
use crate::property;
use crate::steps::{SentPayload, Step, requested};
use crate::voids::played;
use herd::change::Correction;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};

/// A read of a lot: `(kind, lid)`.
type Read = (&'static str, u64);

fn reads(longest: usize) -> impl Strategy<Value = Vec<Read>> {
    let kind = select(vec!["ind", "ind", "pai", "pai", "chi", "chi", "tag", "rep", "scan", "scan", "out"]);
    vec((kind, 1_u64..4), 1..longest)
}

/// Renders the reads of a lot, whose readers count each kind from 1.
fn rendered(name: char, reads: &[Read]) -> Vec<Step> {
    let mut counters = BTreeMap::<&str, u64>::new();
    let mut steps = Vec::new();
    for (n, (kind, lid)) in reads.iter().enumerate() {
        let letters = if *kind == "tag" { "chi" } else { kind };
        let counter = counters.entry(letters).or_default();
        *counter += 1;
        let (c, kg) = (*counter, 200 + n + usize::from(name == 'B') * 300);
        let text = match *kind {
            "ind" => format!("event:hxbind{c:06}|lid:{lid}|lot:L{name}|pen:P{name}{}", n % 2),
            "pai" => format!("event:hxbpai{c:06}|lid:{lid}|lf:{name}{lid}|epc:U{name}{lid}|weight:{kg}"),
            "chi" => format!("event:hxbchi{c:06}|lid:{lid}|weight:{kg}"),
            "tag" => format!("event:hxbchi{c:06}|lf:{name}{lid}|weight:{kg}"),
            "rep" => format!("event:hxbrep{c:06}|lid:{lid}|old_lf:{name}{lid}|new_lf:{name}{lid}x|notes:{kg}"),
            "out" => format!("hxe:OUT{name}:{name}{lid}:U{name}{lid}"),
            _ => format!("hxb:L{name}:{name}{lid}:U{name}{lid}"),
        };
        steps.push(Step::Send(SentPayload { raw: text.into_bytes(), channel: "radio1", reader_group: "main" }));
        steps.push(Step::Wait { ms: 61_000 });
    }
    steps
}

/// Renders a herd without the numbers of animals and batches. Two batches with one number count as one: an animal that was in
/// the first one could have kept it open.
fn without_numbers(herd: &HerdView) -> Vec<String> {
    let name = |batch: u64| (herd.batches[&batch].source, herd.batches[&batch].number.as_str());
    let mut animals: Vec<String> = herd
        .heads()
        .map(|(id, animal)| {
            let mut lids: Vec<_> = animal.lids.iter().map(|name| (name.reader_era, name.lid.as_str())).collect();
            lids.sort_unstable();
            let batches: BTreeSet<String> = herd
                .memberships
                .iter()
                .filter(|((of, _), _)| *of == id)
                .map(|((_, batch), _)| format!("{:?}", name(*batch)))
                .collect();
            format!(
                "{lids:?} {:?} {:?} {:?} {:?} {batches:?} barn {:?} export {:?} seen {:?}",
                herd.tags_of(id),
                animal.status,
                animal.weight_g,
                animal.traits,
                animal.barn_batch.map(|batch| name(batch.0)),
                animal.export_batch.map(|batch| name(batch.0)),
                animal.last_seen,
            )
        })
        .collect();
    animals.sort();
    animals
}

proptest! {
    #![proptest_config(property::cases(200))]

    /// A read that repeats an old one word for word is a duplicate, and lost. None does here.
    #[test]
    fn an_order_equals_an_era_that_began_in_time(one in reads(14), two in reads(14)) {
        let (first, second) = (rendered('A', &one), rendered('B', &two));
        let from = played(&first).rows.folded().next();
        let in_time = [
            first.clone(),
            vec![Step::Correct(requested(Correction::NewReaderEra { reader_group: "main".into(), from: None }, "era"))],
            second.clone(),
        ];
        let late = [first, second, vec![Step::Correct(requested(era_from(from.0), "era"))]];
        let (in_time, late) = (played(&in_time.concat()), played(&late.concat()));
        // Without a counter there are no readers, and no era.
        prop_assume!(late.herd().era_starts.len() == 1 && in_time.changes.len() > one.len() + two.len());
        let (in_time, late) = (in_time.herd(), late.herd());
        all_hold(&late).map_err(TestCaseError::fail)?;
        prop_assert_eq!(without_numbers(&late), without_numbers(&in_time));
        let voided = late.amendments.values().filter(|amendments| amendments.void().is_some()).count() as u64;
        prop_assert_eq!(late.totals.rejected + voided, in_time.totals.rejected);
        if in_time.totals.rejected == 0 {
            prop_assert_eq!(&late.counters, &in_time.counters);
            prop_assert_eq!(&late.gaps, &in_time.gaps);
        }
    }
}
