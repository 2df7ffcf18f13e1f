//! The result for each crate.

use super::survivors::Survivors;
use std::io::{self, Write};

/// The outcomes of a sample of mutants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcomes {
    /// Number of mutants that a test noticed.
    pub(super) caught: usize,
    /// Number of mutants whose tests did not end, which is noticed as well.
    pub(super) timeouts: usize,
    /// Number of mutants that do not compile.
    pub(super) unviable: usize,
    /// Mutants that no test noticed.
    pub(super) survivors: Vec<String>,
}

/// The mutants of a crate, and the outcomes of a sample of them.
#[derive(Debug)]
pub(super) struct CrateReport {
    pub(super) name: &'static str,
    pub(super) mutants: Vec<String>,
    pub(super) outcomes: Outcomes,
}

/// The result for each crate.
#[derive(Debug, Default)]
pub(super) struct Report {
    crates: Vec<CrateReport>,
}

impl CrateReport {
    /// Returns the number of mutants that were noticed, and of those that can be observed.
    fn share(&self, known: &Survivors) -> (usize, usize) {
        let is_observable = |mutant: &&String| known.reason(mutant).is_none_or(|reason| !reason.is_equivalent);
        let noticed = self.outcomes.caught + self.outcomes.timeouts;
        (noticed, noticed + self.outcomes.survivors.iter().filter(is_observable).count())
    }

    fn write_row(&self, known: &Survivors, out: &mut dyn Write) -> io::Result<()> {
        let Outcomes { caught, timeouts, unviable, survivors } = &self.outcomes;
        let (noticed, observable) = self.share(known);
        let share = match (noticed * 1_000).checked_div(observable) {
            Some(permille) => format!("{}.{} %", permille / 10, permille % 10),
            None => "-".to_owned(),
        };
        let sample = caught + timeouts + unviable + survivors.len();
        writeln!(
            out,
            "{:<10}{:>9}{sample:>9}{unviable:>10}{caught:>9}{timeouts:>10}{:>10}{observable:>12}{share:>9}",
            self.name,
            self.mutants.len(),
            survivors.len(),
        )
    }
}

impl Report {
    pub(super) fn add(&mut self, of_crate: CrateReport) {
        self.crates.push(of_crate);
    }

    /// Returns whether a survivor has no reason, or a reason no mutant.
    pub(super) fn has_findings(&self, known: &Survivors) -> bool {
        self.crates.iter().any(|of_crate| {
            of_crate.outcomes.survivors.iter().any(|mutant| known.reason(mutant).is_none())
                || !known.stale(of_crate.name, &of_crate.mutants).is_empty()
        })
    }

    /// Prints a row for each crate, each survivor with its reason, and each reason without its mutant.
    pub(super) fn write(&self, known: &Survivors, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{:<10}{:>9}{:>9}{:>10}{:>9}{:>10}{:>10}{:>12}{:>9}",
            "crate", "mutants", "sample", "unviable", "caught", "timeouts", "survived", "observable", "share"
        )?;
        for of_crate in &self.crates {
            of_crate.write_row(known, out)?;
        }
        for mutant in self.crates.iter().flat_map(|of_crate| &of_crate.outcomes.survivors) {
            let reason = known.reason(mutant).map_or("NO REASON", |reason| reason.text);
            writeln!(out, "\nsurvived: {mutant}\n    {reason}")?;
        }
        for of_crate in &self.crates {
            for stale in known.stale(of_crate.name, &of_crate.mutants) {
                writeln!(out, "\nno such mutant any more, remove its reason: {stale}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a survivor that is hidden by the share, and a share that counts what nobody can observe.
    #[test]
    fn a_share_counts_what_can_be_observed_and_each_survivor_is_printed() {
        let mutant = "herd/src/a.rs:1:2: replace f with ()".to_owned();
        let outcomes = Outcomes { caught: 17, timeouts: 1, unviable: 4, survivors: vec![mutant.clone()] };
        let mut report = Report::default();
        report.add(CrateReport { name: "herd", mutants: vec![mutant], outcomes });
        let printed = |report: &Report, known: &Survivors| {
            let mut out = Vec::new();
            report.write(known, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let unknown = Survivors::default();
        assert!(report.has_findings(&unknown));
        let text = printed(&report, &unknown);
        assert!(text.contains(" 94.7 %") && text.contains("NO REASON"), "{text}");

        let known: Survivors =
            toml::from_str("[equivalent]\n\"herd/src/a.rs: replace f with ()\" = \"it does nothing\"").unwrap();
        assert!(!report.has_findings(&known));
        let text = printed(&report, &known);
        assert!(text.contains(" 100.0 %") && text.contains("it does nothing"), "{text}");
    }
}
