//! The texts of the repeat window: the only memory of a source that is not in its tables.
//!
//! # Decisions
//!
//! - **The window is kept in memory and read from the log after a restart.** Rows in the tables would be written and removed
//!   for each of these texts, at the barn and at every office, for one minute of use at one place.
//! - **It is bounded.** If more texts than [`MAX_WINDOW_TEXTS`] come within the window, the oldest are forgotten early: a
//!   repeat of such a text is recorded twice. Nothing is lost by that.

use crate::change::{Change, Outcome};
use crate::position::Sequence;
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};

/// Maximum number of texts that are remembered: 1,000 a second, far beyond what radios carry.
pub const MAX_WINDOW_TEXTS: usize = 65_536;

/// A recorded text that no event id identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextEntry {
    pub(super) sequence: Sequence,
    hash: [u8; 32],
    pub(super) boot: u32,
    pub(super) since_boot_ms: u64,
}

/// The texts that were recorded lately, and that no event id identifies.
#[derive(Clone, Debug, Default)]
pub struct TextWindow {
    /// In the order of sequences.
    entries: VecDeque<TextEntry>,
    /// By text, the last change that recorded it.
    last: HashMap<[u8; 32], Sequence, RandomState>,
    forgotten: Sequence,
}

impl TextWindow {
    /// Makes an empty window. Texts up to `forgotten` are past it, as earlier changes say.
    #[must_use]
    pub fn new(forgotten: Sequence) -> Self {
        Self { forgotten, ..Self::default() }
    }

    /// Records the change `sequence`. Changes must come in order.
    pub fn record(&mut self, sequence: Sequence, change: &Change) {
        let Change::Received(received) = change else { return };
        // It came in another time, and tells nothing of the text that came last.
        if received.readmission.is_some() {
            return;
        }
        let has_id = matches!(&received.outcome, Outcome::Accepted(accepted) if accepted.event.id.is_some());
        if !has_id && sequence > self.forgotten {
            let hash = hash_of(received.text());
            let (boot, since_boot_ms) = (received.clock.boot, received.clock.since_boot_ms);
            self.entries.push_back(TextEntry { sequence, hash, boot, since_boot_ms });
            self.last.insert(hash, sequence);
        }
        self.forgotten = self.forgotten.max(received.forget_through);
        while let Some(oldest) = self.entries.front()
            && (oldest.sequence <= self.forgotten || self.entries.len() > MAX_WINDOW_TEXTS)
        {
            if self.last.get(&oldest.hash) == Some(&oldest.sequence) {
                self.last.remove(&oldest.hash);
            }
            self.entries.pop_front();
        }
    }

    /// Returns the number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are no texts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the last record of a text.
    pub(super) fn find(&self, text: &[u8]) -> Option<&TextEntry> {
        let sequence = self.last.get(&hash_of(text))?;
        let place = self.entries.binary_search_by_key(sequence, |entry| entry.sequence).ok()?;
        self.entries.get(place)
    }

    /// Iterates over the texts, the oldest first.
    pub(super) fn oldest(&self) -> impl Iterator<Item = &TextEntry> {
        self.entries.iter()
    }
}

fn hash_of(text: &[u8]) -> [u8; 32] {
    *blake3::hash(text).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Readmission, Received, RejectedPayload};
    use crate::payload::Rejection;
    use crate::position::{Digest, Epoch};

    fn received(text: &str, forget_through: u64) -> Change {
        Change::Received(Box::new(Received {
            raw: text.as_bytes().to_vec(),
            text_start: 0,
            text_bytes: u32::try_from(text.len()).unwrap(),
            origin: crate::change::Origin::default(),
            clock: crate::clock::ClockReading::default(),
            outcome: Outcome::Rejected(RejectedPayload { reason: Rejection::Empty, event_id: None }),
            forget_through: Sequence(forget_through),
            previous: Vec::new(),
            readmission: None,
        }))
    }

    /// Catches a text that is forgotten with an older record of it.
    #[test]
    fn a_text_that_came_again_is_remembered_until_its_last_record_is_forgotten() {
        let mut window = TextWindow::new(Sequence(1));
        assert!(window.is_empty());
        for (n, text) in [(1, "past"), (2, "a"), (3, "b"), (4, "a")] {
            window.record(Sequence(n), &received(text, 0));
        }
        assert!(window.find(b"past").is_none() && !window.is_empty());
        window.record(Sequence(5), &received("c", 3));
        assert_eq!(window.find(b"a").map(|entry| entry.sequence), Some(Sequence(4)));
        assert!(window.find(b"b").is_none());
        window.record(Sequence(6), &received("d", 4));
        assert!(window.find(b"a").is_none());
        assert_eq!(window.len(), 2);
    }

    /// Catches a payload that is dropped as a repetition, because an equal one of another time was lost and came back.
    #[test]
    fn a_text_that_came_back_repeats_nothing() {
        let mut window = TextWindow::default();
        let Change::Received(lost) = received("a", 0) else { panic!("it is received") };
        let former = Readmission {
            epoch: Epoch(1),
            sequence: Sequence(9),
            digest: Digest([7; 32]),
            author: String::new(),
            reason: String::new(),
        };
        let back = Received { readmission: Some(Box::new(former)), ..*lost };
        window.record(Sequence(1), &Change::Received(Box::new(back)));
        assert!(window.find(b"a").is_none() && window.is_empty());
    }

    /// Catches a flood that takes memory without a limit.
    #[test]
    fn a_flood_of_texts_is_bounded() {
        let mut window = TextWindow::default();
        for n in 1..=MAX_WINDOW_TEXTS as u64 + 100 {
            window.record(Sequence(n), &received(&n.to_string(), 0));
        }
        assert_eq!((window.len(), window.last.len()), (MAX_WINDOW_TEXTS, MAX_WINDOW_TEXTS));
        assert!(window.find(b"100").is_none());
        assert!(window.find(b"101").is_some());
    }
}
