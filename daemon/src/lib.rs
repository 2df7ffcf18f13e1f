//! `herdlinxd`, the barn: listens, records, serves. The source of one history.
pub mod boot;
pub mod disk;
pub mod health;
pub mod ingest;
pub mod pair;
pub mod receive;
pub mod recorder;
pub mod settings;
#[cfg(test)]
mod worlds;
