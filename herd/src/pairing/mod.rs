//! Pairing of an office with a barn: by a line that a person carries, or by a one-time code on the barn's card.
//!
//! | module | content |
//! |---|---|
//! | `line` | the [pairing line](Pairing), which holds the barn's key pin and an API key |
//! | `code` | the [one-time code](PairingCode), which office and barn share before they have met |
//! | `proof` | the proofs of the code, and the API key that both derive from it |
//! | `exchange` | the JSON bodies in which the proofs travel |

mod code;
mod exchange;
mod line;
mod proof;

pub use code::{CodeKey, PairingCode, PairingCodeError};
pub use exchange::{
    EXCHANGE_VERSION, MAX_ANSWER_BYTES, MAX_OFFICE_NAME_CHARS, MAX_REQUEST_BYTES, PairAnswer, PairAnswerError,
    PairRequest,
};
pub use line::{
    MAX_ADDRESS_BYTES, MAX_ADDRESSES, MAX_LINE_BYTES, MAX_SITE_CHARS, Pairing, PairingError, SITE_PATH, is_site_path,
};
pub use proof::{BarnFacts, Fingerprint, Fingerprints, Proof};
