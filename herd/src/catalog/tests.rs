//! The memory that a catalog says it takes. An office drops the catalogs that it can do without by it.

use super::facts::{FactKind, NO_FACT, NewFact};
use super::packed_text::PackedText;
use super::*;
use crate::change::{Change, Outcome, Received, RejectedPayload, TagKind, TagState};
use crate::clock::WallTime;
use crate::payload::Rejection;
use crate::testing::TestBarn;
use std::ops::ControlFlow;

const WEIGHING: Weighing = Weighing { by: Sequence(9), at: WallTime { at_us: 5, synchronized: true }, weight_g: 1 };

/// A part of a catalog, how it is emptied, and the least that this frees.
type Part = (&'static str, fn(&mut Catalog), usize);

fn empty() -> Catalog {
    Catalog::empty(StoreId([7; 16]))
}

/// Asserts that a growth is that of one entry of this size or of some more, for which a list keeps room.
fn assert_whole(grown: usize, entry: usize, of: &str) {
    assert!((entry..=8 * entry).contains(&grown) && grown.is_multiple_of(entry), "{of}: {grown} bytes");
}

/// Catches a map that grows without being counted, or that is counted as something else.
#[test]
fn entries_of_maps_are_counted_to_the_byte() {
    let tag = OtherTag { kind: TagKind::Lf, state: TagState::Past, tag: PackedText::default() };
    let label = BatchLabel { number: 1, is_barn: true };
    let map = |entries: usize| entries * MAP_ENTRY_BYTES;
    let grown = |grow: &dyn Fn(&mut Catalog)| {
        let mut catalog = empty();
        let before = catalog.bytes();
        grow(&mut catalog);
        catalog.bytes() - before
    };
    assert_eq!(grown(&|catalog| catalog.voided.extend([3, 4, 5])), map(3));
    assert_eq!(grown(&|catalog| catalog.batches.extend([3, 4, 5].map(|id| (id, label)))), map(3));
    let weighings = |catalog: &mut Catalog| {
        catalog.listed_weighings.extend([(3, [WEIGHING; 5].into()), (4, Box::from([WEIGHING; 2].as_slice()))]);
    };
    assert_eq!(grown(&weighings), map(2) + 7 * size_of::<Weighing>());
    let tags = |catalog: &mut Catalog| {
        catalog.other_tags.extend([(3, [tag; 5].into()), (4, Box::from([tag; 2].as_slice()))]);
    };
    assert_eq!(grown(&tags), map(2) + 7 * size_of::<OtherTag>());
    let merges = |catalog: &mut Catalog| {
        for (merged, into) in [(3, 2), (4, 2), (5, 4)] {
            catalog.merges.set(merged, Some(into));
        }
    };
    assert_eq!(grown(&merges), map(6), "by the one that was merged and by the one that remains");
    let long = "a pen whose name does not fit into the place of a text";
    let name = |name: &'static str| grown(&move |catalog| assert_eq!(catalog.pens.intern(Some(name)), 1));
    assert_eq!(name(long) - name("P1"), 3 * long.len());
    let Some(Change::Received(read)) =
        TestBarn::with_payloads(&["hxb:L1:A:U1"]).snapshot().change(Sequence(2)).unwrap()
    else {
        panic!("a payload is no Received change");
    };
    let of_quarters = |quarters: i64| {
        grown(&|catalog| {
            for quarter in 1..=quarters {
                let mut read = read.clone();
                read.clock.received_at_us = quarter * QUARTER_US;
                catalog.reads.receive(Sequence(1), &read);
            }
        })
    };
    assert_eq!(
        of_quarters(3) - of_quarters(1),
        2 * (size_of::<(i64, u32)>() + size_of::<ReadCounts>() + reads::NODE_BYTES)
    );
    let mut rejected = read.clone();
    rejected.outcome = Outcome::Rejected(RejectedPayload { reason: Rejection::Empty, event_id: None });
    let of_read = |read: &Received| grown(&|catalog| catalog.reads.receive(Sequence(1), read));
    assert_whole(of_read(&rejected) - of_read(&read), 24, "rejections");
    let snapshot = TestBarn::default().snapshot();
    let void = |catalog: &mut Catalog| {
        for missing in [97, 98, 99] {
            catalog.reads.void(&snapshot, Sequence(missing)).unwrap();
        }
    };
    assert_eq!(grown(&void), map(3));
    let late = |of: u64| {
        let new = NewFact { by: Sequence(9), of: Sequence(of), at: WEIGHING.at, kind: FactKind::Exported };
        grown(&move |catalog| assert_eq!(catalog.facts.add(0, new, NO_FACT), 1))
    };
    assert_eq!(late(7) - late(9), map(1));
    assert_whole(late(9) - 64 * 24, size_of::<(i64, i64)>(), "room for some facts, and the times of their block");
}

/// Catches a part that is left out of the sum, or taken from it.
#[test]
fn each_part_is_counted() {
    let payloads = [
        "event:hxbind1|lid:1|lot:L1|pen:P1|funder:F|sex:S|weight:300|visual_id:a visual tag that is long|lf:A",
        "hxb:L1:B:U2",
        "hxe:O1:C:U3",
        "nonsense",
    ];
    let mut catalog =
        Catalog::build(&TestBarn::with_payloads(&payloads).reader(), &mut |_| ControlFlow::Continue(())).unwrap();
    drop((catalog.lots(), catalog.export_lots(), catalog.pens()));
    let parts: [Part; 14] = [
        ("columns", |catalog| catalog.columns = Columns::default(), 3 * 100),
        ("tally", |catalog| catalog.tally = Tally::default(), 3 * MAP_ENTRY_BYTES),
        ("orders", |catalog| catalog.orders.clear(), 14 * 3 * 4),
        ("lots", |catalog| catalog.lot_sums = GroupSums::default(), 2 * size_of::<LotFigures>()),
        ("export lots", |catalog| catalog.export_lot_sums = GroupSums::default(), size_of::<LotFigures>()),
        ("pens", |catalog| catalog.pen_sums = GroupSums::default(), size_of::<LotFigures>()),
        ("facts", |catalog| catalog.facts = Facts::default(), 64 * 24),
        ("reads", |catalog| catalog.reads = Reads::default(), size_of::<ReadCounts>()),
        ("lot numbers", |catalog| catalog.lots = Labels::default(), 2 * 40),
        ("pen names", |catalog| catalog.pens = Labels::default(), 40),
        ("funders", |catalog| catalog.funders = Labels::default(), 40),
        ("sexes", |catalog| catalog.sexes = Labels::default(), 40),
        ("long texts", |catalog| catalog.long_texts = Labels::default(), 40),
        ("batches", |catalog| catalog.batches.clear(), 2 * MAP_ENTRY_BYTES),
    ];
    for (part, clear, least) in parts {
        let before = catalog.bytes();
        clear(&mut catalog);
        let freed = before.checked_sub(catalog.bytes()).unwrap_or_else(|| panic!("{part} made the sum smaller"));
        assert!((least..least + 64 * 1_024).contains(&freed), "{part}: {freed} bytes");
    }
    assert!(catalog.bytes() < 4_096, "{} bytes are left", catalog.bytes());
    let before = catalog.bytes();
    catalog.corrections = Vec::with_capacity(9);
    assert_eq!(catalog.bytes() - before, 9 * size_of::<(Sequence, i64)>());
}

/// Returns the catalog of a barn.
fn built(barn: &TestBarn) -> Catalog {
    Catalog::build(&barn.reader(), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Catches figures of lots and pens that are kept without being counted.
#[test]
fn the_figures_of_lots_and_of_the_pens_in_them_are_counted() {
    let (figures, other, place) = (size_of::<LotFigures>(), size_of::<(Option<Text>, u64)>(), size_of::<usize>());
    let (mut pens, mut export_lots) = (TestBarn::default(), TestBarn::default());
    for n in 1..=8 {
        pens.record(&format!("event:hxbind{n}|lid:{n}|lot:L1|pen:P{n}|lf:A{n}"));
        export_lots.record(&format!("hxe:OUT{n}:B{n}:"));
    }
    let (pens, export_lots) = (built(&pens), built(&export_lots));
    assert_eq!((pens.lots().len(), export_lots.export_lots().len()), (1, 8));
    // One lot with eight pens, and no lot; eight lots, and no lot.
    let bytes = pens.lot_sums.bytes() - 2 * figures;
    assert!((8 * other + 2 * place..=16 * other).contains(&bytes), "{bytes} bytes");
    let bytes = export_lots.export_lot_sums.bytes() - 9 * figures;
    assert!((9 * place..=18 * place).contains(&bytes), "{bytes} bytes");
}

/// Catches orders, and notes of what has changed in them, that are kept without being counted.
#[test]
fn orders_are_counted_with_the_places_that_wait_to_be_merged() {
    let mut barn = TestBarn::default();
    for n in 1..=20 {
        barn.record(&format!("event:hxbchi{n}|lid:{n}|lf:A{n}|weight:200"));
    }
    let mut catalog = built(&barn);
    let before = catalog.orders.bytes();
    assert!((14 * 20 * 4..=14 * 40 * 4).contains(&before), "{before} bytes");
    barn.record("event:hxbchi21|lid:1|weight:201");
    catalog.follow(&barn.snapshot()).unwrap();
    let noted = catalog.orders.bytes().saturating_sub(before);
    // By weight and by the last event, at least.
    assert!((2 * 4..=14 * 8 * 4).contains(&noted), "{noted} bytes");
}
