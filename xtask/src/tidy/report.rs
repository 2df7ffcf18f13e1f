//! The result of a check.

use super::{Finding, Rule, TidyError};
use crate::tree::Tree;
use std::fmt;

/// The findings of several rules. Its text names each place, then says why the rule exists and how to mend.
#[derive(Debug)]
pub struct Report<'a> {
    parts: Vec<(&'a Rule, Vec<Finding>)>,
}

impl<'a> Report<'a> {
    /// Checks each rule.
    pub fn of(tree: &Tree, rules: &[&'a Rule]) -> Result<Self, TidyError> {
        let check = |rule: &&'a Rule| Ok((*rule, (rule.find)(tree)?));
        Ok(Self { parts: rules.iter().map(check).collect::<Result<_, TidyError>>()? })
    }

    /// Returns the number of findings of all rules.
    pub fn findings(&self) -> usize {
        self.parts.iter().map(|(_, findings)| findings.len()).sum()
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broken: Vec<_> = self.parts.iter().filter(|(_, findings)| !findings.is_empty()).collect();
        for (rule, findings) in &broken {
            for finding in findings {
                writeln!(f, "{finding}")?;
            }
            writeln!(f, "\n{}: {}", rule.name, count(findings.len(), "finding"))?;
            writeln!(f, "  Why:  {}\n  Mend: {}\n", rule.reason, rule.mend)?;
        }
        let rules = count(self.parts.len(), "rule");
        if broken.is_empty() {
            return writeln!(f, "{rules} checked, no findings");
        }
        let findings = count(self.findings(), "finding");
        writeln!(f, "{rules} checked: {findings} in {}", count(broken.len(), "rule"))
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
