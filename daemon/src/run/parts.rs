//! The parts of the running process: any that ends, ends the process, and they stop in order.

use crate::open::OpenError;
use crate::receive::{self, ListenedRadio, RadioState, ReceiveEnd, Receiving};
use crate::recorder::{Recorder, WriterError, WriterThread};
use crate::settings::Settings;
use crate::tap::Tap;
use herd::clock::Clock;
use herd::store::LocalError;
use radio::{AnyRadio, Radio as _};
use service::control::ListenError;
use service::door::serve::ServeError;
use service::lifecycle::{Shutdown, ShutdownTrigger};
use service::supervisor::probe;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

/// The process has ended so long after it was told to stop: below the 5 s that it promises, whatever peers do.
pub const STOP_WITHIN: Duration = Duration::from_millis(4_500);
/// Of these, so long the radios have to hand over the packet in hand.
const RADIOS_STOP_WITHIN: Duration = Duration::from_secs(1);

/// Why the process could not start, or ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Signals cannot be waited for.
    #[error("waiting for signals: {0}")]
    Signals(#[source] io::Error),
    /// The listener has no address.
    #[error("asking for the address that is listened on: {0}")]
    Address(#[source] io::Error),
    /// What the barn holds could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The tokens in `local.redb`.
    #[error(transparent)]
    Tokens(#[from] LocalError),
    /// The writer could not start, or has ended.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// A radio could not be opened.
    #[error("opening `{radio}`: {source}")]
    Radio {
        /// Its name.
        radio: String,
        /// What it said.
        #[source]
        source: radio::OpenError,
    },
    /// The control socket.
    #[error(transparent)]
    Control(#[from] ListenError),
    /// The HTTPS server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A part ended by a panic.
    #[error("a part of the program was cut: {0}")]
    Cut(#[from] JoinError),
    /// A part ended although nobody had told it to.
    #[error("{0} has ended by itself")]
    EndedByItself(&'static str),
    /// The stop took too long.
    #[error("not all parts had ended {} ms after the stop; what was answered as stored is stored", STOP_WITHIN.as_millis())]
    StopTooLong,
}

type PartEnd = (&'static str, Result<(), RunError>);

/// What runs.
pub(super) struct Parts {
    stop: ShutdownTrigger,
    recorder: Recorder,
    /// None once it has ended.
    writer: Option<WriterThread>,
    radios: JoinSet<ReceiveEnd>,
    others: JoinSet<PartEnd>,
}

impl Parts {
    pub(super) fn new(stop: ShutdownTrigger, recorder: Recorder, writer: WriterThread) -> Self {
        Self { stop, recorder, writer: Some(writer), radios: JoinSet::new(), others: JoinSet::new() }
    }

    /// Starts a part; it must end when it is told to stop.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<(), RunError>> + Send + 'static,
    ) {
        self.others.spawn(async move { (name, part.await) });
    }

    /// Starts a task for each radio and gives what each says of itself.
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
            let receiving = Receiving { channel, recorder, clock, tap, shutdown: self.stop.signal() };
            let (asker, answerer) = probe();
            self.radios.spawn(receive::run(radio, receiving, state, answerer));
            tracing::info!(channel = name, kind = ?settings.kind, "listening to the radio");
            listened.push(ListenedRadio { name, state: seen, counters, transmitter, asker: Arc::new(asker) });
        }
        Ok(listened)
    }

    /// Waits until the process is told to stop, or a part ends; then stops all of them in order.
    pub(super) async fn run(mut self, stopping: Shutdown) -> Result<(), RunError> {
        let first = tokio::select! {
            () = stopping.requested() => Ok(()),
            ended = self.first_end() => ended,
        };
        let first = match first {
            // It was told to, only just before this place was.
            Err(RunError::EndedByItself(_)) if stopping.is_requested() => Ok(()),
            first => first,
        };
        if let Err(error) = &first {
            tracing::error!(%error, "stopping");
        }
        self.stop.request();
        let stopped = timeout(STOP_WITHIN, self.stop_in_order()).await;
        first?;
        stopped.unwrap_or(Err(RunError::StopTooLong))
    }

    /// The first end of a part that nobody told to end. A radio that its script ended is none.
    async fn first_end(&mut self) -> Result<(), RunError> {
        loop {
            tokio::select! {
                ended = ended(&mut self.writer) => return ended.and(Err(RunError::EndedByItself("the writer"))),
                Some(ended) = self.others.join_next() => {
                    let (name, result) = ended?;
                    return result.and(Err(RunError::EndedByItself(name)));
                }
                Some(ended) = self.radios.join_next() => match ended? {
                    ReceiveEnd::RadioClosed => {}
                    // The stop or the writer's end says why.
                    ReceiveEnd::Stopped | ReceiveEnd::WriterEnded => tracing::debug!("a radio's loop has ended"),
                },
            }
        }
    }

    /// First the radios, which hand over the packet in hand; then the writer, which answers what waits; the others,
    /// which have been told at the same time, end meanwhile.
    async fn stop_in_order(&mut self) -> Result<(), RunError> {
        let handing_over = async { while self.radios.join_next().await.is_some() {} };
        if timeout(RADIOS_STOP_WITHIN, handing_over).await.is_err() {
            tracing::warn!("a radio did not stop in time; its last packet may be lost");
        }
        self.recorder.stop();
        if self.writer.is_some() {
            ended(&mut self.writer).await?;
        }
        while let Some(ended) = self.others.join_next().await {
            let (name, result) = ended?;
            result?;
            tracing::debug!("{name} has ended");
        }
        tracing::info!("stopped: all that was answered as stored is stored");
        Ok(())
    }
}

/// Waits for the writer's end and takes note of it; for ever where it has ended before. Cancel-safe.
async fn ended(writer: &mut Option<WriterThread>) -> Result<(), RunError> {
    let Some(thread) = writer else { return std::future::pending().await };
    let end = thread.ended().await;
    *writer = None;
    Ok(end?)
}
