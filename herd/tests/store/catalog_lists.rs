//! Lists, figures and searches of a catalog, and the same by a look at every animal.

use crate::world::BEGAN_US;
use herd::catalog::{
    AnimalFilter, Catalog, CatalogAnimal, DayEvent, DayFilter, LotFigures, Match, PageStart, Show, Sort, SortColumn,
    TagFilter,
};
use herd::change::{AnimalStatus, TagState};
use herd::query::PageLimit;
use herd::store::Snapshot;
use std::collections::BTreeSet;
use std::ops::Range;

const DAY_US: i64 = 86_400_000_000;
const COLUMNS: [SortColumn; 8] = [
    SortColumn::Id,
    SortColumn::Visual,
    SortColumn::Eid,
    SortColumn::Lot,
    SortColumn::Pen,
    SortColumn::Weight,
    SortColumn::Gain,
    SortColumn::LastSeen,
];

fn limit(entries: u64) -> PageLimit {
    PageLimit::new(entries).unwrap()
}

fn days() -> impl Iterator<Item = Range<i64>> {
    (-1..4).map(|day| BEGAN_US + day * DAY_US..BEGAN_US + (day + 1) * DAY_US)
}

fn filters() -> Vec<AnimalFilter> {
    let bare = AnimalFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let mut filters: Vec<_> = [Show::All, Show::OnYard, Show::TagMissing, Show::NotWeighed, Show::Exported, Show::Dead]
        .map(|show| AnimalFilter { show, ..bare() })
        .into();
    let tags = [
        TagFilter::NoLf,
        TagFilter::NoEpc,
        TagFilter::Unconfirmed,
        TagFilter::Complete,
        TagFilter::OddWeight,
        TagFilter::DoubtfulTime,
    ];
    filters.extend(tags.map(|tags| AnimalFilter { tags: Some(tags), show: Show::OnYard, ..bare() }));
    for label in ["", "1", "l1", "L 1", "P1", "p 2", "2"] {
        filters.push(AnimalFilter { pen: text(label), ..bare() });
        filters.push(AnimalFilter { lot: text(label), show: Show::OnYard, ..bare() });
        filters.push(AnimalFilter { export_lot: text(label), ..bare() });
    }
    for (funder, sex) in
        [(None, Some("steer")), (Some("co a"), None), (Some("Co A"), Some("Steer")), (Some(""), Some(""))]
    {
        let by_traits = || AnimalFilter { funder: funder.and_then(text), sex: sex.and_then(text), ..bare() };
        filters.push(by_traits());
        filters.push(AnimalFilter { show: Show::OnYard, ..by_traits() });
        filters.push(AnimalFilter { pen: text("P1"), ..by_traits() });
    }
    for range in days() {
        let events = [DayEvent::In, DayEvent::Out, DayEvent::Weighed, DayEvent::Seen];
        filters.extend(
            events.map(|event| AnimalFilter { day: Some(DayFilter { event, range: range.clone() }), ..bare() }),
        );
    }
    filters
}

/// Returns all lists of a catalog, as ids.
pub(crate) fn all(catalog: &Catalog) -> Vec<String> {
    let mut lists = Vec::new();
    for (filter, column) in filters().into_iter().zip(COLUMNS.into_iter().cycle()) {
        for sort in both_directions(column) {
            let found = catalog.ids(&filter, sort);
            lists.push(format!("{filter:?} {sort:?} {found:?} {:?}", catalog.counts_of(&filter)));
        }
    }
    lists.push(format!("{:?} {:?}", catalog.lot_names(3), catalog.pen_names(3)));
    lists.push(format!("{:?} {:?}", catalog.funders(), catalog.sexes()));
    lists
}

fn both_directions(column: SortColumn) -> [Sort; 2] {
    [false, true].map(|descending| Sort { column, descending })
}

/// Returns a label as labels are compared.
fn compared(label: Option<&str>) -> Option<String> {
    label.map(|label| label.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect())
}

/// Every animal of a catalog, and the kinds of tags that it should wear.
struct Scan<'a> {
    catalog: &'a Catalog,
    animals: Vec<CatalogAnimal>,
    expects_lf: bool,
    expects_epc: bool,
}

impl<'a> Scan<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        let found = catalog.ids(&AnimalFilter::default(), Sort::default());
        let animals: Vec<_> = found.ids.into_iter().map(|id| catalog.animal(id).unwrap()).collect();
        let active = || animals.iter().filter(|animal| animal.status == AnimalStatus::Active);
        let expects = |worn: usize| worn > 0 && worn * 10 >= active().count();
        Self {
            expects_lf: expects(active().filter(|animal| animal.lf.is_some()).count()),
            expects_epc: expects(active().filter(|animal| animal.epc.is_some()).count()),
            catalog,
            animals,
        }
    }

    fn lacks_tag(&self, animal: &CatalogAnimal) -> bool {
        self.expects_lf && animal.lf.is_none() || self.expects_epc && animal.epc.is_none()
    }

    fn last_weight(&self, animal: &CatalogAnimal, range: &Range<i64>) -> Option<u32> {
        let mut weighings = self.catalog.weighings(animal.id).into_iter();
        weighings.rfind(|weighing| range.contains(&weighing.at.at_us)).map(|weighing| weighing.weight_g)
    }

    fn happened(&self, animal: &CatalogAnimal, day: &DayFilter) -> bool {
        let at = match day.event {
            DayEvent::In => animal.inducted,
            DayEvent::Out => animal.exported.filter(|_| animal.status == AnimalStatus::Exported),
            DayEvent::Seen => animal.last_seen,
            DayEvent::Weighed => return self.last_weight(animal, &day.range).is_some(),
        };
        at.is_some_and(|at| day.range.contains(&at.at_us))
    }

    fn passes(&self, animal: &CatalogAnimal, filter: &AnimalFilter) -> bool {
        let is_active = animal.status == AnimalStatus::Active;
        let shows = match filter.show {
            Show::All => true,
            Show::OnYard => is_active,
            Show::TagMissing => is_active && self.lacks_tag(animal),
            Show::NotWeighed => is_active && animal.weight_g.is_none(),
            Show::Exported => animal.status == AnimalStatus::Exported,
            Show::Dead => animal.status == AnimalStatus::Dead,
        };
        let is_doubtful =
            [animal.inducted, animal.exported, animal.last_seen].into_iter().flatten().any(|at| !at.synchronized);
        let has_tags = match filter.tags {
            None => true,
            Some(TagFilter::NoLf) => animal.lf.is_none(),
            Some(TagFilter::NoEpc) => animal.epc.is_none(),
            Some(TagFilter::Unconfirmed) => animal.is_unconfirmed,
            Some(TagFilter::Complete) => animal.lf.is_some() && animal.epc.is_some(),
            Some(TagFilter::OddWeight) => animal.has_odd_weight,
            Some(TagFilter::DoubtfulTime) => is_doubtful,
        };
        let labels = [
            (&filter.pen, &animal.pen),
            (&filter.lot, &animal.lot),
            (&filter.export_lot, &animal.export_lot),
            (&filter.funder, &animal.funder),
            (&filter.sex, &animal.sex),
        ];
        let has_label = |wanted: &str, own: Option<&str>| match wanted {
            "" => own.is_none(),
            wanted => compared(own) == compared(Some(wanted)),
        };
        let has_labels = labels
            .into_iter()
            .all(|(wanted, own)| wanted.as_ref().is_none_or(|wanted| has_label(wanted, own.as_deref())));
        shows && has_tags && has_labels && filter.day.as_ref().is_none_or(|day| self.happened(animal, day))
    }

    /// Checks a list, and its pages in both directions.
    fn agrees_about_list(&self, filter: &AnimalFilter, sort: Sort) {
        let found = self.catalog.ids(filter, sort);
        let passing: Vec<_> = self.animals.iter().filter(|animal| self.passes(animal, filter)).collect();
        let expected: BTreeSet<_> = passing.iter().map(|animal| animal.id.0).collect();
        assert_eq!(found.ids.iter().map(|id| id.0).collect::<BTreeSet<_>>(), expected, "{filter:?}");
        assert_eq!(found.ids.len(), expected.len(), "{filter:?}");
        assert_eq!(found.without_identity, passing.iter().filter(|animal| !animal.lf_is_identity).count());
        let list: Vec<_> = found.ids.iter().map(|id| self.catalog.animal(*id).unwrap()).collect();
        for pair in list.windows(2) {
            assert!(is_ordered(&pair[0], &pair[1], sort), "{sort:?}: {pair:#?}");
        }
        for (start, is_forwards) in [(PageStart::First, true), (PageStart::Last, false)] {
            let (mut pages, mut start) = (Vec::new(), start);
            loop {
                let page = self.catalog.page(filter, sort, start, limit(3));
                let before = if is_forwards { pages.len() } else { list.len() - pages.len() - page.animals.len() };
                assert_eq!((page.total, page.before), (list.len(), before), "{filter:?} {sort:?} {start:?}");
                let at = if is_forwards { pages.len() } else { 0 };
                pages.splice(at..at, page.animals);
                match if is_forwards { page.next.map(PageStart::After) } else { page.previous.map(PageStart::Before) } {
                    Some(next) => start = next,
                    None => break,
                }
            }
            assert_eq!(pages, list, "{filter:?} {sort:?}");
        }
    }

    /// Checks the funders and sexes that a filter offers.
    fn agrees_about_names(&self) {
        let own = |name: fn(&CatalogAnimal) -> Option<&str>| {
            self.animals.iter().filter_map(|animal| compared(name(animal))).collect::<BTreeSet<_>>()
        };
        for (offered, own) in [
            (self.catalog.funders(), own(|head| head.funder.as_deref())),
            (self.catalog.sexes(), own(|head| head.sex.as_deref())),
        ] {
            assert_eq!(offered.len(), own.len(), "{offered:?}");
            assert_eq!(offered.iter().filter_map(|name| compared(Some(name))).collect::<BTreeSet<_>>(), own);
        }
    }

    fn agrees_about_day(&self, range: &Range<i64>) {
        let figures = self.catalog.day(range);
        let of = |event| {
            let day = DayFilter { event, range: range.clone() };
            self.animals.iter().filter(move |animal| self.happened(animal, &day)).collect::<Vec<_>>()
        };
        let (came, left, weighed) = (of(DayEvent::In), of(DayEvent::Out), of(DayEvent::Weighed));
        let counts = [&came, &left, &weighed].map(|animals| animals.len() as u64);
        assert_eq!([figures.head_in, figures.head_out, figures.weighed], counts);
        let sum = |animals: &[&CatalogAnimal]| {
            animals.iter().filter_map(|animal| self.last_weight(animal, range)).map(u64::from).sum::<u64>()
        };
        assert_eq!(figures.groups_in.iter().map(|group| group.weight_sum_g).sum::<u64>(), sum(&came));
        assert_eq!(figures.groups_out.iter().map(|group| group.weight_sum_g).sum::<u64>(), sum(&left));
        assert_eq!(figures.tag_missing, came.iter().filter(|animal| self.lacks_tag(animal)).count() as u64);
    }

    fn agrees_about_lot(&self, lot: &LotFigures, passes: impl Fn(&CatalogAnimal) -> bool) {
        let head: Vec<_> = self.animals.iter().filter(|animal| passes(animal)).collect();
        let figures = &lot.figures;
        let sum =
            |number: &dyn Fn(&CatalogAnimal) -> Option<i64>| head.iter().filter_map(|animal| number(animal)).sum();
        let (weights, gains): (i64, i64) =
            (sum(&|animal| animal.weight_g.map(i64::from)), sum(&|animal| animal.gain_g_per_day.map(i64::from)));
        assert_eq!((figures.head, figures.gain_sum_g), (head.len() as u64, gains), "{lot:?}");
        assert_eq!(i64::try_from(figures.weight_sum_g).unwrap(), weights, "{lot:?}");
        assert_eq!(figures.tag_missing, head.iter().filter(|animal| self.lacks_tag(animal)).count() as u64);
        let inducted = || head.iter().filter_map(|animal| animal.inducted).map(|at| at.at_us);
        assert_eq!((figures.first_in_us, figures.last_in_us), (inducted().min(), inducted().max()), "{lot:?}");
    }

    fn agrees_about_lots(&self) {
        for lot in self.catalog.lots() {
            self.agrees_about_lot(&lot, |animal| compared(animal.lot.as_deref()) == compared(lot.name.as_deref()));
            assert!(lot.name.is_none() || self.catalog.lot(lot.name.as_deref().unwrap()) == Some(lot));
        }
        for lot in self.catalog.export_lots() {
            let left = |animal: &CatalogAnimal| animal.status == AnimalStatus::Exported;
            let is_in = |animal: &CatalogAnimal| {
                left(animal) && compared(animal.export_lot.as_deref()) == compared(lot.name.as_deref())
            };
            self.agrees_about_lot(&lot, is_in);
        }
        for pen in self.catalog.pens() {
            let is_active = |animal: &CatalogAnimal| animal.status == AnimalStatus::Active;
            let is_in = |animal: &CatalogAnimal| {
                is_active(animal) && compared(animal.pen.as_deref()) == compared(pen.name.as_deref())
            };
            self.agrees_about_lot(&pen, is_in);
        }
    }

    fn agrees_about_search(&self, snapshot: &Snapshot, text: &str) {
        let found = self.catalog.search(snapshot, text).unwrap();
        let hits = |is_it: &dyn Fn(&Match) -> bool| {
            let animals = found.animals.iter().filter(|found| found.matches.iter().any(is_it));
            animals.map(|found| found.animal.id.0).collect::<BTreeSet<_>>()
        };
        let having = |has: &dyn Fn(&CatalogAnimal) -> bool| {
            self.animals.iter().filter(|animal| has(animal)).map(|animal| animal.id.0).collect::<BTreeSet<_>>()
        };
        let is_tail = |of: &Match| matches!(of, Match::Tag { state: TagState::Current, is_whole: false, .. });
        let ends = |tag: Option<&str>| tag.is_some_and(|tag| text.len() >= 4 && tag != text && tag.ends_with(text));
        assert_eq!(
            hits(&is_tail),
            having(&|animal| ends(animal.lf.as_deref()) || ends(animal.epc.as_deref())),
            "{text}"
        );
        let is_visual = |of: &Match| matches!(of, Match::VisualTag);
        let has_visual = |animal: &CatalogAnimal| compared(animal.visual_id.as_deref()) == compared(Some(text));
        assert_eq!(hits(&is_visual), having(&has_visual), "{text}");
    }
}

/// Returns whether an animal may stand before another. Texts are compared by the tests of their keys.
fn is_ordered(one: &CatalogAnimal, other: &CatalogAnimal, sort: Sort) -> bool {
    let number = |animal: &CatalogAnimal| match sort.column {
        SortColumn::Id => Some(i64::try_from(animal.id.0).unwrap()),
        SortColumn::Weight => animal.weight_g.map(i64::from),
        SortColumn::Gain => animal.gain_g_per_day.map(i64::from),
        SortColumn::LastSeen => animal.last_seen.map(|at| at.at_us),
        SortColumn::Visual => animal.visual_id.as_ref().map(|_| 0),
        SortColumn::Eid => animal.lf.as_ref().map(|_| 0),
        SortColumn::Lot => animal.lot.as_ref().map(|_| 0),
        SortColumn::Pen => animal.pen.as_ref().map(|_| 0),
    };
    let is_text = matches!(sort.column, SortColumn::Visual | SortColumn::Eid | SortColumn::Lot | SortColumn::Pen);
    let by_id = if sort.descending { one.id.0 > other.id.0 } else { one.id.0 < other.id.0 };
    match (number(one), number(other)) {
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => by_id,
        (Some(_), Some(_)) if is_text => true,
        (Some(one), Some(other)) if one == other => by_id,
        (Some(one), Some(other)) => (one > other) == sort.descending,
    }
}

/// Checks every list, figure and search of a catalog against a look at every animal.
pub(crate) fn agree_with_scans(catalog: &Catalog, snapshot: &Snapshot) {
    let scan = Scan::new(catalog);
    for (filter, column) in filters().into_iter().zip(COLUMNS.into_iter().cycle()) {
        for sort in both_directions(column) {
            scan.agrees_about_list(&filter, sort);
        }
    }
    for range in days() {
        scan.agrees_about_day(&range);
    }
    scan.agrees_about_lots();
    scan.agrees_about_names();
    for text in ["A", "U1", "4161433", "1433", "V1", "v 2", "1"] {
        scan.agrees_about_search(snapshot, text);
    }
}
