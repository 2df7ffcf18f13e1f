//! The parts that the barn daemon and the office mirror have in common: the skeleton of a process, the way in, and the
//! interface that both serve.
//!
//! `herd` knows what bytes mean and how they are kept. This crate turns that into a service: it reads settings, writes
//! logs, checks keys, serves HTTPS and shuts down in order. `daemon` and `mirror` add only what is theirs.
//!
//! # Modules, in reading order
//!
//! The life of a process:
//!
//! - [`settings`] and [`logging`]: its beginning.
//! - [`lifecycle`]: exit codes, and the signal that shuts it down.
//! - [`process`]: its parts and their ordered shutdown, its state directory, the ends of its command line.
//! - [`supervisor`]: readiness, status and signs of life for systemd.
//! - [`control`]: the socket through which commands reach it.
//!
//! The way in:
//!
//! - [`door`]: API keys, tokens, TLS and the HTTPS server.
//! - [`metrics`]: the state of a process in OpenMetrics.
//!
//! The interface that both serve:
//!
//! - [`sync`]: the log, in pages, live, and as an export.
//! - [`events`]: messages about changes over a WebSocket.
//! - [`remote`]: the JSON interface for programs.
//! - [`show`], [`sheet`], [`verify`] and [`backup`]: lists, CSV, verification and backups for people.
//! - [`give_back`]: the message by which an office returns to a barn what the barn lost.
//!
//! Before the first start:
//!
//! - [`card`]: the file of settings on a flashed card.
//!
//! # Example
//!
//! A process runs until its shutdown is requested, and every part ends with it:
//!
//! ```
//! use service::lifecycle::ShutdownTrigger;
//! use service::process::{Core, PartError, Parts};
//!
//! /// A core that works until the shutdown.
//! struct Idle;
//!
//! impl Core for Idle {
//!     type Error = PartError;
//!
//!     async fn failed(&mut self) -> PartError {
//!         std::future::pending().await
//!     }
//!
//!     async fn shut_down(self) -> Result<(), PartError> {
//!         Ok(())
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let trigger = ShutdownTrigger::default();
//! let mut parts = Parts::new(trigger.clone());
//! let shutdown = parts.shutdown();
//! parts.add_infallible("a part", async move { shutdown.requested().await });
//! trigger.request();
//! let end = parts.run(Idle).await;
//! assert!(end.cause.is_ok());
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod backup;
pub mod card;
pub mod control;
pub mod door;
pub mod events;
pub mod give_back;
#[cfg(any(test, feature = "harness"))]
pub mod harness;
pub mod lifecycle;
pub mod logging;
pub mod metrics;
pub mod process;
pub mod remote;
pub mod settings;
pub mod sheet;
pub mod show;
pub mod supervisor;
pub mod sync;
pub mod verify;
