//! A barn, an office, and the link between them.

use super::SoakError;
use crate::processes::{Barn, BarnSettings, Client, Office, OfficeSettings, ProcessError, Programs, StoreState};
use mirror::sites::SiteSummary;
use service::harness::{HarnessError, NarrowLink, NarrowSettings};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::sleep;

/// Name of the barn at the office.
pub(super) const SITE: &str = "barn";
/// Maximum time of a command that asks the running process for something short.
pub(super) const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// Maximum time of a verification.
const VERIFY_LIMIT: Duration = Duration::from_secs(240);
/// Interval at which the progress of the office is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Settings of the barn. A sender repeats a call for minutes, and a text that is repeated later than this is a new read.
const BARN_SETTINGS: &str = "repeat_window = \"1h\"";

/// One of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Barn,
    Office,
}

impl Place {
    pub(super) const BOTH: [Self; 2] = [Self::Barn, Self::Office];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Barn => "barn",
            Self::Office => "office",
        }
    }
}

/// End of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// SIGTERM.
    Stop,
    /// SIGKILL.
    Kill,
}

/// Ids of the running processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pids([Option<u32>; 2]);

impl Pids {
    /// Returns the id of a process that runs.
    pub(super) fn of(&self, place: Place) -> Option<u32> {
        self.0[place as usize]
    }
}

/// A catch-up of the office.
#[derive(Clone, Copy, Debug)]
pub(super) struct CatchUp {
    /// Number of changes that the office lacked at its start.
    pub(super) behind: u64,
    pub(super) took: Duration,
}

/// A barn and an office with their settings. Neither has been started.
pub(super) struct NewPair {
    pub(super) barn: Barn,
    pub(super) office: Office,
}

impl NewPair {
    /// Creates the state directories in `directory`.
    pub(super) fn create(programs: &Programs, directory: &Path) -> Result<Self, SoakError> {
        let settings = BarnSettings { site: SITE.into(), more: BARN_SETTINGS.into(), ..BarnSettings::default() };
        let barn = Barn::new(programs, &directory.join("barn"), &settings);
        let barn = barn.map_err(SoakError::system("write the settings of the barn"))?;
        let office = Office::new(programs, &directory.join("office"), &OfficeSettings::default());
        Ok(Self { barn, office: office.map_err(SoakError::system("write the settings of the office"))? })
    }

    /// Starts both, and a link between them. They are not paired.
    pub(super) async fn start(self, link: NarrowSettings) -> Result<Pair, SoakError> {
        let Self { mut barn, mut office } = self;
        barn.start().await?;
        office.start().await?;
        let link = NarrowLink::open(barn.address(), link).map_err(SoakError::system("open the link"))?;
        let pair = Pair { barn, office, link, pids: watch::Sender::default(), expected_copy: None };
        pair.publish_pids();
        Ok(pair)
    }
}

/// A barn and an office that reaches it over the link alone. Dropping it kills both.
pub(super) struct Pair {
    pub(super) barn: Barn,
    pub(super) office: Office,
    pub(super) link: NarrowLink,
    pids: watch::Sender<Pids>,
    /// The copy that a resync is to end with.
    expected_copy: Option<String>,
}

impl Pair {
    /// Pairs the office with a new key of the barn, or gives it one.
    pub(super) async fn pair(&self, key: &str) -> Result<(), SoakError> {
        let line = self.barn.secret_within(COMMAND_LIMIT, &["pair", "--name", key]).await?;
        let address = self.link.address().to_string();
        self.office.run_within(COMMAND_LIMIT, &["add", &line, "--address", &address]).await?;
        Ok(())
    }

    /// Creates a key at one of the processes, and returns a client that presents it.
    pub(super) async fn client(&self, place: Place, key: &str, scope: &str) -> Result<Client, SoakError> {
        let command = ["key", "add", key, "--scope", scope];
        Ok(match place {
            Place::Barn => self.barn.client(&self.barn.secret_within(COMMAND_LIMIT, &command).await?)?,
            Place::Office => self.office.client(&self.office.secret_within(COMMAND_LIMIT, &command).await?)?,
        })
    }

    /// Runs a command at one of the processes.
    pub(super) async fn run(&self, place: Place, limit: Duration, args: &[&str]) -> Result<String, ProcessError> {
        match place {
            Place::Barn => self.barn.run_within(limit, args).await,
            Place::Office => self.office.run_within(limit, args).await,
        }
    }

    /// Starts to copy the barn again.
    pub(super) async fn resync(&mut self) -> Result<(), ProcessError> {
        let started = self.office.run_within(COMMAND_LIMIT, &["resync", SITE]).await?;
        // "Copying `barn` into copy-2; the current copy is shown until that is complete."
        let copy = started.split_whitespace().find(|word| word.starts_with("copy-"));
        self.expected_copy = copy.map(|copy| copy.trim_end_matches(';').to_owned());
        Ok(())
    }

    /// Discards the copy that a resync has started.
    pub(super) async fn cancel_resync(&mut self) -> Result<(), ProcessError> {
        self.office.run_within(COMMAND_LIMIT, &["resync", SITE, "--cancel"]).await?;
        self.expected_copy = None;
        Ok(())
    }

    /// Returns true unless a resync has not ended yet. The office says so too, but only a moment after its beginning.
    fn shows_expected_copy(&self) -> bool {
        let current = self.office.state_dir().join("sites").join(SITE).join("current");
        let is_current = |copy| std::fs::read_link(&current).is_ok_and(|link| link.ends_with(copy));
        self.expected_copy.as_ref().is_none_or(is_current)
    }

    /// Verifies the store of one of the processes, and returns the findings.
    pub(super) async fn verify(&self, place: Place) -> Result<String, ProcessError> {
        let command: &[&str] = match place {
            Place::Barn => &["verify"],
            Place::Office => &["verify", SITE],
        };
        self.run(place, VERIFY_LIMIT, command).await
    }

    /// Ends one of the processes. Returns a sentence if it did not end as it should.
    pub(super) async fn end(&mut self, place: Place, end: End) -> Result<Option<String>, SoakError> {
        self.pids.send_modify(|pids| pids.0[place as usize] = None);
        let status = match (place, end) {
            (Place::Barn, End::Stop) => Some(self.barn.terminate().await?),
            (Place::Office, End::Stop) => Some(self.office.terminate().await?),
            (Place::Barn, End::Kill) => {
                self.barn.kill();
                None
            }
            (Place::Office, End::Kill) => {
                self.office.kill();
                None
            }
        };
        let unclean = status.filter(|status| !status.success());
        Ok(unclean.map(|status| format!("the {} was stopped and exited with {status}", place.name())))
    }

    /// Stops a process and verifies its files, which must have these digests. Returns the claims that fail.
    async fn stop_and_verify(&mut self, place: Place, state: &StoreState) -> Result<Vec<String>, SoakError> {
        let mut faults: Vec<_> = self.end(place, End::Stop).await?.into_iter().collect();
        let report = self.verify(place).await?;
        let digests = [state.position.digest, state.fold_digest];
        if !digests.iter().all(|digest| report.contains(&digest.to_string())) {
            faults.push(format!("the files of the {} have other digests than {digests:?}: {report}", place.name()));
        }
        Ok(faults)
    }

    /// Waits until both ends are equal, stops both and verifies their files. Returns the claims that fail.
    pub(super) async fn judge(&mut self, within: Duration) -> Vec<String> {
        let state = match self.wait_until_equal(within).await {
            Ok(state) => state,
            Err(error) => return vec![format!("the office did not become equal: {error}")],
        };
        let mut faults = Vec::new();
        for place in [Place::Office, Place::Barn] {
            let verified = self.stop_and_verify(place, &state).await;
            let failed = |error| vec![format!("the {} could not be verified: {error}", place.name())];
            faults.extend(verified.unwrap_or_else(failed));
        }
        faults
    }

    /// Starts one of the processes again.
    pub(super) async fn start(&mut self, place: Place) -> Result<(), SoakError> {
        match place {
            Place::Barn => self.barn.start().await?,
            Place::Office => self.office.start().await?,
        }
        self.publish_pids();
        Ok(())
    }

    fn publish_pids(&self) {
        self.pids.send_replace(Pids([self.barn.pid(), self.office.pid()]));
    }

    /// Returns the ids of the running processes, now and later.
    pub(super) fn pids(&self) -> watch::Receiver<Pids> {
        self.pids.subscribe()
    }

    /// Returns the state of the barn's store.
    pub(super) fn barn_state(&self) -> Result<StoreState, SoakError> {
        Ok(block_in_place(|| self.barn.store_state())?)
    }

    /// Returns the state of the site at the office. A site that does not follow the barn, or not rightly, is an error.
    pub(super) fn site(&self) -> Result<Option<SiteSummary>, SoakError> {
        let Some(site) = block_in_place(|| self.office.site())? else { return Ok(None) };
        let differs = (site.digest_equal == Some(false)).then(|| "the digests of the tables differ".to_owned());
        match site.stopped_because.clone().or(site.blocked.clone()).or(differs) {
            Some(why) => Err(SoakError::Stopped(why)),
            None => Ok(Some(site)),
        }
    }

    /// Waits until the office shows every change that the barn has now, and no new copy is under way. Shows each state of
    /// the office to `look`. Returns `None` if that takes longer than `within`.
    pub(super) async fn catch_up(
        &mut self,
        within: Duration,
        mut look: impl FnMut(&Progress),
    ) -> Result<Option<CatchUp>, SoakError> {
        let (start, barn) = (Instant::now(), self.barn_state()?);
        let mut behind = None;
        loop {
            self.barn.check_running()?;
            self.office.check_running()?;
            let site = self.site()?;
            let progress = Progress::new(&barn, site.as_ref(), start.elapsed());
            look(&progress);
            // An office that has just started does not show its copy yet.
            behind = behind.or(progress.shown.map(|shown| progress.of.saturating_sub(shown)));
            if progress.is_complete() && self.shows_expected_copy() {
                let behind = behind.unwrap_or(progress.of);
                return Ok(Some(CatchUp { behind, took: progress.elapsed }));
            }
            if progress.elapsed > within {
                return Ok(None);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until both stores have equal positions and digests. Nothing may arrive at the barn meanwhile.
    pub(super) async fn wait_until_equal(&mut self, within: Duration) -> Result<StoreState, SoakError> {
        let start = Instant::now();
        loop {
            let (barn, site) = (self.barn_state()?, self.site()?);
            let is_copying = site.as_ref().is_some_and(|site| site.copied.is_some());
            let office = site.as_ref().and_then(StoreState::of_site);
            if office == Some(barn) && !is_copying {
                return Ok(barn);
            }
            if start.elapsed() > within {
                let what = format!("the office equals the barn: the office is at {office:?}, the barn at {barn:?}");
                return Err(HarnessError::Timeout { what, after: within }.into());
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}

/// Progress of a catch-up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Last change of the barn when the catch-up began.
    pub(super) of: u64,
    /// Last change that the office shows; `None` while it shows no copy.
    pub(super) shown: Option<u64>,
    /// Number of changes in the copy that is being made, if there is one.
    pub(super) copied: Option<u64>,
    pub(super) elapsed: Duration,
}

impl Progress {
    fn new(barn: &StoreState, site: Option<&SiteSummary>, elapsed: Duration) -> Self {
        let shown = site.and_then(StoreState::of_site).map(|state| state.folded.0);
        let copied = site.and_then(|site| site.copied).map(|(copied, _)| copied);
        Self { of: barn.position.sequence.0, shown, copied, elapsed }
    }

    fn is_complete(&self) -> bool {
        self.shown >= Some(self.of) && self.copied.is_none()
    }
}
