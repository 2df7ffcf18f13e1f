//! The radios and the writer of a running barn.

#[cfg(test)]
mod tests;

use super::RunError;
use crate::disk::DiskGauge;
use crate::health::{ClockGauge, Health};
use crate::ingest::refusals::ReadRefusals;
use crate::open::BarnFiles;
use crate::receive::{RadioHandle, RadioState, ReceiveEnd, ReceiveLoop};
use crate::recorder::{Recorder, RecorderSeams, WriterThread};
use crate::settings::Settings;
use crate::tap::Tap;
use herd::clock::Clock;
use herd::store::OpenProgress;
use radio::{AnyRadio, Radio as _};
use service::backup::BackupStates;
use service::lifecycle::Shutdown;
use service::process::{Core, PartError};
use service::supervisor::probe;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Time that the radios have to hand over their packets at a shutdown.
const RADIOS_TIMEOUT: Duration = Duration::from_secs(1);

/// A barn that records.
pub(super) struct RecordingBarn {
    pub(super) recording: Recording,
    pub(super) recorder: Recorder,
    pub(super) health: Health,
}

/// Starts the radios, then opens the history, then starts the writer.
///
/// Checking and folding a large log takes seconds. What the radios hear meanwhile waits in their bounded queues, and is
/// recorded afterwards. If the opening fails or is interrupted, nothing of it was acknowledged.
pub(super) async fn start(
    settings: &Settings,
    files: &BarnFiles,
    clock: &Arc<dyn Clock>,
    tap: &Tap,
    backups: &BackupStates,
    shutdown: Shutdown,
    on_progress: impl Fn(&OpenProgress<'_>) -> ControlFlow<()> + Send + Sync + 'static,
) -> Result<RecordingBarn, RunError> {
    let (recorder, waiting_writer) = Recorder::before_store();
    let mut recording = Recording { shutdown, recorder: recorder.clone(), writer: None, radios: JoinSet::new() };
    let radios = recording.start_radios(settings, clock, tap)?;
    let store = match files.open_store(settings, &**clock, on_progress) {
        Ok(store) => store,
        Err(error) => {
            // The loops then log the packets that they hold.
            drop(waiting_writer);
            recording.shut_down().await?;
            return Err(error.into());
        }
    };
    let disk = DiskGauge::of_directory(&settings.state_dir);
    let health = Health {
        reader: store.reader(),
        recorder: recorder.status(),
        write_clock: recorder.write_clock().clone(),
        disk: disk.clone(),
        radios,
        local: Some(files.local.clone()),
        listen: Some(settings.listen),
        identity: Some(files.identity.clone()),
        refusals: ReadRefusals::default(),
        clock: ClockGauge::new(clock.clone()),
        backup: backups.of_site(&settings.site),
    };
    let local = Some(files.local.clone()).filter(|local| local.damage().is_none());
    recording.writer = Some(waiting_writer.on_thread(store, RecorderSeams { disk, local })?);
    Ok(RecordingBarn { recording, recorder, health })
}

/// A task per radio, and the writer that they all feed.
pub(super) struct Recording {
    shutdown: Shutdown,
    recorder: Recorder,
    /// `None` until the store is open, and once the writer has ended.
    writer: Option<WriterThread>,
    radios: JoinSet<ReceiveEnd>,
}

impl Recording {
    /// Starts a task for each radio, and returns their handles.
    fn start_radios(
        &mut self,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        tap: &Tap,
    ) -> Result<Vec<RadioHandle>, RunError> {
        let mut handles = Vec::new();
        for (channel, settings) in settings.radios() {
            let name = channel.name.clone();
            let opened = settings.open(&name).map_err(|source| RunError::Radio { radio: name.clone(), source })?;
            let Some(radio) = opened else { continue };
            let (state, state_receiver) = watch::channel(RadioState::from(&*radio.health().borrow()));
            let counters = radio.counters();
            let transmitter = match &radio {
                AnyRadio::Sx127x(chip) => Some(chip.transmitter()),
                _ => None,
            };
            let (recorder, clock, tap) = (self.recorder.clone(), clock.clone(), tap.clone());
            let receive_loop = ReceiveLoop { channel, recorder, clock, tap, shutdown: self.shutdown.clone() };
            let (probe, probe_target) = probe();
            self.radios.spawn(receive_loop.run(radio, state, probe_target));
            tracing::info!(channel = name, kind = ?settings.kind, "radio started");
            handles.push(RadioHandle { name, state: state_receiver, counters, transmitter, probe: Arc::new(probe) });
        }
        Ok(handles)
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

    /// Waits until the writer or the loop of a radio ends. A radio that ended by its own script is not a failure,
    /// one that crashed is.
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
                    Ok(ReceiveEnd::RadioCrashed) => return PartError::Ended("a radio").into(),
                    // The shutdown or the end of the writer is the reason.
                    Ok(ReceiveEnd::Stopped | ReceiveEnd::WriterEnded) => tracing::debug!("the loop of a radio has ended"),
                    Err(source) => return PartError::Aborted { name: "the loop of a radio", source }.into(),
                },
            }
        }
    }

    /// Waits for the radios first, which hand over their packets. Then shuts down the writer, which commits and answers
    /// the queued payloads.
    async fn shut_down(mut self) -> Result<(), RunError> {
        let handover = async { while self.radios.join_next().await.is_some() {} };
        if timeout(RADIOS_TIMEOUT, handover).await.is_err() {
            tracing::warn!("a radio did not shut down in time; its last packet may be lost");
        }
        self.recorder.shut_down();
        if self.writer.is_some() {
            writer_end(&mut self.writer).await?;
        }
        Ok(())
    }
}
