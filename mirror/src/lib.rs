//! The office: follows barns, folds what they decided, shows it.
pub mod pages;
