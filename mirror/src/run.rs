//! The process: from settings to an ordered stop.

use crate::commands::{RunningOffice, answer};
use crate::corrections;
use crate::doors;
use crate::follow::FollowSettings;
use crate::pages;
use crate::settings::{Settings, TlsSettings};
use crate::sites::{CommandFailed, OfficeMetrics, SiteFiles, Sites, WriterFailed};
use crate::verifying::Verifications;
use axum::Router;
use futures::FutureExt;
use herd::clock::{Clock, SystemClock};
use herd::randomness::{Randomness, RandomnessError, SystemRandomness};
use herd::store::{LocalError, LocalFile};
use service::control::{LOCKED_PATIENCE, LOCKED_RETRY, ListenError, answerer, listen};
use service::door::certificate::{CertificateError, Identity, IdentityFiles};
use service::door::key_command::with_key_commands;
use service::door::keys::{KeyError, KeyRing};
use service::door::reply::with_method_fallback;
use service::door::serve::{ServeError, bind, serve};
use service::door::tokens::TokenRing;
use service::lifecycle::{Exit, Shutdown, shutdown_on_signals};
use service::metrics::RequestTimes;
use service::supervisor::{Supervisor, Watchdog, attend};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// All parts together have so long to end; what has not ended by then ends with the process. A supervisor is promised
/// 5 s, and the runtime itself needs a moment.
const STOPPING: Duration = Duration::from_millis(4_500);
/// The state directory holds secrets of programs and the barns' animals.
const STATE_DIR_MODE: u32 = 0o700;

/// Why the process could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state directory cannot be made.
    #[error("making the directory {}: {source}; make it, or set `state_dir`", path.display())]
    StateDir {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The local file.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The keys of programs.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The identity.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// HTTPS.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] ListenError),
    /// The sites could not be started.
    #[error(transparent)]
    Sites(#[from] CommandFailed),
    /// A copy cannot be written any more.
    #[error("{0}. The process ends, so that a new start opens the files again")]
    Writer(#[from] WriterFailed),
    /// No random numbers.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// Signals cannot be listened to.
    #[error("listening to signals: {0}")]
    Signals(std::io::Error),
    /// A part ended that only a stop ends.
    #[error("{0} ended by itself")]
    PartEnded(&'static str),
}

impl From<&RunError> for Exit {
    fn from(error: &RunError) -> Self {
        match error {
            RunError::Local(error) => Self::from(error),
            RunError::Serve(error) => Self::from(error),
            RunError::Control(error) => Self::from(error),
            RunError::Certificate(_) => Self::Usage,
            _ => Self::Failure,
        }
    }
}

/// Runs the mirror until SIGTERM or SIGINT, or until one of its parts fails.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    let stop = shutdown_on_signals().map_err(RunError::Signals)?;
    let stopping = stop.signal();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    make_state_dir(&settings.state_dir)?;
    let local = open_local(&settings.local_file()).await?;
    let keys = Arc::new(KeyRing::load(local.clone(), clock.clone(), SystemRandomness)?);
    let tokens = Arc::new(TokenRing::load(local.clone(), keys.clone(), clock.clone(), SystemRandomness)?);
    let identity = identity(&settings.state_dir, &settings.tls)?;
    let listener = bind(settings.listen)?;

    let files = SiteFiles::new(local, &settings.state_dir);
    let (sites, mut failures) = Sites::start(files, follow_settings(&settings)?, clock.clone()).await?;

    let office = OfficeMetrics::new(sites.clone(), settings.state_dir.clone());
    let serving = serve(listener, router(&sites, office, clock, &tokens), &identity, stopping.clone())?;
    let listen_at = serving.addr;

    let verifications = Verifications::new(&settings.state_dir);
    let office = Arc::new(RunningOffice { sites: sites.clone(), listen: listen_at, verifications });
    let commands = with_key_commands(keys, answerer(move |request| answer(office.clone(), request)));
    let control = listen(&settings.control_socket(), commands, stopping.clone())?;
    let mut parts = JoinSet::new();
    parts.spawn(control.map(|()| ("the control socket", Ok(()))));
    parts.spawn(serving.wait().map(|ended| ("the HTTPS server", ended.map_err(RunError::Serve))));
    parts.spawn(identity.watch_files(stopping.clone()).map(|()| ("the watch over the certificate", Ok(()))));
    parts.spawn(attended(sites.clone(), stopping.clone()).map(|()| ("the supervisor's attendance", Ok(()))));
    tracing::info!(%listen_at, state_dir = %settings.state_dir.display(), "the office is open");

    let end = tokio::select! {
        () = stopping.requested() => Ok(()),
        Some(failure) = failures.recv() => Err(failure.into()),
        Some(part) = parts.join_next() => ended(part, stop.is_requested()),
    };
    stop.request();
    let rest = async { tokio::join!(sites.stop(), all_ended(&mut parts)) };
    if timeout(STOPPING, rest).await.is_ok() {
        tracing::info!("the office is closed");
    } else {
        tracing::warn!("not all parts ended in time: they end with the process");
    }
    end
}

/// Tells the supervisor that the pages are served, how the sites stand, and that the writers of the copies live.
async fn attended(sites: Arc<Sites>, stopping: Shutdown) {
    let status = || sites.status_line();
    let silent = |within| {
        let sites = sites.clone();
        async move { sites.silent(within).await }
    };
    attend(Supervisor::of_process(), Watchdog::of_process(), status, silent, stopping).await;
}

/// Everything that is served, each part behind its door; keys and tokens open all of them.
pub fn router(sites: &Arc<Sites>, office: OfficeMetrics, clock: Arc<dyn Clock>, tokens: &Arc<TokenRing>) -> Router {
    let times = RequestTimes::default();
    let programs = doors::tokens(tokens.clone())
        .merge(doors::remote(sites.clone(), tokens.clone()))
        .merge(doors::sync(sites.clone(), tokens.clone()))
        .merge(corrections::router(sites.clone(), tokens.clone()))
        .merge(doors::metrics(office, &times, tokens.clone()));
    let pages = doors::guarded_pages(pages::router(sites.clone(), clock), tokens.clone());
    times.measure(pages.merge(with_method_fallback(programs)))
}

/// How a part of the process ended: its name, and its error.
type PartEnd = Result<(&'static str, Result<(), RunError>), JoinError>;

/// A part that ends before the stop ends the process, whatever it says of itself.
fn ended(part: PartEnd, stopping: bool) -> Result<(), RunError> {
    match part {
        Ok((_, Err(error))) => Err(error),
        Ok((_, Ok(()))) if stopping => Ok(()),
        Ok((name, Ok(()))) => Err(RunError::PartEnded(name)),
        Err(_) => Err(RunError::PartEnded("a part that was cut by a panic")),
    }
}

async fn all_ended(parts: &mut JoinSet<(&'static str, Result<(), RunError>)>) {
    while let Some(part) = parts.join_next().await {
        if let Err(error) = ended(part, true) {
            tracing::warn!(%error, "a part did not end well");
        }
    }
}

/// A command that works on the files has them for a moment; a start that comes just then waits for it.
async fn open_local(path: &Path) -> Result<LocalFile, LocalError> {
    let begun = Instant::now();
    loop {
        match LocalFile::open(path) {
            Err(LocalError::Locked { .. }) if begun.elapsed() < LOCKED_PATIENCE => sleep(LOCKED_RETRY).await,
            opened => return opened,
        }
    }
}

pub(crate) fn make_state_dir(path: &Path) -> Result<(), RunError> {
    let made = DirBuilder::new().recursive(true).mode(STATE_DIR_MODE).create(path);
    made.map_err(|source| RunError::StateDir { path: path.into(), source })
}

fn identity(state_dir: &Path, tls: &TlsSettings) -> Result<Identity, RunError> {
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        return Ok(Identity::load(IdentityFiles { certificate: certificate.clone(), key: key.clone() })?);
    }
    let directory = state_dir.join("tls");
    make_state_dir(&directory)?;
    Ok(Identity::load_or_generate(&directory, &[])?)
}

fn follow_settings(settings: &Settings) -> Result<FollowSettings, RandomnessError> {
    let mut seed = [0; 8];
    SystemRandomness.fill(&mut seed)?;
    Ok(FollowSettings { sync_interval: settings.sync_interval.get(), seed: u64::from_le_bytes(seed) })
}
