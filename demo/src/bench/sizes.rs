//! How much of everything is measured.

/// Counts of what each part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// Samples of the floor, each of fdatasync and TLS.
    pub floor: usize,
    /// Lone payloads: at the Recorder, over HTTPS, and on their way to the office.
    pub lone: usize,
    /// Payloads with a hundred in flight at the Recorder.
    pub flood: usize,
    /// Payloads over HTTPS in calls of their own, a hundred connections at a time.
    pub https_single: usize,
    /// Payloads over HTTPS in arrays.
    pub https_arrays: usize,
    /// Changes of the smaller copy, and that a replica is behind when it was away.
    pub behind: usize,
    /// Changes of the larger copy.
    pub large: usize,
}

impl Sizes {
    /// What the goals speak of.
    pub const FULL: Self = Self {
        floor: 2_000,
        lone: 2_000,
        flood: 200_000,
        https_single: 20_000,
        https_arrays: 100_000,
        behind: 100_000,
        large: 1_000_000,
    };

    /// For a look in passing: the same code on a tenth or less.
    pub const QUICK: Self = Self {
        floor: 300,
        lone: 300,
        flood: 20_000,
        https_single: 2_000,
        https_arrays: 10_000,
        behind: 10_000,
        large: 50_000,
    };
}
