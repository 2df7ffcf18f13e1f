//! Forms of users who had to log in while they sent them.
//!
//! # Decisions
//!
//! - **A log-in at a form is answered with a redirect, and the page behind it reads the texts from here.** A page that answers
//!   the POST could be loaded again after the log-out, on a machine that several people share: the browser would send
//!   name and password once more. A log-in page with a proof of its age was rejected, because it only shortens that time.
//! - **Only somebody who has logged in puts a form here**, one for each session, and at most [`MAX_KEPT`]. Beyond that the
//!   oldest one goes, and its path leads to the page without the texts.

use super::form_texts::FormTexts;
use crate::people::LoggedIn;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Maximum number of forms. Each is as large as a form that is sent, at most (24 KiB).
const MAX_KEPT: usize = 64;

/// Forms that are shown after a log-in, the oldest first.
#[derive(Debug, Default)]
pub(super) struct KeptForms(Mutex<VecDeque<KeptForm>>);

#[derive(Debug)]
struct KeptForm {
    /// Form token of the session.
    session: String,
    /// Path of the page that the form is on.
    path: String,
    typed: FormTexts,
}

impl KeptForms {
    /// Keeps the form of a session, instead of an earlier one.
    pub(super) fn keep(&self, user: &LoggedIn, path: String, typed: &FormTexts) {
        let typed = FormTexts::new(typed.kept().map(|(name, text)| (name.to_owned(), text.to_owned())).collect());
        let mut forms = self.lock();
        forms.retain(|form| !user.owns_form(&form.session));
        if forms.len() >= MAX_KEPT {
            forms.pop_front();
        }
        forms.push_back(KeptForm { session: user.form_token.clone(), path, typed });
    }

    /// Returns the form of a session for a page.
    pub(super) fn get(&self, user: &LoggedIn, path: &str) -> Option<FormTexts> {
        let forms = self.lock();
        let form = forms.iter().find(|form| form.path == path && user.owns_form(&form.session));
        form.map(|form| form.typed.clone())
    }

    /// Removes the form of a session for a page, which was sent.
    pub(super) fn remove(&self, user: &LoggedIn, path: &str) {
        self.lock().retain(|form| form.path != path || !user.owns_form(&form.session));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<KeptForm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Role;

    /// Catches a memory that grows with the sessions, and a form that somebody else is shown.
    #[test]
    fn the_forms_are_bounded_and_each_is_of_its_session_and_page() {
        let user = |n: usize| LoggedIn {
            name: "Ana".parse().unwrap(),
            role: Role::Operator,
            form_token: format!("token {n}"),
        };
        let forms = KeptForms::default();
        let typed =
            FormTexts::new(vec![("pen".to_owned(), "P2".to_owned()), ("password".to_owned(), "secret".to_owned())]);
        for n in 0..=MAX_KEPT {
            forms.keep(&user(n), "/animals/3".to_owned(), &typed);
            forms.keep(&user(n), "/animals/4".to_owned(), &typed);
        }
        assert_eq!(forms.lock().len(), MAX_KEPT);
        let is_kept = |n: usize, path: &str| forms.get(&user(n), path).is_some();
        assert!(!is_kept(0, "/animals/4") && is_kept(1, "/animals/4") && !is_kept(1, "/animals/3"));
        assert_eq!(forms.get(&user(1), "/animals/4").unwrap().get("password"), "");
        forms.remove(&user(1), "/animals/4");
        assert!(!is_kept(1, "/animals/4") && is_kept(2, "/animals/4"));
    }
}
