//! Frame around every HTML page: title, sites, navigation, search, user, and the live line.

use super::live_line::{LastRead, LiveFacts};
use super::paths::site_prefix;
use crate::people::LoggedIn;
use crate::sites::{LinkState, SiteStatus};
use crate::zone::Zone;
use askama::Template as _;
use herd::clock::iso_utc;
use herd::position::Sequence;

/// A section of a site, as the navigation lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Today,
    Animals,
    Batches,
    Lots,
    Pens,
    Reads,
    Log,
    Site,
}

impl Section {
    const ALL: [Self; 8] =
        [Self::Today, Self::Animals, Self::Batches, Self::Lots, Self::Pens, Self::Reads, Self::Log, Self::Site];

    /// Returns the path below the prefix of the site; that of the first page has none.
    fn path(self) -> &'static str {
        match self {
            Self::Today => "",
            Self::Animals => "/animals",
            Self::Batches => "/batches",
            Self::Lots => "/lots",
            Self::Pens => "/pens",
            // Addresses of these two are older than their names.
            Self::Reads => "/payloads",
            Self::Log => "/log",
            Self::Site => "/status",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Today => "Today",
            Self::Animals => "Animals",
            Self::Batches => "Batches",
            Self::Lots => "Lots",
            Self::Pens => "Pens",
            Self::Reads => "Reads",
            Self::Log => "Log",
            Self::Site => "Site",
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
    /// `true` for a page with a search over all sites, if it belongs to none.
    pub(super) searches_sites: bool,
    /// Text in the search box.
    pub(super) search_text: String,
    /// When the page was rendered; `None` for error pages.
    pub(super) rendered_at: Option<RenderedAt>,
    /// `true` for a page that a browser fetches again when something has changed.
    pub(super) is_live: bool,
    /// Seconds after which a browser fetches the page again, whether or not something has changed.
    pub(super) every_s: Option<u32>,
}

/// The time at which a page was rendered, and the zone of its times.
#[derive(Clone, Debug)]
pub(super) struct RenderedAt {
    pub(super) at: String,
    pub(super) zone: String,
}

/// A site in the list of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SiteLink {
    pub(super) name: String,
    pub(super) path: String,
}

/// The part of a frame that belongs to a site.
#[derive(Clone, Debug)]
pub(super) struct SiteFrame {
    pub(super) name: String,
    /// Prefix of the site's paths: empty, or `/sites/NAME` percent-encoded.
    pub(super) prefix: String,
    /// The other sites of the office.
    pub(super) others: Vec<SiteLink>,
    facts: LiveFacts,
    zone: Zone,
    now_us: i64,
}

impl SiteFrame {
    /// Makes the frame of a page that shows a site up to a change. `read` is the last read up to it, and `sites` are all sites
    /// of the office.
    pub(super) fn new(
        status: &SiteStatus,
        prefix: &str,
        sites: &[String],
        copy: (Option<Sequence>, Option<LastRead>),
        now: (i64, &Zone),
    ) -> Self {
        let ((as_of, read), (now_us, zone)) = (copy, now);
        let others = sites.iter().filter(|name| **name != status.name);
        Self {
            name: status.name.clone(),
            prefix: prefix.to_owned(),
            others: others.map(|name| SiteLink { name: name.clone(), path: site_prefix(name) }).collect(),
            facts: LiveFacts::new(status, prefix, as_of, read, now_us),
            zone: zone.clone(),
            now_us,
        }
    }

    /// Returns the path of the site's first page.
    pub(super) fn home(&self) -> &str {
        if self.prefix.is_empty() { "/" } else { &self.prefix }
    }

    pub(super) fn link(&self) -> LinkState {
        self.facts.link()
    }

    pub(super) fn zone_name(&self) -> &str {
        self.zone.name()
    }

    /// Returns the last change that the page includes; empty while there is no copy to show.
    pub(super) fn as_of(&self) -> String {
        self.facts.as_of().map(|as_of| as_of.to_string()).unwrap_or_default()
    }

    /// Returns the live line as HTML.
    pub(super) fn line(&self) -> Result<String, askama::Error> {
        self.facts.line(&self.zone, self.now_us).render()
    }

    /// Returns the path of a section.
    pub(super) fn section_path(&self, path: &str) -> String {
        if path.is_empty() { self.home().to_owned() } else { format!("{}{path}", self.prefix) }
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
            searches_sites: false,
            search_text: String::new(),
            rendered_at: None,
            is_live: false,
            every_s: None,
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

    /// Returns the path of the search; `None` if the page has none.
    pub(super) fn search_path(&self) -> Option<String> {
        let of_site = self.site.as_ref().map(|site| site.section_path("/search"));
        of_site.or_else(|| self.searches_sites.then(|| "/search".to_owned()))
    }

    /// Returns whether the page has our script. Pages for everybody, like the log-in, have none.
    pub(super) fn has_script(&self) -> bool {
        self.site.is_some() || self.every_s.is_some()
    }

    /// Yields path and label of each section, and true for the current one.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        Section::ALL.into_iter().map(|section| (section.path(), section.label(), Some(section) == self.section))
    }
}
