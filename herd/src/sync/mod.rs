//! Sync: the one log, in order, to whoever follows it.
//!
//! The same code serves on daemon and mirror, so a mirror can follow a mirror. [`link`] is the seam between a
//! follower and the network: production puts HTTPS behind it, a simulated world puts a wire of its own there.

pub mod link;
