//! The DIO0 line: the level that the chip drives, and the edges that the host sees.

use crate::emulator::faults::{Faults, LostEdges, StuckLine};
use crate::emulator::random;

/// Number of edges that are queued while the host does not wait; the kernel queues as many per line.
const MAX_QUEUED_EDGES: u32 = 16;

/// Level and edges of DIO0.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Dio0Line {
    high: bool,
    edges: u32,
    /// Rising edges since the faults were set.
    rises: u32,
    /// Random state that decides which edges are lost.
    random_state: u64,
}

impl Dio0Line {
    /// Sets the level that the chip drives. A fault may hold the line at another level.
    pub(super) fn drive(&mut self, high: bool, faults: &Faults) {
        let high = match faults.stuck_dio0 {
            Some(StuckLine::High) => true,
            Some(StuckLine::Low) => false,
            None => high,
        };
        let rises = high && !self.high;
        self.high = high;
        if rises {
            self.rises = self.rises.wrapping_add(1);
            if !self.is_lost(faults.lost_edges) {
                self.edges = (self.edges + 1).min(MAX_QUEUED_EDGES);
            }
        }
    }

    /// Restarts the counter and the random state that decide which edges are lost.
    pub(in crate::emulator) fn restart_faults(&mut self, seed: u64) {
        self.rises = 0;
        self.random_state = seed;
    }

    fn is_lost(&mut self, lost: Option<LostEdges>) -> bool {
        match lost {
            None | Some(LostEdges::EveryNth(0)) => false,
            Some(LostEdges::EveryNth(n)) => self.rises.is_multiple_of(n),
            Some(LostEdges::PerMille(per_mille)) => {
                self.random_state = random::next(self.random_state);
                self.random_state % 1_000 < u64::from(per_mille)
            }
        }
    }

    /// Takes one queued edge. Returns `false` if there was none.
    pub(in crate::emulator) fn take_edge(&mut self) -> bool {
        let taken = self.edges > 0;
        self.edges = self.edges.saturating_sub(1);
        taken
    }

    pub(in crate::emulator) fn has_edge(&self) -> bool {
        self.edges > 0
    }

    pub(in crate::emulator) fn is_high(&self) -> bool {
        self.high
    }
}
