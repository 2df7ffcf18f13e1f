//! What both processes are made of, and the interface that both serve.
pub mod control;
pub mod door;
pub mod events;
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
