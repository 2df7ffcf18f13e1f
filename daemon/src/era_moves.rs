//! Moves payloads into the reader eras that operators began at earlier payloads, step by step.
//!
//! # Decisions
//!
//! - **The log says what is left to be done, so an order goes on by itself after a restart.** A command that drove its own
//!   order would leave it half done if its terminal closed.
//! - **A step is a request like others, in the queue of the recorder.** Packets of radios come before it, and payloads of
//!   callers that wait are committed between two steps. A step that the writer took by itself could not wait in turn.

use crate::recorder::{RecordError, Recorder};
use herd::clock::Clock;
use herd::store::EraMoveReceipt;
use service::lifecycle::Shutdown;
use std::sync::Arc;
use std::time::Duration;

/// Time after which a step is tried again that the disk had no room for.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Takes steps while there is something to move, and waits for further orders, until the shutdown.
pub async fn move_into_eras(recorder: Recorder, clock: Arc<dyn Clock>, shutdown: Shutdown) {
    let steps = async {
        let mut is_delayed = false;
        loop {
            match recorder.step_era_moves(clock.read()).await {
                Ok(step) => {
                    is_delayed = false;
                    match step {
                        Some(receipt) => log_step(&receipt),
                        None => recorder.wait_for_correction().await,
                    }
                }
                // The end of the writer ends the process, and tables that stop at a change go on in another program only.
                Err(
                    RecordError::Stopping
                    | RecordError::Ended
                    | RecordError::Failed(_)
                    | RecordError::TablesBehind { .. },
                ) => break,
                Err(error) => {
                    if !std::mem::replace(&mut is_delayed, true) {
                        tracing::warn!(%error, "payloads are not moved into their reader era yet");
                    }
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    };
    tokio::select! {
        () = steps => shutdown.requested().await,
        () = shutdown.requested() => {}
    }
}

fn log_step(receipt: &EraMoveReceipt) {
    let EraMoveReceipt { order, payloads, through, is_done } = receipt;
    if *is_done {
        tracing::info!(%order, "all payloads of the order are in their reader era");
    } else {
        tracing::debug!(%order, payloads, %through, "payloads moved into their reader era");
    }
}
