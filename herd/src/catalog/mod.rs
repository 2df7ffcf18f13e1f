//! The catalog: an index in memory, for what office staff ask and the tables do not say.
//!
//! Staff ask for the head that came in today by lot and pen, the last digits of a tag, a visual tag, head with a missing
//! tag, gains, and reads by the hour. The tables hold what the barn needs to decide, and none of that is among it.
//!
//! A [`Catalog`] has a compact entry for each animal, and counts of reads for each quarter of an hour and channel. It knows
//! no time zone: a day is a range of microseconds, and the offset of every zone is a multiple of a quarter of an hour.
//!
//! - [`Catalog::build`] makes one of the tables and the log. It takes seconds for a large store, so it runs behind the pages.
//! - [`Catalog::follow`] brings it to a snapshot. It costs a few row reads for each change.
//! - [`Catalog::lag`] tells how far it is behind, or that it is of another history and must be built anew.
//!
//! # Decisions
//!
//! - **It is an index of the office alone, in memory.** A barn needs none of it, so a Pi pays nothing: no byte on its card, no
//!   row in the fold, no version of the tables.
//! - **Tables in the fold were rejected.** Each event would touch several more rows, on the card as well, and every new
//!   question would need a new [`FOLD_VERSION`](crate::tables::FOLD_VERSION), which rebuilds the tables everywhere.
//! - **Tables of the office alone in `tables.redb` were rejected.** Each change would rewrite some more pages of 4 KiB, and an
//!   index on disk can disagree with the tables after a crash. This one is thrown away with the process.
//! - **It judges nothing.** An entry is a function of the animal's row, of the changes that touched it, and of the
//!   amendments of these. Following touches the entries of the animals that a change names, and makes them anew by the same
//!   function as building does. So a catalog that followed equals one that was built, and a test claims it.
//! - **Answers are ranges of orders.** Animals are kept in the order of each key that questions ask for (`index.rs`): a page, a
//!   lot, a day, the tags with some last digits. What an order cannot find is counted by marks, or by a scan over columns,
//!   which costs a part of a millisecond for 100,000 head.
//! - **Weights are those of the animal's page**, [`Snapshot::weights`]: voided and replaced ones do not count. The catalog
//!   has them from the changes, except for animals that a void has touched: it asks for theirs as the page does.
//! - **A part of the log that is damaged is left out and counted** ([`Catalog::unread`]). The pages work without it.
//!
//! # Example
//!
//! ```
//! use herd::catalog::{AnimalFilter, Catalog, PageStart, Show, Sort};
//! use herd::testing::{TestBarn, page_limit};
//! use std::ops::ControlFlow;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut barn = TestBarn::with_payloads(&["hxb:LOT7:124000224161433:E280", "hxb:LOT7:124000224161440:"]);
//! let mut catalog = Catalog::build(&barn.reader(), &mut |_| ControlFlow::Continue(()))?;
//! assert_eq!((catalog.counts().on_yard, catalog.counts().tag_missing), (2, 1));
//!
//! barn.record("hxe:OUT1:124000224161433:E280");
//! catalog.follow(&barn.snapshot())?;
//! let on_yard = AnimalFilter { show: Show::OnYard, ..AnimalFilter::default() };
//! let page = catalog.page(&on_yard, Sort::default(), PageStart::First, page_limit(50));
//! assert_eq!(page.animals[0].lf.as_deref(), Some("124000224161440"));
//! # Ok(())
//! # }
//! ```

mod animal;
mod building;
mod columns;
mod counts;
mod day;
mod entry;
mod error;
mod facts;
mod filter;
mod index;
mod labels;
mod lots;
mod merges;
mod packed_text;
mod page;
mod reads;
mod search;
mod sort;

pub use animal::{CatalogAnimal, Weighing};
pub use building::{CatalogProgress, Watch};
pub use counts::{HeadCounts, ToLookAt};
pub use day::{DayFigures, HeadGroup};
pub use error::CatalogError;
pub use filter::{AnimalFilter, DayEvent, DayFilter, Show, TagFilter};
pub use lots::{HeadFigures, LotFigures};
pub use page::{AnimalIds, AnimalPage, PageStart};
pub use reads::{QUARTER_US, ReadCounts, ReadQuarter, WEAK_SIGNAL_DBM};
pub use search::{FoundAnimal, MAX_FOUND, Match, SearchResults};
pub use sort::{Cursor, CursorError, Sort, SortColumn};

use crate::digest::log_start;
use crate::position::{Digest, Position, Sequence, StoreId};
use crate::store::Snapshot;
use crate::text::Text;
use columns::Columns;
use counts::Tally;
use facts::Facts;
use index::Orders;
use labels::Labels;
use lots::GroupSums;
use merges::Merges;
use packed_text::OtherTag;
use reads::Reads;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of animals in a catalog. With eight or nine weighings each, a head takes about 404 bytes
/// (docs/figures.md), so this is 810 MB. Beyond it there is no catalog, and pages say so.
pub const MAX_CATALOG_ANIMALS: usize = 2_000_000;

/// Name of a batch: its number as a label, and whether it is a barn batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BatchLabel {
    number: u32,
    is_barn: bool,
}

/// An index over the tables and the log up to one change.
#[derive(Debug)]
pub struct Catalog {
    /// The last change that is included.
    at: Position,
    /// Fold digest of the tables that the entries were made of.
    fold_digest: Digest,
    columns: Columns,
    tally: Tally,
    orders: Orders,
    lot_sums: GroupSums,
    export_lot_sums: GroupSums,
    pen_sums: GroupSums,
    facts: Facts,
    merges: Merges,
    /// The animals that a void or a move into an era has touched. It may have moved events, so their own facts do not tell
    /// which weighings are theirs.
    voided: BTreeSet<u64>,
    /// The weighings of these, and of animals that absorbed them, as their histories list them.
    listed_weighings: BTreeMap<u64, Box<[Weighing]>>,
    /// Past and unconfirmed tags, of the few animals that have any.
    other_tags: BTreeMap<u64, Box<[OtherTag]>>,
    /// Numbers of barn and export batches.
    lots: Labels,
    pens: Labels,
    funders: Labels,
    sexes: Labels,
    /// Tags and visual tags that are too long for their columns.
    long_texts: Labels,
    batches: BTreeMap<u64, BatchLabel>,
    reads: Reads,
    /// Reader groups, each with its latest era.
    readers: BTreeMap<Text, u32>,
    /// Times of corrections, in the order of the log.
    corrections: Vec<(Sequence, i64)>,
    unread: u64,
}

impl Catalog {
    /// Makes the catalog of an empty log.
    fn empty(store: StoreId) -> Self {
        Self {
            at: log_start(store),
            fold_digest: Digest([0; 32]),
            columns: Columns::default(),
            tally: Tally::default(),
            orders: Orders::default(),
            lot_sums: GroupSums::default(),
            export_lot_sums: GroupSums::default(),
            pen_sums: GroupSums::default(),
            facts: Facts::default(),
            merges: Merges::default(),
            voided: BTreeSet::new(),
            listed_weighings: BTreeMap::new(),
            other_tags: BTreeMap::new(),
            lots: Labels::default(),
            pens: Labels::default(),
            funders: Labels::default(),
            sexes: Labels::default(),
            long_texts: Labels::default(),
            batches: BTreeMap::new(),
            reads: Reads::default(),
            readers: BTreeMap::new(),
            corrections: Vec::new(),
            unread: 0,
        }
    }

    /// Returns the last change that is included.
    pub fn as_of(&self) -> Sequence {
        self.at.sequence
    }

    /// Returns the number of changes that could not be read, because the log is damaged there.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    /// Returns the number of changes from this catalog to the tables of a snapshot. `None` if the snapshot is older, or of
    /// another history: then the catalog must be built anew.
    pub fn lag(&self, snapshot: &Snapshot) -> Result<Option<u64>, CatalogError> {
        let state = snapshot.state()?;
        let Some(behind) = state.folded.0.checked_sub(self.at.sequence.0) else { return Ok(None) };
        if state.position.store != self.at.store {
            return Ok(None);
        }
        let is_same = match behind {
            // Equal digests of the tables: no search in the log.
            0 if self.at.sequence > Sequence::ZERO => state.fold_digest == self.fold_digest,
            _ => snapshot.position_at(self.at.sequence)? == Some(self.at),
        };
        Ok(is_same.then_some(behind))
    }

    /// Returns the memory that the catalog takes, in bytes. Room that is kept for growth is counted.
    pub fn bytes(&self) -> usize {
        let labels = [&self.lots, &self.pens, &self.funders, &self.sexes, &self.long_texts];
        let other_tags: usize = self.other_tags.values().map(|tags| size_of_val(&**tags) + MAP_ENTRY_BYTES).sum();
        let sums = [&self.lot_sums, &self.export_lot_sums, &self.pen_sums];
        self.columns.bytes()
            + self.tally.bytes()
            + self.orders.bytes()
            + sums.into_iter().map(GroupSums::bytes).sum::<usize>()
            + self.facts.bytes()
            + self.merges.bytes()
            + self.reads.bytes()
            + labels.into_iter().map(Labels::bytes).sum::<usize>()
            + other_tags
            + self.voided.len() * MAP_ENTRY_BYTES
            + self.listed_weighings.values().map(|own| size_of_val(&**own) + MAP_ENTRY_BYTES).sum::<usize>()
            + self.batches.len() * MAP_ENTRY_BYTES
            + self.corrections.capacity() * size_of::<(Sequence, i64)>()
    }
}

/// Estimated size of a small entry of a map, with its share of the nodes.
const MAP_ENTRY_BYTES: usize = 48;

#[cfg(test)]
mod tests;
