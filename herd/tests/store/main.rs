//! Claims about the store as a whole: decisions about payloads, the resulting tables, and log and tables under groups,
//! pages, power cuts, failing disks and changes of a later program. Each module lists the failures that it catches.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod accepts;
mod cases;
mod catalog_figures;
mod catalog_lists;
mod catalog_questions;
mod catalog_reads;
mod catalogs;
mod comebacks;
mod corrections;
mod crash_images;
mod era_properties;
mod eras;
mod faults;
mod flushes;
mod full_disks;
mod golden;
mod herd_view;
mod hostile;
mod invariants;
mod lagging_folds;
mod lost_ends;
mod lost_logs;
mod orders;
mod paper;
mod property;
mod replicas;
mod sizes;
mod steps;
mod unknown_kinds;
mod views;
mod void_properties;
mod voids;
mod weighings;
mod world;
mod yards;
