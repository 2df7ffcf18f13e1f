//! The tables that a soak prints, in Markdown.

use super::pair::{CatchUp, Place};
use super::samples::{Measure, Stretch};
use super::storm::Tallies;
use crate::bench::Samples;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

/// Returns a table in Markdown.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<_> = header.iter().map(|&name| name.to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(header.len()));
    let rows: String = rows.into_iter().map(|row| line(&row)).collect();
    format!("{}{rule}{rows}\n", line(&header))
}

/// Returns the table of memory, descriptors and disk.
pub(super) fn size_table(stretches: &[Stretch]) -> String {
    let names = stretches.iter().map(|stretch| stretch.name);
    let header: Vec<_> = ["process", "median / maximum"].into_iter().chain(names).collect();
    let row = |place: Place, measure: Measure| -> Vec<String> {
        let cells = stretches.iter().map(|stretch| stretch.cell(place, &measure));
        [place.name().to_owned(), measure.name.to_owned()].into_iter().chain(cells).collect()
    };
    let rows = Place::BOTH.into_iter().flat_map(|place| Measure::ALL.map(|measure| row(place, measure)));
    table(&header, rows)
}

/// Returns the table of incidents and recoveries.
pub(super) fn incident_table(tallies: &Tallies) -> String {
    let header = ["incident", "count", "refused", "recoveries", "most changes behind", "median s", "longest s"];
    let rows = tallies.iter().map(|(incident, tally)| {
        let took = Samples::new(tally.catch_ups.iter().map(|catch_up| catch_up.took).collect());
        let behind = tally.catch_ups.iter().map(|CatchUp { behind, .. }| *behind).max();
        let [median, longest] = [50, 100].map(|percent| took.percentile(percent));
        let durations = [median, longest].map(|took| if behind.is_none() { "-".to_owned() } else { seconds(took) });
        let behind = behind.map_or_else(|| "-".to_owned(), |behind| behind.to_string());
        let counts = [tally.count, tally.refused, took.len() as u64].map(|count| count.to_string());
        [incident.to_string()].into_iter().chain(counts).chain([behind]).chain(durations).collect()
    });
    table(&header, rows)
}

/// Returns a table of counts.
pub(super) fn count_table<T: Display>(of: &str, counts: &BTreeMap<T, u64>) -> String {
    table(&[of, "count"], counts.iter().map(|(name, count)| vec![name.to_string(), count.to_string()]))
}

/// Returns a duration in seconds, with a tenth.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::deck::Incident;
    use crate::soak::storm::Tally;

    #[test]
    fn recoveries_are_summed_up_by_kind_and_a_kind_without_one_has_a_dash() {
        let took = |s, behind| CatchUp { behind, took: Duration::from_secs(s) };
        let kill = Tally { count: 4, refused: 0, catch_ups: vec![took(1, 7), took(3, 90), took(2, 8)] };
        let tallies = Tallies::from([(Incident::Kill(Place::Barn), kill), (Incident::Resync, Tally::default())]);
        let text = incident_table(&tallies);
        assert!(text.contains("| SIGKILL, barn | 4 | 0 | 3 | 90 | 2.0 | 3.0 |\n"), "{text}");
        assert!(text.contains("| resync | 0 | 0 | 0 | - | - | - |\n"), "{text}");
        assert!(text.contains("\n|---|---|---|---|---|---|---|\n"), "{text}");
    }
}
