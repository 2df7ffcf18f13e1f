//! Payloads, changes, gaps and totals.

use crate::position::Sequence;
use crate::query::{ChangeView, PageLimit, PayloadFilter, PayloadStatus, QueryError};
use crate::testing::{TestBarn, page_limit};

fn filled() -> TestBarn {
    let mut barn = TestBarn::with_payloads(&["hxb:B:L1:U1", "invalid:data", " hxb:B:L2:U2\r\n"]);
    barn.record_bytes(b"\xff\xfe frame");
    barn.record("event:hxbchi000117|lid:1|weight:200");
    barn.record("event:hxbchi000121|lid:1");
    barn
}

fn listed(barn: &TestBarn, filter: PayloadFilter) -> Vec<u64> {
    let page = barn.snapshot().payloads(None, PageLimit::default(), filter).unwrap();
    assert_eq!(page.next, None);
    page.data.iter().map(|payload| payload.id.0).collect()
}

/// Catches a filter that drops or adds payloads, and another order.
#[test]
fn payloads_are_listed_latest_first_and_by_status() {
    let barn = filled();
    assert_eq!(listed(&barn, PayloadFilter::All), [7, 6, 5, 4, 3, 2]);
    assert_eq!(listed(&barn, PayloadFilter::Status(PayloadStatus::Processed)), [7, 6, 4, 2]);
    assert_eq!(listed(&barn, PayloadFilter::Status(PayloadStatus::Error)), [5, 3]);
}

/// Catches a view that trims the text or loses the signal of the radio.
#[test]
fn a_payload_shows_its_origin_and_its_event() {
    let payload = filled().snapshot().payload(Sequence(4)).unwrap().unwrap();
    assert_eq!((payload.payload.as_str(), payload.is_text), (" hxb:B:L2:U2\r\n", true));
    assert_eq!(payload.payload_hash, crate::payload::content_hash(b"hxb:B:L2:U2").to_string());
    assert_eq!(
        (payload.channel.as_str(), payload.rssi_dbm, payload.snr_db.as_deref()),
        ("radio1", Some(-97), Some("-1.75"))
    );
    assert_eq!((payload.reader_group.as_str(), payload.reader_era), ("main", 1));
    assert_eq!((payload.animal.unwrap().0, payload.batch.unwrap().0), (4, 2));
    assert_eq!(payload.event.unwrap().kind, "scan");
}

/// Catches a rejection without a reason that programs and people can read.
#[test]
fn a_rejection_has_a_code_and_a_sentence() {
    let payload = filled().snapshot().payload(Sequence(3)).unwrap().unwrap();
    assert_eq!((payload.status, payload.reason), (PayloadStatus::Error, Some("unknown_prefix")));
    assert!(payload.reason_text.unwrap().starts_with("The payload begins with \"invalid\""));
    assert_eq!(payload.event, None);
}

/// Catches received bytes that no client can get back.
#[test]
fn bytes_that_are_not_text_are_shown_in_base64() {
    let payload = filled().snapshot().payload(Sequence(5)).unwrap().unwrap();
    assert!(!payload.is_text);
    assert_eq!(payload.payload, "\u{fffd}\u{fffd} frame");
    assert_eq!(payload.raw_base64.as_deref(), Some("//4gZnJhbWU="));
}

/// Catches an epoch that is shown as a payload, and a change that is invented past the head.
#[test]
fn a_change_without_a_payload_is_not_listed_as_one() {
    let snapshot = filled().snapshot();
    assert_eq!(snapshot.payload(Sequence(1)).unwrap(), None);
    let epoch = serde_json::to_value(snapshot.change_view(Sequence(1)).unwrap().unwrap()).unwrap();
    assert_eq!((&epoch["kind"], &epoch["version"], &epoch["epoch"]), (&"epoch".into(), &1.into(), &1.into()));
    assert_eq!(snapshot.change_view(Sequence(8)).unwrap(), None);
    assert_eq!(snapshot.change_view(Sequence(0)).unwrap(), None);
}

/// Catches a change view that leaves out the placement or the previous changes.
#[test]
fn a_received_change_shows_its_decision() {
    let change = filled().snapshot().change_view(Sequence(4)).unwrap().unwrap();
    let json = serde_json::to_value(change).unwrap();
    assert_eq!(
        (&json["sequence"], &json["kind"], &json["status"]),
        (&4.into(), &"received".into(), &"processed".into())
    );
    assert_eq!((&json["lf_use"], &json["event"]["lf"]["key"]), (&"assigned".into(), &"L2".into()));
    assert_eq!(json["previous"], serde_json::json!([{"animal": 4, "sequence": 0}]));
}

/// Catches a decoder that guesses at the changes of a newer barn.
#[test]
fn a_change_of_an_unknown_kind_or_version_is_shown_as_bytes() {
    for (bytes, expected) in [
        (&[200, 9, 1][..], r#"{"sequence":7,"kind":200,"version":9,"bytes":"yAkB"}"#),
        (&[3, 1, 0], r#"{"sequence":7,"kind":"corrected","version":1,"bytes":"AwEA"}"#),
        (&[1, 2], r#"{"sequence":7,"kind":"received","version":2,"bytes":"AQI="}"#),
        (&[], r#"{"sequence":7,"kind":0,"version":0,"bytes":""}"#),
    ] {
        assert_eq!(serde_json::to_string(&ChangeView::new(Sequence(7), bytes)).unwrap(), expected);
    }
}

/// Catches a gap that a late event does not split.
#[test]
fn gaps_have_a_text_and_shrink_when_a_missing_event_arrives() {
    let mut barn = filled();
    let texts = |barn: &TestBarn| -> Vec<String> {
        let gaps = barn.snapshot().gaps(None, PageLimit::default()).unwrap().data;
        gaps.into_iter().map(|gap| gap.text).collect()
    };
    assert_eq!(texts(&barn), ["118-120 never heard"]);
    assert_eq!(barn.snapshot().totals().unwrap().missed_events, 3);
    barn.record("event:hxbchi000119|lid:1");
    assert_eq!(texts(&barn), ["118 never heard", "120 never heard"]);
    let gap = barn.snapshot().gaps(None, page_limit(1)).unwrap().data.remove(0);
    assert_eq!((gap.reader_group.as_str(), gap.reader_era, gap.counter.as_str(), gap.missed), ("main", 1, "hxbchi", 1));
    let counter = barn.snapshot().counters(None, page_limit(1)).unwrap().data.remove(0);
    assert_eq!((counter.counter.as_str(), counter.lowest, counter.highest), ("hxbchi", 117, 121));
    assert!(!gap.is_leap);
    barn.record("event:hxbchi020000|lid:1");
    let leap = barn.snapshot().gaps(None, PageLimit::default()).unwrap().data.remove(2);
    assert_eq!((leap.first, leap.last, leap.missed, leap.is_leap), (122, 19_999, 0, true));
    assert_eq!(leap.text, "leapt from 121 to 20000: not counted as missed");
}

/// Catches a total that counts rejections as events, or misses a change.
#[test]
fn totals_count_everything_as_of_one_change() {
    let totals = filled().snapshot().totals().unwrap();
    assert_eq!((totals.as_of, totals.received, totals.accepted, totals.rejected), (Sequence(7), 6, 4, 2));
    assert_eq!((totals.animals, totals.active, totals.batches, totals.open_batches), (3, 3, 1, 1));
    assert_eq!(totals.last_received_at.as_deref(), Some("2026-01-15T10:06:06.000Z"));
}

/// Catches a page whose size a client can choose freely.
#[test]
fn a_page_holds_one_to_a_thousand_entries() {
    for entries in [0, 1_001, u64::MAX] {
        assert!(matches!(PageLimit::new(entries), Err(QueryError::InvalidLimit { .. })), "{entries}");
    }
    assert_eq!(PageLimit::new(1_000).unwrap().entries(), 1_000);
    assert_eq!(PageLimit::default().entries(), 50);
}

/// Catches a gap without the times between which it lies, and a neighbor of another counter or width of number.
#[test]
fn the_neighbors_of_a_gap_are_the_reads_beside_it() {
    let mut barn = filled();
    barn.record("event:hxbpai000117|lid:1|lf:L9");
    barn.record("event:hxbind7|lid:2|lot:L");
    barn.record("event:hxbind9|lid:3|lot:L");
    let snapshot = barn.snapshot();
    let gaps = snapshot.gaps(None, PageLimit::default()).unwrap().data;
    let neighbors = snapshot.gap_neighbors(&gaps).unwrap();
    let alone = gaps.iter().map(|gap| snapshot.gap_neighbors(std::slice::from_ref(gap)).unwrap()[0].clone());
    assert_eq!(neighbors, alone.collect::<Vec<_>>(), "what is kept of one gap is wrong for the next one");
    let beside = |counter: &str| {
        let at = gaps.iter().position(|gap| gap.counter == counter).unwrap();
        neighbors[at].clone().map(|read| read.map(|read| read.sequence.0))
    };
    assert_eq!(beside("hxbchi"), [Some(6), Some(7)]);
    assert_eq!(beside("hxbind"), [Some(9), Some(10)]);
}
