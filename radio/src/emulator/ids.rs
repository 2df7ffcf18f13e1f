//! Numbers that identify chips, readers and transmissions on one air.

/// Index of a chip on its air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChipIndex(pub(super) usize);

/// Index of a reader on its air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReaderIndex(pub(super) usize);

/// Number of a transmission on its air, counted from 0 in the order in which transmissions were scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransmissionId(pub u64);
