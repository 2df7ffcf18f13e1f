//! What a process keeps on its disk.

mod local;

pub use local::*;
