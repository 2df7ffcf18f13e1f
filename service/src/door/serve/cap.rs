//! Counts of what the limits of a server have hit, and warnings about them.
//!
//! A limit that bites is a warning, because a person should know of it. [`Hits`] says how often it is logged.

use super::hits::{HitReport, Hits};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

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

/// The hits of all limits, with the last peer of each.
#[derive(Debug, Default)]
pub(super) struct Caps([Mutex<Hits<IpAddr>>; Cap::ALL.len()]);

impl Caps {
    pub(super) fn count(&self, cap: Cap, peer: IpAddr) {
        self.update(cap, |hits| hits.add(1, peer));
    }

    /// Warns of hits that were counted too soon after the last warning.
    pub(super) fn warn_if_due(&self) {
        for cap in Cap::ALL {
            self.update(cap, |_| {});
        }
    }

    pub(super) fn counts(&self) -> CapCounts {
        Cap::ALL.map(|cap| self.0[cap as usize].lock().unwrap_or_else(PoisonError::into_inner).total())
    }

    fn update(&self, cap: Cap, change: impl FnOnce(&mut Hits<IpAddr>)) {
        let mut hits = self.0[cap as usize].lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut hits);
        let report = hits.take_report(Instant::now());
        drop(hits);
        if let (Some(HitReport { count, last }), Some(warning)) = (report, cap.warning()) {
            tracing::warn!(count, last_peer = %last, "{warning}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::recorder::LogRecorder;
    use std::net::Ipv4Addr;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7));

    /// Catches a limit whose hits are counted for another one.
    #[test]
    fn each_limit_has_its_own_count() {
        let caps = Caps::default();
        for (times, cap) in Cap::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| caps.count(cap, PEER));
        }
        assert_eq!(caps.counts(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    /// Catches a limit that bites and that nobody learns of, a flood that fills the log, and a name that a chart has lost.
    #[tokio::test(start_paused = true)]
    async fn a_hit_is_warned_about_at_once_and_the_next_ones_after_a_minute() {
        let (log, _recording) = LogRecorder::start();
        let names = Cap::ALL.map(Cap::name).join(" ");
        let expected = "peer_connections connections unauthenticated_connections idle answer_time answer_bytes body_bytes \
                        sockets readers keys";
        assert_eq!(names, expected);
        for cap in Cap::ALL {
            let caps = Caps::default();
            let reports = |count: u64| {
                let reports: Vec<_> = cap.warning().into_iter().map(|it| format!("WARN {it} count={count} ")).collect();
                let logged = log.take();
                assert_eq!(logged.len(), reports.len(), "{cap:?}: {logged:?}");
                assert!(logged.iter().zip(&reports).all(|(logged, report)| logged.starts_with(report)), "{logged:?}");
            };
            caps.count(cap, PEER);
            reports(1);
            caps.count(cap, PEER);
            caps.count(cap, PEER);
            caps.warn_if_due();
            assert_eq!(log.take(), Vec::<String>::new(), "{cap:?}");
            tokio::time::advance(std::time::Duration::from_secs(60)).await;
            caps.warn_if_due();
            reports(2);
            assert_eq!(cap.warning().is_none(), cap == Cap::Idle, "{cap:?}");
            assert!(cap.warning().is_none_or(|it| it.contains("refused") || it.contains("closed")), "{cap:?}");
        }
    }
}
