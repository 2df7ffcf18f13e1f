//! Scheduled events in the order of their time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// An event and its time on the air's clock.
#[derive(Debug)]
struct ScheduledEvent<E> {
    at_ns: u64,
    /// Events of the same time happen in the order in which they were scheduled, so that a seed replays exactly.
    order: u64,
    event: E,
}

impl<E> ScheduledEvent<E> {
    fn key(&self) -> (u64, u64) {
        (self.at_ns, self.order)
    }
}

impl<E> PartialEq for ScheduledEvent<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for ScheduledEvent<E> {}

impl<E> PartialOrd for ScheduledEvent<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for ScheduledEvent<E> {
    /// Reversed, because the heap pops the greatest element and the earliest event must come first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// A queue of scheduled events, earliest first.
#[derive(Debug)]
pub(super) struct EventQueue<E> {
    events: BinaryHeap<ScheduledEvent<E>>,
    next_order: u64,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self { events: BinaryHeap::new(), next_order: 0 }
    }
}

impl<E> EventQueue<E> {
    pub(super) fn schedule(&mut self, at_ns: u64, event: E) {
        self.events.push(ScheduledEvent { at_ns, order: self.next_order, event });
        self.next_order += 1;
    }

    /// Returns the time of the earliest event.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.events.peek().map(|scheduled| scheduled.at_ns)
    }

    /// Removes and returns the earliest event if its time is at most `until_ns`.
    pub(super) fn pop_due(&mut self, until_ns: u64) -> Option<(u64, E)> {
        if self.next_ns()? > until_ns {
            return None;
        }
        self.events.pop().map(|scheduled| (scheduled.at_ns, scheduled.event))
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }
}
