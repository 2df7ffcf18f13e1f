//! The barn and the office of a run: started, paired, observed, and stopped in order.

use super::follower::{FollowerState, follow};
use super::run_dir::RunDir;
use super::{DemoError, Options};
use crate::processes::{Barn, BarnSettings, Client, Office, OfficeSettings, ProcessError, Programs, fetch_state};
use daemon::open::{OpenError, open_keys, open_store};
use herd::clock::SystemClock;
use herd::position::Position;
use herd::wire::Heartbeat;
use mirror::link::{Address, HttpsLink, LinkSetupError, Trust};
use radio::SimulatedSettings;
use serde_json::{Value, json};
use service::harness::{wait_until, wait_until_within};
use service::lifecycle::ShutdownTrigger;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};

/// Maximum time until the office follows the barn after its start. Longer than the harness's timeout, because an office
/// with earlier runs first copies what it has missed.
const LIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// A running barn and a running office that follows it.
pub(super) struct Deployment {
    programs: Programs,
    barn: Barn,
    office: Office,
    /// Name of the barn's radio. Each run has another name, so that the barn counts each run separately.
    pub(super) chute: String,
    /// Names of the keys of this run: one to deliver payloads, one to read.
    key_names: [String; 2],
    /// Key for programs that deliver payloads over HTTPS.
    pub(super) ingest_key: String,
    /// User of the office for this run.
    user_name: String,
    /// Address that lets this user into the office's pages, once.
    pub(super) office_link: String,
    barn_key: String,
    pub(super) barn_client: Client,
    pub(super) office_client: Client,
    /// Position of the barn at the start of the run.
    pub(super) start: Position,
    pub(super) follower: watch::Receiver<FollowerState>,
    follower_shutdown: ShutdownTrigger,
    follower_task: JoinHandle<()>,
}

/// Counts for the live line.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) heard: u64,
    pub(super) kept: u64,
    /// Latest change at the barn.
    pub(super) barn_head: u64,
}

/// Part of the message by which the office keeps its last owner.
const LAST_OWNER: &str = "is the last owner";

impl Deployment {
    /// Starts both, pairs them if they are not paired, and waits until the office follows. The simulated chute starts
    /// with the barn.
    pub(super) async fn start(programs: Programs, run_dir: &mut RunDir, options: &Options) -> Result<Self, DemoError> {
        let chute = format!("chute-{}", run_dir.run());
        let radios = radio_settings(&chute, &options.traffic(run_dir))?;
        let (barn_port, office_port) = run_dir.ports();
        let mut barn = new_barn(&programs, run_dir.path(), barn_port, radios)?;
        let mut office = new_office(&programs, run_dir.path(), office_port)?;
        let start = stopped_position(&barn)?;
        barn.start_on_any_port().await?;
        office.start_on_any_port().await?;
        pair(&barn, &office, run_dir)?;
        let key_names = ["try", "look"].map(|purpose| format!("{purpose}-{}", run_dir.run()));
        let (ingest_key, barn_key, office_key) = block_in_place(|| {
            let ingest_key = barn.key(&key_names[0], &["ingest"])?;
            let barn_key = barn.key(&key_names[1], &["sync"])?;
            Ok::<_, ProcessError>((ingest_key, barn_key, office.key(&key_names[1], &["sync"])?))
        })?;
        let user_name = format!("visitor-{}", run_dir.run());
        let office_link = block_in_place(|| office.secret(&["user", "add", &user_name, "--role", "owner"]))?;
        wait_until_live(&office).await?;
        let (barn_client, office_client) = (barn.client(&barn_key)?, office.client(&office_key)?);
        let (follower_state, follower) = watch::channel(FollowerState::new(start));
        let follower_shutdown = ShutdownTrigger::default();
        let following = follow(link_to(&office, &office_key)?, follower_state, follower_shutdown.signal());
        let follower_task = tokio::spawn(following);
        Ok(Self {
            programs,
            barn,
            office,
            chute,
            key_names,
            ingest_key,
            user_name,
            office_link,
            barn_key,
            barn_client,
            office_client,
            start,
            follower,
            follower_shutdown,
            follower_task,
        })
    }

    pub(super) fn barn(&self) -> &Barn {
        &self.barn
    }

    /// Returns the counts for the live line, or an error if a process has exited.
    pub(super) fn progress(&mut self) -> Result<Progress, DemoError> {
        self.barn.check_running()?;
        self.office.check_running()?;
        let status = block_in_place(|| self.barn.status())?;
        let totals = status.totals;
        Ok(Progress { heard: totals.payloads, kept: totals.accepted + totals.rejected, barn_head: status.sequence.0 })
    }

    /// Restarts the barn without its chute.
    ///
    /// From then on its log does not grow, the radio has written its ledger and summary, and a payload that was not
    /// durable is missing.
    pub(super) async fn close_chute(&mut self, run_dir: &mut RunDir) -> Result<(), DemoError> {
        expect_success("barn", self.barn.terminate().await?, &self.barn.log())?;
        self.barn = new_barn(&self.programs, run_dir.path(), self.barn.address().port(), String::new())?;
        self.barn.start_on_any_port().await?;
        pair(&self.barn, &self.office, run_dir)?;
        self.barn_client = self.barn.client(&self.barn_key)?;
        Ok(())
    }

    /// Returns the number of duplicates of the chute, by the counter of the barn.
    pub(super) fn duplicates(&self) -> Result<u64, DemoError> {
        let status = block_in_place(|| self.barn.status())?;
        Ok(status.duplicates.get(&self.chute).map(|duplicates| duplicates.count).unwrap_or_default())
    }

    /// Waits until the office holds what the barn holds and the follower has seen it, for at most 10 s. Returns true if
    /// the positions and both digests are equal by then.
    pub(super) async fn wait_until_equal(&self) -> Result<bool, DemoError> {
        let mut equal = false;
        let settled = wait_until("the office holds what the barn holds", async || match self.compare().await {
            Ok((stores_equal, follower_is_there)) => {
                equal = stores_equal;
                (stores_equal && follower_is_there).then_some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        });
        match settled.await {
            Ok(outcome) => outcome.map(|()| true),
            // Unequal stores are a fault of the run, which the result reports.
            Err(_timeout) => Ok(equal),
        }
    }

    /// Returns whether both stores are equal, and whether the follower has seen the latest change.
    async fn compare(&self) -> Result<(bool, bool), DemoError> {
        let (barn, office) = (fetch_state(&self.barn_client).await?, fetch_state(&self.office_client).await?);
        let essence = |state: &Heartbeat| (state.position, state.folded, state.fold_version, state.fold_digest);
        Ok((essence(&barn) == essence(&office), self.follower.borrow().position == barn.position))
    }

    /// Revokes the keys of the run, removes its user unless that is the last owner, and stops both processes, which must
    /// exit with 0.
    pub(super) async fn stop(mut self) -> Result<(), DemoError> {
        self.follower_shutdown.request();
        // An error is a panic in the follower. The lags then lack samples, and the counts are still right.
        if let Err(error) = self.follower_task.await {
            tracing::warn!(%error, "the demo's follower panicked");
        }
        block_in_place(|| {
            self.barn.run(&["key", "revoke", &self.key_names[0]])?;
            self.barn.run(&["key", "revoke", &self.key_names[1]])?;
            self.office.run(&["key", "revoke", &self.key_names[1]])?;
            match self.office.run(&["user", "remove", &self.user_name]) {
                // An office keeps its last owner: the visitor has opened the link, and may log in at the next run.
                Err(refused) if refused.to_string().contains(LAST_OWNER) => Ok(()),
                removed => removed.map(drop),
            }
        })?;
        expect_success("office", self.office.terminate().await?, &self.office.log())?;
        expect_success("barn", self.barn.terminate().await?, &self.barn.log())
    }
}

/// Gives the office the address of the barn, unless it has it. Pairing with a history that the office knows changes
/// only the address.
fn pair(barn: &Barn, office: &Office, run_dir: &mut RunDir) -> Result<(), DemoError> {
    let (barn_port, office_port) = (barn.address().port(), office.address().port());
    if !run_dir.is_paired_with(barn_port) {
        block_in_place(|| office.add(&barn.pair()?))?;
    }
    run_dir.note_pairing(barn_port, office_port)
}

fn new_barn(programs: &Programs, run_dir: &Path, port: u16, radios: String) -> Result<Barn, DemoError> {
    let settings = BarnSettings { port, site: "demo".into(), radios, ..BarnSettings::default() };
    let barn = Barn::new(programs, &run_dir.join("barn"), &settings);
    barn.map_err(|source| DemoError::System { action: "write the settings of the barn", source })
}

fn new_office(programs: &Programs, run_dir: &Path, port: u16) -> Result<Office, DemoError> {
    let settings = OfficeSettings { port, ..OfficeSettings::default() };
    let office = Office::new(programs, &run_dir.join("office"), &settings);
    office.map_err(|source| DemoError::System { action: "write the settings of the office", source })
}

fn radio_settings(chute: &str, settings: &SimulatedSettings) -> Result<String, DemoError> {
    let list = json!({"radio": [{"kind": "simulated", "name": chute, "simulated": settings}]});
    toml::to_string(&without_nulls(list)).map_err(|error| DemoError::System {
        action: "write the settings of the chute",
        source: std::io::Error::other(error),
    })
}

/// Removes null values, which TOML does not have.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Returns the position of a barn that does not run. Creates its files if they are missing.
fn stopped_position(barn: &Barn) -> Result<Position, DemoError> {
    let open = || -> Result<_, OpenError> {
        let settings = daemon::settings::Settings {
            state_dir: barn.state_dir().to_path_buf(),
            ..daemon::settings::Settings::default()
        };
        // Creates the directory.
        drop(open_keys(&settings)?);
        open_store(&settings, &SystemClock::default())
    };
    let store = block_in_place(open).map_err(|error| DemoError::Open(error.to_string()))?;
    Ok(store.head().position)
}

/// Waits until the office follows the barn live.
async fn wait_until_live(office: &Office) -> Result<(), DemoError> {
    let mut link = String::new();
    let live = wait_until_within(LIVE_TIMEOUT, "the office follows the barn", async || {
        let status = match block_in_place(|| office.status()) {
            Ok(status) => status,
            Err(error) => return Some(Err(error.into())),
        };
        let site = status.sites.first();
        link = format!("{site:?}");
        site.is_some_and(|site| site.link == "live").then_some(Ok(()))
    });
    let live = live.await;
    live.unwrap_or_else(|source| Err(DemoError::NotLive { source, link, log: office.log() }))
}

fn link_to(office: &Office, key: &str) -> Result<HttpsLink, DemoError> {
    let address: Address = office.address().to_string().parse().map_err(|_| LinkSetupError::NoAddress)?;
    Ok(HttpsLink::new(vec![address], &Trust::Pin(office.spki_sha256()?), key)?)
}

fn expect_success(name: &'static str, status: ExitStatus, log: &Path) -> Result<(), DemoError> {
    if status.success() { Ok(()) } else { Err(DemoError::UncleanExit { name, status, log: log.into() }) }
}
