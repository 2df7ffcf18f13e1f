//! `herdlinxd`, the barn: listens, records, serves. The source of one history.
pub mod boot;
pub mod cli;
pub mod control;
pub mod corrections;
pub mod disk;
pub mod doctor;
pub mod health;
pub mod ingest;
mod judged;
pub mod listen;
pub mod metrics;
pub mod open;
pub mod pair;
pub mod pulse;
pub mod receive;
pub mod recorder;
pub mod remote;
pub mod run;
pub mod settings;
pub mod status_line;
pub mod tap;
#[cfg(test)]
mod worlds;
