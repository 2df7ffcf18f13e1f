//! Units and range of an air's clock, which counts nanoseconds from the creation of the air.

use std::time::Duration;

/// Nanoseconds in a second.
pub(super) const SECOND_NS: u64 = 1_000_000_000;

/// Last moment of the clock, 146 years from its start. It leaves enough room below the overflow of a `u64` for every
/// packet to end.
pub(super) const END_NS: u64 = 1 << 62;

/// Converts a duration to nanoseconds, limited to [`END_NS`].
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(END_NS).min(END_NS)
}
