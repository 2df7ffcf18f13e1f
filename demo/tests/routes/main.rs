//! Every call that a process serves stands in a table, with who may make it and what it answers to whom.
//!
//! What would otherwise go unseen: a route that nobody has written down, so that nobody has thought about who may call
//! it; a row of the table that no longer leads anywhere; a call that another scope opens, too; and a refusal in another
//! form than all others.
//!
//! A new call is one line in `rows()` of [`barn`] or [`office`]. The routers are the shipped ones, and which routes
//! they have is read off them, see [`shown`]. The answers stand in `tests/golden/routes_*.json`, a line for each row and
//! answer with those who get it; `HERDLINX_BLESS=1` writes them anew.
#![allow(clippy::unwrap_used)]

mod asking;
mod barn;
mod callers;
mod connection;
mod office;
#[path = "../router_barn/mod.rs"]
mod router_barn;
mod rows;
mod shown;
