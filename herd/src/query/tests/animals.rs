//! Queries about animals.

use super::animal;
use crate::change::{AnimalId, Correction};
use crate::payload::Grams;
use crate::position::Sequence;
use crate::query::PageLimit;
use crate::tables::AnimalStatus;
use crate::testing::{TestBarn, page_limit};

/// Cases 9 to 12 of the case table, and a tag that was read together with the animal's own.
const ONE_LIFE: [&str; 5] = [
    "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
    "event:hxbpai000001|lf:124000224161433|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5",
    "event:hxbchi000001|weight:267.3|lid:1",
    "event:hxbrep000001|old_lf:124000224161433|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged",
    "hxb:LOT2024-001:LF_EAR_0099:STRANGE",
];

/// Catches a view that mixes up current, past and unconfirmed tags, or shows an outdated weight.
#[test]
fn an_animal_shows_its_tags_weight_traits_and_batch() {
    let barn = TestBarn::with_payloads(&ONE_LIFE);
    let found = barn.snapshot().animal(AnimalId(2)).unwrap().unwrap();
    assert_eq!(found.lf.as_ref().unwrap().text, "LF_EAR_0099");
    assert_eq!(found.epc.as_ref().unwrap().text, "EPC:30143B7C84D500000000000");
    assert_eq!(found.epc.as_ref().unwrap().key, "30143B7C84D500000000000");
    let past: Vec<_> = found.past_tags.iter().map(|tag| (tag.kind, tag.tag.text.as_str(), tag.since.0)).collect();
    assert_eq!(past, [("lf", "124000224161433", 5)]);
    let unconfirmed: Vec<_> = found.unconfirmed_tags.iter().map(|tag| (tag.kind, tag.tag.text.as_str())).collect();
    assert_eq!(unconfirmed, [("epc", "STRANGE")]);
    assert_eq!(found.weight_kg, Some(Grams(267_300)));
    assert_eq!(found.weighed_by, Some(Sequence(4)));
    assert_eq!(found.traits.pen.as_deref(), Some("P1"));
    assert_eq!(found.barn_batch.unwrap().batch_number, "LOT2024-001");
    assert_eq!(found.lids[0].lid, "1");
    assert_eq!(found.first_seen.as_deref(), Some("2026-01-15T10:01:01.000Z"));
    assert_eq!(found.last_seen.as_deref(), Some("2026-01-15T10:05:05.000Z"));
    assert!(!found.first_seen_doubtful && !found.last_seen_doubtful);
    assert_eq!(found.absorbed, None);
}

/// Catches a split that counts the leading zero of a tag.
#[test]
fn fifteen_digits_are_split_into_issuer_and_number() {
    let barn = TestBarn::with_payloads(&["hxb:B:0124000224161433:U1"]);
    let lf = barn.snapshot().animal(AnimalId(2)).unwrap().unwrap().lf.unwrap();
    assert_eq!(lf.text, "0124000224161433");
    let issuer = lf.issuer.unwrap();
    assert_eq!((issuer.kind, issuer.code.as_str(), issuer.name.as_str()), ("country", "124", "Canada"));
    assert_eq!((lf.number.as_deref(), lf.well_formed), (Some("000224161433"), true));
}

/// Catches a search that compares texts instead of keys, or that follows an unconfirmed tag.
#[test]
fn an_animal_is_found_by_any_spelling_of_its_tags_and_by_its_lid() {
    let barn = TestBarn::with_payloads(&ONE_LIFE);
    let snapshot = barn.snapshot();
    let spellings = [
        "LF_EAR_0099",
        " lf_ear_0099 ",
        "124 000 224161433",
        "0124000224161433",
        "epc:30143b7c84d500000000000",
        "30143B7C84D500000000000",
        "1",
    ];
    for text in spellings {
        assert_eq!(snapshot.find_animal(text).unwrap().map(|found| found.id), Some(AnimalId(2)), "{text:?}");
    }
    for text in ["STRANGE", "LF_EAR", "2", "", "EPC:"] {
        assert_eq!(snapshot.find_animal(text).unwrap(), None, "{text:?}");
    }
}

/// Catches a dead link to a merged animal, and a list that counts it twice.
#[test]
fn a_merged_animal_leads_to_the_one_it_was_merged_into() {
    let mut barn = TestBarn::default();
    let tag_only = barn.record("hxb:LOT7:LF5:UHF5");
    let with_lid = barn.record("event:hxbind000009|lot:LOT7|lid:9");
    barn.record("event:hxbpai000009|lid:9|lf:LF5|epc:UHF5");
    let snapshot = barn.snapshot();
    let found = snapshot.animal(animal(tag_only)).unwrap().unwrap();
    assert_eq!((found.id, found.absorbed), (animal(with_lid), Some(animal(tag_only))));
    assert_eq!(found.first_seen.as_deref(), Some("2026-01-15T10:01:01.000Z"));
    assert_eq!(snapshot.animal(animal(with_lid)).unwrap().unwrap().absorbed, None);
    assert_eq!(snapshot.find_animal("LF5").unwrap().unwrap().absorbed, None);
    let listed = snapshot.animals(None, PageLimit::default()).unwrap();
    assert_eq!(listed.data.iter().map(|found| found.id).collect::<Vec<_>>(), [animal(with_lid)]);
}

/// Catches an animal that stays exported although it was seen in the yard.
#[test]
fn an_animal_scanned_after_its_export_is_active_again() {
    let mut barn = TestBarn::with_payloads(&["hxb:B:L1:U1", "hxe:E:L1:U1"]);
    assert_eq!(barn.snapshot().animal(AnimalId(2)).unwrap().unwrap().status, AnimalStatus::Exported);
    let returned = barn.record("hxb:C:L1:U1");
    let found = barn.snapshot().animal(AnimalId(2)).unwrap().unwrap();
    assert_eq!((found.status, found.returned), (AnimalStatus::Active, Some(returned)));
    assert_eq!(found.export_batch.unwrap().batch_number, "E");
}

/// Catches an induction date of an event that never happened.
#[test]
fn a_voided_event_that_founded_an_animal_is_not_its_first_sighting() {
    let first_seen = |barn: &TestBarn, id| barn.snapshot().animal(animal(id)).unwrap().unwrap().first_seen;
    let mut barn = TestBarn::default();
    let founding = barn.record("event:hxbind000001|lid:1|lot:L1");
    barn.record("event:hxbchi000001|lid:1");
    barn.correct(Correction::Void { sequence: founding });
    assert_eq!(first_seen(&barn, founding).as_deref(), Some("2026-01-15T10:02:02.000Z"));
    // A tag that it got later is no earlier sign.
    barn.record("event:hxbpai000001|lid:1|lf:A");
    assert_eq!(first_seen(&barn, founding).as_deref(), Some("2026-01-15T10:02:02.000Z"));
    let mut barn = TestBarn::with_payloads(&["event:hxbind000001|lid:1|lot:"]);
    let (rejected, batch_number) = (Sequence(2), Some("L1".to_owned()));
    let accepted = barn.correct(Correction::AcceptRejected { sequence: rejected, animal: None, batch_number });
    assert_eq!(first_seen(&barn, accepted).as_deref(), Some("2026-01-15T10:01:01.000Z"));
    barn.record("event:hxbchi000001|lid:1");
    barn.correct(Correction::Void { sequence: rejected });
    assert_eq!(first_seen(&barn, accepted).as_deref(), Some("2026-01-15T10:03:03.000Z"), "it was accepted later");
}

/// Catches a missing animal that is reported as a fault of the store.
#[test]
fn missing_entries_are_not_errors() {
    let barn = TestBarn::default();
    let snapshot = barn.snapshot();
    assert_eq!(snapshot.animal(AnimalId(1)).unwrap(), None);
    assert_eq!(snapshot.history(AnimalId(1), None, page_limit(1)).unwrap(), None);
    assert_eq!(snapshot.animals(None, page_limit(1)).unwrap().data, []);
    assert_eq!(snapshot.totals().unwrap().last_received_at, None);
}
