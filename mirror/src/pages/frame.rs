//! What stands around every page for people: where one is, and how old what is shown is.

use super::state::{LinkState, SiteStatus};
use super::words;
use herd::clock::iso_utc;
use herd::position::Sequence;

/// The parts of the site that the head of each page leads to: path and word.
const PARTS: [(&str, &str); 4] =
    [("/batches", "Batches"), ("/animals", "Animals"), ("/payloads", "Payloads"), ("/status", "Status")];

/// What stands around a page.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Of the page.
    pub(super) title: String,
    /// The site, where the page is of one.
    pub(super) site: Option<String>,
    /// What the paths of that site begin with: empty, or `/sites/NAME` percent-encoded.
    pub(super) prefix: String,
    /// Which of its parts the page belongs to, by path.
    pub(super) part: &'static str,
    /// The search that the page answers.
    pub(super) asked: String,
    /// How old what is shown is.
    pub(super) age: Option<Age>,
    /// When the page was made.
    pub(super) made: String,
}

/// How old what is shown of a site is.
#[derive(Clone, Debug)]
pub(super) struct Age {
    pub(super) link: LinkState,
    /// `1,234`: the change that the page shows the state after.
    pub(super) as_of: Option<String>,
    /// `3 s ago`; none where the barn was never heard.
    pub(super) heard: Option<String>,
}

impl Age {
    pub(super) fn new(status: &SiteStatus, as_of: Option<Sequence>, now_us: i64) -> Self {
        Self {
            link: status.link,
            as_of: as_of.map(words::grouped),
            heard: status.barn_heard_at_us.map(|at| words::ago(at, now_us)),
        }
    }
}

impl Frame {
    /// Of a page that is of no site.
    pub(super) fn bare(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            site: None,
            prefix: String::new(),
            part: "",
            asked: String::new(),
            age: None,
            made: String::new(),
        }
    }

    pub(super) fn made_at(now_us: i64) -> String {
        words::clock(iso_utc(now_us))
    }

    /// Path, word, and whether it is where the page belongs.
    pub(super) fn parts(&self) -> impl Iterator<Item = (String, &'static str, bool)> {
        PARTS.into_iter().map(|(path, word)| (format!("{}{path}", self.prefix), word, path == self.part))
    }

    /// The first screen of the site.
    pub(super) fn first(&self) -> &str {
        if self.prefix.is_empty() { "/" } else { &self.prefix }
    }
}
