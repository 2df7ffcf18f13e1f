//! Filters of animals.

use super::Catalog;
use super::columns::{Cohort, Marks, NO_TIME};
use super::index::{Index, Run};
use super::labels::{Labels, NO_GROUP};
use std::ops::{Deref, Range};

/// A tag is expected if at least one in this number of head on the yard wears that kind. In a yard that uses LF tags alone, no
/// head lacks a UHF tag because a few wear one.
const EXPECTED_ONE_IN: u64 = 10;

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

/// All marks. A listed animal has at least one.
const ANY_MARK: u16 = u16::MAX;

/// A filter with its labels looked up.
pub(super) struct Matcher<'a> {
    catalog: &'a Catalog,
    /// Marks of the status, of the rest of the state, of the tags and of the day. An animal must have one of each.
    required: [u16; 4],
    forbidden: u16,
    /// Labels by which animals are counted together.
    funder: Option<LabelMatch<'a>>,
    sex: Option<LabelMatch<'a>>,
    /// Other labels.
    labels: Vec<LabelMatch<'a>>,
    day: Option<DayMatch<'a>>,
    /// No label and no day is asked for.
    is_by_marks: bool,
}

/// A label that animals must have.
struct LabelMatch<'a> {
    column: &'a [u32],
    labels: &'a Labels,
    index: Index,
    /// `None` if no label is of the wanted group.
    group: Option<u32>,
}

/// Animals to which something happened in a range of time.
enum DayMatch<'a> {
    /// A time of the column is in the range.
    Time { column: &'a [i64], index: Index, range: &'a Range<i64> },
    /// The animals in these places, in order, were weighed.
    Weighed(Vec<u32>),
}

/// Animals among which are all that pass a filter.
pub(super) enum Candidates<'a> {
    Run(Run),
    Places(&'a [u32]),
}

impl Deref for Candidates<'_> {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match self {
            Self::Run(run) => run,
            Self::Places(places) => places,
        }
    }
}

impl<'a> LabelMatch<'a> {
    fn new(text: Option<&str>, column: &'a [u32], labels: &'a Labels, index: Index) -> Option<Self> {
        let text = text?.trim();
        let group = if text.is_empty() { Some(NO_GROUP) } else { labels.group_of(text) };
        Some(Self { column, labels, index, group })
    }

    fn matches(&self, place: usize) -> bool {
        self.is_of(self.labels.group(self.column[place]))
    }

    fn is_of(&self, group: u32) -> bool {
        self.group == Some(group)
    }

    fn candidates(&self, catalog: &Catalog) -> Candidates<'static> {
        match self.group {
            None => Candidates::Places(&[]),
            Some(group) => Candidates::Run(catalog.of_group(self.index, self.labels, group)),
        }
    }
}

impl<'a> DayMatch<'a> {
    fn new(catalog: &'a Catalog, filter: &'a DayFilter) -> Self {
        let columns = &catalog.columns;
        let (column, index) = match filter.event {
            DayEvent::In => (&columns.inducted, Index::Inducted),
            DayEvent::Out => (&columns.exported, Index::Exported),
            DayEvent::Seen => (&columns.seen, Index::Seen),
            DayEvent::Weighed => {
                return Self::Weighed(catalog.weights_in(&filter.range).into_iter().map(|(place, _)| place).collect());
            }
        };
        Self::Time { column, index, range: &filter.range }
    }

    fn matches(&self, place: usize) -> bool {
        match self {
            Self::Time { column, range, .. } => column[place] != NO_TIME && range.contains(&column[place]),
            Self::Weighed(places) => places.binary_search_by(|other| (*other as usize).cmp(&place)).is_ok(),
        }
    }

    fn candidates(&self, catalog: &Catalog) -> Candidates<'_> {
        match self {
            Self::Time { index, range, .. } => Candidates::Run(catalog.timed(*index, range)),
            Self::Weighed(places) => Candidates::Places(places),
        }
    }
}

impl<'a> Matcher<'a> {
    pub(super) fn new(catalog: &'a Catalog, filter: &'a AnimalFilter) -> Self {
        let (status, state) = match filter.show {
            Show::All => (Marks::LISTED, ANY_MARK),
            Show::OnYard => (Marks::ACTIVE, ANY_MARK),
            Show::TagMissing => (Marks::ACTIVE, catalog.expected_tags()),
            Show::NotWeighed => (Marks::ACTIVE, Marks::NOT_WEIGHED),
            Show::Exported => (Marks::EXPORTED, ANY_MARK),
            Show::Dead => (Marks::DEAD, ANY_MARK),
        };
        let matcher = Self::of_any_state(catalog, filter);
        let [_, _, tags, day] = matcher.required;
        Self { required: [status, state, tags, day], ..matcher }
    }

    /// Makes a matcher that ignores the state of the filter.
    pub(super) fn of_any_state(catalog: &'a Catalog, filter: &'a AnimalFilter) -> Self {
        let columns = &catalog.columns;
        let labels = [
            LabelMatch::new(filter.pen.as_deref(), &columns.pens, &catalog.pens, Index::Pen),
            LabelMatch::new(filter.lot.as_deref(), &columns.lots, &catalog.lots, Index::Lot),
            LabelMatch::new(filter.export_lot.as_deref(), &columns.export_lots, &catalog.lots, Index::ExportLot),
        ];
        let tags = match filter.tags {
            None | Some(TagFilter::Complete) => ANY_MARK,
            Some(TagFilter::NoLf) => Marks::NO_LF,
            Some(TagFilter::NoEpc) => Marks::NO_EPC,
            Some(TagFilter::Unconfirmed) => Marks::UNCONFIRMED,
            Some(TagFilter::OddWeight) => Marks::ODD_WEIGHT,
            Some(TagFilter::DoubtfulTime) => Marks::DOUBTFUL,
        };
        let has_left = filter.day.as_ref().is_some_and(|day| day.event == DayEvent::Out);
        let is_complete = filter.tags == Some(TagFilter::Complete);
        let AnimalFilter { pen, lot, export_lot, funder, sex, day, .. } = filter;
        let wanted = [pen, lot, export_lot, funder, sex];
        Self {
            is_by_marks: wanted.into_iter().all(Option::is_none) && day.is_none(),
            catalog,
            required: [Marks::LISTED, ANY_MARK, tags, if has_left { Marks::EXPORTED } else { ANY_MARK }],
            forbidden: if is_complete { Marks::NO_LF | Marks::NO_EPC } else { 0 },
            funder: LabelMatch::new(filter.funder.as_deref(), &columns.funders, &catalog.funders, Index::Funder),
            sex: LabelMatch::new(filter.sex.as_deref(), &columns.sexes, &catalog.sexes, Index::Sex),
            labels: labels.into_iter().flatten().collect(),
            day: filter.day.as_ref().map(|day| DayMatch::new(catalog, day)),
        }
    }

    /// Returns whether the filter asks only for what the animals of a cohort have in common.
    pub(super) fn is_by_cohort(&self) -> bool {
        self.labels.is_empty() && self.day.is_none()
    }

    /// Returns whether the animals of a cohort pass the filters by what they have in common.
    pub(super) fn has_cohort(&self, cohort: Cohort) -> bool {
        self.has_marks(cohort.marks)
            && self.funder.as_ref().is_none_or(|funder| funder.is_of(cohort.funder))
            && self.sex.as_ref().is_none_or(|sex| sex.is_of(cohort.sex))
    }

    fn has_marks(&self, marks: Marks) -> bool {
        self.required.iter().all(|required| marks.has(*required)) && !marks.has(self.forbidden)
    }

    fn all_labels(&self) -> impl Iterator<Item = &LabelMatch<'a>> {
        self.labels.iter().chain(&self.funder).chain(&self.sex)
    }

    /// Returns whether the animal in a place passes all filters.
    pub(super) fn matches(&self, place: usize) -> bool {
        // Most filters are by marks alone, and a list of all head asks for each of them.
        self.has_marks(self.catalog.columns.marks[place])
            && (self.is_by_marks
                || self.all_labels().all(|label| label.matches(place))
                    && self.day.as_ref().is_none_or(|day| day.matches(place)))
    }

    /// Returns the fewest animals that an index finds and that have all that pass among them; `None` for all.
    pub(super) fn candidates(&self) -> Option<Candidates<'_>> {
        let of_labels = self.all_labels().map(|label| label.candidates(self.catalog));
        let of_day = self.day.iter().map(|day| day.candidates(self.catalog));
        of_labels.chain(of_day).min_by_key(|candidates| candidates.len())
    }
}

impl Catalog {
    /// Returns the marks of head on the yard that lacks a kind of tag which it should wear.
    pub(super) fn expected_tags(&self) -> u16 {
        let (mut active, mut no_lf, mut no_epc) = (0, 0, 0);
        for (marks, count) in self.tally.iter().filter(|(marks, _)| marks.has(Marks::ACTIVE)) {
            active += count;
            no_lf += if marks.has(Marks::NO_LF) { count } else { 0 };
            no_epc += if marks.has(Marks::NO_EPC) { count } else { 0 };
        }
        let is_expected = |worn: u64| worn > 0 && worn * EXPECTED_ONE_IN >= active;
        let mark_if = |is_expected, mark| if is_expected { mark } else { 0 };
        mark_if(is_expected(active - no_lf), Marks::NO_LF) | mark_if(is_expected(active - no_epc), Marks::NO_EPC)
    }
}
