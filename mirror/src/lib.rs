//! The office: follows the barns, keeps a copy of each, shows it.
pub mod link;
