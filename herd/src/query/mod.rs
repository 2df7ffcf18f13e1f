//! Queries over a [`Snapshot`](crate::store::Snapshot), for pages, the API and the command line.
//!
//! Each query is a method of the snapshot. All answers on one page therefore show the same moment. An answer is a
//! *view*: a struct that serializes to the JSON of the API and also feeds the HTML page. A missing animal or batch is
//! `None`, not an error.
//!
//! # Decisions
//!
//! - **Lists are paged by key, not by offset.** The cost of a [`Page`] grows with its limit, never with the tables. An
//!   offset would walk over what it skips, and entries that arrive meanwhile would push others over the edge of a page.
//! - **A cursor is readable text.** It consists of ids or sequences, so it can stand in a URL and needs no state on the
//!   server. It is not a secret.
//! - **One view serves JSON and HTML.** Keys that the original system had keep their names.
//! - **A damaged row of the log hides what it holds, and no more.** A list leaves out its entries or says nothing about their
//!   time, and a count says that it is a lower bound. Only the answer that is about a change of the row itself fails. The health
//!   of the process names the row.
//! - **Views contain no floats.** Weights and decibels are decimal text, so every reader sees the same digits.

mod animal_view;
mod animals;
mod batch_view;
mod batches;
mod change_view;
mod correction_view;
mod counters;
mod error;
mod event_view;
mod first_sighting;
mod history;
mod page;
mod payload_view;
mod payloads;
mod proposals;
mod tag_view;
mod totals;
mod weights;

pub use animal_view::{AnimalView, BatchName, MAX_TAGS_SHOWN};
pub use batch_view::{BatchTraitValues, BatchView, MAX_OTHER_BATCHES, MAX_TRAIT_VALUES, NumberedBatch, OtherBatch};
pub use batches::MemberView;
pub use change_view::{ChangeBody, ChangeView, KindName, LateEventView, Placement, PreviousChange};
pub use correction_view::CorrectionView;
pub use counters::{CounterCursor, CounterView, GapCursor, GapView, HeardRead};
pub use error::QueryError;
pub(crate) use error::readable;
pub use event_view::EventView;
pub use history::{CorrectionEntry, EventEntry, HistoryCursor, HistoryEntry};
pub use page::{DEFAULT_PAGE_ENTRIES, MAX_PAGE_ENTRIES, Page, PageLimit};
pub use payload_view::{PayloadStatus, PayloadView};
pub use payloads::PayloadFilter;
pub use proposals::{MIN_PROPOSAL_COLLISIONS, ReaderEraMoves, ReaderEraProposal};
pub use tag_view::{OtherTagView, TagView};
pub use totals::TotalsView;
pub use weights::WeightView;

#[cfg(test)]
pub(crate) mod tests;
