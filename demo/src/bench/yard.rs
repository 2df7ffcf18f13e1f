//! A barn and an office as processes, with the observations that the bench needs.

use super::{BenchError, Budget, store};
use crate::processes::{Barn, BarnSettings, Client, Office, OfficeSettings, Programs, StoreState};
use herd::position::Sequence;
use std::path::Path;
use std::time::{Duration, Instant};

/// Interval at which the progress of a copy is polled. It is the error of the measured duration, and therefore shorter
/// than the interval of the harness.
pub const COPY_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A barn and its office.
#[derive(Debug)]
pub struct Yard {
    /// The barn, which is the source.
    pub barn: Barn,
    /// The office, which holds the replica.
    pub office: Office,
}

impl Yard {
    /// Creates both in `directory`. Starts nothing.
    pub fn new(programs: &Programs, directory: &Path) -> Result<Self, BenchError> {
        let barn = Barn::new(programs, &directory.join("barn"), &BarnSettings::default())?;
        let office = Office::new(programs, &directory.join("office"), &OfficeSettings::default())?;
        Ok(Self { barn, office })
    }

    /// Starts both, pairs them, and waits until the office equals the barn.
    pub async fn start_paired(&mut self, budget: Budget) -> Result<(), BenchError> {
        self.barn.start().await?;
        self.office.start().await?;
        self.office.add(&self.barn.pair()?)?;
        self.wait_until_equal(budget).await?;
        Ok(())
    }

    /// Waits until the office shows every change that the barn has now, and returns the time of that. Both digests must
    /// be equal then.
    pub async fn wait_until_equal(&mut self, budget: Budget) -> Result<Instant, BenchError> {
        let barn = self.barn.store_state()?;
        loop {
            let office = self.office_state()?;
            let now = Instant::now();
            if let Some(office) = office.filter(|office| office.folded >= barn.folded) {
                anyhow::ensure!(office == barn, "the office is at {office:?}, the barn at {barn:?}");
                return Ok(now);
            }
            self.office.check_running()?;
            if budget.is_spent() {
                return Err(CopyTimeoutError { office: office.map(|office| office.folded), barn: barn.folded }.into());
            }
            tokio::time::sleep(COPY_POLL_INTERVAL).await;
        }
    }

    /// Waits until the office shows its copy, and returns the time of that. It answers before it has opened the copy.
    pub async fn wait_until_shown(&mut self, budget: Budget) -> Result<Instant, BenchError> {
        while self.office_state()?.is_none() {
            self.office.check_running()?;
            anyhow::ensure!(!budget.is_spent(), "the office did not show its copy in the time of this part");
            tokio::time::sleep(COPY_POLL_INTERVAL).await;
        }
        Ok(Instant::now())
    }

    /// Returns the state of the copy that the office shows, or `None` before the first copy is complete.
    pub fn office_state(&self) -> Result<Option<StoreState>, BenchError> {
        let Some(site) = self.office.site()? else { return Ok(None) };
        if let Some(why) = &site.stopped_because {
            anyhow::bail!("the office has stopped following the barn: {why}");
        }
        Ok(StoreState::of_site(&site))
    }

    /// Returns a client that may post payloads to the barn.
    pub fn poster(&self) -> Result<Client, BenchError> {
        Ok(self.barn.client(&self.barn.key("bench", &["ingest"])?)?)
    }
}

/// Appends payloads to the store of a barn that does not run, until the budget is spent.
pub fn fill(
    barn: &Barn,
    payloads: impl IntoIterator<Item = Vec<u8>>,
    budget: Budget,
) -> Result<store::Fill, BenchError> {
    store::fill(&mut store::source(barn.state_dir())?, payloads, budget)
}

/// A copy was not complete within the budget of its part. This is a figure of a slow machine, not a failure.
#[derive(Debug, thiserror::Error)]
#[error("too slow for the time of this part: the office {}, the barn is at change {barn}", describe(*.office))]
pub struct CopyTimeoutError {
    /// Latest change in the office's tables.
    office: Option<Sequence>,
    /// Latest change in the barn's tables.
    barn: Sequence,
}

/// Describes the progress of the office, which shows a first copy only once it is complete.
fn describe(office: Option<Sequence>) -> String {
    office.map_or("shows no complete copy yet".to_owned(), |folded| format!("is at change {folded}"))
}
