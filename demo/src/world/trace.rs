//! The events of a world, in order: hashed, and printed for whoever looks for a fault.

use std::fmt::Write as _;
use tokio::time::Instant;

/// Hash of all events so far, in order.
pub(super) struct Trace<'a> {
    start: Instant,
    hasher: blake3::Hasher,
    print: &'a mut dyn FnMut(&str),
}

impl<'a> Trace<'a> {
    pub(super) fn new(print: &'a mut dyn FnMut(&str)) -> Self {
        Self { start: Instant::now(), hasher: blake3::Hasher::default(), print }
    }

    pub(super) fn note(&mut self, event: &str) {
        let (elapsed, mut line) = (self.start.elapsed(), String::new());
        let _ = write!(line, "{:>4}.{:06} {event}", elapsed.as_secs(), elapsed.subsec_micros());
        self.hasher.update(line.as_bytes());
        (self.print)(&line);
    }

    pub(super) fn digest(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}
