//! Every wrong input gets its documented answer and leaves nothing behind; every right one gets its golden answer.
//!
//! What would otherwise go unseen: a refusal that has already written, an answer that changed its form in passing, a
//! key that is taken where it must not be, a query that means something else than it says, and a follower that a
//! faulty source can make write, stop or spin.
//!
//! The tables run against the shipped router in this process, over a store in memory, a clock that stands still and
//! keys from a seed, so that every byte of an answer is the same on every run. The answers stand in `tests/golden/`,
//! a file a table and a line a case; `HERDLINX_BLESS=1` writes them anew.
#![allow(clippy::unwrap_used)]

mod arrays;
mod changes;
mod doors;
mod events;
mod faulty_live;
mod faulty_pulls;
mod listener;
mod metrics;
mod office;
#[path = "../openmetrics/mod.rs"]
mod openmetrics;
mod over_tls;
mod payloads;
mod reads;
mod remote;
#[path = "../router_barn/mod.rs"]
mod router_barn;
mod source;
mod table;
