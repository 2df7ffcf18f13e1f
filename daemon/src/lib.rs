//! `herdlinxd`, the barn: listens, records, serves. The source of one history.
pub mod disk;
pub mod recorder;
