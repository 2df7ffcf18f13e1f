//! What an office has agreed on for its pages.

use crate::zone::Zone;
use herd::payload::WeightUnit;

/// Unit and time zone in which people read and write. JSON and CSV have kilograms and UTC whatever they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conventions {
    /// Unit of weights.
    pub weight_unit: WeightUnit,
    /// Time zone.
    pub zone: Zone,
}
