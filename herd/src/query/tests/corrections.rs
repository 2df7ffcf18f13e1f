//! Corrections and their effects, as views show them.

use super::animal;
use crate::change::{BatchId, Correction, TagKind, WeighingTime};
use crate::clock::EARLIEST_US;
use crate::payload::WeightUnit::{Kg, Lb};
use crate::payload::{Grams, Tag};
use crate::position::Sequence;
use crate::query::{ChangeBody, ChangeView, HistoryEntry, PageLimit, PayloadStatus};
use crate::testing::TestBarn;

/// Makes a barn whose change 3 is rejected, because its event id was heard before with other content.
fn barn() -> TestBarn {
    let barn =
        TestBarn::with_payloads(&["event:hxbchi000001|weight:267.3|lid:1", "event:hxbchi000001|weight:300|lid:1"]);
    assert_eq!(barn.snapshot().payload(Sequence(3)).unwrap().unwrap().reason, Some("event_id_reused"));
    barn
}

fn accept() -> Correction {
    Correction::AcceptRejected { sequence: Sequence(3), animal: None, batch_number: None }
}

fn change(barn: &TestBarn, sequence: Sequence) -> ChangeView {
    barn.snapshot().change_view(sequence).unwrap().unwrap()
}

/// Catches a sentence that names the animal whose page it stands on, or leaves it out elsewhere.
#[test]
fn each_correction_has_a_sentence_and_a_shorter_one_for_its_animal() {
    let mut barn = TestBarn::with_payloads(&["hxb:L1:A:U1", "hxb:L1:B:U2", "hxb:L1:C:U3", "hxb:L1:A:U2"]);
    barn.record("event:hxbchi000001|lid:9|weight:200");
    let (one, two, three, batch) = (animal(Sequence(2)), animal(Sequence(3)), animal(Sequence(4)), BatchId(2));
    let retag = |kind, tag: Option<&str>| Correction::Retag {
        animal: one,
        kind,
        tag: tag.map(|tag| Tag::read(kind, tag).unwrap().unwrap()),
    };
    let pen = |pen: &str| Correction::MovePen { animal: one, pen: pen.to_owned() };
    let notes = |notes: Option<&str>| Correction::EditBatch { batch, notes: notes.map(str::to_owned) };
    for (correction, for_its_animal, elsewhere) in [
        (pen("P2"), "moved to pen P2", "animal 2 moved to pen P2"),
        (
            Correction::MoveBatch { animal: one, batch_number: "L2".to_owned() },
            "moved to batch L2",
            "animal 2 moved to batch L2",
        ),
        (
            Correction::Weigh { animal: one, weight_g: 301_500, when: WeighingTime::Now },
            "weighed 301.5 kg",
            "animal 2 weighed 301.5 kg",
        ),
        (retag(TagKind::Lf, Some("NEW")), "given the LF tag NEW", "animal 2 given the LF tag NEW"),
        (retag(TagKind::Epc, None), "left without its UHF tag", "animal 2 left without its UHF tag"),
        (
            Correction::Merge { animal: one, absorbed: three },
            "animal 4 merged into this animal",
            "animal 4 merged into animal 2",
        ),
        (
            Correction::AcceptRejected { sequence: Sequence(5), animal: Some(one), batch_number: None },
            "payload 5 accepted as an event of this animal",
            "payload 5 accepted as an event of animal 2",
        ),
        (Correction::Void { sequence: Sequence(5) }, "event of payload 5 voided", "event of payload 5 voided"),
        (Correction::Died { animal: one }, "died", "animal 2 died"),
        (Correction::Died { animal: two }, "animal 3 died", "animal 3 died"),
        (notes(Some("sick")), "notes written for the batch with id 2", "notes written for the batch with id 2"),
        (notes(None), "notes removed from the batch with id 2", "notes removed from the batch with id 2"),
        (
            Correction::NewReaderEra { reader_group: "main".to_owned(), from: None },
            "new era started for readers main",
            "new era started for readers main",
        ),
    ] {
        let sequence = barn.correct(correction);
        let view = barn.snapshot().correction(sequence).unwrap().unwrap();
        assert_eq!(
            (view.summary_for(one, Kg, &plain).as_str(), view.summary(Kg, &plain).as_str()),
            (for_its_animal, elsewhere)
        );
    }
    let batch = BatchId(barn.record("hxb:L9:Z:U9").0);
    let closed = barn.correct(Correction::CloseBatch { batch });
    let summary = barn.snapshot().correction(closed).unwrap().unwrap().summary(Kg, &plain);
    assert_eq!(summary, format!("batch with id {batch} closed"));
}

#[test]
fn a_weighing_is_told_in_the_unit_and_the_time_of_the_reader_of_the_page() {
    let mut barn = barn();
    let mut weighed = |when| {
        let sequence = barn.correct(Correction::Weigh { animal: animal(Sequence(2)), weight_g: 244_940, when });
        barn.snapshot().correction(sequence).unwrap().unwrap()
    };
    let view = weighed(WeighingTime::Now);
    let told = [view.summary(Lb, &plain), view.summary(Kg, &plain)];
    assert_eq!(told, ["animal 2 weighed 540 lb", "animal 2 weighed 244.94 kg"]);
    let view = weighed(WeighingTime::At(EARLIEST_US));
    let told = view.summary(Kg, &|at| format!("<{at}>"));
    assert_eq!(told, "animal 2 weighed 244.94 kg at <2024-01-01T00:00:00.000Z>");
}

/// Tells a time as it stands in JSON.
fn plain(at: &str) -> String {
    at.to_owned()
}

/// Catches a change of another kind, or none at all, that is shown as a correction.
#[test]
fn other_changes_are_not_corrections() {
    let snapshot = barn().snapshot();
    for other in [0, 1, 2, 3, 9] {
        assert_eq!(snapshot.correction(Sequence(other)).unwrap(), None, "{other}");
    }
}

/// Catches a payload that keeps its old status after a correction, or loses the reason of its first rejection.
#[test]
fn a_payload_accepted_later_is_an_event_and_keeps_its_first_rejection() {
    let mut barn = barn();
    let ChangeBody::Received { rejected_at_first: None, .. } = change(&barn, Sequence(3)).body else { panic!() };
    let by = barn.correct(accept());
    let ChangeBody::Received { payload, placement, rejected_at_first, .. } = change(&barn, Sequence(3)).body else {
        panic!("not received");
    };
    assert_eq!((payload.status, payload.accepted_by, payload.voided_by), (PayloadStatus::Processed, Some(by), None));
    assert_eq!((payload.reason, payload.animal), (None, Some(animal(Sequence(2)))));
    assert_eq!((payload.event.unwrap().weight_kg, placement.absorbed), (Some(Grams(300_000)), None));
    assert!(rejected_at_first.unwrap().contains("another content"));
    let voided_by = barn.correct(Correction::Void { sequence: Sequence(3) });
    let ChangeBody::Received { payload, .. } = change(&barn, Sequence(3)).body else { panic!("not received") };
    assert_eq!((payload.accepted_by, payload.voided_by), (Some(by), Some(voided_by)));
}

/// Catches a history that hides a voided event, or who accepted it.
#[test]
fn the_history_shows_who_accepted_an_event_and_what_voided_it() {
    let mut barn = barn();
    let accepted = barn.correct(accept());
    let voided = barn.correct(Correction::Void { sequence: Sequence(3) });
    let page = barn.snapshot().history(animal(Sequence(2)), None, PageLimit::default()).unwrap().unwrap();
    let [HistoryEntry::Correction(void), HistoryEntry::Event(late), HistoryEntry::Event(first)] = &page.data[..] else {
        panic!("{page:?}");
    };
    assert_eq!((void.sequence, void.correction.author.as_str()), (voided, "J. Doe"));
    assert_eq!((late.sequence, late.accepted, late.voided_by), (accepted, Some(Sequence(3)), Some(voided)));
    assert_eq!(late.correction.as_ref().unwrap().reason, "seen in the pen");
    assert_eq!((first.accepted, first.voided_by, first.correction.as_ref()), (None, None, None));
}
