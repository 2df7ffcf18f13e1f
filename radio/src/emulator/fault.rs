//! What can be wrong with a chip or its wires.

/// All that is wrong with one chip now. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Nobody answers on the bus, and nothing that is written arrives.
    pub dead_bus: Option<DeadBus>,
    /// The system refuses each transfer, as it does when its device is gone.
    pub failing_bus: bool,
    /// DIO0 does not move.
    pub stuck_dio0: Option<StuckLine>,
    /// Edges of DIO0 that the host never sees.
    pub lost_edges: Option<LostEdges>,
    /// What register 0x42 says instead of 0x12.
    pub version: Option<u8>,
    /// A transmission is never reported as done; the chip stays in its transmit mode.
    pub no_tx_done: bool,
}

/// How a dead bus reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadBus {
    /// 0xFF everywhere: the module is unplugged, and the line is pulled up.
    Ones,
    /// 0x00 everywhere: no power, or no device behind this chip select.
    Zeros,
}

impl DeadBus {
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Ones => 0xFF,
            Self::Zeros => 0x00,
        }
    }
}

/// Where a line is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StuckLine {
    /// At 1: one edge when it gets stuck, none after.
    High,
    /// At 0: a broken wire.
    Low,
}

/// Which edges the host does not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostEdges {
    /// The `n`-th, the `2n`-th and so on, counted from when the fault is set. 1 is every one, 0 is none.
    Each(u32),
    /// Each one with this chance in a thousand, by the air's seed.
    PerMille(u16),
}
