//! Filters of animals.

use super::Catalog;
use super::columns::{Marks, NO_TIME, NO_WEIGHT};
use super::labels::Labels;
use std::ops::Range;

/// Share of the head on the yard that wears a kind of tag, as one in so many, from which on a head without one lacks it. In
/// a yard that uses LF tags alone, no head lacks a UHF tag because a few wear one.
const EXPECTED_SHARE: usize = 10;

/// Animals by state, as the chips above a list choose them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Show {
    /// All animals.
    #[default]
    All,
    /// On the yard.
    OnYard,
    /// On the yard, without a tag of a kind that is in use there.
    TagMissing,
    /// On the yard, without a weight.
    NotWeighed,
    /// Left in an export.
    Exported,
    /// Dead.
    Dead,
}

impl Show {
    const ALL: [Self; 6] = [Self::All, Self::OnYard, Self::TagMissing, Self::NotWeighed, Self::Exported, Self::Dead];

    /// Returns the name in URLs. Stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::OnYard => "yard",
            Self::TagMissing => "tag_missing",
            Self::NotWeighed => "not_weighed",
            Self::Exported => "exported",
            Self::Dead => "dead",
        }
    }

    /// Returns the state of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|show| show.as_str() == name)
    }
}

/// Animals by their tags, or by what is odd about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagFilter {
    /// Without an LF tag.
    NoLf,
    /// Without a UHF tag.
    NoEpc,
    /// With an unconfirmed tag.
    Unconfirmed,
    /// With both tags.
    Complete,
    /// With a weight that differs much from the one before.
    OddWeight,
    /// With a time whose clock followed no time source.
    DoubtfulTime,
}

impl TagFilter {
    const ALL: [Self; 6] =
        [Self::NoLf, Self::NoEpc, Self::Unconfirmed, Self::Complete, Self::OddWeight, Self::DoubtfulTime];

    /// Returns the name in URLs. Stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoLf => "no_lf",
            Self::NoEpc => "no_epc",
            Self::Unconfirmed => "unconfirmed",
            Self::Complete => "complete",
            Self::OddWeight => "odd_weight",
            Self::DoubtfulTime => "doubtful_time",
        }
    }

    /// Returns the filter of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tags| tags.as_str() == name)
    }
}

/// Event by which animals of a day are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DayEvent {
    /// The first sighting.
    #[default]
    In,
    /// The last export, of an animal that was not seen since.
    Out,
    /// A weighing.
    Weighed,
    /// The last event.
    Seen,
}

impl DayEvent {
    const ALL: [Self; 4] = [Self::In, Self::Out, Self::Weighed, Self::Seen];

    /// Returns the name in URLs. Stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Weighed => "weighed",
            Self::Seen => "seen",
        }
    }

    /// Returns the event of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == name)
    }
}

/// Animals to which something happened in a range of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayFilter {
    /// The event.
    pub event: DayEvent,
    /// Range of time, in microseconds since the Unix epoch.
    pub range: Range<i64>,
}

/// Filter of a list of animals. Labels are compared without blanks and without the case of ASCII letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnimalFilter {
    /// State.
    pub show: Show,
    /// Pen. An empty text means animals without one, here and in the other labels.
    pub pen: Option<String>,
    /// Number of the barn batch that it is in, or was in last.
    pub lot: Option<String>,
    /// Number of the export batch in which it last left.
    pub export_lot: Option<String>,
    /// Funder.
    pub funder: Option<String>,
    /// Sex.
    pub sex: Option<String>,
    /// Tags.
    pub tags: Option<TagFilter>,
    /// Day.
    pub day: Option<DayFilter>,
}

/// A filter with its labels looked up.
pub(super) struct Matcher<'a> {
    catalog: &'a Catalog,
    show: Show,
    tags: Option<TagFilter>,
    day: Option<&'a DayFilter>,
    /// Columns with the group that they must have; `None` if no label is of that group.
    labels: Vec<(&'a [u32], &'a Labels, Option<u32>)>,
    expected: ExpectedTags,
}

/// The kinds of tags that head on the yard should wear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ExpectedTags {
    pub(super) lf: bool,
    pub(super) epc: bool,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(catalog: &'a Catalog, filter: &'a AnimalFilter) -> Self {
        let columns = &catalog.columns;
        let wanted = [
            (&filter.pen, &columns.pens, &catalog.pens),
            (&filter.lot, &columns.lots, &catalog.lots),
            (&filter.export_lot, &columns.export_lots, &catalog.lots),
            (&filter.funder, &columns.funders, &catalog.funders),
            (&filter.sex, &columns.sexes, &catalog.sexes),
        ];
        let labels = wanted.into_iter().filter_map(|(text, column, labels)| {
            let text = text.as_deref()?.trim();
            let group = if text.is_empty() { Some(super::labels::NO_GROUP) } else { labels.group_of(text) };
            Some((column.as_slice(), labels, group))
        });
        Self {
            catalog,
            show: filter.show,
            tags: filter.tags,
            day: filter.day.as_ref(),
            labels: labels.collect(),
            expected: catalog.expected_tags(),
        }
    }

    /// Returns whether the animal in a place passes all filters.
    pub(super) fn matches(&self, place: usize) -> bool {
        self.shows(place) && self.matches_but_show(place)
    }

    /// Returns whether the animal in a place passes the filters beside that of its state.
    pub(super) fn matches_but_show(&self, place: usize) -> bool {
        self.catalog.columns.is_listed(place)
            && self.labels.iter().all(|(column, labels, group)| Some(labels.group(column[place])) == *group)
            && self.tags.is_none_or(|tags| self.has_tags(place, tags))
            && self.day.is_none_or(|day| self.catalog.happened(place, day))
    }

    fn shows(&self, place: usize) -> bool {
        let columns = &self.catalog.columns;
        let marks = columns.marks[place];
        match self.show {
            Show::All => true,
            Show::OnYard => marks.has(Marks::ACTIVE),
            Show::TagMissing => marks.has(Marks::ACTIVE) && self.catalog.lacks_tag(place, self.expected),
            Show::NotWeighed => marks.has(Marks::ACTIVE) && columns.grams[place] == NO_WEIGHT,
            Show::Exported => marks.has(Marks::EXPORTED),
            Show::Dead => marks.has(Marks::DEAD),
        }
    }

    fn has_tags(&self, place: usize, tags: TagFilter) -> bool {
        let columns = &self.catalog.columns;
        let (lf, epc) = (columns.lf[place].is_present(), columns.epc[place].is_present());
        match tags {
            TagFilter::NoLf => !lf,
            TagFilter::NoEpc => !epc,
            TagFilter::Complete => lf && epc,
            TagFilter::Unconfirmed => columns.marks[place].has(Marks::UNCONFIRMED),
            TagFilter::OddWeight => columns.marks[place].has(Marks::ODD_WEIGHT),
            TagFilter::DoubtfulTime => columns.marks[place].has(Marks::DOUBTFUL),
        }
    }
}

impl Catalog {
    /// Returns the kinds of tags that head on the yard should wear.
    pub(super) fn expected_tags(&self) -> ExpectedTags {
        let columns = &self.columns;
        let (mut active, mut lf, mut epc) = (0, 0, 0);
        for (place, marks) in columns.marks.iter().enumerate() {
            if marks.has(Marks::ACTIVE) {
                active += 1;
                lf += usize::from(columns.lf[place].is_present());
                epc += usize::from(columns.epc[place].is_present());
            }
        }
        let is_expected = |worn: usize| worn > 0 && worn * EXPECTED_SHARE >= active;
        ExpectedTags { lf: is_expected(lf), epc: is_expected(epc) }
    }

    /// Returns whether an animal lacks a tag of a kind that is expected.
    pub(super) fn lacks_tag(&self, place: usize, expected: ExpectedTags) -> bool {
        let (lf, epc) = (self.columns.lf[place], self.columns.epc[place]);
        expected.lf && !lf.is_present() || expected.epc && !epc.is_present()
    }

    /// Returns whether something happened to an animal in a range of time.
    pub(super) fn happened(&self, place: usize, day: &DayFilter) -> bool {
        let columns = &self.columns;
        let is_in = |at_us: i64| at_us != NO_TIME && day.range.contains(&at_us);
        match day.event {
            DayEvent::In => is_in(columns.inducted[place]),
            DayEvent::Out => columns.marks[place].has(Marks::EXPORTED) && is_in(columns.exported[place]),
            DayEvent::Weighed => self.weighed_in(place, &day.range).is_some(),
            DayEvent::Seen => is_in(columns.seen[place]),
        }
    }
}
