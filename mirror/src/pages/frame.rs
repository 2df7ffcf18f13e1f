//! Frame around every HTML page: title, site, navigation, and how current the page is.

use super::format;
use crate::people::LoggedIn;
use crate::sites::{LinkState, SiteStatus};
use crate::zone::Zone;
use herd::clock::iso_utc;
use herd::position::Sequence;

/// A section of a site, as the navigation lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Batches,
    Animals,
    Payloads,
    Status,
}

impl Section {
    const ALL: [Self; 4] = [Self::Batches, Self::Animals, Self::Payloads, Self::Status];

    fn path(self) -> &'static str {
        match self {
            Self::Batches => "/batches",
            Self::Animals => "/animals",
            Self::Payloads => "/payloads",
            Self::Status => "/status",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Batches => "Batches",
            Self::Animals => "Animals",
            Self::Payloads => "Payloads",
            Self::Status => "Status",
        }
    }
}

/// Frame around the content of a page.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Title of the page.
    pub(super) title: String,
    /// The site of the page; `None` for pages about the whole office.
    pub(super) site: Option<SiteFrame>,
    /// The user who is logged in.
    pub(super) user: Option<LoggedIn>,
    /// Section that the navigation marks as current.
    pub(super) section: Option<Section>,
    /// Text in the search box.
    pub(super) search_text: String,
    /// When the page was rendered; `None` for error pages.
    pub(super) rendered_at: Option<RenderedAt>,
}

/// The time at which a page was rendered, and the zone of its times.
#[derive(Clone, Debug)]
pub(super) struct RenderedAt {
    pub(super) at: String,
    pub(super) zone: String,
}

/// The part of a frame that belongs to a site.
#[derive(Clone, Debug)]
pub(super) struct SiteFrame {
    pub(super) name: String,
    /// Prefix of the site's paths: empty, or `/sites/NAME` percent-encoded.
    pub(super) prefix: String,
    pub(super) link: LinkState,
    /// Last change that the page includes: `1,234`. `None` while there is no copy to show.
    pub(super) as_of: Option<String>,
    /// Age of the barn's last report: `3 s ago`. `None` if there was none since the process started.
    pub(super) last_report: Option<String>,
}

impl SiteFrame {
    pub(super) fn new(status: &SiteStatus, prefix: &str, as_of: Option<Sequence>, now_us: i64) -> Self {
        Self {
            name: status.name.clone(),
            prefix: prefix.to_owned(),
            link: status.link,
            as_of: as_of.map(format::grouped),
            last_report: last_report(status, now_us),
        }
    }

    /// Returns the path of the site's first page.
    pub(super) fn home(&self) -> &str {
        if self.prefix.is_empty() { "/" } else { &self.prefix }
    }
}

impl Frame {
    /// Creates the frame of a page that belongs to no site.
    pub(super) fn without_site(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            site: None,
            user: None,
            section: None,
            search_text: String::new(),
            rendered_at: None,
        }
    }

    /// Shows the user who is logged in.
    pub(super) fn of(self, user: Option<LoggedIn>) -> Self {
        Self { user, ..self }
    }

    /// Sets the time at which the page is rendered, and the zone of its times.
    pub(super) fn rendered_at(self, now_us: i64, zone: &Zone) -> Self {
        Self {
            rendered_at: Some(RenderedAt { at: zone.date_time(iso_utc(now_us)), zone: zone.name().to_owned() }),
            ..self
        }
    }

    /// Yields path and label of each section, and true for the current one.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        Section::ALL.into_iter().map(|section| (section.path(), section.label(), Some(section) == self.section))
    }
}

/// Formats the age of the barn's last report; `None` if there was none since the process started.
pub(super) fn last_report(status: &SiteStatus, now_us: i64) -> Option<String> {
    status.barn_heard_at_us.map(|at| format::ago(at, now_us))
}
