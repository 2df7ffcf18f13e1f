//! Searches, names, places in lists, and the building of a catalog of a small yard.
//!
//! Catches: a meaning of a text that is not found, a URL that leads elsewhere, and a building that nobody can end.

use crate::catalog_figures::{built, yard};
use crate::world::World;
use herd::catalog::{
    AnimalFilter, Catalog, CatalogError, CatalogProgress, Cursor, DayEvent, Match, PageStart, Show, Sort, SortColumn,
    TagFilter,
};
use herd::change::{AnimalId, Correction, TagKind, TagState, WeighingTime};
use herd::position::Sequence;
use herd::query::PageLimit;
use std::ops::ControlFlow;

/// Catches a text that is not searched for in one of its meanings, and a tail that finds half the yard.
#[test]
fn a_text_is_found_in_each_of_its_meanings() {
    let world = yard();
    let (catalog, snapshot) = (built(&world), world.store.reader().snapshot().unwrap());
    let found = |text: &str| {
        let found = catalog.search(&snapshot, text).unwrap();
        let names = [&found.lot, &found.export_lot, &found.pen].map(Option::is_some);
        assert_eq!(found.len(), found.animals.len() + names.iter().filter(|is_found| **is_found).count(), "{text}");
        found
    };
    let tag = |kind, state, tag: &str, is_whole| Match::Tag { kind, state, tag: tag.into(), is_whole };
    let lid = Match::Lid { reader_group: "main".into(), reader_era: 1 };
    for (text, expected) in [
        ("2", vec![(2, vec![Match::Id]), (4, vec![lid])]),
        ("v 1", vec![(2, vec![Match::VisualTag])]),
        ("tag3", vec![(4, vec![tag(TagKind::Lf, TagState::Current, "TAG3", true)])]),
        ("0005", vec![(11, vec![tag(TagKind::Lf, TagState::Current, "982000000000005", false)])]),
        ("00-05", vec![(11, vec![tag(TagKind::Lf, TagState::Current, "982000000000005", false)])]),
        ("00 05", vec![(11, vec![tag(TagKind::Lf, TagState::Current, "982000000000005", false)])]),
        ("005", vec![]),
        ("982000000000005", vec![(11, vec![tag(TagKind::Lf, TagState::Current, "982000000000005", true)])]),
        (
            "E28011606000020443100001",
            vec![(2, vec![tag(TagKind::Epc, TagState::Current, "E28011606000020443100001", true)])],
        ),
        ("3100001", vec![(2, vec![tag(TagKind::Epc, TagState::Current, "E28011606000020443100001", false)])]),
        (
            "11606000020443100001",
            vec![(2, vec![tag(TagKind::Epc, TagState::Current, "E28011606000020443100001", false)])],
        ),
        ("strange", vec![(2, vec![tag(TagKind::Epc, TagState::Unconfirmed, "STRANGE", true)])]),
        ("range", vec![(2, vec![tag(TagKind::Epc, TagState::Unconfirmed, "STRANGE", false)])]),
        ("", vec![]),
    ] {
        let mut animals: Vec<_> =
            found(text).animals.into_iter().map(|found| (found.animal.id.0, found.matches)).collect();
        animals.sort_by_key(|(id, _)| *id);
        assert_eq!(found(text).is_empty(), expected.is_empty(), "{text}");
        assert_eq!(animals, expected, "{text}");
    }
    for (text, names) in [("l 1", (true, false, false)), ("OUT2", (false, true, false)), ("p1", (false, false, true))] {
        let results = found(text);
        assert_eq!((results.lot.is_some(), results.export_lot.is_some(), results.pen.is_some()), names, "{text}");
        assert!(!results.is_empty());
    }
    let newest: Vec<_> = found("9820").animals.iter().map(|found| found.animal.id.0).collect();
    assert_eq!(newest, Vec::<u64>::new(), "a beginning is no end");
    let newest: Vec<_> = found("U3").animals.iter().map(|found| found.animal.id.0).collect();
    assert_eq!(newest, [3]);
}

/// Catches a lid of an earlier era that a search no longer finds.
#[test]
fn a_lid_is_found_in_each_era_of_its_readers() {
    let mut world = World::new();
    world.keeps("event:hxbchi1|lid:77|lf:A");
    world.corrects(Correction::NewReaderEra { reader_group: "main".to_owned(), from: None });
    world.keeps("event:hxbchi1|lid:77|lf:B");
    let snapshot = world.store.reader().snapshot().unwrap();
    let found = built(&world).search(&snapshot, "77").unwrap();
    let eras = |matches: &[Match]| match matches {
        [Match::Lid { reader_era, .. }] => *reader_era,
        other => panic!("{other:?}"),
    };
    let found: Vec<_> = found.animals.iter().map(|found| (found.animal.id.0, eras(&found.matches))).collect();
    assert_eq!(found, [(4, 2), (2, 1)]);
}

/// Catches a search that fills a page, and then tells a wrong number of head.
#[test]
fn a_search_shows_the_last_seen_and_counts_all() {
    let mut world = World::new();
    for n in 0..60 {
        world.wait(1_000);
        world.keeps(&format!("hxb:L1:{n}TAIL:"));
    }
    let found = built(&world).search(&world.store.reader().snapshot().unwrap(), "tail").unwrap();
    let ids: Vec<_> = found.animals.iter().map(|found| found.animal.id.0).collect();
    assert_eq!((found.animals_found, found.len()), (60, 60));
    assert_eq!(ids, (12..62).rev().collect::<Vec<_>>());
}

/// Catches a name in a URL that leads nowhere any more.
#[test]
fn names_in_urls_are_stable() {
    use SortColumn as Column;
    for (show, name) in [
        (Show::All, "all"),
        (Show::OnYard, "yard"),
        (Show::TagMissing, "tag_missing"),
        (Show::NotWeighed, "not_weighed"),
        (Show::Exported, "exported"),
        (Show::Dead, "dead"),
    ] {
        assert_eq!((show.as_str(), Show::of_name(name)), (name, Some(show)));
    }
    for (tags, name) in [
        (TagFilter::NoLf, "no_lf"),
        (TagFilter::NoEpc, "no_epc"),
        (TagFilter::Unconfirmed, "unconfirmed"),
        (TagFilter::Complete, "complete"),
        (TagFilter::OddWeight, "odd_weight"),
        (TagFilter::DoubtfulTime, "doubtful_time"),
    ] {
        assert_eq!((tags.as_str(), TagFilter::of_name(name)), (name, Some(tags)));
    }
    for (event, name) in
        [(DayEvent::In, "in"), (DayEvent::Out, "out"), (DayEvent::Weighed, "weighed"), (DayEvent::Seen, "seen")]
    {
        assert_eq!((event.as_str(), DayEvent::of_name(name)), (name, Some(event)));
    }
    let columns = ["id", "visual", "eid", "lot", "pen", "weight", "gain", "last_seen"];
    let named = columns.map(|name| Column::of_name(name).unwrap());
    assert_eq!(named.map(Column::as_str), columns);
    assert_eq!(
        (Show::of_name(""), TagFilter::of_name("x"), DayEvent::of_name("x"), Column::of_name("x")),
        (None, None, None, None)
    );
}

/// Catches a list by id that begins elsewhere after the animal of its cursor is gone.
#[test]
fn a_cursor_by_id_keeps_its_place() {
    let catalog = built(&yard());
    let cursor = |text: &str| text.parse::<Cursor>().unwrap();
    assert_eq!(Cursor::of_animal(AnimalId(4)), cursor("4"));
    assert_eq!((cursor("4").number(), cursor("4.a").number()), (Some(4), None));
    let after = |text: &str, descending| {
        let sort = Sort { column: SortColumn::Id, descending };
        let page = catalog.page(&AnimalFilter::default(), sort, PageStart::After(cursor(text)), PageLimit::default());
        page.animals.iter().map(|animal| animal.id.0).collect::<Vec<_>>()
    };
    assert_eq!([after("3", false), after("7", false)], [vec![4, 10, 11], vec![10, 11]]);
    assert_eq!([after("10", true), after("7", true)], [vec![4, 3, 2], vec![4, 3, 2]]);
}

/// Catches a progress that stands still or goes beyond its end, and a building that nobody can end.
#[test]
fn a_building_tells_its_progress_and_can_be_ended() {
    let progress = |done, of| CatalogProgress { done, of };
    let percents = [progress(0, 0), progress(1, 3), progress(2, 3), progress(3, 3), progress(4, 3)];
    assert_eq!(percents.map(CatalogProgress::percent), [0, 33, 66, 100, 100]);
    let mut world = yard();
    let mut told = Vec::new();
    let mut watch = |progress: CatalogProgress| {
        told.push((progress.done, progress.of));
        ControlFlow::Continue(())
    };
    let mut catalog = Catalog::build(&world.store.reader(), &mut watch).unwrap();
    assert_eq!(told, [(12, 17), (17, 17)]);
    let ended = Catalog::build(&world.store.reader(), &mut |_| ControlFlow::Break(()));
    assert!(matches!(ended, Err(CatalogError::Canceled)), "{ended:?}");
    assert_eq!((catalog.as_of(), catalog.unread()), (Sequence(12), 0));

    world.keeps("hxb:L4:982000000000006:U6");
    catalog.catch_up(&world.store.reader(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((catalog.as_of(), catalog.counts()), (Sequence(13), built(&world).counts()));
    let other = World::new();
    let refused = catalog.catch_up(&other.store.reader(), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(CatalogError::OtherHistory)), "{refused:?}");
}

/// Catches a long tag that is found by no end, or by its whole text as an end, and a long visual tag that is not found.
#[test]
fn long_tags_are_found_by_their_end_and_as_a_whole() {
    let mut world = World::new();
    world.keeps("event:hxbind1|lid:1|visual_id:a visual tag that is long|lf:NORTHFARMTAG0007");
    let (catalog, snapshot) = (built(&world), world.store.reader().snapshot().unwrap());
    let lf = |is_whole| {
        let (kind, state, tag) = (TagKind::Lf, TagState::Current, "NORTHFARMTAG0007".into());
        vec![Match::Tag { kind, state, tag, is_whole }]
    };
    for (text, expected) in
        [("G0007", lf(false)), ("NORTHFARMTAG0007", lf(true)), ("a visual tag that is long", vec![Match::VisualTag])]
    {
        let found = catalog.search(&snapshot, text).unwrap().animals.into_iter().map(|found| found.matches);
        assert_eq!(found.collect::<Vec<_>>(), [expected], "{text}");
    }
}

/// Catches a link to an empty page before the first animal or behind the last one.
#[test]
fn pages_at_the_ends_of_a_list_link_to_nothing_beyond_them() {
    let catalog = built(&yard());
    let links = |start, entries| {
        let limit = PageLimit::new(entries).unwrap();
        let page = catalog.page(&AnimalFilter::default(), Sort::default(), start, limit);
        (page.previous.and_then(Cursor::number), page.next.and_then(Cursor::number))
    };
    assert_eq!(links(PageStart::First, 5), (None, None));
    assert_eq!(links(PageStart::First, 2), (None, Some(3)));
    assert_eq!(links(PageStart::Last, 2), (Some(10), None));
}

/// Catches a next page that skips animals, because the one at its cursor has another weight since.
#[test]
fn a_cursor_keeps_its_place_when_its_animal_changes() {
    let mut world = World::new();
    let first = AnimalId(world.keeps("event:hxbchi1|lid:1|lf:A|weight:200"));
    let second = AnimalId(world.keeps("event:hxbchi2|lid:2|lf:B|weight:300"));
    world.keeps("event:hxbchi3|lid:3|lf:C|weight:400");
    let mut catalog = built(&world);
    let one = PageLimit::new(1).unwrap();
    let page = |catalog: &Catalog, sort, start| catalog.page(&AnimalFilter::default(), sort, start, one);
    let by_weight = Sort { column: SortColumn::Weight, descending: false };
    let next = page(&catalog, by_weight, PageStart::First).next.unwrap();
    assert_eq!(next.number(), None);
    world.corrects(Correction::Weigh { animal: first, weight_g: 350_000, when: WeighingTime::Now });
    catalog.follow(&world.store.reader().snapshot().unwrap()).unwrap();
    let after: Vec<_> = page(&catalog, by_weight, PageStart::After(next)).animals;
    assert_eq!(after.iter().map(|animal| animal.id).collect::<Vec<_>>(), [second]);
    let by_id = page(&catalog, Sort::default(), PageStart::First).next.unwrap();
    assert_eq!(by_id.number(), Some(first.0), "which needs no value");
}

/// Catches a list by weight that is empty, because the animal of its cursor is gone.
#[test]
fn a_cursor_without_value_whose_animal_is_gone_stands_at_the_start() {
    let catalog = built(&yard());
    let sort = Sort { column: SortColumn::Weight, descending: true };
    let start = PageStart::After("7".parse().unwrap());
    let page = catalog.page(&AnimalFilter::default(), sort, start, PageLimit::default());
    assert_eq!(page.animals.iter().map(|animal| animal.id.0).collect::<Vec<_>>(), [4, 2, 11, 10, 3]);
}

/// Catches a list by LF tag in which other tags stand before the identities, or in no order.
#[test]
fn other_tags_come_after_identities_in_their_own_order() {
    let mut world = World::new();
    let ids = ["AB1", "12X", "982000000000001"].map(|tag| AnimalId(world.keeps(&format!("hxb:L1:{tag}:"))));
    let sort = Sort { column: SortColumn::Eid, descending: false };
    assert_eq!(built(&world).ids(&AnimalFilter::default(), sort).ids, [ids[2], ids[1], ids[0]]);
}
