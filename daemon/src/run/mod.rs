//! The running daemon: everything that it is made of, and the order in which it starts and shuts down.

mod commands;
mod core;
mod routes;

pub(crate) use commands::{check_order, log_is_complete};
pub use routes::Routes;

use self::core::{RecordingBarn, start};
use crate::closed_doors::{LocalOpensError, wait_until_local_opens};
use crate::era_moves::move_into_eras;
use crate::ingest::{Ingest, LineLimit};
use crate::liveness::LivenessCheck;
use crate::open::{BarnFiles, OpenError, pairing_source};
use crate::pairing_code::CodePairing;
use crate::recorder::WriterError;
use crate::settings::Settings;
use crate::status_line::status_line;
use crate::tap::Tap;
use commands::Commands;
use herd::clock::{Clock, SystemClock};
use herd::randomness::SystemRandomness;
use herd::store::{LocalError, Reader};
use service::backup::{BackupStates, NightlyBackups, Schedule};
use service::control::{ListenError, listen};
use service::door::pair::PairingSource;
use service::door::serve::connections::Connections;
use service::door::serve::{ServeError, bind_ahead, serve};
use service::door::tokens::TokenRing;
use service::lifecycle::{Exit, Shutdown, reopen_log_on_hangup, shutdown_on_signals};
use service::process::{PartError, Parts, SHUTDOWN_TIMEOUT, StateDir, give_back_free_memory};
use service::supervisor::{Supervisor, Watchdog, opening_reporter, report_until_shutdown};
use service::verify::VerifyJobs;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

/// Reason why the daemon could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(#[source] io::Error),
    /// The listener has no address.
    #[error("cannot read the address of the listener: {0}")]
    Address(#[source] io::Error),
    /// The files could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The tokens or the pairing code in `local.redb` could not be read.
    #[error(transparent)]
    Tokens(#[from] LocalError),
    /// The writer could not start, or ended.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// A radio could not be opened.
    #[error("cannot open the radio `{radio}`: {source}")]
    Radio {
        /// Name of the radio.
        radio: String,
        /// Error of the radio.
        #[source]
        source: radio::OpenError,
    },
    /// The control socket failed.
    #[error(transparent)]
    Control(#[from] ListenError),
    /// The HTTPS server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// `local.redb` could not be opened at the start, and can be now.
    #[error(transparent)]
    LocalOpens(#[from] LocalOpensError),
    /// A part ended without a request.
    #[error(transparent)]
    Part(#[from] PartError),
    /// The shutdown took too long.
    #[error(
        "not all parts ended within {} ms of the request; every acknowledged payload is on disk",
        SHUTDOWN_TIMEOUT.as_millis()
    )]
    ShutdownTimeout,
}

impl From<&RunError> for Exit {
    fn from(error: &RunError) -> Self {
        match error {
            RunError::Open(error) => Self::from(error),
            RunError::Control(error) => Self::from(error),
            RunError::Serve(error) => Self::from(error),
            RunError::Radio { .. } => Self::Usage,
            RunError::Tokens(error) | RunError::Writer(WriterError::Local(error)) => Self::from(error),
            // A restart opens the files again, which mends a failed commit.
            RunError::LocalOpens(_)
            | RunError::Signals(_)
            | RunError::Address(_)
            | RunError::Writer(_)
            | RunError::Part(_)
            | RunError::ShutdownTimeout => Self::Failure,
        }
    }
}

/// Returns the nightly backups, if the settings name a directory for them.
fn nightly_backups(settings: &Settings, states: BackupStates, reader: Reader) -> Option<NightlyBackups> {
    let schedule = Schedule::of_machine(settings.backup.at);
    let site = settings.site.clone();
    let stores = move || vec![(site.clone(), reader.clone())];
    NightlyBackups::new(&settings.backup, &settings.state_dir, schedule, states, stores)
}

/// Starts the chores that go on behind the commands and the server.
fn add_chores(
    parts: &mut Parts<RunError>,
    settings: &Settings,
    backups: BackupStates,
    commands: &Commands,
    shutdown: &Shutdown,
) {
    let Commands { reader, recorder, clock, identity, .. } = commands;
    let era_moves = move_into_eras(recorder.clone(), clock.clone(), shutdown.clone());
    parts.add_infallible("the moves into reader eras", era_moves);
    parts.add_infallible("the certificate watcher", identity.clone().watch_files(shutdown.clone()));
    if let Some(nightly) = nightly_backups(settings, backups, reader.clone()) {
        parts.add_infallible("the nightly backups", nightly.run(shutdown.clone()));
    }
    parts.add_infallible("the return of free memory", give_back_free_memory(shutdown.clone()));
}

/// Starts the HTTPS server over the parts that commands use as well.
fn start_server(
    parts: &mut Parts<RunError>,
    listener: TcpListener,
    settings: &Settings,
    commands: Commands,
    tokens: Arc<TokenRing>,
    shutdown: &Shutdown,
) -> Result<(), RunError> {
    let Commands { barn, reader, health, recorder, clock, pairing, identity, .. } = commands;
    let reader_group = settings.reader_group.as_str().into();
    let lines = LineLimit::default();
    let ingest = Ingest { recorder, reader, clock, reader_group, lines, shutdown: shutdown.clone() };
    let refusals = health.refusals.clone();
    let connections = Connections::observed(Arc::new(refusals.clone()));
    parts.add_infallible("the log of refused reads", refusals.report(shutdown.clone()));
    let are_keys_damaged = health.are_keys_damaged();
    let site = barn.site.clone();
    let routes = Routes { site, ingest, health, tokens, connections: connections.clone(), pairing };
    let interface = if are_keys_damaged { routes.closed() } else { routes.router() };
    let serving = serve(listener, interface, &identity, &connections, shutdown.clone())?;
    tracing::info!(address = %serving.addr, site = barn.site, store = %barn.store, "listening over HTTPS");
    parts.add("the HTTPS server", async { Ok(serving.wait().await?) });
    Ok(())
}

/// Runs the daemon until the shutdown is requested, or one of its parts ends. Needs a multi-threaded tokio runtime.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    let trigger = shutdown_on_signals().map_err(RunError::Signals)?;
    reopen_log_on_hangup().map_err(RunError::Signals)?;
    let shutdown = trigger.signal();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let supervisor = Supervisor::from_env();
    let listener = bind_ahead(settings.listen)?;
    let files = BarnFiles::open_to_run(&settings)?;
    let tap = Tap::default();
    let on_progress = opening_reporter(supervisor.clone(), shutdown.clone());
    let backups = BackupStates::new(clock.clone());
    let started = match start(&settings, &files, &clock, &tap, &backups, shutdown.clone(), on_progress).await {
        Err(RunError::Open(error)) if error.is_interrupted() => {
            tracing::info!("stopped during the start: {error}");
            return Ok(());
        }
        started => started?,
    };
    let RecordingBarn { recording, recorder, health } = started;
    let reader = health.reader.clone();
    let barn = pairing_source(&settings, &files.identity, reader.head().position.store);
    let barn = PairingSource { listen: listener.local_addr().map_err(RunError::Address)?, ..barn };
    let BarnFiles { local, keys, identity, local_may_open_later } = files;

    let tokens = Arc::new(TokenRing::load(local.clone(), keys.clone(), clock.clone(), SystemRandomness)?);
    let pairing = CodePairing::load(local.clone(), keys.clone(), identity.clone(), barn.clone(), clock.clone())?;
    let pairing = Arc::new(pairing);
    if let Some(notice) = pairing.status().notice() {
        tracing::info!("the barn {notice}");
    }
    let mut parts = Parts::new(trigger);
    parts.add_infallible("the keeper of the keys", keys.clone().keep_saved(shutdown.clone()));
    if local_may_open_later {
        let opens = wait_until_local_opens(StateDir::new(&settings.state_dir), reader.clone(), shutdown.clone());
        parts.add("the opening of local.redb", async { Ok(opens.await?) });
    }

    let liveness = LivenessCheck::new(recorder.clone(), health.radios.clone());
    let commands = Commands {
        barn,
        reader,
        local,
        keys,
        health: health.clone(),
        liveness: liveness.clone(),
        tap,
        identity,
        verify_jobs: VerifyJobs::default(),
        recorder,
        clock,
        pairing: pairing.clone(),
    };
    let socket = StateDir::new(&settings.state_dir).socket();
    parts.add_infallible("the control socket", listen(&socket, commands.clone().handler(), shutdown.clone())?);
    add_chores(&mut parts, &settings, backups, &commands, &shutdown);
    start_server(&mut parts, listener, &settings, commands, tokens, &shutdown)?;
    let status = move || status_line(&health, &pairing.status());
    let unresponsive = move |limit| liveness.clone().unresponsive(limit);
    let reports = report_until_shutdown(supervisor, Watchdog::from_env(), status, unresponsive, shutdown);
    parts.add_infallible("the supervisor", reports);

    let end = parts.run(recording).await;
    end.cause?;
    end.shutdown.unwrap_or(Err(RunError::ShutdownTimeout))?;
    tracing::info!("stopped; every acknowledged payload is on disk");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskGauge;
    use crate::test_world::World;
    use herd::decide::Rules;
    use service::backup::BackupSettings;

    /// Catches a stick that stays empty because nobody makes the backups that the settings ask for.
    #[tokio::test]
    async fn backups_are_made_if_a_directory_is_set() {
        let (world, place) = (World::new(Rules::default(), DiskGauge::plenty()), tempfile::tempdir().unwrap());
        for directory in [None, Some(place.path().join("stick"))] {
            let is_set = directory.is_some();
            let backup = BackupSettings { directory, ..BackupSettings::default() };
            let settings = Settings { state_dir: place.path().into(), backup, ..Settings::default() };
            let states = BackupStates::new(world.clock.clone());
            assert_eq!(nightly_backups(&settings, states, world.reader.clone()).is_some(), is_set);
        }
    }
}
