//! A radio without an antenna: the real driver on an emulated chip.
//!
//! [`Simulated`] plays a [`Script`] or generates [`Traffic`]. Both go through an emulated air to an emulated chip
//! ([`emulator`](crate::emulator)), register by register. The driver that a barn with an antenna uses
//! ([`Sx127x`](crate::sx127x::Sx127x)) empties that chip on a thread of its own. A packet in a demo or a test thus
//! takes the same way as on a Raspberry Pi, except for the wires.
//!
//! | module | contents |
//! |---|---|
//! | `script` | a written sequence of packets, and its text form |
//! | `payloads` | the payloads that the readers of a chute send, generated from a seed |
//! | `traffic`, `schedule` | parameters of generated traffic, and the times of its transmissions |
//! | `yard` | the emulated air with its readers, and the barn's chip |
//! | `ledger` | counts of sent, lost and received packets, and the file of received payloads |
//! | `account` | comparison of the packets that the chip received with those that the driver delivered |
//! | `radio` | [`Simulated`] itself |
//!
//! - **Readers.** Six readers send the traffic. They are emulated chips themselves and listen before they talk. At
//!   [`MODULATION`] the air carries about 15 transmissions per second. A higher rate is played faster, see
//!   [`Traffic::speed`].
//! - **Clock.** The air has its own clock, which starts with the first `receive`. It waits for the driver, however slow
//!   the machine is. It never runs ahead of real time (times the speed), unless [`with_pace`](Simulated::with_pace)
//!   allows it. If the caller falls behind, the driver's buffer of 1,024 packets fills up, and then the clock waits for
//!   the caller too.
//! - **Account.** A [`Ledger`] counts what was sent and what the air lost, so that a claim that no packet was lost can
//!   be checked. The counts come from the air, not from the driver.
//!
//! The same seed gives the same packets in the same order, with the same signal strengths.
//!
//! # Why the real driver
//!
//! A schedule that hands over packets directly would be simpler. It would test the daemon, but not the driver, which is
//! where packets get lost in the field. For the same reason the account belongs to the air: at the end, the packets
//! that the chip flagged good must be the packets that the driver delivered. A difference is
//! [`RadioError::Unaccounted`](crate::RadioError::Unaccounted).
//!
//! # Example
//!
//! ```
//! use radio::{Radio, Simulated, emulator::Pace, simulated::Traffic};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let traffic = Traffic { seed: 7, count: Some(20), ..Traffic::default() };
//! let mut radio = Simulated::from_traffic(traffic)?.with_pace(Pace::Free);
//! let ledger = radio.ledger();
//! let mut received = 0;
//! while radio.receive().await.is_ok() {
//!     received += 1;
//! }
//! assert_eq!(ledger.counts().heard, received);
//! assert_eq!(ledger.counts().sent, received + ledger.counts().lost_in_air);
//! # Ok(())
//! # }
//! ```

mod account;
mod ledger;
mod payloads;
mod radio;
mod rng;
mod schedule;
mod script;
mod traffic;
mod yard;

pub use crate::radio_error::{AccountError, LedgerError};
pub use ledger::{Ledger, LedgerCounts, summary_path};
pub use payloads::Payloads;
pub use radio::Simulated;
pub use script::{MAX_SCRIPT_BYTES, RSSI_DBM, SNR_QUARTER_DB, Script, ScriptError, ScriptLine, ScriptLineError};
pub use traffic::Traffic;
pub use yard::MODULATION;
