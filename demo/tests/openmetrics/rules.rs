//! Rules for a family as a whole.

use super::{Family, Sample};

/// Units; a name that ends in one must declare it.
const UNITS: [&str; 4] = ["seconds", "bytes", "payloads", "changes"];

/// Returns the suffixes that samples of this type add to the family's name.
fn suffixes(kind: &str) -> Result<&'static [&'static str], String> {
    match kind {
        "gauge" => Ok(&[""]),
        "counter" => Ok(&["_total"]),
        "histogram" => Ok(&["_bucket", "_count", "_sum"]),
        "info" => Ok(&["_info"]),
        other => Err(format!("our pages have no type {other}")),
    }
}

pub(super) fn belongs(sample: &str, family: &Family) -> bool {
    let suffixes = family.kind.as_deref().map_or(Ok(&[][..]), suffixes).unwrap_or(&[]);
    suffixes.iter().any(|suffix| sample.strip_suffix(suffix) == Some(&family.name))
}

pub(super) fn check(family: &Family) -> Result<(), String> {
    if family.help.is_none() {
        return Err("no HELP".to_owned());
    }
    let kind = family.kind.as_deref().ok_or("no TYPE")?;
    suffixes(kind)?;
    check_name(family)?;
    for (at, sample) in family.samples.iter().enumerate() {
        if family.samples[..at].iter().any(|other| other.name == sample.name && other.labels == sample.labels) {
            return Err(format!("{sample:?} occurs twice"));
        }
    }
    match kind {
        "counter" if family.samples.iter().any(|sample| sample.value < 0.0) => Err("a count below 0".to_owned()),
        "info" if family.samples.iter().any(|sample| (sample.value - 1.0).abs() > 0.0) => {
            Err("an info that is not 1".to_owned())
        }
        "histogram" => check_histograms(&family.samples),
        _ => Ok(()),
    }
}

fn check_name(family: &Family) -> Result<(), String> {
    match &family.unit {
        Some(unit) if !family.name.ends_with(&format!("_{unit}")) => {
            Err(format!("the name does not end in the unit {unit}"))
        }
        None if UNITS.iter().any(|unit| family.name.ends_with(&format!("_{unit}"))) => {
            Err("the name ends in a unit, but there is no UNIT".to_owned())
        }
        _ if family.name.ends_with("_total") => Err("the name of a family must not end in _total".to_owned()),
        _ => Ok(()),
    }
}

/// Checks that the samples of each set of labels stand together and form a histogram.
fn check_histograms(samples: &[Sample]) -> Result<(), String> {
    let own = |sample: &Sample| -> Vec<(String, String)> {
        sample.labels.iter().filter(|(key, _)| key != "le").cloned().collect()
    };
    let mut seen = Vec::new();
    for histogram in samples.chunk_by(|one, next| own(one) == own(next)) {
        let labels = own(&histogram[0]);
        if seen.contains(&labels) {
            return Err(format!("the samples of {labels:?} do not stand together"));
        }
        check_histogram(histogram).map_err(|why| format!("{labels:?}: {why}"))?;
        seen.push(labels);
    }
    Ok(())
}

/// Checks that there is one count and one sum, that the buckets never shrink, and that the last one counts everything.
fn check_histogram(samples: &[Sample]) -> Result<(), String> {
    let one = |suffix: &str| {
        let mut found = samples.iter().filter(|sample| sample.name.ends_with(suffix));
        found.next().filter(|_| found.next().is_none()).map(|sample| sample.value).ok_or(format!("not one {suffix}"))
    };
    let (count, _sum) = (one("_count")?, one("_sum")?);
    let mut below = Vec::new();
    for sample in samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
        let le = sample.labels.iter().find(|(key, _)| key == "le").ok_or("a bucket without le")?;
        let le = if le.1 == "+Inf" { f64::INFINITY } else { le.1.parse().map_err(|_| "le is not a number")? };
        below.push((le, sample.value));
    }
    if !below.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1) {
        return Err("the buckets are out of order or shrink".to_owned());
    }
    match below.last() {
        Some((le, all)) if le.is_infinite() && (all - count).abs() < f64::EPSILON => Ok(()),
        _ => Err("the last bucket does not count everything".to_owned()),
    }
}
