//! Claims about the store as a whole: what is decided of payloads, what the tables then say, and that log and tables
//! survive groups, pages, power cuts, failing disks and changes of a later program. Each module says which failures
//! it would catch.
#![allow(clippy::unwrap_used, reason = "what should not fail in a test fails the test")]

mod accepted_later;
mod cases;
mod corrections;
mod faults;
mod golden;
mod herd_view;
mod hostile;
mod invariants;
mod orders;
mod paper;
mod property;
mod replicas;
mod steps;
mod unknown_kinds;
mod views;
mod voids;
mod world;
