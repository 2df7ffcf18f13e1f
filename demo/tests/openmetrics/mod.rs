//! Strict parser for OpenMetrics text 1.0: it rejects whatever a scraper may reject.
#![allow(dead_code, reason = "each test program uses only a part")]

mod line;
mod rules;

use line::{Line, sample};

/// A parsed page.
#[derive(Debug)]
pub(crate) struct Exposition {
    pub(crate) families: Vec<Family>,
}

/// Metrics with one name.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) help: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) unit: Option<String>,
    pub(crate) samples: Vec<Sample>,
}

/// One value with its labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

impl Exposition {
    /// Parses a page. The error names the line or family, and the rule that it breaks.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let body = text.strip_suffix("# EOF\n").ok_or("it does not end with `# EOF` and a line end")?;
        let mut families: Vec<Family> = Vec::new();
        for (text, n) in body.lines().zip(1..) {
            let line = Line::parse(text).map_err(|why| format!("line {n}, {text:?}: {why}"))?;
            add_line(&mut families, line).map_err(|why| format!("line {n}, {text:?}: {why}"))?;
        }
        for family in &families {
            rules::check(family).map_err(|why| format!("{}: {why}", family.name))?;
        }
        Ok(Self { families })
    }

    /// Returns the value of the sample with this name and exactly these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let is_it = |sample: &&Sample| {
            sample.name == name
                && sample.labels.len() == labels.len()
                && labels.iter().all(|(key, value)| sample.labels.iter().any(|(k, v)| k == key && v == value))
        };
        self.families.iter().flat_map(|family| &family.samples).find(is_it).map(|sample| sample.value)
    }

    /// Lists each family as `name kind unit`, in the order of the page.
    pub(crate) fn names(&self) -> String {
        let line = |family: &Family| {
            let kind = family.kind.as_deref().unwrap_or_default();
            let unit = family.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
            format!("{} {kind}{unit}\n", family.name)
        };
        self.families.iter().map(line).collect()
    }
}

/// Adds a line to its family. Fails if the lines of a family do not stand together.
fn add_line(families: &mut Vec<Family>, line: Line<'_>) -> Result<(), String> {
    let (name, field, text) = match line {
        Line::Sample(text) => {
            let sample = sample(text)?;
            let family = families.last_mut().ok_or("a sample before any family")?;
            if !rules::belongs(&sample.name, family) {
                return Err(format!("it is not a sample of {}, the family above it", family.name));
            }
            family.samples.push(sample);
            return Ok(());
        }
        Line::Meta { name, field, text } => (name, field, text),
    };
    if families.last().is_none_or(|family| family.name != name) {
        if families.iter().any(|family| family.name == name) {
            return Err("the family already ended above".to_owned());
        }
        families.push(Family { name: name.to_owned(), ..Family::default() });
    }
    let family = families.last_mut().ok_or("no family")?;
    if !family.samples.is_empty() {
        return Err("it stands below the samples of its family".to_owned());
    }
    let place = match field {
        "HELP" => &mut family.help,
        "TYPE" => &mut family.kind,
        _ => &mut family.unit,
    };
    match place.replace(text.to_owned()) {
        None => Ok(()),
        Some(_) => Err(format!("a second {field}")),
    }
}

#[test]
fn pages_that_a_scraper_may_reject_are_rejected() {
    let head = "# HELP a_seconds It.\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n";
    let good = format!("{head}a_seconds{{site=\"a \\\"b\\\" \\\\ \\n c\"}} 1.5\na_seconds{{site=\"b\"}} 0\n# EOF\n");
    assert_eq!(Exposition::parse(&good).unwrap().families[0].samples[0].labels[0].1, "a \"b\" \\ \n c");
    let histogram = "# HELP h It.\n# TYPE h histogram\n";
    let counter = "# HELP c It.\n# TYPE c counter\n";
    let wrong = [
        ("no end", format!("{head}a_seconds 1\n")),
        ("something after the end", format!("{head}a_seconds 1\n# EOF\n\n")),
        ("a blank line", format!("{head}\na_seconds 1\n# EOF\n")),
        ("no help", "# TYPE a gauge\na 1\n# EOF\n".to_owned()),
        ("no type", "# HELP a It.\na 1\n# EOF\n".to_owned()),
        ("an empty help", "# HELP a \n# TYPE a gauge\na 1\n# EOF\n".to_owned()),
        ("an unknown type", "# HELP a It.\n# TYPE a number\na 1\n# EOF\n".to_owned()),
        ("a unit that is not in the name", "# HELP a It.\n# TYPE a gauge\n# UNIT a bytes\na 1\n# EOF\n".to_owned()),
        ("a name with a unit, but no UNIT", "# HELP a_bytes It.\n# TYPE a_bytes gauge\n# EOF\n".to_owned()),
        ("a count without _total", format!("{counter}c 1\n# EOF\n")),
        ("a count below zero", format!("{counter}c_total -1\n# EOF\n")),
        ("a family that continues after another", format!("{head}{counter}{head}# EOF\n")),
        ("a sample of another family", format!("{head}b 1\n# EOF\n")),
        ("the same sample twice", format!("{head}a_seconds 1\na_seconds 2\n# EOF\n")),
        ("a label twice", format!("{head}a_seconds{{a=\"1\",a=\"2\"}} 1\n# EOF\n")),
        ("a comma too many", format!("{head}a_seconds{{a=\"1\",}} 1\n# EOF\n")),
        ("an unknown escape", format!("{head}a_seconds{{a=\"\\t\"}} 1\n# EOF\n")),
        ("an open quote", format!("{head}a_seconds{{a=\"1}} 1\n# EOF\n")),
        ("a value that is not a number", format!("{head}a_seconds one\n# EOF\n")),
        ("two spaces", format!("{head}a_seconds  1\n# EOF\n")),
        ("no last bucket", format!("{histogram}h_bucket{{le=\"1\"}} 1\nh_count 1\nh_sum 1\n# EOF\n")),
        ("a bucket that shrinks", {
            format!("{histogram}h_bucket{{le=\"1\"}} 2\nh_bucket{{le=\"+Inf\"}} 1\nh_count 1\nh_sum 1\n# EOF\n")
        }),
        ("buckets in disorder", {
            format!(
                "{histogram}h_bucket{{le=\"2\"}} 1\nh_bucket{{le=\"1\"}} 1\nh_bucket{{le=\"+Inf\"}} 1\nh_count 1\nh_sum 1\n# EOF\n"
            )
        }),
        ("a count that is not the last bucket", {
            format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_count 2\nh_sum 1\n# EOF\n")
        }),
        ("no sum", format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_count 1\n# EOF\n")),
    ];
    for (case, text) in wrong {
        assert!(Exposition::parse(&text).is_err(), "{case}");
    }
}
