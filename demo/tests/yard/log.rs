//! The office's log, fetched as another mirror would fetch it.

use demo::processes::Client;
use herd::change::{Change, Outcome, Received};
use herd::digest::chain_start;
use herd::position::{Position, Sequence};
use herd::wire::{Page, from_blob};
use service::sync::link::{BLOB_TYPE, CHANGES_PATH};
use service::sync::query::position_text;
use std::collections::HashMap;

/// All changes of the office, checked against the digest chain.
pub(crate) struct OfficeLog {
    pub(crate) changes: Vec<Change>,
    pub(crate) end: Position,
}

impl OfficeLog {
    /// Fetches page after page until one is empty, and recomputes the digest chain from the bytes.
    pub(crate) async fn fetch(from: &Client) -> Self {
        let mut changes = Vec::new();
        let mut at: Option<Position> = None;
        loop {
            let query = at.as_ref().map_or_else(String::new, |at| format!("?{}", position_text(at)));
            let answer = from.get(&format!("{CHANGES_PATH}{query}"), BLOB_TYPE).await.unwrap();
            let page: Page = from_blob(&answer.expect(200).unwrap().body).unwrap();
            let run = page.into_run();
            let before = at.map_or_else(|| chain_start(run.after.store), |at| at.digest);
            assert_eq!(run.after.sequence, at.map_or(Sequence::ZERO, |at| at.sequence), "no gap between pages");
            assert_eq!(run.changes.chain(before, run.after.sequence), run.end.digest, "the chain of a page");
            if run.changes.is_empty() {
                assert_eq!(run.end.sequence.0, changes.len() as u64, "gapless from 1");
                return Self { changes, end: run.end };
            }
            changes.extend(run.changes.iter().map(|bytes| Change::from_bytes(bytes).unwrap()));
            at = Some(run.end);
        }
    }

    /// Returns the payloads in order, each with its sequence.
    pub(crate) fn received(&self) -> impl Iterator<Item = (u64, &Received)> {
        self.changes.iter().zip(1..).filter_map(|(change, sequence)| match change {
            Change::Received(received) => Some((sequence, &**received)),
            _ => None,
        })
    }

    /// Returns the sequence of the payload with exactly these bytes, which must be in the log once.
    pub(crate) fn sequence_of(&self, raw: &str) -> u64 {
        let mut found = self.received().filter(|(_, received)| received.raw == raw.as_bytes());
        let (Some((sequence, _)), None) = (found.next(), found.next()) else {
            panic!("{raw} is not in the log exactly once")
        };
        sequence
    }

    /// Counts how often each trimmed text is in the log.
    pub(crate) fn text_counts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for (_, received) in self.received() {
            *counts.entry(String::from_utf8_lossy(received.text()).into_owned()).or_default() += 1;
        }
        counts
    }
}

/// Returns the code of a rejection's reason, or `None` for an accepted payload.
pub(crate) fn reason_of(received: &Received) -> Option<&'static str> {
    match &received.outcome {
        Outcome::Accepted(_) => None,
        Outcome::Rejected(rejected) => Some(rejected.reason.code()),
    }
}
