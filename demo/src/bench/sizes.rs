//! The number of samples and changes that the bench measures.

/// Counts for the parts of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// Samples of the floor, for fdatasync and for TLS.
    pub floor: usize,
    /// Single payloads: at the recorder, over HTTPS, and to the office.
    pub lone: usize,
    /// Payloads with a hundred in flight at the recorder, in each order.
    pub flood: usize,
    /// Payloads over HTTPS in single calls on a hundred connections.
    pub https_single: usize,
    /// Payloads over HTTPS in arrays.
    pub https_arrays: usize,
    /// Changes that an office holds before it is away.
    pub held: usize,
    /// Changes that it lacks then, and changes of the copy without a network.
    pub behind: usize,
    /// Animals of the large herd.
    pub herd: usize,
    /// Scattered check-ins among them.
    pub scattered: usize,
    /// Changes of the large store.
    pub large: usize,
    /// Head of the herd whose pages are measured. Each has ten payloads.
    pub heads: usize,
    /// Payloads with a hundred in flight at a peer.
    pub peer_flood: usize,
    /// Payloads that the replica of a peer lacks.
    pub peer_behind: usize,
}

impl Sizes {
    /// The sizes that the goals refer to.
    pub const FULL: Self = Self {
        floor: 2_000,
        lone: 2_000,
        flood: 200_000,
        https_single: 20_000,
        https_arrays: 100_000,
        held: 100_000,
        behind: 300_000,
        herd: 300_000,
        scattered: 100_000,
        large: 1_000_000,
        heads: 100_000,
        peer_flood: 30_000,
        peer_behind: 100_000,
    };

    /// A tenth of that or less, to check that the bench works.
    pub const QUICK: Self = Self {
        floor: 300,
        lone: 300,
        flood: 10_000,
        https_single: 2_000,
        https_arrays: 10_000,
        held: 5_000,
        behind: 20_000,
        herd: 10_000,
        scattered: 5_000,
        large: 50_000,
        heads: 5_000,
        peer_flood: 3_000,
        peer_behind: 10_000,
    };
}
