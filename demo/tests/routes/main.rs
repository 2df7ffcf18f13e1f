//! A table lists every call that a process serves, with the callers that may make it and the answer to each caller.
//!
//! Catches: a route that is not in the table, so that nobody has decided who may call it; a row of the table that leads
//! nowhere; a call that an unintended scope may make; a refusal whose form differs from all others; and a call that
//! answers other machines before the process has a key.
//!
//! A new call is one line in `rows()` of [`barn`] or [`office`]. The routers are the shipped ones, and their routes are
//! read from them, see [`route_list`]. The answers are in `tests/golden/routes_*.json`, one line for each row and
//! answer, which names the callers that get it. `HERDLINX_BLESS=1` rewrites them.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod barn;
mod callers;
mod connection;
mod keyless;
mod office;
mod route_list;
#[path = "../router_barn/mod.rs"]
mod router_barn;
mod rows;
mod server;
