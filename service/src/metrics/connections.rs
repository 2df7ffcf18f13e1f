//! Metrics of the connections of a server.

use super::families::{Families, Family, NO_LABELS};
use crate::door::serve::cap::Cap;
use crate::door::serve::connections::Connections;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;

const OPEN: Family = Family::new("connections", "Open connections, by whether they have presented a valid key.");
const ANSWERS: Family = Family::new("answers_waiting", "Answers that the peers have not taken yet.").in_unit("bytes");
const CAPS: Family =
    Family::new("cap_hits", "Connections, answers and calls that a limit has refused or ended, by limit.");

impl Collector for Connections {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        let counts = self.counts();
        let open = [("yes", counts.authenticated), ("no", counts.unauthenticated)];
        families.gauges(OPEN, open.map(|(authenticated, count)| ([("authenticated", authenticated)], count as u64)))?;
        families.gauges(ANSWERS, [(NO_LABELS, counts.answer_bytes as u64)])?;
        let hits = Cap::ALL.into_iter().zip(counts.caps);
        families.counters(CAPS, hits.map(|(cap, count)| ([("limit", cap.name())], count)))
    }
}
