//! Pages of any size add up to the whole list.

use crate::change::{AnimalId, BatchId};
use crate::payload::SourceType;
use crate::position::Sequence;
use crate::query::{CounterCursor, GapCursor, Page, PayloadFilter, PayloadStatus};
use crate::testing::{TestBarn, all_pages, page_limit};
use proptest::prelude::*;
use std::fmt::Debug;

fn same<T: PartialEq + Debug, C: Clone>(entries: u64, mut page: impl FnMut(u64, Option<C>) -> Page<T, C>) {
    let at_once = all_pages(|from| page(1_000, from));
    assert_eq!(all_pages(|from| page(entries, from)), at_once, "in pages of {entries}");
}

/// Generates payloads that make animals, batches that open and close, merges, rejections and gaps.
fn payload() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..4u8, 0..6u8).prop_map(|(batch, tag)| format!("hxb:B{batch}:L{tag}:U{tag}")),
        (0..2u8, 0..6u8).prop_map(|(batch, tag)| format!("hxe:B{batch}:L{tag}:U{tag}")),
        (0..6u8, 0..40u32).prop_map(|(lid, n)| format!("event:hxbchi{n:06}|lid:{lid}|weight:{n}")),
        (0..6u8, 0..40u32).prop_map(|(lid, n)| format!("event:hxbpai{n:06}|lid:{lid}|lf:L{lid}|epc:U{lid}")),
        (0..9u8).prop_map(|n| format!("nonsense {n}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Catches a cursor that skips or repeats an entry, in any list.
    #[test]
    fn pages_of_any_size_make_the_whole_list(payloads in prop::collection::vec(payload(), 1..60), entries in 1..9u64) {
        let mut barn = TestBarn::default();
        for (at, text) in payloads.iter().enumerate() {
            // The same event id with the same text would be a duplicate. The index makes the texts differ.
            barn.record(&if text.starts_with("event:") { format!("{text}|at:{at}") } else { text.clone() });
        }
        let snapshot = barn.snapshot();
        same(entries, |n, from: Option<u64>| snapshot.batches(from.map(BatchId), page_limit(n)).unwrap());
        same(entries, |n, from: Option<u64>| snapshot.open_batches(from.map(BatchId), page_limit(n)).unwrap());
        for source in [SourceType::Hxb, SourceType::Hxe] {
            same(entries, |n, from: Option<u64>| snapshot.batches_by_source(source, from.map(BatchId), page_limit(n)).unwrap());
        }
        same(entries, |n, from: Option<u64>| snapshot.animals(from.map(AnimalId), page_limit(n)).unwrap());
        for filter in [
            PayloadFilter::All,
            PayloadFilter::Status(PayloadStatus::Processed),
            PayloadFilter::Status(PayloadStatus::Error),
        ] {
            same(entries, |n, from: Option<u64>| snapshot.payloads(from.map(Sequence), page_limit(n), filter).unwrap());
        }
        for batch in snapshot.batches(None, page_limit(1_000)).unwrap().data {
            same(entries, |n, from: Option<u64>| snapshot.members(batch.id, from.map(AnimalId), page_limit(n)).unwrap());
            let members = snapshot.members(batch.id, None, page_limit(1_000)).unwrap().data;
            prop_assert_eq!(members.len(), batch.members as usize);
        }
        for found in snapshot.animals(None, page_limit(1_000)).unwrap().data {
            same(entries, |n, from| snapshot.history(found.id, from, page_limit(n)).unwrap().unwrap());
            same(entries, |n, from| snapshot.weights(found.id, from, page_limit(n)).unwrap().unwrap());
        }
        same(entries, |n, from: Option<GapCursor>| {
            let from = from.map(|cursor| cursor.to_string().parse().unwrap());
            snapshot.gaps(from.as_ref(), page_limit(n)).unwrap()
        });
        same(entries, |n, from: Option<CounterCursor>| {
            let from = from.map(|cursor| cursor.to_string().parse().unwrap());
            snapshot.counters(from.as_ref(), page_limit(n)).unwrap()
        });
    }

    /// Catches an event that belongs to no animal, or to two.
    #[test]
    fn the_histories_of_all_animals_contain_every_event_once(payloads in prop::collection::vec(payload(), 1..60)) {
        let mut barn = TestBarn::default();
        for (at, text) in payloads.iter().enumerate() {
            barn.record(&if text.starts_with("event:") { format!("{text}|at:{at}") } else { text.clone() });
        }
        let snapshot = barn.snapshot();
        let mut entries = Vec::new();
        for found in snapshot.animals(None, page_limit(1_000)).unwrap().data {
            let history = snapshot.history(found.id, None, page_limit(1_000)).unwrap().unwrap().data;
            entries.extend(history.iter().map(|entry| entry.sequence().0));
        }
        entries.sort_unstable();
        let filter = PayloadFilter::Status(PayloadStatus::Processed);
        let mut events: Vec<_> = snapshot.payloads(None, page_limit(1_000), filter).unwrap().data.iter().map(|payload| payload.id.0).collect();
        events.sort_unstable();
        prop_assert_eq!(entries, events);
    }

    /// Catches a cursor that breaks on a `/` in the name of a reader group.
    #[test]
    fn cursors_round_trip_through_text(group in "[a-z/0-9]{0,8}", era: u32, counter in "[a-z]{6}", first: u64) {
        let text = format!("{group}/{era}/{counter}/{first}");
        prop_assert_eq!(text.parse::<GapCursor>().unwrap().to_string(), text);
    }

    /// Catches a panic on a cursor from a URL.
    #[test]
    fn arbitrary_cursors_do_not_panic(text: String) {
        let _ = text.parse::<GapCursor>().is_ok();
        let _ = text.parse::<CounterCursor>().is_ok();
        let _ = text.parse::<crate::query::HistoryCursor>().is_ok();
    }
}
