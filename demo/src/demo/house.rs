//! The barn and the office of a run: started, paired, looked at, and stopped in order.

use super::follower::{Seen, follow};
use super::held::standing;
use super::place::Place;
use super::{Failure, Options};
use crate::processes::{Barn, BarnSettings, Client, Office, OfficeSettings, ProcessError, Programs};
use daemon::open::BarnFiles;
use herd::clock::SystemClock;
use herd::position::Position;
use mirror::link::{Address, HttpsLink, Trust};
use radio::SimulatedSettings;
use serde_json::{Value, json};
use service::lifecycle::ShutdownTrigger;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{Instant, sleep};

/// The office must follow the barn within this time of its start.
const LIVE_WITHIN: Duration = Duration::from_secs(30);
/// At the end, the office must hold what the barn holds within this time.
const EQUAL_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A running barn and a running office that follows it.
pub(super) struct House {
    programs: Programs,
    barn: Barn,
    office: Office,
    /// The barn's radio; a name of its own for each run, so that the barn's counts of it are of this run alone.
    pub(super) chute: String,
    keys: [String; 2],
    /// Of programs that deliver payloads over HTTPS.
    pub(super) ingest_key: String,
    barn_key: String,
    pub(super) at_barn: Client,
    pub(super) at_office: Client,
    /// Where the barn stood when the run began.
    pub(super) begin: Position,
    pub(super) seen: watch::Receiver<Seen>,
    stop_following: ShutdownTrigger,
    following: JoinHandle<()>,
}

/// What the live line shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) heard: u64,
    pub(super) kept: u64,
    /// The last change that the barn holds.
    pub(super) barn_head: u64,
}

impl House {
    /// Starts both, pairs them if they are not, and waits until the office follows. The chute begins at once.
    pub(super) async fn open(programs: Programs, place: &mut Place, options: &Options) -> Result<Self, Failure> {
        let chute = format!("chute-{}", place.run());
        let radios = radios(&chute, &options.traffic(place))?;
        let (barn_port, office_port) = place.ports();
        let mut barn = barn(&programs, place.path(), barn_port, radios)?;
        let settings = OfficeSettings { port: office_port, ..OfficeSettings::default() };
        let made = Office::new(&programs, &place.path().join("office"), &settings);
        let mut office = made.map_err(|source| Failure::System { doing: "writing the office's settings", source })?;
        let begin = head_of(&barn)?;
        barn.start_on_any_port().await?;
        office.start_on_any_port().await?;
        pair(&barn, &office, place)?;
        let keys = ["try", "look"].map(|what| format!("{what}-{}", place.run()));
        let (ingest_key, barn_key, office_key) = block_in_place(|| {
            let ingest_key = barn.key(&keys[0], &["ingest"])?;
            Ok::<_, ProcessError>((ingest_key, barn.key(&keys[1], &["sync"])?, office.key(&keys[1], &["sync"])?))
        })?;
        follows(&office).await?;
        let (at_barn, at_office) = (barn.client(&barn_key)?, office.client(&office_key)?);
        let (seeing, seen) = watch::channel(Seen::nothing(begin));
        let stop_following = ShutdownTrigger::default();
        let stopping = stop_following.signal();
        let following = tokio::spawn(follow(link(&office, &office_key)?, seeing, stopping));
        Ok(Self {
            programs,
            barn,
            office,
            chute,
            keys,
            ingest_key,
            barn_key,
            at_barn,
            at_office,
            begin,
            seen,
            stop_following,
            following,
        })
    }

    pub(super) fn barn(&self) -> &Barn {
        &self.barn
    }

    pub(super) fn office(&self) -> &Office {
        &self.office
    }

    /// Fails if one of them has ended.
    pub(super) fn look(&mut self) -> Result<Look, Failure> {
        self.barn.check_running()?;
        self.office.check_running()?;
        let status = block_in_place(|| self.barn.status())?;
        let totals = status.totals;
        Ok(Look { heard: totals.payloads, kept: totals.accepted + totals.rejected, barn_head: status.sequence.0 })
    }

    /// Stops the barn, and starts it again without its chute. From then on its log grows no more, the radio's account
    /// and its counts are written down, and what was not durable would be missing.
    pub(super) async fn close_chute(&mut self, place: &mut Place) -> Result<(), Failure> {
        good_end("barn", self.barn.terminate().await?, &self.barn.log())?;
        self.barn = barn(&self.programs, place.path(), self.barn.address().port(), String::new())?;
        self.barn.start_on_any_port().await?;
        pair(&self.barn, &self.office, place)?;
        self.at_barn = self.barn.client(&self.barn_key)?;
        Ok(())
    }

    /// Duplicates of the chute, by the barn's own counter.
    pub(super) fn duplicates(&self) -> Result<u64, Failure> {
        let status = block_in_place(|| self.barn.status())?;
        Ok(status.duplicates.get(&self.chute).map(|duplicates| duplicates.count).unwrap_or_default())
    }

    /// Waits until the office holds what the barn holds and the follower has seen it. Whether both digests became
    /// equal.
    pub(super) async fn settle(&self) -> Result<bool, Failure> {
        let deadline = Instant::now() + EQUAL_WITHIN;
        loop {
            let (barn, office) = (standing(&self.at_barn).await?, standing(&self.at_office).await?);
            let whole = |at: &herd::wire::Heartbeat| (at.position, at.folded, at.fold_version, at.fold_digest);
            let equal = whole(&barn) == whole(&office);
            let seen = self.seen.borrow().at == barn.position;
            if (equal && seen) || Instant::now() >= deadline {
                return Ok(equal);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Takes the keys of the run away and stops both, which must end well.
    pub(super) async fn close(mut self) -> Result<(), Failure> {
        self.stop_following.request();
        // It ends at once, or has panicked; then its samples are missing in the result.
        if let Err(error) = self.following.await {
            tracing::warn!(%error, "the demo's own follower did not end well");
        }
        block_in_place(|| {
            self.barn.run(&["key", "revoke", &self.keys[0]])?;
            self.barn.run(&["key", "revoke", &self.keys[1]])?;
            self.office.run(&["key", "revoke", &self.keys[1]])
        })?;
        good_end("office", self.office.terminate().await?, &self.office.log())?;
        good_end("barn", self.barn.terminate().await?, &self.barn.log())
    }
}

/// Tells the office where the barn is, if it was not told yet. A history that it knows is one pairing, not two.
fn pair(barn: &Barn, office: &Office, place: &mut Place) -> Result<(), Failure> {
    let (barn_port, office_port) = (barn.address().port(), office.address().port());
    if !place.is_paired_with(barn_port) {
        block_in_place(|| office.add(&barn.pair()?))?;
    }
    place.note_paired(barn_port, office_port)
}

fn barn(programs: &Programs, state_dir: &Path, port: u16, radios: String) -> Result<Barn, Failure> {
    let settings = BarnSettings { port, site: "demo".into(), radios, ..BarnSettings::default() };
    let made = Barn::new(programs, &state_dir.join("barn"), &settings);
    made.map_err(|source| Failure::System { doing: "writing the barn's settings", source })
}

fn radios(chute: &str, settings: &SimulatedSettings) -> Result<String, Failure> {
    let list = json!({"radio": [{"kind": "simulated", "name": chute, "simulated": settings}]});
    toml::to_string(&without_nulls(list)).map_err(|error| Failure::System {
        doing: "writing the chute's settings",
        source: std::io::Error::other(error),
    })
}

/// TOML has no word for what is not there.
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

/// Where a barn that does not run stands; makes its files if they are not there.
fn head_of(barn: &Barn) -> Result<Position, Failure> {
    let open = || {
        let settings = daemon::settings::Settings {
            state_dir: barn.state_dir().to_path_buf(),
            ..daemon::settings::Settings::default()
        };
        BarnFiles::open(&settings, &SystemClock::default())
    };
    let opened = block_in_place(open).map_err(|error| Failure::Open(error.to_string()))?;
    Ok(opened.store.head().position)
}

/// Waits until the office follows the barn live.
async fn follows(office: &Office) -> Result<(), Failure> {
    let deadline = Instant::now() + LIVE_WITHIN;
    loop {
        let status = block_in_place(|| office.status())?;
        let site = status.sites.first();
        if site.is_some_and(|site| site.link == "live") {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let why = format!(": it says {site:?}; look at the end of {}", office.log().display());
            return Err(Failure::Late { what: "the office to follow the barn", after: LIVE_WITHIN, why });
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn link(office: &Office, key: &str) -> Result<HttpsLink, Failure> {
    let address: Address = office.address().to_string().parse().map_err(|_| mirror::link::LinkSetupError::NoAddress)?;
    Ok(HttpsLink::new(vec![address], &Trust::Pin(office.spki_sha256()?), key)?)
}

fn good_end(what: &'static str, status: ExitStatus, log: &Path) -> Result<(), Failure> {
    if status.success() { Ok(()) } else { Err(Failure::BadEnd { what, status, log: log.into() }) }
}
