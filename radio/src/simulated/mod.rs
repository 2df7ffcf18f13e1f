//! A radio without an antenna.
//!
//! [`Simulated`] plays a [`Script`] or makes [`Traffic`], and keeps a [`Ledger`] of what was sent and what the air
//! took, so that whoever claims that nothing was lost can be held to it. It follows tokio's clock: where that is
//! paused, a day of traffic passes in moments.
//!
//! The schedule is absolute: a transmission is due at its offset from the first `receive`, and no delay adds up. A
//! listener that falls behind finds the due packets waiting, in order; this radio has no memory to overrun.
//!
//! ```
//! use radio::{Radio, Simulated, simulated::Traffic};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut radio = Simulated::of_traffic(Traffic { seed: 7, count: Some(100), ..Traffic::default() })?;
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

mod air;
mod chute;
mod ledger;
mod script;
mod traffic;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub use chute::Payloads;
pub use ledger::{Ledger, LedgerCounts, LedgerError, summary_path};
pub use script::{LineFault, MAX_SCRIPT_BYTES, Script, ScriptError, ScriptLine};
pub use traffic::Traffic;

use crate::{Counters, Health, Packet, Radio, RadioError, Reporting, SettingsError};
use air::{Fate, Signal};
use ledger::Record;

/// Streams of the one seed. Each kind of chance has its own, so that a change of one leaves the others as they are.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Payloads = 0,
    Times = 1,
    Air = 2,
}

/// One transmission by a reader, and what the air makes of it.
#[derive(Debug)]
struct Transmission {
    /// After the first `receive`.
    due_us: u64,
    payload: Arc<[u8]>,
    fate: Fate,
}

/// A radio driven by a script or a seed. See the [module](self).
pub struct Simulated {
    transmissions: Box<dyn Iterator<Item = Transmission> + Send>,
    /// Drawn, but not settled yet: it waits here while `receive` waits, and stays when that is dropped.
    pending: Option<Transmission>,
    started_at: Option<Instant>,
    ended: bool,
    counters: Counters,
    health: Reporting,
    ledger: Ledger,
    record: Option<Record>,
}

impl Simulated {
    /// Plays a script as it is written, without a loss. Ends with it.
    pub fn of_script(script: Script) -> Self {
        Self::of(transmissions_of(script))
    }

    /// Makes traffic, until its `count` or `seconds` are reached.
    pub fn of_traffic(traffic: Traffic) -> Result<Self, SettingsError> {
        traffic::Transmissions::new(traffic).map(Self::of)
    }

    fn of(transmissions: impl Iterator<Item = Transmission> + Send + 'static) -> Self {
        Self {
            transmissions: Box::new(transmissions),
            pending: None,
            started_at: None,
            ended: false,
            counters: Counters::default(),
            health: Reporting::default(),
            ledger: Ledger::default(),
            record: None,
        }
    }

    /// Keeps a written record at `path`: every payload, as one line of hex, before it is delivered; and at the end, or
    /// when the radio is dropped before it, the counts, at [`summary_path`]. An existing record is continued, while the
    /// counts are of this radio alone.
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

    /// When the next transmission is due. Draws it if there is none waiting; `None` at the end.
    fn next_due(&mut self) -> Option<Instant> {
        let started_at = *self.started_at.get_or_insert_with(Instant::now);
        if self.pending.is_none() {
            self.pending = self.transmissions.next();
        }
        self.pending.as_ref().map(|pending| started_at + Duration::from_micros(pending.due_us))
    }

    /// Settles the pending transmission: the packet, if it was heard.
    ///
    /// Without an await, so that no future can be dropped half-way. On an error it stays pending and uncounted.
    fn settle(&mut self, received_at: Instant) -> Result<Option<Packet>, LedgerError> {
        let Some(Transmission { payload, fate, .. }) = &self.pending else { return Ok(None) };
        let packet = match *fate {
            Fate::Heard(signal) => {
                if let Some(record) = &mut self.record {
                    record.append(payload)?;
                }
                self.counters.count_received();
                self.ledger.count_heard();
                Some(packet(payload, signal, received_at))
            }
            Fate::Corrupted => {
                self.counters.count_crc_error();
                self.ledger.count_lost();
                None
            }
            Fate::Lost => {
                self.ledger.count_lost();
                None
            }
        };
        self.pending = None;
        Ok(packet)
    }

    /// Closes the account. On an error the next call tries again.
    fn end(&mut self) -> Result<(), LedgerError> {
        if !self.ended {
            if let Some(record) = &self.record {
                self.ledger.write_summary(&record.summary_path())?;
            }
            self.ended = true;
        }
        Ok(())
    }
}

impl Radio for Simulated {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        loop {
            tokio::task::coop::consume_budget().await;
            let Some(due) = self.next_due() else {
                self.end()?;
                return Err(RadioError::Closed);
            };
            // What is due goes out at once: a timer ticks in milliseconds, and a fast traffic in microseconds.
            if due > Instant::now() {
                sleep_until(due).await;
            }
            if let Some(packet) = self.settle(due)? {
                return Ok(packet);
            }
        }
    }

    fn counters(&self) -> Counters {
        self.counters.clone()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }
}

impl Drop for Simulated {
    /// A listener that is stopped in the middle of the traffic leaves its account behind as well.
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "the account of a simulated radio is missing");
        }
    }
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulated")
            .field("pending", &self.pending)
            .field("started_at", &self.started_at)
            .field("ended", &self.ended)
            .field("counters", &self.counters)
            .field("ledger", &self.ledger)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

fn packet(payload: &[u8], signal: Signal, received_at: Instant) -> Packet {
    Packet {
        bytes: payload.to_vec(),
        rssi_dbm: Some(signal.rssi_dbm),
        snr_quarter_db: Some(signal.snr_quarter_db),
        frequency_error_hz: Some(signal.frequency_error_hz),
        received_at,
    }
}

fn transmissions_of(script: Script) -> impl Iterator<Item = Transmission> + Send {
    script.into_lines().into_iter().scan(0, |due_us, line| {
        *due_us += u64::from(line.delay_ms) * 1_000;
        let signal = Signal { rssi_dbm: line.rssi_dbm, snr_quarter_db: line.snr_quarter_db, frequency_error_hz: 0 };
        let fate = if line.corrupted { Fate::Corrupted } else { Fate::Heard(signal) };
        Some(Transmission { due_us: *due_us, payload: line.payload.into(), fate })
    })
}
