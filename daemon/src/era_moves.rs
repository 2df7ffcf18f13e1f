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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{DiskGauge, DiskSpace};
    use crate::test_world::World;
    use futures::FutureExt as _;
    use herd::change::{Correction, Origin};
    use herd::decide::{CorrectionRequest, Rules};
    use herd::position::Sequence;
    use herd::store::{CorrectionReceipt, Incoming};
    use service::lifecycle::ShutdownTrigger;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn era_from(from: u64) -> CorrectionRequest {
        CorrectionRequest {
            author: "J. Doe".to_owned(),
            reason: "readers were reset".to_owned(),
            idempotency_key: from.to_string(),
            channel: "office-1".to_owned(),
            correction: Correction::NewReaderEra { reader_group: "main".to_owned(), from: Some(Sequence(from)) },
        }
    }

    async fn begin_era(world: &World, from: u64) {
        let receipt = world.recorder.correct(era_from(from), world.clock.read()).await.unwrap();
        assert!(matches!(receipt, CorrectionReceipt::Kept { .. }), "{receipt:?}");
    }

    /// Returns the current era with its order's state: true if it is carried out.
    fn current_era(world: &World) -> (u32, bool) {
        let moves = world.reader.snapshot().unwrap().reader_era_moves().unwrap();
        moves.last().map(|moves| (moves.reader_era, moves.done)).unwrap()
    }

    /// Catches an order that is given up because the disk was full for a while, and a later one that nobody carries out.
    #[tokio::test(start_paused = true)]
    async fn orders_are_carried_out_once_there_is_room_and_later_ones_too() {
        let free = Arc::new(AtomicU64::new(1));
        let measured = free.clone();
        let disk =
            DiskGauge::new(move || Ok(DiskSpace { free_bytes: measured.load(Ordering::Relaxed), needed_bytes: 1 }));
        let (world, shutdown) = (World::new(Rules::default(), disk), ShutdownTrigger::default());
        for n in 1..=4 {
            let raw = format!("event:hxbchi00000{n}|lid:{n}|weight:200").into_bytes();
            let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
            world.recorder.record(Incoming { raw, origin, at: world.clock.read() }).await.unwrap();
        }
        begin_era(&world, 3).await;
        free.store(0, Ordering::Relaxed);
        // Longer than the gauge remembers what it measured.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let moving = tokio::spawn(move_into_eras(world.recorder.clone(), world.clock.clone(), shutdown.signal()));
        tokio::time::sleep(RETRY_AFTER / 2).await;
        assert_eq!(current_era(&world), (2, false));
        free.store(1, Ordering::Relaxed);
        tokio::time::sleep(RETRY_AFTER).await;
        assert_eq!(current_era(&world), (2, true));
        begin_era(&world, 5).await;
        tokio::time::sleep(RETRY_AFTER / 2).await;
        assert_eq!(current_era(&world), (3, true));
        shutdown.request();
        moving.await.unwrap();
    }

    /// Catches an order that is never begun: the link broke before its caller had the answer.
    #[tokio::test(start_paused = true)]
    async fn an_order_whose_caller_has_gone_away_is_carried_out() {
        let (world, shutdown) = (World::new(Rules::default(), DiskGauge::plenty()), ShutdownTrigger::default());
        let raw = b"event:hxbchi000001|lid:1|weight:200".to_vec();
        let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
        world.recorder.record(Incoming { raw, origin, at: world.clock.read() }).await.unwrap();
        let moving = tokio::spawn(move_into_eras(world.recorder.clone(), world.clock.clone(), shutdown.signal()));
        tokio::time::sleep(RETRY_AFTER).await;
        assert!(world.recorder.correct(era_from(2), world.clock.read()).now_or_never().is_none(), "it is in the queue");
        tokio::time::sleep(RETRY_AFTER).await;
        assert_eq!(current_era(&world), (2, true));
        shutdown.request();
        moving.await.unwrap();
    }
}
