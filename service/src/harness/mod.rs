//! Child processes for the tests of the shipped programs and for the demo.
//!
//! A test starts a program with [`command`] and [`ChildProcess::spawn`], waits with [`wait_until`] for a condition that
//! it can observe from outside, and ends the process with [`ChildProcess::signal`] and [`ChildProcess::wait_blocking`].
//! Nothing here asserts a duration: [`TIMEOUT`] bounds only a wait that fails. A [`NarrowLink`] stands between a barn and
//! an office that are to have a bad link. A [`LogRecorder`] records what a test logs.
//!
//! The module is behind the feature `harness`, so that the shipped programs do not contain it. It has errors instead of
//! panics because the demo runs real processes outside tests.

mod child;
mod narrow_link;
mod notify_socket;
#[cfg(test)]
mod tests;
mod wait;
#[cfg(test)]
pub(crate) mod web_socket;

pub use crate::logging::recorder::LogRecorder;
pub use child::{ChildProcess, command};
pub use narrow_link::{NarrowLink, NarrowSettings};
pub use notify_socket::NotifySocket;
pub use rustix::process::Signal;
pub use wait::{POLL_INTERVAL, TIMEOUT, wait_until, wait_until_blocking, wait_until_within};

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A child process that did not do what the caller expected.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// The executable did not start.
    #[error("cannot start the {name} from {}: {source}", program.display())]
    Spawn {
        /// Name of the process in messages.
        name: &'static str,
        /// Path of the executable.
        program: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The log file did not open.
    #[error("cannot open the log {}: {source}", path.display())]
    Log {
        /// Path of the log.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The system did not report the state of the process, or did not deliver a signal to it.
    #[error("cannot watch the {name}: {source}")]
    Watch {
        /// Name of the process in messages.
        name: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// The notification socket failed, or the message did not come in time.
    #[error("no message contains `{text}`: {source}; received: {received:?}")]
    Notify {
        /// Text that the caller waited for.
        text: String,
        /// Messages until then.
        received: Vec<String>,
        /// Cause.
        source: io::Error,
    },
    /// A condition did not become true in time.
    #[error("waited {after:?} in vain: {what}")]
    Timeout {
        /// The condition.
        what: String,
        /// Duration of the wait.
        after: Duration,
    },
}
