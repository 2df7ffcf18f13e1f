//! Unit and time zone that an office has agreed on for its pages.

use crate::zone::Zone;
use herd::payload::WeightUnit;
use herd::query::CorrectionView;

/// Unit and time zone in which people read and write. JSON and CSV have kilograms and UTC whatever they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conventions {
    /// Unit of weights.
    pub weight_unit: WeightUnit,
    /// Time zone.
    pub zone: Zone,
}

impl Conventions {
    /// Describes a correction, as a sentence without a full stop.
    pub(super) fn told(&self, correction: &CorrectionView) -> String {
        correction.summary(self.weight_unit, &|at| self.zone.date_time(at))
    }
}
