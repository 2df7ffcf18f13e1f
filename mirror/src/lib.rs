//! The office: follows, folds, shows.
pub mod follow;
pub mod link;
