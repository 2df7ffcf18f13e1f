//! Histories and weights of animals.

use super::animal;
use crate::position::Sequence;
use crate::query::{EventEntry, HistoryCursor, HistoryEntry, PageLimit, QueryError};
use crate::testing::{TestBarn, page_limit};

/// Makes a barn with two animals, seen in turns, that a pairing proves to be one. Returns the sequences as well.
fn merged() -> (TestBarn, Vec<Sequence>) {
    let mut barn = TestBarn::default();
    let payloads = [
        "hxb:LOT7:LF5:UHF5",
        "event:hxbind000009|lot:LOT7|lid:9",
        "hxb:OTHER:LFX:UHFX",
        "hxb:LOT7:LF5:UHF5",
        "event:hxbchi000001|lid:9|weight:300",
        "hxb:LOT7:LF5:UHF5",
        "event:hxbpai000009|lid:9|lf:LF5|epc:UHF5|weight:310.5",
        "event:hxbchi000002|lid:9|weight:NaN",
    ];
    let sequences = payloads.map(|payload| barn.record(payload)).to_vec();
    (barn, sequences)
}

fn event(entry: &HistoryEntry) -> &EventEntry {
    match entry {
        HistoryEntry::Event(event) => event,
        HistoryEntry::Correction(other) => panic!("not an event: {other:?}"),
    }
}

/// Catches a history that loses the events of a merged animal, or includes those of another.
#[test]
fn a_history_reaches_back_through_a_merge_to_its_beginning() {
    let (barn, recorded) = merged();
    let page = barn.snapshot().history(animal(recorded[1]), None, PageLimit::default()).unwrap().unwrap();
    let sequences: Vec<_> = page.data.iter().map(HistoryEntry::sequence).collect();
    let expected: Vec<_> = [7, 6, 5, 4, 3, 1, 0].map(|index| recorded[index]).to_vec();
    assert_eq!(sequences, expected);
    assert_eq!(page.next, None);
    assert_eq!(event(&page.data[1]).absorbed, Some(animal(recorded[0])));
    assert_eq!(event(&page.data[0]).event.weight_refused.as_deref(), Some("NaN"));
    assert_eq!((event(&page.data[1]).lf_use, event(&page.data[1]).epc_use), (Some("sighted"), Some("sighted")));
    assert_eq!((event(&page.data[6]).lf_use, event(&page.data[6]).rssi_dbm), (Some("assigned"), Some(-97)));
    assert_eq!(event(&page.data[6]).batch.as_ref().unwrap().batch_number, "LOT7");
}

/// Catches a cursor that loses one of two walks, also on its way through a URL.
#[test]
fn pages_of_any_size_make_the_same_history() {
    let (barn, recorded) = merged();
    let snapshot = barn.snapshot();
    let whole = snapshot.history(animal(recorded[1]), None, page_limit(100)).unwrap().unwrap().data;
    for entries in 1..=whole.len() as u64 {
        let mut entries_read = Vec::new();
        let mut from = None;
        loop {
            let page = snapshot.history(animal(recorded[1]), from, page_limit(entries)).unwrap().unwrap();
            entries_read.extend(page.data);
            // As if it went through a URL.
            let Some(next) = page.next else { break };
            from = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(entries_read, whole, "in pages of {entries}");
    }
}

/// Catches another text of the cursor, which stands in URLs.
#[test]
fn the_cursor_of_two_walks_names_both_sequences() {
    let (barn, recorded) = merged();
    let page = barn.snapshot().history(animal(recorded[1]), None, page_limit(2)).unwrap().unwrap();
    assert_eq!(page.next.unwrap().to_string(), format!("{},{}", recorded[5], recorded[4]));
}

/// Catches a made-up cursor that shows the history of another animal, or makes the parser panic.
#[test]
fn a_cursor_of_another_animal_is_refused() {
    let (barn, recorded) = merged();
    let cursor = |text: String| Some(text.parse::<HistoryCursor>().unwrap());
    for foreign in [recorded[2].0, 10_000] {
        let result = barn.snapshot().history(animal(recorded[1]), cursor(foreign.to_string()), page_limit(5));
        assert!(matches!(result, Err(QueryError::ForeignCursor { .. })), "{foreign}: {result:?}");
    }
    let walks = |count: u64| (1..=count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert!(walks(256).parse::<HistoryCursor>().is_ok());
    for text in ["", "x", "1,", "-1", "1,,2", "1,1", &walks(257), &"1,".repeat(1_000)] {
        assert!(text.parse::<HistoryCursor>().is_err(), "{text:?}");
    }
}

/// Catches a weight that the scale did not measure.
#[test]
fn weights_leave_out_implausible_ones() {
    let (barn, recorded) = merged();
    let weights = barn.snapshot().weights(animal(recorded[0]), None, PageLimit::default()).unwrap().unwrap();
    let found: Vec<_> = weights.data.iter().map(|weight| (weight.sequence, weight.weight_kg.0)).collect();
    assert_eq!(found, [(recorded[6], 310_500), (recorded[4], 300_000)]);
}
