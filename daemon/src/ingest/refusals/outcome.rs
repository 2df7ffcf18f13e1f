//! Outcome of one call, which its response carries to the observer.

use super::kind::RefusalKind;

/// Outcomes of the payloads of a call, in the extensions of its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallOutcome {
    /// An event was recorded, or is in the log already.
    pub(super) is_any_taken: bool,
    /// Number of the other payloads by kind, with the reason of the last one.
    pub(super) refused: Vec<(RefusalKind, u64, String)>,
}

impl CallOutcome {
    /// Adds a payload that is an event of the log.
    pub(crate) fn add_taken(&mut self) {
        self.is_any_taken = true;
    }

    /// Adds a payload that is not, with the code and the reason of its answer.
    pub(crate) fn add_refused(&mut self, code: &str, why: String) {
        let kind = RefusalKind::of_code(code);
        match self.refused.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, count, last)) => (*count, *last) = (*count + 1, why),
            None => self.refused.push((kind, 1, why)),
        }
    }
}
