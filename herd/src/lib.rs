//! What the bytes mean and how they are kept.
pub mod change;
pub mod clock;
pub mod decide;
pub mod digest;
pub mod fold;
pub mod payload;
pub mod position;
pub mod query;
pub mod store;
pub mod sync;
pub mod tables;
