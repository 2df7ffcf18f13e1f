//! Health of the barn, in its own words.
//!
//! # Decisions
//!
//! - **The health is a blob of its own, beside the heartbeat.** The body of a heartbeat is frozen within a wire version, and
//!   an office of another version than its barn must go on following it. A new wire version would end that.
//! - **It is sent only to a follower that has named it**, because a follower ends a connection at a kind that it does not
//!   know. A barn that does not know the name does not send it: its health is unknown then.
//! - **It is bounded by its reader, too.** An office keeps the last one of each barn in memory, and shows it.

use super::blob::{BlobKind, Body};
use serde::{Deserialize, Serialize};

/// Maximum number of findings: more than a barn has parts, unless it has a dozen radios that all fail.
pub const MAX_FINDINGS: usize = 16;
/// Maximum length of the name of a part.
pub const MAX_PART_BYTES: usize = 64;
/// Maximum length of a sentence. The longest ones name a path, its error and the remedy.
pub const MAX_TEXT_BYTES: usize = 600;

/// A part of the barn that fails, or that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthFinding {
    /// Name of the part, as the barn's health has it: a word such as `disk`, or the name of a radio.
    pub part: String,
    /// True if the part fails. False if it works and there is something to know about it.
    pub failing: bool,
    /// A sentence that says what is wrong and what to do.
    pub text: String,
}

/// Health of the barn that writes the history, as far as the sender knows it. A mirror passes on what the barn told it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarnHealth {
    /// Age of the report in milliseconds; 0 at the barn itself, `None` if there was no report yet.
    pub age_ms: Option<u64>,
    /// The parts that fail or need a look; the failing ones first.
    pub findings: Vec<HealthFinding>,
    /// Number of further findings, which found no place.
    pub omitted: u64,
}

impl Body for BarnHealth {
    const KIND: BlobKind = BlobKind::BarnHealth;
}

impl BarnHealth {
    /// Makes the report of the barn itself, within the bounds.
    #[must_use]
    pub fn of_barn(findings: Vec<HealthFinding>) -> Self {
        Self { age_ms: Some(0), findings, omitted: 0 }.bounded()
    }

    /// Returns the report within the bounds. What does not fit is cut, the failing parts last.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.findings.sort_by_key(|finding| !finding.failing);
        let omitted = self.findings.len().saturating_sub(MAX_FINDINGS);
        self.omitted = self.omitted.saturating_add(omitted as u64);
        self.findings.truncate(MAX_FINDINGS);
        for HealthFinding { part, text, .. } in &mut self.findings {
            cut(part, MAX_PART_BYTES);
            cut(text, MAX_TEXT_BYTES);
        }
        self
    }

    /// Returns the report with its age increased.
    #[must_use]
    pub fn aged(self, by_ms: u64) -> Self {
        Self { age_ms: self.age_ms.map(|age| age.saturating_add(by_ms)), ..self }
    }
}

/// Cuts a text at the end of a character.
fn cut(text: &mut String, max_bytes: usize) {
    let is_end = |at: &usize| text.is_char_boundary(*at);
    let end = (0..=max_bytes.min(text.len())).rev().find(is_end).unwrap_or(0);
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(part: &str, failing: bool, text: &str) -> HealthFinding {
        HealthFinding { part: part.to_owned(), failing, text: text.to_owned() }
    }

    /// Catches a barn that fills the memory of an office, and a note that displaces a failure.
    #[test]
    fn a_report_is_cut_to_its_bounds_and_keeps_the_failures() {
        let mut findings: Vec<_> = (0..20).map(|n| finding(&format!("note{n}"), false, "x")).collect();
        findings.push(finding(&"é".repeat(100), true, &"牛".repeat(1_000)));
        let health = BarnHealth::of_barn(findings);
        assert_eq!((health.age_ms, health.findings.len(), health.omitted), (Some(0), MAX_FINDINGS, 5));
        let HealthFinding { part, failing, text } = &health.findings[0];
        assert_eq!((part.len(), *failing, text.len()), (MAX_PART_BYTES, true, MAX_TEXT_BYTES));
        assert_eq!(health.findings[1].part, "note0", "the others keep their order");
        assert_eq!(health.clone().bounded(), health);
    }

    #[test]
    fn only_a_known_age_grows() {
        assert_eq!(BarnHealth::of_barn(Vec::new()).aged(7).aged(u64::MAX).age_ms, Some(u64::MAX));
        assert_eq!(BarnHealth::default().aged(7).age_ms, None);
    }
}
