//! Every wrong input gets its documented answer and changes nothing; every right one gets its golden answer.
//!
//! Catches: a refusal after something was written, an answer whose form changed by accident, a key that is accepted
//! where it must not be, a query that is understood as another one, and a follower that a faulty source can make write,
//! stop or loop.
//!
//! The tables run against the shipped router in this process, over a store in memory, with a fixed clock and seeded
//! keys, so every byte of an answer is the same on every run. The answers are in `tests/golden/`, one file for each
//! table and one line for each case. `HERDLINX_BLESS=1` rewrites them.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod arrays;
mod changes;
mod chips;
mod doors;
mod events;
mod faulty_live;
mod faulty_pulls;
mod fold_versions;
mod follower;
mod listener;
mod metrics;
#[path = "../openmetrics/mod.rs"]
mod openmetrics;
mod over_tls;
mod pair;
mod payloads;
mod remote;
#[path = "../router_barn/mod.rs"]
mod router_barn;
mod source;
mod sync;
mod table;
