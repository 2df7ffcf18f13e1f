//! The number of changes that a pull asks for.
//!
//! A page is applied and shown when it has arrived whole, so a page should take seconds, however slow the link is. And a
//! link that is cut again and again lets only short pages through.

use herd::wire::MAX_PAGE_CHANGES;
use std::time::Duration;

/// Changes on the first page: 25 kB, which take half a minute at 1 kB/s.
const FIRST_CHANGES: usize = 256;
/// Changes below which no failure shrinks a page: 1 kB, less than the handshake before it.
const MIN_CHANGES: usize = 8;
/// A page that took longer is followed by one of half its size.
const SLOW_PAGE: Duration = Duration::from_secs(8);
/// A page that took less is followed by one of twice its size.
const FAST_PAGE: Duration = Duration::from_secs(2);

/// Size of the next page, which adapts to the link.
#[derive(Debug)]
pub(super) struct PageSize(usize);

impl Default for PageSize {
    fn default() -> Self {
        Self(FIRST_CHANGES)
    }
}

impl PageSize {
    /// Returns the number of changes to ask for.
    pub(super) fn changes(&self) -> usize {
        self.0
    }

    /// Notes that a page has arrived whole, and how long that took.
    pub(super) fn note_arrival(&mut self, took: Duration) {
        if took > SLOW_PAGE {
            self.halve();
        } else if took < FAST_PAGE {
            self.0 = (self.0 * 2).min(MAX_PAGE_CHANGES);
        }
    }

    /// Halves the size, after a page that did not arrive whole.
    pub(super) fn halve(&mut self) {
        self.0 = (self.0 / 2).max(MIN_CHANGES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a page that stays too long for its link, or too short after the link has recovered.
    #[test]
    fn a_page_halves_after_each_failure_and_grows_again() {
        let mut size = PageSize::default();
        let mut sizes = vec![size.changes()];
        for _ in 0..7 {
            size.halve();
            sizes.push(size.changes());
        }
        assert_eq!(sizes, [256, 128, 64, 32, 16, 8, 8, 8]);
        for _ in 0..11 {
            size.note_arrival(Duration::ZERO);
        }
        assert_eq!(size.changes(), MAX_PAGE_CHANGES);
        size.note_arrival(SLOW_PAGE);
        assert_eq!(size.changes(), MAX_PAGE_CHANGES, "neither slow nor fast");
        size.note_arrival(SLOW_PAGE + Duration::from_millis(1));
        assert_eq!(size.changes(), MAX_PAGE_CHANGES / 2);
    }
}
