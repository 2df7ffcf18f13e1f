//! Questions over a [`Snapshot`](crate::store::Snapshot): what people and programs are shown of a store.
//!
//! Each question is a method of the snapshot, so that all answers on one page are of one moment. Lists are cut into
//! pages by key ([`Page`]): the cost of a page grows with its limit, never with the tables. A cursor is no secret: it is
//! the id or sequence of the last entry told, and reads as such in a URL.
//!
//! An answer is a view: one struct that serves JSON (its serialized form is the outward interface; keys that the
//! original had keep their names) and the page for people. Views hold no float: weights and decibels are decimal text.

mod animal_view;
mod animals;
mod batch_view;
mod batches;
mod change_view;
mod correction_view;
mod counters;
mod error;
mod event_view;
mod history;
mod page;
mod payload_view;
mod payloads;
mod proposals;
mod tag_view;
mod totals;

pub use animal_view::{AnimalView, BatchName, MAX_TAGS_SHOWN};
pub use batch_view::{BatchTraitValues, BatchView, MAX_OTHER_BATCHES, MAX_TRAIT_VALUES, NumberedBatch, OtherBatch};
pub use batches::MemberView;
pub use change_view::{ChangeBody, ChangeView, KindName, LateEventView, Placement, PreviousChange};
pub use correction_view::CorrectionView;
pub use counters::{CounterCursor, CounterView, GapCursor, GapView};
pub use error::QueryError;
pub use event_view::EventView;
pub use history::{CorrectionEntry, EventEntry, HistoryCursor, HistoryEntry, WeightView};
pub use page::{DEFAULT_PAGE_ENTRIES, MAX_PAGE_ENTRIES, Page, PageLimit};
pub use payload_view::{PayloadStatus, PayloadView};
pub use payloads::PayloadFilter;
pub use proposals::{MIN_PROPOSAL_COLLISIONS, ReaderEraProposal};
pub use tag_view::{OtherTagView, TagView};
pub use totals::TotalsView;

#[cfg(test)]
pub(crate) mod tests;
