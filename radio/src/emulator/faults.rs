//! Faults of a chip and of its wires.

/// All faults of one chip at a moment. The default is no fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub struct Faults {
    /// Nothing answers on the bus, and writes do not arrive.
    pub dead_bus: Option<DeadBus>,
    /// Every transfer fails with an error, as it does in the kernel when the device is gone.
    pub failing_bus: bool,
    /// DIO0 does not move.
    pub stuck_dio0: Option<StuckLine>,
    /// Edges of DIO0 that the host never sees.
    pub lost_edges: Option<LostEdges>,
    /// Value of the version register 0x42, if it is not 0x12.
    pub version: Option<u8>,
    /// RESET is not wired, or its wire is broken: pulses do not arrive.
    pub dead_reset: bool,
    /// A calibration of the receiver never ends.
    pub no_calibration: bool,
    /// The end of a transmission is never reported: the chip stays in transmit mode.
    pub no_tx_done: bool,
}

/// Value that a dead bus reads as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadBus {
    /// 0xFF everywhere: the module is unplugged and the line is pulled up.
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

/// Level at which a line is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StuckLine {
    /// High: one edge when the fault begins, none afterwards.
    High,
    /// Low: a broken wire.
    Low,
}

/// Selection of the edges that the host misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostEdges {
    /// Every n-th edge since the fault was set. 1 loses all edges, 0 loses none.
    EveryNth(u32),
    /// Each edge with this probability in thousandths, drawn from the air's seed.
    PerMille(u16),
}
