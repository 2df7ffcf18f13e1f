//! The line DIO0: a level that the chip drives, and edges that the host sees.

use super::super::fault::{Faults, LostEdges, StuckLine};

/// Edges that a host keeps for someone who is not waiting: so many the kernel queues for a line.
const MAX_QUEUED_EDGES: u32 = 16;

/// Level and edges of DIO0.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Line {
    high: bool,
    edges: u32,
    /// Rising edges since faults were set.
    rises: u32,
    /// State of the chance that loses edges.
    chance: u64,
}

impl Line {
    /// The chip drives the line so; a fault may hold it elsewhere.
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

    /// Counting and chance begin anew.
    pub(in crate::emulator) fn restart_faults(&mut self, seed: u64) {
        self.rises = 0;
        self.chance = seed;
    }

    fn is_lost(&mut self, lost: Option<LostEdges>) -> bool {
        match lost {
            None | Some(LostEdges::Each(0)) => false,
            Some(LostEdges::Each(n)) => self.rises.is_multiple_of(n),
            Some(LostEdges::PerMille(per_mille)) => {
                self.chance = super::super::chance::next(self.chance);
                self.chance % 1_000 < u64::from(per_mille)
            }
        }
    }

    /// Takes one edge, if there was one.
    pub(in crate::emulator) fn take_edge(&mut self) -> bool {
        let seen = self.edges > 0;
        self.edges = self.edges.saturating_sub(1);
        seen
    }

    pub(in crate::emulator) fn has_edge(&self) -> bool {
        self.edges > 0
    }

    pub(in crate::emulator) fn is_high(&self) -> bool {
        self.high
    }
}
