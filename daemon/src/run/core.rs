//! The radios and the writer of a running barn.

use super::RunError;
use crate::receive::{self, ListenedRadio, RadioState, ReceiveEnd, Receiving};
use crate::recorder::{Recorder, WriterThread};
use crate::settings::Settings;
use crate::tap::Tap;
use herd::clock::Clock;
use radio::{AnyRadio, Radio as _};
use service::lifecycle::Shutdown;
use service::process::{Core, PartError};
use service::supervisor::probe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Time that the radios have to hand over the packet in hand.
const RADIOS_TIMEOUT: Duration = Duration::from_secs(1);

/// A task per radio, and the writer that they all feed.
pub(super) struct Recording {
    shutdown: Shutdown,
    recorder: Recorder,
    /// `None` once it has ended.
    writer: Option<WriterThread>,
    radios: JoinSet<ReceiveEnd>,
}

impl Recording {
    pub(super) fn new(shutdown: Shutdown, recorder: Recorder, writer: WriterThread) -> Self {
        Self { shutdown, recorder, writer: Some(writer), radios: JoinSet::new() }
    }

    /// Starts a task for each radio, and returns their states.
    pub(super) fn start_radios(
        &mut self,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        tap: &Tap,
    ) -> Result<Vec<ListenedRadio>, RunError> {
        let mut listened = Vec::new();
        for (channel, settings) in settings.radios() {
            let name = channel.name.clone();
            let opened = settings.open(&name).map_err(|source| RunError::Radio { radio: name.clone(), source })?;
            let Some(radio) = opened else { continue };
            let (state, seen) = watch::channel(RadioState::Listening);
            let counters = radio.counters();
            let transmitter = match &radio {
                AnyRadio::Sx127x(chip) => Some(chip.transmitter()),
                _ => None,
            };
            let (recorder, clock, tap) = (self.recorder.clone(), clock.clone(), tap.clone());
            let receiving = Receiving { channel, recorder, clock, tap, shutdown: self.shutdown.clone() };
            let (asker, answerer) = probe();
            self.radios.spawn(receive::run(radio, receiving, state, answerer));
            tracing::info!(channel = name, kind = ?settings.kind, "listening to the radio");
            listened.push(ListenedRadio { name, state: seen, counters, transmitter, asker: Arc::new(asker) });
        }
        Ok(listened)
    }
}

/// Waits for the end of the writer; forever if it has ended before. Cancel-safe.
async fn writer_end(writer: &mut Option<WriterThread>) -> Result<(), RunError> {
    let Some(thread) = writer else { return std::future::pending().await };
    let end = thread.ended().await;
    *writer = None;
    Ok(end?)
}

impl Core for Recording {
    type Error = RunError;

    /// Waits until the writer or the loop of a radio ends. A radio that ended by its own script is not a failure.
    async fn failed(&mut self) -> RunError {
        loop {
            let Self { writer, radios, .. } = &mut *self;
            tokio::select! {
                ended = writer_end(writer) => return match ended {
                    Ok(()) => PartError::Ended("the writer").into(),
                    Err(error) => error,
                },
                Some(ended) = radios.join_next() => match ended {
                    Ok(ReceiveEnd::RadioClosed) => {}
                    // The shutdown or the end of the writer is the reason.
                    Ok(ReceiveEnd::Stopped | ReceiveEnd::WriterEnded) => tracing::debug!("the loop of a radio has ended"),
                    Err(source) => return PartError::Aborted { name: "the loop of a radio", source }.into(),
                },
            }
        }
    }

    /// Ends the radios first, which hand over the packet in hand; then the writer, which commits and answers what is
    /// queued.
    async fn shut_down(mut self) -> Result<(), RunError> {
        let handing_over = async { while self.radios.join_next().await.is_some() {} };
        if timeout(RADIOS_TIMEOUT, handing_over).await.is_err() {
            tracing::warn!("a radio did not shut down in time; its last packet may be lost");
        }
        self.recorder.stop();
        if self.writer.is_some() {
            writer_end(&mut self.writer).await?;
        }
        Ok(())
    }
}
