//! Tests of the payloads of a run.

use super::*;
use crate::MAX_PAYLOAD_BYTES;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};

const SEED: u64 = 99;

fn payloads(seed: u64) -> Payloads {
    Payloads::new(seed, 0.01)
}

fn texts(seed: u64, count: usize) -> Vec<String> {
    println!("seed {seed}");
    Payloads::new(seed, 0.0).take(count).map(|payload| String::from_utf8(payload).unwrap()).collect()
}

/// Returns the kind and the counter of an event.
fn event_id(text: &str) -> Option<(&str, u64)> {
    let id = text.strip_prefix("event:")?.split('|').next()?;
    let (kind, counter) = id.split_at_checked(6)?;
    Some((kind, counter.parse().ok()?))
}

fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split('|').find_map(|field| field.strip_prefix(key)?.strip_prefix(':'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn all_payloads_of_a_run_differ_and_fit_a_packet(seed: u64, malformed in 0.0..=1.0) {
        let mut seen = HashSet::new();
        for payload in Payloads::new(seed, malformed).take(3_000) {
            prop_assert!((1..=MAX_PAYLOAD_BYTES).contains(&payload.len()));
            prop_assert!(seen.insert(payload));
        }
    }
}

#[test]
fn a_long_run_never_repeats_a_payload() {
    println!("seed {SEED}");
    let mut seen = HashSet::new();
    assert!(payloads(SEED).take(200_000).all(|payload| seen.insert(payload)));
}

#[test]
fn about_one_payload_in_a_hundred_is_malformed() {
    println!("seed {SEED}");
    let mut run = payloads(SEED);
    assert_eq!(run.by_ref().take(50_000).count(), 50_000);
    assert!(run.malformed_so_far.abs_diff(500) < 120, "{}", run.malformed_so_far);
}

/// Catches counters with gaps, which would look like reads that the air lost.
#[test]
fn event_counters_have_no_gaps() {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for text in texts(SEED, 20_000) {
        if let Some((kind, counter)) = event_id(&text)
            && let Some(before) = last.insert(kind.to_owned(), counter)
        {
            assert_eq!(counter, before + 1, "{text}");
        }
    }
    assert_eq!(last.into_keys().collect::<Vec<_>>(), ["hxbchi", "hxbind", "hxbpai", "hxbrep"]);
}

#[test]
fn well_formed_payloads_have_the_formats_of_real_readers() {
    let mut forms: BTreeMap<&str, usize> = BTreeMap::new();
    for text in texts(SEED, 5_000) {
        let form = if let Some((kind, _)) = event_id(&text) {
            let keys: Vec<_> = text.split('|').skip(1).map(|field| field.split_once(':').unwrap()).collect();
            assert!(keys.iter().all(|(key, value)| !key.is_empty() && (1..=64).contains(&value.len())), "{text}");
            match kind {
                "hxbind" => "induction",
                "hxbpai" => "pairing",
                "hxbchi" => "check-in",
                _ => "repair",
            }
        } else {
            let [prefix, batch, lf, epc] = text.split(':').collect::<Vec<_>>().try_into().unwrap();
            assert!(lf.len() == 15 && lf.starts_with("124") && lf.bytes().all(|b| b.is_ascii_digit()), "{text}");
            assert!(epc.len() == 24 && epc.starts_with("E280") && epc.bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
            assert!(batch.contains("00099"), "{text}");
            if prefix == "hxb" { "scan" } else { "export" }
        };
        *forms.entry(form).or_default() += 1;
    }
    assert!(forms.len() == 6 && forms.values().all(|&count| count > 20), "{forms:?}");
}

#[test]
fn a_tag_belongs_to_one_animal_and_a_repair_names_its_previous_tag() {
    let mut lf_of_lid: HashMap<String, String> = HashMap::new();
    let mut lid_of_lf: HashMap<String, String> = HashMap::new();
    let mut repairs = 0;
    for text in texts(SEED, 20_000) {
        let Some(lid) = field(&text, "lid").map(str::to_owned) else { continue };
        if let Some(old) = field(&text, "old_lf") {
            repairs += 1;
            assert_eq!(lf_of_lid.get(&lid).map(String::as_str), Some(old), "{text}");
        }
        for lf in ["lf", "new_lf"].iter().filter_map(|key| field(&text, key)) {
            assert_eq!(lid_of_lf.insert(lf.to_owned(), lid.clone()), None, "{text}");
            lf_of_lid.insert(lid.clone(), lf.to_owned());
        }
    }
    assert!(repairs > 20, "{repairs}");
}

#[test]
fn an_animal_is_scanned_and_inducted_in_the_same_lot() {
    let mut lot_of_lid = HashMap::new();
    let mut lid_of_lf = HashMap::new();
    let mut scanned = Vec::new();
    for text in texts(SEED, 20_000) {
        if let (Some(lid), Some(lot)) = (field(&text, "lid"), field(&text, "lot")) {
            lot_of_lid.insert(lid.to_owned(), lot.to_owned());
        } else if let (Some(lid), Some(lf)) = (field(&text, "lid"), field(&text, "lf")) {
            lid_of_lf.insert(lf.to_owned(), lid.to_owned());
        } else if text.starts_with("hxb:") {
            scanned.push(text);
        }
    }
    let mut known = 0;
    for text in scanned {
        let fields: Vec<_> = text.split(':').collect();
        if let Some(lot) = lid_of_lf.get(fields[2]).and_then(|lid| lot_of_lid.get(lid)) {
            assert_eq!(lot, fields[1], "{text}");
            known += 1;
        }
    }
    assert!(known > 1_000, "{known}");
}

#[test]
fn runs_with_different_seeds_share_no_tag_lid_event_or_batch() {
    let words = |seed| -> HashSet<String> {
        let named = |text: &str| -> Vec<String> {
            let keys = ["event", "lid", "lot", "lf", "epc", "new_lf"];
            let fields = keys.iter().filter_map(|key| Some(format!("{key} {}", field(text, key)?)));
            // A short scan has a batch and tags, but no keys.
            let parts = text.split(':').skip(1).map(str::to_owned);
            if text.contains('|') { fields.collect() } else { parts.collect() }
        };
        texts(seed, 5_000).iter().flat_map(|text| named(text)).collect()
    };
    let (one, two) = (words(1), words(2));
    assert!(one.len() > 5_000);
    assert_eq!(one.intersection(&two).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// Catches animals that leave while others of their pen are still worked.
#[test]
fn the_ramp_opens_after_the_last_animal_of_a_pen_has_been_worked() {
    let (mut run, heads) = (payloads(SEED), 60);
    let visits: Vec<_> = (0..heads).flat_map(|n| run.visits_of(0, n, heads)).collect();
    let leaves = |visit: &&Visit| matches!(visit.station, Station::Ramp);
    let is_worked = |visit: &&Visit| !matches!(visit.station, Station::Ramp | Station::Garbled);
    let opened = visits.iter().filter(leaves).map(|visit| visit.turn).min().unwrap();
    let worked = visits.iter().filter(is_worked).map(|visit| visit.turn).max().unwrap();
    assert!(worked < opened, "{worked} {opened}");
}

#[test]
fn pens_have_50_to_200_animals() {
    let mut run = payloads(SEED);
    for _ in 0..200 {
        run.open_next_pen();
        assert!((50..=200).contains(&run.pen.roster.len()), "{}", run.pen.roster.len());
    }
}
