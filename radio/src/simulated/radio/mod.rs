//! The simulated radio: a plan, the driver on its chip, and the account of both.

use super::account::Account;
use super::ledger::{Ledger, LedgerFile};
use super::script::Script;
use super::traffic::Traffic;
use super::yard::{MODULATION, Plan};
use crate::emulator::Pace;
use crate::radio_error::{AccountError, LedgerError, StartError};
use crate::sx127x::Sx127x;
use crate::{Counters, Health, HealthReporter, Packet, Radio, RadioError, SettingsError};
use std::path::Path;
use tokio::sync::watch;

/// A radio driven by a script or a seed. See the [module](crate::simulated).
#[derive(Debug)]
pub struct Simulated {
    plan: Plan,
    pace: Pace,
    /// `None` until the first `receive`.
    run: Option<Box<Run>>,
    /// Packet that the driver delivered and `receive` has not returned. It stays here while the ledger cannot be
    /// written.
    pending: Option<Packet>,
    end: End,
    counters: Counters,
    health: HealthReporter,
    ledger: Ledger,
    file: Option<LedgerFile>,
}

/// A running driver with its chip and its account.
#[derive(Debug)]
struct Run {
    driver: Sx127x,
    account: Account,
    ended: watch::Receiver<bool>,
}

/// State of the simulation's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Packets may still come.
    Open,
    /// Every transmission is settled, and the summary is written.
    Closed,
    /// The chip received other packets than the driver delivered.
    Unaccounted(AccountError),
}

impl Simulated {
    /// Creates a radio that plays a script as written, without losses. It ends with the script.
    pub fn from_script(script: Script) -> Self {
        Self::new(Plan::Script(script))
    }

    /// Creates a radio that generates traffic, until its `count` or `seconds` are reached.
    pub fn from_traffic(traffic: Traffic) -> Result<Self, SettingsError> {
        traffic.validate()?;
        Ok(Self::new(Plan::Traffic(traffic)))
    }

    fn new(plan: Plan) -> Self {
        Self {
            pace: plan.pace(),
            plan,
            run: None,
            pending: None,
            end: End::Open,
            counters: Counters::default(),
            health: HealthReporter::default(),
            ledger: Ledger::default(),
            file: None,
        }
    }

    /// Sets the pace of the air's clock. With [`Pace::Free`] hours pass in moments, and the same packets are received.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Records every payload in the file at `path`, as one line of hex, before it is delivered.
    ///
    /// At the end, or if the radio is dropped earlier, the counts are written to [`summary_path`]. An existing file is
    /// continued, but the counts are those of this radio alone. After [`RadioError::Unaccounted`] the counts cannot be
    /// trusted and are not written.
    ///
    /// If the process is killed in between, a line may lack its delivery. A delivery never lacks its line.
    ///
    /// The file is written on the thread that polls `receive`, one line at a time.
    ///
    /// [`summary_path`]: super::summary_path
    pub fn with_ledger(mut self, path: &Path) -> Result<Self, LedgerError> {
        self.file = Some(LedgerFile::open(path)?);
        Ok(self)
    }

    /// Returns a handle to the counts of this radio, which can be read at any time.
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Starts the air, and the driver on it.
    fn start(&self) -> Result<Run, StartError> {
        let account = Account::new(self.plan.open(self.pace), self.ledger.clone());
        let reports = (self.counters.clone(), self.health.clone());
        let driver = Sx127x::start_reporting_to("simulated", account.board(), MODULATION, reports)?;
        Ok(Run { driver, ended: account.ended(), account })
    }

    /// Records the pending packet, counts it and returns it. Returns `None` if there is none.
    ///
    /// Does not await, so no dropped future can stop it halfway. After an error the packet stays pending and uncounted.
    fn take_pending(&mut self) -> Result<Option<Packet>, LedgerError> {
        if let (Some(packet), Some(file)) = (&self.pending, &mut self.file) {
            file.append(&packet.bytes)?;
        }
        let packet = self.pending.take();
        if packet.is_some() {
            self.counters.count_received();
            self.ledger.count_heard();
        }
        Ok(packet)
    }

    /// Closes the account and returns the error that `receive` ends with.
    ///
    /// If the summary cannot be written, the simulation stays open, so that the next call tries again.
    fn close(&mut self) -> RadioError {
        if let Some(Err(error)) = self.run.as_ref().map(|run| run.account.check()) {
            self.end = End::Unaccounted(error);
            return error.into();
        }
        match self.write_summary() {
            Ok(()) => {
                self.end = End::Closed;
                RadioError::Closed
            }
            Err(error) => error.into(),
        }
    }

    fn write_summary(&self) -> Result<(), LedgerError> {
        self.file.as_ref().map_or(Ok(()), |file| self.ledger.write_summary(&file.summary_path()))
    }
}

impl Run {
    /// Waits for the next packet that the driver delivers. Returns `None` at the end of the plan. Cancel-safe.
    async fn next(&mut self) -> Result<Option<Packet>, RadioError> {
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        let packet = tokio::select! {
            biased;
            packet = driver.next_uncounted() => Some(packet?),
            _ = ended.wait_for(|ended| *ended) => None,
        };
        // The last packet is delivered before the end is signaled, so both may have happened after the driver was
        // polled.
        let packet = packet.or_else(|| self.driver.try_next_uncounted());
        if let Some(packet) = &packet {
            self.account.note_delivered(&packet.bytes);
        }
        Ok(packet)
    }
}

impl Radio for Simulated {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        loop {
            // A packet that is ready is returned without waiting: other tasks must get their turn all the same.
            tokio::task::coop::consume_budget().await;
            match self.end {
                End::Open => {}
                End::Closed => return Err(RadioError::Closed),
                End::Unaccounted(error) => return Err(error.into()),
            }
            if let Some(packet) = self.take_pending()? {
                return Ok(packet);
            }
            if self.run.is_none() {
                self.run = Some(Box::new(self.start()?));
            }
            if let Some(run) = &mut self.run {
                self.pending = run.next().await?;
            }
            if self.pending.is_none() {
                return Err(self.close());
            }
        }
    }

    /// Returns the driver's counters. The driver counts everything but `received`.
    fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Returns the health that the driver reports of its chip.
    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }
}

impl Drop for Simulated {
    /// Settles and writes the account, so that a radio that is stopped in the middle of its traffic leaves one too.
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            let Run { driver, account, .. } = *run;
            // The driver reads on until its thread has ended.
            drop(driver);
            account.close();
        }
        let result = match self.end {
            End::Open => self.write_summary().map_err(RadioError::from),
            End::Closed => Ok(()),
            End::Unaccounted(error) => Err(error.into()),
        };
        if let Err(error) = result {
            tracing::error!(%error, "no summary written for the simulated radio");
        }
    }
}

#[cfg(test)]
mod tests;
