//! The office: follows barns, folds what they decided, shows it.
pub mod cli;
pub mod commands;
pub mod control;
pub mod copies;
mod corrections;
mod doors;
pub mod follow;
pub mod link;
pub mod pages;
pub mod run;
pub mod settings;
pub mod sites;
