//! A radio without an antenna: the real driver on a chip made of software.
//!
//! [`Simulated`] plays a [`Script`] or makes [`Traffic`]. Either goes through an emulated air to an emulated chip
//! ([`emulator`](crate::emulator)), register by register, and the driver that a barn with an antenna uses
//! ([`Sx127x`]) empties that chip on a thread of its own. So what a demo or a test hears has been through everything
//! that a packet goes through on a Raspberry Pi but its wires.
//!
//! - **Readers.** Traffic is sent by six readers, emulated chips themselves, that listen before they talk. At
//!   [`MODULATION`] the air carries some 15 transmissions a second; what is more is played faster, see
//!   [`Traffic::speed`].
//! - **Clock.** The air has its own clock, which waits for the driver however slow the machine is, and never runs ahead
//!   of real time, times the speed, unless [`at_pace`](Simulated::at_pace) lets it. It begins with the first `receive`.
//!   A listener that falls behind fills the driver's room of 1,024 packets; then the clock waits for the listener too.
//! - **Account.** A [`Ledger`] says what was sent and what the air took, so that whoever claims that nothing was lost
//!   can be held to it. It is the air's account, not the driver's: at the end what the chip flagged good and what the
//!   driver delivered are compared, and a difference is [`RadioError::Unaccounted`].
//!
//! Same seed, same packets in the same order, with the same strengths.
//!
//! ```
//! use radio::{Radio, Simulated, emulator::Pace, simulated::Traffic};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let traffic = Traffic { seed: 7, count: Some(20), ..Traffic::default() };
//! let mut radio = Simulated::of_traffic(traffic)?.at_pace(Pace::Free);
//! let ledger = radio.ledger();
//! let mut heard = 0;
//! while radio.receive().await.is_ok() {
//!     heard += 1;
//! }
//! assert_eq!(ledger.counts().heard, heard);
//! assert_eq!(ledger.counts().sent, heard + ledger.counts().lost_in_air);
//! # Ok(())
//! # }
//! ```

mod account;
mod chute;
mod ledger;
mod script;
mod traffic;
mod yard;

#[cfg(test)]
mod tests;

use std::path::Path;

use tokio::sync::watch;

pub use account::Unaccounted;
pub use chute::Payloads;
pub use ledger::{Ledger, LedgerCounts, LedgerError, summary_path};
pub use script::{LineFault, MAX_SCRIPT_BYTES, RSSI_DBM, SNR_QUARTER_DB, Script, ScriptError, ScriptLine};
pub use traffic::Traffic;
pub use yard::MODULATION;

use crate::emulator::Pace;
use crate::sx127x::{StartError, Sx127x};
use crate::{Counters, Health, HealthReporter, Packet, Radio, RadioError, SettingsError};
use account::Account;
use ledger::Record;
use yard::Plan;

/// Streams of the one seed. Each kind of chance has its own, so that a change of one leaves the others as they are.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Payloads = 0,
    Times = 1,
    Places = 2,
}

/// A radio driven by a script or a seed. See the [module](self).
#[derive(Debug)]
pub struct Simulated {
    plan: Plan,
    pace: Pace,
    /// From the first `receive` on.
    run: Option<Box<Run>>,
    /// Delivered by the driver and not handed over yet: it waits here while it cannot be written down.
    held: Option<Packet>,
    end: End,
    counters: Counters,
    health: HealthReporter,
    ledger: Ledger,
    record: Option<Record>,
}

/// The driver on its chip, and what is known of them.
#[derive(Debug)]
struct Run {
    driver: Sx127x,
    account: Account,
    ended: watch::Receiver<bool>,
}

/// Whether it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    /// All that was transmitted is settled, and the account is written.
    Closed,
    /// What the chip heard and what was delivered differ.
    Unaccounted(Unaccounted),
}

impl Simulated {
    /// Plays a script as it is written, without a loss. Ends with it.
    pub fn of_script(script: Script) -> Self {
        Self::of(Plan::Script(script))
    }

    /// Makes traffic, until its `count` or `seconds` are reached.
    pub fn of_traffic(traffic: Traffic) -> Result<Self, SettingsError> {
        traffic.validate()?;
        Ok(Self::of(Plan::Traffic(traffic)))
    }

    fn of(plan: Plan) -> Self {
        Self {
            pace: plan.pace(),
            plan,
            run: None,
            held: None,
            end: End::NotYet,
            counters: Counters::default(),
            health: HealthReporter::default(),
            ledger: Ledger::default(),
            record: None,
        }
    }

    /// Another pace of the air's clock. With [`Pace::Free`] hours pass in moments, and the same packets are heard.
    #[must_use]
    pub fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Keeps a written record at `path`: every payload, as one line of hex, before it is delivered; and at the end, or
    /// when the radio is dropped before it, the counts, at [`summary_path`]. An existing record is continued, while the
    /// counts are of this radio alone. After [`RadioError::Unaccounted`] there are no counts to trust, and none are
    /// written.
    ///
    /// A line without a delivery is possible, where the process is killed between the two; a delivery without
    /// a line is not.
    ///
    /// The file is written where `receive` is polled, a line at a time.
    pub fn with_ledger(mut self, path: &Path) -> Result<Self, LedgerError> {
        self.record = Some(Record::open(path)?);
        Ok(self)
    }

    /// A handle on the account of this radio, readable at any time.
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Lets the air begin, and starts the driver on it.
    fn start(&self) -> Result<Run, StartError> {
        let account = Account::new(self.plan.open(self.pace), self.ledger.clone());
        let told = (self.counters.clone(), self.health.clone());
        let driver = Sx127x::start_reporting_to("simulated", account.board(), MODULATION, told)?;
        Ok(Run { driver, ended: account.ended(), account })
    }

    /// Hands over what is held, if anything is: written down, then counted.
    ///
    /// Without an await, so that no future can be dropped half-way. On an error it stays held and uncounted.
    fn hand_over(&mut self) -> Result<Option<Packet>, LedgerError> {
        if let (Some(packet), Some(record)) = (&self.held, &mut self.record) {
            record.append(&packet.bytes)?;
        }
        let packet = self.held.take();
        if packet.is_some() {
            self.counters.count_received();
            self.ledger.count_heard();
        }
        Ok(packet)
    }

    /// Closes the account, and says how. On an error of the file the next call tries again.
    fn close(&mut self) -> RadioError {
        if let Some(Err(unaccounted)) = self.run.as_ref().map(|run| run.account.prove()) {
            self.end = End::Unaccounted(unaccounted);
            return unaccounted.into();
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
        self.record.as_ref().map_or(Ok(()), |record| self.ledger.write_summary(&record.summary_path()))
    }
}

impl Run {
    /// Waits for what the driver delivers next; `None` at the end of all. Cancel-safe.
    async fn next(&mut self) -> Result<Option<Packet>, RadioError> {
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        let packet = tokio::select! {
            biased;
            packet = driver.next_uncounted() => Some(packet?),
            _ = ended.wait_for(|ended| *ended) => None,
        };
        // The end is told after the last packet was delivered: it may have come between the two looks.
        let packet = packet.or_else(|| self.driver.try_next_uncounted());
        Ok(packet.map(|packet| self.noted(packet)))
    }

    fn noted(&self, packet: Packet) -> Packet {
        self.account.note_delivered(&packet.bytes);
        packet
    }
}

impl Radio for Simulated {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        loop {
            // A packet that waits is taken without a wait: others must run all the same.
            tokio::task::coop::consume_budget().await;
            match self.end {
                End::NotYet => {}
                End::Closed => return Err(RadioError::Closed),
                End::Unaccounted(unaccounted) => return Err(unaccounted.into()),
            }
            if let Some(packet) = self.hand_over()? {
                return Ok(packet);
            }
            if self.run.is_none() {
                self.run = Some(Box::new(self.start()?));
            }
            if let Some(run) = &mut self.run {
                self.held = run.next().await?;
            }
            if self.held.is_none() {
                return Err(self.close());
            }
        }
    }

    /// Those of the driver: all but `received` are counted by it.
    fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// What the driver says of its chip.
    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }
}

impl Drop for Simulated {
    /// A listener that is stopped in the middle of the traffic leaves its account behind as well.
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            let Run { driver, account, .. } = *run;
            // It may read on until its thread has ended.
            drop(driver);
            account.close();
        }
        let written = match self.end {
            End::NotYet => self.write_summary().map_err(RadioError::from),
            End::Closed => Ok(()),
            End::Unaccounted(unaccounted) => Err(unaccounted.into()),
        };
        if let Err(error) = written {
            tracing::error!(%error, "the account of a simulated radio is missing");
        }
    }
}
