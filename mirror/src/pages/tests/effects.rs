//! The log of corrections: what each kind changed, from what, to what.

use super::{at, filled_store, html_of, office_with};
use herd::change::{AnimalId, BatchId, Correction, TagKind, WeighingTime};
use herd::decide::CorrectionRequest;
use herd::payload::Tag;
use herd::position::Sequence;

/// Catches a former value that is that of another animal or tag, of the correction itself, or of an event that does not count.
#[tokio::test]
async fn each_correction_tells_what_it_changed_from_what_to_what() {
    let mut store = filled_store(&[
        "hxb:L1:982000000000001:E2801160600002044310B2E1",
        "hxb:L1:982000000000002:E2801160600002044310B2E2",
        "hxb:L2:LF9:UHF9",
        "event:hxbind000001|lot:L3|pen:P1|lid:1|sex:M",
        "event:hxbchi000001|weight:250|lid:1",
        "event:hxbchi000001|weight:300|lid:1",
    ]);
    let (tagged, penned) = (AnimalId(2), AnimalId(5));
    let lf = |text: &str| Correction::Retag {
        animal: tagged,
        kind: TagKind::Lf,
        tag: Tag::read(TagKind::Lf, text).unwrap(),
    };
    let batch = |number: &str| Correction::MoveBatch { animal: tagged, batch_number: number.into() };
    let pen = |pen: &str| Correction::MovePen { animal: penned, pen: pen.into() };
    let weigh = |weight_g, when| Correction::Weigh { animal: penned, weight_g, when };
    let notes = Some("late\ntruck".to_owned());
    let of_animal = |id: u64, what: &str| (Some(format!("animals/{id}")), what.to_owned());
    let (of_payload, of_batch) = (|id: u64| Some(format!("payloads/{id}")), Some("batches/by-id/2".to_owned()));
    let corrections = [
        (lf("982000000000008"), of_animal(2, "LF tag"), "982000000000001", "982000000000008"),
        (lf("982000000000009"), of_animal(2, "LF tag"), "982000000000008", "982000000000009"),
        (
            Correction::Retag { animal: tagged, kind: TagKind::Epc, tag: None },
            of_animal(2, "UHF tag"),
            "E2801160600002044310B2E1",
            "none",
        ),
        (batch("L9"), of_animal(2, "batch"), "L1", "L9"),
        (batch("L2"), of_animal(2, "batch"), "L9", "L2"),
        (pen("P2"), of_animal(5, "pen"), "P1", "P2"),
        (pen("P3"), of_animal(5, "pen"), "P2", "P3"),
        (weigh(301_000, WeighingTime::Now), of_animal(5, "weight"), "", "301 kg"),
        (weigh(302_000, WeighingTime::InsteadOf(Sequence(15))), of_animal(5, "weight"), "301 kg", "302 kg"),
        (weigh(251_000, WeighingTime::InsteadOf(Sequence(6))), of_animal(5, "weight"), "250 kg", "251 kg"),
        (
            Correction::AcceptRejected { sequence: Sequence(7), animal: None, batch_number: None },
            (of_payload(7), "read".to_owned()),
            "rejected",
            "check in",
        ),
        (Correction::Void { sequence: Sequence(7) }, (of_payload(7), "event".to_owned()), "check in", "void"),
        (Correction::Died { animal: AnimalId(4) }, of_animal(4, "state"), "on the yard", "dead"),
        (Correction::EditBatch { batch: BatchId(2), notes }, (of_batch.clone(), "notes".to_owned()), "", "late\ntruck"),
        (Correction::CloseBatch { batch: BatchId(2) }, (of_batch, "state".to_owned()), "open", "closed"),
        (Correction::Merge { animal: tagged, absorbed: AnimalId(3) }, of_animal(2, "animal"), "animal 3", "animal 2"),
    ];
    for (number, (correction, ..)) in (0_u64..).zip(&corrections) {
        let request = CorrectionRequest {
            correction: correction.clone(),
            author: "J. Doe".into(),
            reason: "seen".into(),
            idempotency_key: format!("k{number}"),
            channel: "office".into(),
        };
        let receipt = store.correct(&request, at(100 + number)).unwrap();
        assert_eq!(store.head().position.sequence, Sequence(8 + number), "{correction:?}: {receipt:?}");
    }
    let page = html_of(&office_with(store, &["barn"], true), "/log").await;
    for (number, (_, (path, what), from, to)) in (0_u64..).zip(corrections) {
        let start = format!("<a href=\"/payloads/{}\">", 8 + number);
        let row = page.split("<tr>").find(|row| row.contains(&format!("<th scope=\"row\">{start}"))).unwrap();
        let cell = |label: &str| {
            let cell = row.split(&format!("data-label=\"{label}\">")).nth(1).unwrap().split("</td>").next().unwrap();
            let text = cell.trim_end_matches("</bdi>").trim_end_matches("</span>");
            text.rsplit('>').next().unwrap().to_owned()
        };
        let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        assert_eq!((cell("From"), cell("To")), (or_none(from), or_none(to)), "{row}");
        assert!(
            row.contains(&format!("href=\"/{}\"", path.unwrap())) && cell("What").ends_with(&what),
            "{what}: {row}"
        );
    }
}
