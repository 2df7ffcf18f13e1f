//! Forms that were answered with a secret, so that the same form makes no second one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Maximum number of forms that are remembered; the oldest one goes first. Owners make few links.
const MAX_ANSWERED: usize = 64;

/// The texts of forms that were answered, the oldest first.
#[derive(Debug, Default)]
pub(super) struct AnsweredForms(Mutex<VecDeque<String>>);

impl AnsweredForms {
    /// Returns whether the form with this text was answered. A form without a text never was.
    pub(super) fn has(&self, form_key: &str) -> bool {
        !form_key.is_empty() && self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|key| key == form_key)
    }

    /// Remembers a form.
    pub(super) fn add(&self, form_key: &str) {
        let mut answered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.len() >= MAX_ANSWERED {
            answered.pop_front();
        }
        answered.push_back(form_key.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a memory that grows with the forms.
    #[test]
    fn the_latest_forms_are_remembered() {
        let answered = AnsweredForms::default();
        for n in 0..=MAX_ANSWERED {
            answered.add(&n.to_string());
        }
        assert!(!answered.has("0") && answered.has("1") && answered.has(&MAX_ANSWERED.to_string()));
        answered.add("");
        assert!(!answered.has(""), "a page without a text works as well");
    }
}
