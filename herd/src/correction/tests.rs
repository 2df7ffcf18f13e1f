use super::*;
use proptest::prelude::*;
use serde_json::json;

fn order(correction: &serde_json::Value) -> Result<CorrectionRequest, String> {
    let order = json!({"author": " J. Doe ", "reason": "seen", "idempotency_key": "k1", "correction": correction});
    let order: CorrectionOrder = serde_json::from_value(order).map_err(|error| error.to_string())?;
    order.checked("office-1").map_err(|error| error.to_string())
}

fn all_forms() -> Vec<serde_json::Value> {
    vec![
        json!({"kind": "void", "payload": 17}),
        json!({"kind": "merge", "animal": 2, "absorbed": 5}),
        json!({"kind": "retag", "animal": 2, "tag_kind": "lf", "tag": "124000224161433"}),
        json!({"kind": "retag", "animal": 2, "tag_kind": "epc", "tag": null}),
        json!({"kind": "move_pen", "animal": 2, "pen": "P2"}),
        json!({"kind": "move_batch", "animal": 2, "batch_number": "L2"}),
        json!({"kind": "weigh", "animal": 2, "weight_kg": "245.5"}),
        json!({"kind": "weigh", "animal": 2, "weight_kg": "245.5", "replaces": 7}),
        json!({"kind": "weigh", "animal": 2, "weight_kg": "245.5", "weighed_at": "2026-05-04T08:30:00.000Z"}),
        json!({"kind": "died", "animal": 2}),
        json!({"kind": "close_batch", "batch": 2}),
        json!({"kind": "edit_batch", "batch": 2, "notes": "two lines\nof text"}),
        json!({"kind": "accept_rejected", "payload": 9, "animal": null, "batch_number": null}),
        json!({"kind": "accept_rejected", "payload": 9, "animal": 2, "batch_number": "L2"}),
        json!({"kind": "new_reader_era", "reader_group": "main"}),
        json!({"kind": "new_reader_era", "reader_group": "main", "from": 57}),
    ]
}

#[test]
fn every_form_is_shown_as_it_was_written() {
    for form in all_forms() {
        let request = order(&form).unwrap();
        assert_eq!(json!(CorrectionForm::from(&request.correction)), form);
        assert_eq!(request.correction.name(), form["kind"].as_str().unwrap());
        assert_eq!((request.author.as_str(), request.channel.as_str()), ("J. Doe", "office-1"));
    }
}

#[test]
fn a_weight_may_be_a_number_and_has_the_limits_of_a_reader() {
    let weight = |weight_kg: serde_json::Value| order(&json!({"kind": "weigh", "animal": 2, "weight_kg": weight_kg}));
    for good in [json!(245.5), json!("245.5"), json!(" 245.500 "), json!("245,5 kg")] {
        let when = WeighingTime::Now;
        assert_eq!(
            weight(good).unwrap().correction,
            Correction::Weigh { animal: AnimalId(2), weight_g: 245_500, when }
        );
    }
    for bad in [json!(0), json!(-5), json!("NaN"), json!(2001), json!("1e3"), json!(""), json!(1e300)] {
        assert!(weight(bad.clone()).unwrap_err().contains("weight_kg"), "{bad}");
    }
}

#[test]
fn a_weighing_has_a_time_in_any_zone_or_that_of_another() {
    let when = |more: &serde_json::Value| {
        let mut form = json!({"kind": "weigh", "animal": 2, "weight_kg": 300});
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        order(&form).map(|request| match request.correction {
            Correction::Weigh { when, .. } => when,
            other => panic!("{other:?}"),
        })
    };
    let at = WeighingTime::At(1_777_883_400_000_000);
    for text in ["2026-05-04T08:30:00Z", " 2026-05-04T02:30:00-06:00 ", "2026-05-04T08:30:00.0009Z"] {
        assert_eq!(when(&json!({"weighed_at": text})), Ok(at), "{text}");
    }
    assert_eq!(when(&json!({"replaces": 7})), Ok(WeighingTime::InsteadOf(Sequence(7))));
    for text in ["", "yesterday", "2026-05-04", "2026-05-04T08:30:00", "2026-13-04T08:30:00Z"] {
        assert!(when(&json!({"weighed_at": text})).unwrap_err().contains("weighed_at"), "{text}");
    }
    assert!(when(&json!({"replaces": 7, "weighed_at": "2026-05-04T08:30:00Z"})).unwrap_err().contains("both"));
}

#[test]
fn an_invalid_form_is_refused_with_the_name_of_the_field() {
    for (form, named) in [
        (json!({"kind": "retag", "animal": 2, "tag_kind": "epc", "tag": "EPC:"}), "tag"),
        (json!({"kind": "retag", "animal": 2, "tag_kind": "lf", "tag": "NOREAD"}), "read no tag"),
        (json!({"kind": "retag", "animal": 2, "tag_kind": "lf", "tag": "9.82E+14"}), "rounded"),
        (json!({"kind": "move_pen", "animal": 2, "pen": "  "}), "pen"),
        (json!({"kind": "move_pen", "animal": 2, "pen": "x".repeat(65)}), "pen"),
        (json!({"kind": "move_batch", "animal": 2, "batch_number": "a\u{7}b"}), "batch_number"),
        (json!({"kind": "edit_batch", "batch": 2, "notes": "x".repeat(1_001)}), "notes"),
        (json!({"kind": "died", "animal": 2, "pen": "P2"}), "pen"),
        (json!({"kind": "fly", "animal": 2}), "fly"),
        (json!({"kind": "died"}), "animal"),
        (json!({"kind": "died", "animal": -1}), "-1"),
    ] {
        let error = order(&form).unwrap_err();
        assert!(error.contains(named), "{form}: {error}");
    }
}

#[test]
fn a_correction_needs_author_reason_and_key() {
    for missing in ["author", "reason", "idempotency_key"] {
        let mut body = json!({"author": "a", "reason": "b", "idempotency_key": "c",
            "correction": {"kind": "died", "animal": 2}});
        body[missing] = json!(" ");
        let order: CorrectionOrder = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(order.checked("x").unwrap_err(), CorrectionFormError::Empty(missing));
        body.as_object_mut().unwrap().remove(missing);
        assert!(serde_json::from_value::<CorrectionOrder>(body).unwrap_err().to_string().contains(missing));
    }
}

proptest! {
    #[test]
    fn no_text_in_a_form_panics_and_what_passes_is_bounded(author in ".*", reason in ".*", key in ".*", pen in ".*") {
        let correction = CorrectionForm::MovePen { animal: 1, pen };
        let order = CorrectionOrder { author, reason, idempotency_key: key, correction };
        if let Ok(request) = order.checked("x") {
            prop_assert!(request.author.chars().count() <= MAX_NAME_CHARS);
            prop_assert!(request.reason.chars().count() <= MAX_REASON_CHARS);
            prop_assert!((1..=MAX_NAME_CHARS).contains(&request.idempotency_key.chars().count()));
        }
    }
}
