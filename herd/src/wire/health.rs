//! Health of the barn, in its own words.

use serde::{Deserialize, Serialize};

/// A part of the barn that fails, or that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthFinding {
    /// Name of the part, as the barn's health has it: a word such as `disk`, or the name of a radio.
    pub part: String,
    /// True if the part fails. False if it works and there is something to know about it.
    pub failing: bool,
    /// A sentence that says what is wrong and what to do.
    pub text: String,
}
