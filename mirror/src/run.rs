//! The running mirror: everything that it is made of, and the order in which it starts and shuts down.

use crate::commands::Commands;
use crate::corrections;
use crate::doors;
use crate::follow::FollowSettings;
use crate::pages::{self, Browsers, Conventions};
use crate::people::{People, PeopleError, command as user_command};
use crate::settings::Settings;
use crate::sites::{FollowerError, HISTORY, OfficeIdentity, OfficeMetrics, SiteCommandError, SiteFiles, Sites};
use axum::Router;
use herd::clock::{Clock, SystemClock};
use herd::pairing::{Fingerprint, MAX_OFFICE_NAME_CHARS};
use herd::randomness::{Randomness, RandomnessError, SystemRandomness};
use herd::store::LocalError;
use service::backup::{ClockTrust, NightlyBackups, Schedule};
use service::control::{ListenError, listen};
use service::door::auth::KeylessGuard;
use service::door::certificate::{Identity, host_name};
use service::door::keys::{KeyError, KeyRing};
use service::door::reply::with_method_fallback;
use service::door::serve::connections::Connections;
use service::door::serve::{ServeError, bind, serve};
use service::door::tokens::TokenRing;
use service::lifecycle::{Exit, Shutdown, reopen_log_on_hangup, shutdown_on_signals};
use service::metrics::RequestTimes;
use service::process::{Core, PartError, Parts, StateDir, StateDirError, give_back_free_memory, own_addresses};
use service::supervisor::{Supervisor, Watchdog, report_until_shutdown};
use service::verify::VerifyJobs;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Message for callers on other machines while there is no key.
const NO_KEYS: &str = "this office has no API key, so it answers no program: on its machine, run \
    `sudo herdlinx-mirror key add NAME --scope read`";

/// Reason why the mirror could not start, or ended without a request.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state directory or the certificate cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The API keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The HTTPS server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The control socket failed.
    #[error(transparent)]
    Control(#[from] ListenError),
    /// The sites could not be started.
    #[error(transparent)]
    Sites(#[from] SiteCommandError),
    /// A site can no longer be followed.
    #[error("{0}. The process ends, so that a restart opens the files again")]
    Follower(#[from] FollowerError),
    /// The users cannot be loaded.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// The system has no random numbers.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
    /// A part ended without a request.
    #[error(transparent)]
    Part(#[from] PartError),
}

impl From<&RunError> for Exit {
    fn from(error: &RunError) -> Self {
        match error {
            RunError::StateDir(error) => Self::from(error),
            RunError::Local(error) => Self::from(error),
            RunError::People(error) => Self::from(error),
            RunError::Serve(error) => Self::from(error),
            RunError::Control(error) => Self::from(error),
            _ => Self::Failure,
        }
    }
}

/// The sites, and the first failure of one.
struct Replication {
    sites: Arc<Sites>,
    failures: mpsc::Receiver<FollowerError>,
}

impl Core for Replication {
    type Error = RunError;

    async fn failed(&mut self) -> RunError {
        match self.failures.recv().await {
            Some(failure) => failure.into(),
            // Never closed: the sites hold a sender.
            None => std::future::pending().await,
        }
    }

    async fn shut_down(self) -> Result<(), RunError> {
        self.sites.shut_down().await;
        Ok(())
    }
}

/// Runs the mirror until a shutdown is requested or one of its parts ends. Requires a multi-threaded tokio runtime.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    let trigger = shutdown_on_signals().map_err(RunError::Signals)?;
    reopen_log_on_hangup().map_err(RunError::Signals)?;
    let shutdown = trigger.signal();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let directory = StateDir::new(&settings.state_dir);
    directory.create()?;
    let local = directory.wait_for_local(&HISTORY).await?;
    let keys = Arc::new(KeyRing::load(local.clone(), clock.clone(), SystemRandomness)?);
    let tokens = Arc::new(TokenRing::load(local.clone(), keys.clone(), clock.clone(), SystemRandomness)?);
    let people = Arc::new(People::load(local.clone(), clock.clone(), SystemRandomness)?);
    let identity = directory.identity(&settings.tls)?;
    identity.renew_or_warn(&own_addresses(), clock.read().received_at_us);
    let listener = bind(settings.listen)?;
    let port = listener.local_addr().map_or(settings.listen.port(), |address| address.port());
    let browsers = Browsers::new(people.clone(), port);

    let files = SiteFiles::new(local, &settings.state_dir);
    let (sites, failures) = Sites::start(files, follow_settings(&settings)?, clock.clone()).await?;

    sites.start_searches(office_identity(&identity)).await?;

    let office = OfficeMetrics::new(sites.clone(), settings.state_dir.clone());
    let connections = Connections::default();
    let conventions = Conventions { weight_unit: settings.weight_unit, zone: settings.time_zone.clone() };
    let commands = Arc::new(Commands {
        sites: sites.clone(),
        keys,
        people: people.clone(),
        listen: SocketAddr::new(settings.listen.ip(), port),
        identity: identity.clone(),
        verify_jobs: VerifyJobs::default(),
    });
    let router = router(&commands, office, clock.clone(), conventions, &tokens, &browsers, &connections);
    let serving = serve(listener, router, &identity, &connections, shutdown.clone())?;
    let listen_at = serving.addr;
    invite_first_owner(&people, listen_at)?;
    let mut parts = Parts::new(trigger);
    parts.add_infallible("the control socket", listen(&directory.socket(), commands.handler(), shutdown.clone())?);
    parts.add("the HTTPS server", async { serving.wait().await.map_err(RunError::Serve) });
    parts.add_infallible("the certificate watcher", identity.clone().watch_files(shutdown.clone()));
    parts.add_infallible(
        "the renewal of the certificate",
        identity.keep_renewed(own_addresses(), clock, shutdown.clone()),
    );
    parts.add_infallible("the return of free memory", give_back_free_memory(shutdown.clone()));
    parts.add_infallible("the keeper of the keys", tokens.keys().clone().keep_saved(shutdown.clone()));
    parts.add_infallible("the keeper of the sessions", people.keep_swept(shutdown.clone()));
    if let Some(nightly) = nightly_backups(&settings, &sites) {
        parts.add_infallible("the nightly backups", nightly.run(shutdown.clone()));
    }
    parts.add_infallible("the supervisor", report(sites.clone(), shutdown));
    let time_zone = settings.time_zone.name();
    tracing::info!(%listen_at, state_dir = %settings.state_dir.display(), time_zone, "office ready");

    let end = parts.run(Replication { sites, failures }).await;
    match end.shutdown {
        Some(Ok(())) => tracing::info!("office stopped"),
        Some(Err(error)) => tracing::warn!(%error, "office stopped; a part failed to shut down cleanly"),
        None => tracing::warn!("not all parts shut down in time; they end with the process"),
    }
    end.cause
}

/// Returns the nightly backups, if the settings name a directory for them.
fn nightly_backups(settings: &Settings, sites: &Arc<Sites>) -> Option<NightlyBackups> {
    let schedule = Schedule::new(settings.backup.at, settings.time_zone.time_zone(), ClockTrust::AnySet);
    let (states, stores) = (sites.backups().clone(), sites.clone());
    NightlyBackups::new(&settings.backup, &settings.state_dir, schedule, states, move || stores.readable())
}

/// Reports readiness, the state of the sites and the liveness of the copies' writers to the supervisor.
async fn report(sites: Arc<Sites>, shutdown: Shutdown) {
    let status = || sites.status_line();
    let silent = |within| {
        let sites = sites.clone();
        async move { sites.find_silent_writers(within).await }
    };
    report_until_shutdown(Supervisor::from_env(), Watchdog::from_env(), status, silent, shutdown).await;
}

/// Prints the link by which the first owner gets in, if there is no user yet.
fn invite_first_owner(people: &People, listen: SocketAddr) -> Result<(), PeopleError> {
    if let Some(code) = people.first_owner()? {
        let link = user_command::link(&pages_address(listen), code.reveal());
        tracing::info!(
            "the office has no users yet: to become the first owner, open {link} (it works until the next start)"
        );
    }
    Ok(())
}

/// Returns the router of all that is served, each part behind the key scope that it needs.
pub fn router(
    commands: &Arc<Commands>,
    office: OfficeMetrics,
    clock: Arc<dyn Clock>,
    conventions: Conventions,
    tokens: &Arc<TokenRing>,
    browsers: &Browsers,
    connections: &Connections,
) -> Router {
    let (times, sites) = (RequestTimes::default(), &commands.sites);
    let forwarder = corrections::Forwarder::new(sites.clone());
    let interfaces = doors::tokens(tokens.clone())
        .merge(doors::remote(sites.clone(), tokens.clone()))
        .merge(doors::events(sites.clone(), tokens.clone(), browsers.clone()))
        .merge(doors::sync(sites.clone(), tokens.clone()))
        .merge(corrections::router(forwarder.clone(), tokens.clone()))
        .merge(doors::metrics(office, &times, connections, tokens.clone()));
    let forms = pages::correction_routes(
        sites.clone(),
        clock.clone(),
        conventions.clone(),
        browsers.clone(),
        Arc::new(forwarder),
    );
    let owners =
        pages::owner_routes(sites.clone(), clock.clone(), conventions.clone(), browsers.clone(), commands.handler());
    let pages = doors::guarded_pages(
        pages::router(sites.clone(), clock, conventions, browsers),
        tokens.clone(),
        browsers.clone(),
    );
    let of_users = browsers.clone();
    let keyless = KeylessGuard::new(tokens.keys().clone(), NO_KEYS)
        .unless(move |request| doors::is_of_users_page(request, &of_users));
    let health = with_method_fallback(doors::health(sites.clone(), tokens.keys().clone()));
    // The pages have a guard of their own, by which a browser finds the log-in.
    let served = keyless.protect(with_method_fallback(interfaces)).merge(pages);
    times.measure(
        served
            .merge(health)
            .merge(pages::login_routes(browsers.clone()))
            .merge(forms)
            .merge(owners)
            .merge(pages::users_routes(browsers.clone(), tokens.keys().clone())),
    )
}

/// Returns host and port under which browsers open the pages: this machine's name, unless it listens to itself only.
pub(crate) fn pages_address(listen: SocketAddr) -> String {
    pages_address_of(host_name(), listen)
}

fn pages_address_of(host: Option<String>, listen: SocketAddr) -> String {
    let host = host.filter(|_| !listen.ip().is_loopback());
    format!("{}:{}", host.as_deref().unwrap_or("localhost"), listen.port())
}

/// Returns the identity by which this office introduces itself to prepared barns.
fn office_identity(identity: &Identity) -> OfficeIdentity {
    // The barn shows the name in its list of keys. Without one, the fingerprint tells the office apart.
    let label = host_name().unwrap_or_default();
    let name: String =
        label.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(MAX_OFFICE_NAME_CHARS).collect();
    let name = if name.is_empty() { "office".to_owned() } else { name };
    OfficeIdentity { fingerprint: Fingerprint(identity.spki_sha256()), name }
}

fn follow_settings(settings: &Settings) -> Result<FollowSettings, RandomnessError> {
    let mut seed = [0; 8];
    SystemRandomness.fill(&mut seed)?;
    Ok(FollowSettings { sync_interval: settings.sync_interval.get(), seed: u64::from_le_bytes(seed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a link that opens on no other machine, and one to a name at which this office does not listen.
    #[test]
    fn links_have_the_name_of_the_machine_unless_it_listens_to_itself_only() {
        let at = |host: Option<&str>, listen: &str| pages_address_of(host.map(str::to_owned), listen.parse().unwrap());
        for (host, listen, address) in [
            (Some("office"), "0.0.0.0:5000", "office:5000"),
            (Some("office"), "127.0.0.1:5000", "localhost:5000"),
            (Some("office"), "[::1]:5001", "localhost:5001"),
            (None, "0.0.0.0:5000", "localhost:5000"),
        ] {
            assert_eq!(at(host, listen), address);
        }
    }

    /// Catches a name that a barn refuses, and two offices that a barn cannot tell apart.
    #[test]
    fn an_office_introduces_itself_by_its_key_and_a_name_that_a_barn_takes() {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_generate(directory.path(), &[]).unwrap();
        let office = office_identity(&identity);
        assert_eq!(office.fingerprint, Fingerprint(identity.spki_sha256()));
        let chars = office.name.chars().count();
        assert!((1..=MAX_OFFICE_NAME_CHARS).contains(&chars), "{}", office.name);
        assert!(office.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{}", office.name);
    }
}
