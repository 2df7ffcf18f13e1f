//! The office: follows, folds, shows.
pub mod copies;
pub mod follow;
pub mod link;
pub mod settings;
pub mod sites;
