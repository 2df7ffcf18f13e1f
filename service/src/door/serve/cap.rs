//! Counts of what the limits of a server have hit, and warnings about them.
//!
//! A limit that bites is a warning, because a person should know of it. The first one is logged at once. After that
//! there is one line a minute with the count, so that a flood does not fill the log.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Minimum time between two warnings about one limit.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// A limit that hits a connection, an answer or a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// A connection was refused: its peer has too many.
    PeerConnections,
    /// A connection was refused: the server has too many.
    AllConnections,
    /// An unauthenticated connection was replaced by a new one.
    Unauthenticated,
    /// An unauthenticated connection was idle for too long.
    Idle,
    /// The peer took an answer too slowly.
    AnswerTime,
    /// An answer was refused: too many bytes wait to be taken.
    AnswerBytes,
    /// A request was refused: too many bytes of bodies are being read.
    BodyBytes,
    /// A WebSocket was refused: there are too many.
    Sockets,
    /// A call was refused: too many wait to read.
    Readers,
    /// A call was refused: its key is missing, unknown, or lacks the scope.
    Keys,
}

impl Cap {
    /// All limits.
    pub const ALL: [Self; 10] = [
        Self::PeerConnections,
        Self::AllConnections,
        Self::Unauthenticated,
        Self::Idle,
        Self::AnswerTime,
        Self::AnswerBytes,
        Self::BodyBytes,
        Self::Sockets,
        Self::Readers,
        Self::Keys,
    ];

    /// Returns the name of the limit in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::PeerConnections => "peer_connections",
            Self::AllConnections => "connections",
            Self::Unauthenticated => "unauthenticated_connections",
            Self::Idle => "idle",
            Self::AnswerTime => "answer_time",
            Self::AnswerBytes => "answer_bytes",
            Self::BodyBytes => "body_bytes",
            Self::Sockets => "sockets",
            Self::Readers => "readers",
            Self::Keys => "keys",
        }
    }

    /// Returns the consequence and the limit, or `None` if a hit is ordinary.
    fn warning(self) -> Option<&'static str> {
        match self {
            Self::PeerConnections => Some("connections refused: their address has as many open as one may have"),
            Self::AllConnections => Some("connections refused: as many are open as the server takes"),
            Self::Unauthenticated => Some("connections without a key closed: newer ones took their places"),
            // A browser that was closed, or a health check that keeps its connection.
            Self::Idle => None,
            Self::AnswerTime => Some("connections closed: their peers did not take an answer in time"),
            Self::AnswerBytes => Some("answers refused: too many bytes wait for peers that do not take them"),
            Self::BodyBytes => Some("calls refused: too many bytes of bodies are being read"),
            Self::Sockets => Some("WebSockets refused: as many are open as the server takes"),
            Self::Readers => Some("calls refused: too many wait to read"),
            Self::Keys => Some("calls refused: their key is missing, unknown, or lacks the scope"),
        }
    }
}

/// Number of hits of each limit, in the order of [`Cap::ALL`].
pub type CapCounts = [u64; Cap::ALL.len()];

/// The hits of all limits.
#[derive(Debug, Default)]
pub(super) struct Caps([Mutex<Hits>; Cap::ALL.len()]);

/// The hits of one limit.
#[derive(Clone, Copy, Debug)]
struct Hits {
    total: u64,
    /// Hits since the last warning.
    unreported: u64,
    last_peer: IpAddr,
    warned_at: Option<Instant>,
}

impl Default for Hits {
    fn default() -> Self {
        Self { total: 0, unreported: 0, last_peer: Ipv4Addr::UNSPECIFIED.into(), warned_at: None }
    }
}

impl Hits {
    fn add(&mut self, peer: IpAddr) {
        self.total = self.total.saturating_add(1);
        self.unreported = self.unreported.saturating_add(1);
        self.last_peer = peer;
    }

    /// Returns the number of hits that a warning has to report now; `None` if there are none, or it is too early.
    fn take_report(&mut self, now: Instant) -> Option<u64> {
        let is_early = self.warned_at.is_some_and(|at| now.saturating_duration_since(at) < WARNING_INTERVAL);
        if self.unreported == 0 || is_early {
            return None;
        }
        self.warned_at = Some(now);
        Some(std::mem::take(&mut self.unreported))
    }
}

impl Caps {
    pub(super) fn count(&self, cap: Cap, peer: IpAddr) {
        self.update(cap, |hits| hits.add(peer));
    }

    /// Warns of hits that were counted too soon after the last warning.
    pub(super) fn warn_if_due(&self) {
        for cap in Cap::ALL {
            self.update(cap, |_| {});
        }
    }

    pub(super) fn counts(&self) -> CapCounts {
        Cap::ALL.map(|cap| self.0[cap as usize].lock().unwrap_or_else(PoisonError::into_inner).total)
    }

    fn update(&self, cap: Cap, change: impl FnOnce(&mut Hits)) {
        let mut hits = self.0[cap as usize].lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut hits);
        let report = hits.take_report(Instant::now());
        let peer = hits.last_peer;
        drop(hits);
        if let (Some(count), Some(warning)) = (report, cap.warning()) {
            tracing::warn!(count, last_peer = %peer, "{warning}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7));

    /// Catches a flood that fills the log, and hits at its end that nothing ever reports.
    #[tokio::test(start_paused = true)]
    async fn the_first_hit_is_reported_at_once_and_the_others_once_a_minute() {
        let mut hits = Hits::default();
        let mut reports = Vec::new();
        for _ in 0..300 {
            hits.add(PEER);
            reports.extend(hits.take_report(Instant::now()));
        }
        assert_eq!(reports, [1]);
        tokio::time::advance(WARNING_INTERVAL).await;
        assert_eq!(hits.take_report(Instant::now()), Some(299));
        tokio::time::advance(WARNING_INTERVAL).await;
        assert_eq!((hits.take_report(Instant::now()), hits.total), (None, 300));
    }

    /// Catches a limit whose hits are counted for another one.
    #[test]
    fn each_limit_has_its_own_count() {
        let caps = Caps::default();
        for (times, cap) in Cap::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| caps.count(cap, PEER));
        }
        assert_eq!(caps.counts(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
