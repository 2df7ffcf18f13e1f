//! What will happen on the air, in the order of its time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that happens at a time on the air's clock.
#[derive(Debug)]
struct Due<E> {
    at_ns: u64,
    /// Events of one time happen in the order in which they were planned, so that a seed gives one course.
    order: u64,
    event: E,
}

impl<E> Due<E> {
    fn key(&self) -> (u64, u64) {
        (self.at_ns, self.order)
    }
}

impl<E> PartialEq for Due<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Due<E> {}

impl<E> PartialOrd for Due<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Due<E> {
    /// The earliest is the greatest, as the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// Planned events, earliest first.
#[derive(Debug)]
pub(super) struct Queue<E> {
    planned: BinaryHeap<Due<E>>,
    order: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { planned: BinaryHeap::new(), order: 0 }
    }
}

impl<E> Queue<E> {
    pub(super) fn plan(&mut self, at_ns: u64, event: E) {
        self.planned.push(Due { at_ns, order: self.order, event });
        self.order += 1;
    }

    /// When the next one is due.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.planned.peek().map(|due| due.at_ns)
    }

    /// The next one that is due by then.
    pub(super) fn take_by(&mut self, now_ns: u64) -> Option<(u64, E)> {
        if self.next_ns()? > now_ns {
            return None;
        }
        self.planned.pop().map(|due| (due.at_ns, due.event))
    }

    pub(super) fn len(&self) -> usize {
        self.planned.len()
    }
}
