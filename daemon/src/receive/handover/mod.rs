//! The packets that a radio still holds when its loop ends: recorded if that is possible, else counted in the log.

use super::{ReceiveEnd, ReceiveLoop};
use crate::recorder::RecordError;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use radio::Radio;
use radio::sx127x::MAX_QUEUED_PACKETS;
use std::time::Duration;
use tokio::task::unconstrained;
use tokio::time::timeout;

#[cfg(test)]
mod tests;

/// Time that a radio has to hand over its packets at a shutdown: less than the second that the process gives it.
const HANDOVER_TIMEOUT: Duration = Duration::from_millis(700);
/// Maximum number of packets that a radio hands over: those of a full queue, and as many that come meanwhile.
pub(super) const HANDOVER_PACKETS: usize = 2 * MAX_QUEUED_PACKETS;

/// A packet on its way to the log.
pub(super) type Recording<'a> = BoxFuture<'a, Result<(), RecordError>>;

impl ReceiveLoop {
    /// Records the packet in hand and those that the radio has already received, but waits for no further ones. Logs the
    /// number of those that could not be recorded.
    ///
    /// All are queued at once, so they share commits: one for each would take longer than a shutdown may. The runtime would
    /// interrupt so many steps without a pause, and the rest would look as if it had not been received: `unconstrained`.
    pub(super) async fn hand_over<'a>(&'a self, radio: &mut impl Radio, in_hand: Option<Recording<'a>>) -> ReceiveEnd {
        let mut handover = Handover::default();
        // After a timeout the rest is counted.
        timeout(HANDOVER_TIMEOUT, unconstrained(handover.record_all(self, radio, in_hand))).await.ok();
        let unrecorded = handover.failed + handover.pending.len() + radio.counters().queue().packets;
        if unrecorded > 0 {
            let channel = self.channel.name.as_str();
            let reason = handover.error.as_ref().map_or_else(late_reason, ToString::to_string);
            tracing::error!(channel, unrecorded, reason, "radio stopped with unrecorded packets");
        }
        if handover.has_writer_ended() { ReceiveEnd::WriterEnded } else { ReceiveEnd::Stopped }
    }
}

/// Returns why packets were not recorded, if no error says it.
fn late_reason() -> String {
    format!(
        "the recorder takes longer than {} ms, and may still write what it has queued",
        HANDOVER_TIMEOUT.as_millis()
    )
}

/// State of a handover.
#[derive(Default)]
struct Handover<'a> {
    /// Packets that wait for room in the recorder's queue, or for their commit.
    pending: FuturesUnordered<Recording<'a>>,
    /// Number of packets that the radio has handed over.
    taken: usize,
    /// Number of packets that could not be recorded.
    failed: usize,
    /// The latest error of those.
    error: Option<RecordError>,
}

impl<'a> Handover<'a> {
    /// Returns whether nothing can be recorded any more.
    fn has_writer_ended(&self) -> bool {
        matches!(self.error, Some(RecordError::Failed(_) | RecordError::Ended))
    }

    /// Records the packet in hand, and packets of the radio until it has none left. Those of a radio whose writer has ended stay
    /// in it.
    ///
    /// Packets that come meanwhile are taken only after the others, because they could overtake those that wait for room.
    async fn record_all(
        &mut self,
        receive_loop: &'a ReceiveLoop,
        radio: &mut impl Radio,
        in_hand: Option<Recording<'a>>,
    ) {
        if let Some(recording) = in_hand {
            self.begin(recording);
        }
        loop {
            while !self.has_writer_ended()
                && self.taken < HANDOVER_PACKETS
                && let Some(Ok(packet)) = radio.receive().now_or_never()
            {
                self.taken += 1;
                self.begin(receive_loop.record(packet).boxed());
            }
            if self.pending.is_empty() {
                return;
            }
            while let Some(recorded) = self.pending.next().await {
                self.note(recorded);
            }
        }
    }

    /// Begins to record a packet. The first poll queues it, which keeps the order.
    fn begin(&mut self, mut recording: Recording<'a>) {
        match (&mut recording).now_or_never() {
            Some(recorded) => self.note(recorded),
            None => self.pending.push(recording),
        }
    }

    fn note(&mut self, recorded: Result<(), RecordError>) {
        if let Err(error) = recorded {
            self.failed += 1;
            self.error = Some(error);
        }
    }
}
