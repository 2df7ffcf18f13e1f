//! A barn and an office together on simulated hardware: the demo, the benches, and the base of the end-to-end tests.
//!
//! - [`demo`] is `cargo demo`: a simulated chute, a barn and an office, with a proof at the end that nothing was lost.
//! - [`world`] is a barn and two offices on one thread, where a seed determines time, faults and cards.
//! - [`processes`] is a barn and an office as child processes, for the demo, the benches and tests.
//! - [`soak`] keeps both running for an hour of everything that goes wrong.
//! - [`mod@bench`] measures both against the floor of the machine.
//! - [`cli`] is the command line of `herdlinx-demo`.
//!
//! A world replays exactly from its seed:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! let summary = runtime.block_on(demo::world::run(7, None, &mut |_| {}))?;
//! assert!(summary.payloads.receipted > 0 && summary.changes > 0);
//! # Ok(())
//! # }
//! ```
pub mod bench;
pub mod cli;
pub mod demo;
pub mod processes;
pub mod soak;
pub mod world;
