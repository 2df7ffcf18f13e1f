//! A stream cut at line ends.

use super::FrameError;

pub(super) const CR: u8 = b'\r';
pub(super) const LF: u8 = b'\n';

/// Cuts a stream into lines of at most so many bytes, without their ends. Empty lines are passed over.
#[derive(Debug)]
pub(super) struct Lines {
    held: Vec<u8>,
    longest_bytes: usize,
    /// The rest of an overlong line is passed over up to its end.
    skipping: bool,
}

impl Lines {
    pub(super) fn new(longest_bytes: usize) -> Self {
        // One more, for a CR that may turn out to be of the line end.
        Self { held: Vec::with_capacity(longest_bytes + 1), longest_bytes, skipping: false }
    }

    /// Takes one byte, and gives the line that it ends, or the error that it makes.
    pub(super) fn push(&mut self, byte: u8) -> Option<Result<Vec<u8>, FrameError>> {
        if byte == LF {
            return self.end().map(Ok);
        }
        if self.skipping {
            return None;
        }
        let room = self.held.len() < self.longest_bytes || (self.held.len() == self.longest_bytes && byte == CR);
        if room {
            self.held.push(byte);
            return None;
        }
        self.held.clear();
        self.skipping = true;
        Some(Err(FrameError::Overlong))
    }

    fn end(&mut self) -> Option<Vec<u8>> {
        self.skipping = false;
        let line = self.held.strip_suffix(&[CR]).unwrap_or(&self.held);
        let line = (!line.is_empty()).then(|| line.to_vec());
        self.held.clear();
        line
    }

    /// Begins anew, and says how many bytes are lost by that and have not been named yet.
    pub(super) fn restart(&mut self) -> usize {
        let lost_bytes = self.held.len();
        self.held.clear();
        self.skipping = false;
        lost_bytes
    }

    /// Whether a line has begun and not ended.
    pub(super) fn is_partial(&self) -> bool {
        self.skipping || !self.held.is_empty()
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held.capacity()
    }
}
