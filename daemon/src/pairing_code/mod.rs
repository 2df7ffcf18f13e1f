//! The one-time pairing code at the barn: stored from the card, proved by an office over `POST /api/pair`, then dead.
//!
//! [`herd::pairing`] describes the proofs, and what somebody in between can do. This module holds what lies behind them:
//!
//! ```text
//!            right proof            key is in the ring        first sync with the key
//! Waiting ---------------> Claimed -------------------> Paired -----------------------> Used
//!    \________________________ too many wrong proofs ______/--------------------------> Disabled
//! ```
//! Each arrow is a commit in `local.redb`, so a restart continues in the same state.
//!
//! # Decisions
//!
//! - **The code lives until the key is used**, not only until it is proved. An answer can get lost, and then the same
//!   office asks again and gets the same one. Another office is refused from the first right proof on.
//! - **A used code leaves its digest**, also when another one takes its place. If the card could not be blanked, or an old
//!   file comes back, the next start brings the same code again. It must not live a second time.
//! - **A revoked key is a used code.** Otherwise the office could ask for the key that an operator has just revoked.
//! - **A right proof is never limited, a wrong one always.** To compare a proof costs a thousandth of the TLS handshake
//!   before it. So a flood of wrong proofs cannot keep the right office out.
//! - **Wrong proofs end the code by time, not by number.** At most [`WRONG_PROOFS_PER_S`] a second count, and
//!   [`MAX_WRONG_PROOFS`] disable the code: 28 hours of an uninterrupted flood. In that time a fast machine may try 2^30
//!   codes of 2^160. A limit of a few tries was rejected, because then any device on the network could force a trip to
//!   the card. The limit also leaves room for a forgotten office that asks once a minute, for almost two years.
//! - **Per-address limits were rejected**: on a local network, an attacker has as many addresses as wanted.

mod code_pairing;
mod code_row;
mod history;
mod route;
mod wrong_proofs;

pub use code_pairing::{CodePairing, PairingStatus};
#[cfg(test)]
pub(crate) use code_row::store_dead;
pub use code_row::{StoreOutcome, store};
pub use history::{MAX_ENDED_CODES, respond_about_keys};
pub use route::{PAIR_PATH, end_code_on_sync, router};
pub use wrong_proofs::{MAX_WRONG_PROOFS, WRONG_PROOFS_PER_S, WrongProofLimits};

#[cfg(test)]
mod tests;
