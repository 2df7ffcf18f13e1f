//! Waiting for a condition by polling it.

use super::HarnessError;
use std::time::{Duration, Instant};

/// Maximum wait for a condition. A process promises to exit within 5 s of SIGTERM, the longest promise that is waited
/// for; twice that leaves a margin on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two checks of a condition. Short compared with the start of a process, the shortest thing that is
/// waited for, and long enough that a check does not slow down the process that it observes.
pub const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` returns a value, for at most [`TIMEOUT`]. `what` names the condition in the error.
pub async fn wait_until<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> Result<T, HarnessError> {
    wait_until_within(TIMEOUT, what, condition).await
}

/// Waits until `condition` returns a value, for at most `timeout`. The condition is checked at least once.
pub async fn wait_until_within<T>(
    timeout: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> Result<T, HarnessError> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if start.elapsed() >= timeout {
            return Err(HarnessError::Timeout { what: what.to_owned(), after: timeout });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Waits until `condition` returns a value, for at most [`TIMEOUT`]. Blocks the thread.
pub fn wait_until_blocking<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> Result<T, HarnessError> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if start.elapsed() >= TIMEOUT {
            return Err(HarnessError::Timeout { what: what.to_owned(), after: TIMEOUT });
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}
