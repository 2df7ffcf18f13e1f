//! `herdlinxd`, the barn: listens, records, serves. The source of one history.
pub mod disk;
pub mod ingest;
pub mod receive;
pub mod recorder;
#[cfg(test)]
mod worlds;
