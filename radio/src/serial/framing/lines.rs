//! Splits a stream at its line ends.

use super::frame::FrameError;

pub(super) const CR: u8 = b'\r';
pub(super) const LF: u8 = b'\n';

/// Splits a stream into lines of limited length, without their ends. Empty lines are skipped.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    max_bytes: usize,
    /// Set while the rest of an overlong line is skipped, until its end.
    skipping: bool,
}

impl Lines {
    pub(super) fn new(max_bytes: usize) -> Self {
        // One more, for a CR that may be part of the line end.
        Self { buffer: Vec::with_capacity(max_bytes + 1), max_bytes, skipping: false }
    }

    /// Takes one byte. Returns the line that it ends, or the error that it causes.
    pub(super) fn push(&mut self, byte: u8) -> Option<Result<Vec<u8>, FrameError>> {
        if byte == LF {
            return self.end().map(Ok);
        }
        if self.skipping {
            return None;
        }
        let fits = self.buffer.len() < self.max_bytes || (self.buffer.len() == self.max_bytes && byte == CR);
        if fits {
            self.buffer.push(byte);
            return None;
        }
        self.buffer.clear();
        self.skipping = true;
        Some(Err(FrameError::Overlong))
    }

    fn end(&mut self) -> Option<Vec<u8>> {
        self.skipping = false;
        let line = self.buffer.strip_suffix(&[CR]).unwrap_or(&self.buffer);
        let line = (!line.is_empty()).then(|| line.to_vec());
        self.buffer.clear();
        line
    }

    /// Returns the open line as far as it has arrived.
    pub(super) fn content(&self) -> &[u8] {
        &self.buffer
    }

    /// Starts a new line. Returns the number of bytes that this discards and that no error has reported yet.
    pub(super) fn restart(&mut self) -> usize {
        let discarded_bytes = self.buffer.len();
        self.buffer.clear();
        self.skipping = false;
        discarded_bytes
    }

    /// Returns true if a line has begun and not ended.
    pub(super) fn is_partial(&self) -> bool {
        self.skipping || !self.buffer.is_empty()
    }

    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8]) -> Vec<Result<Vec<u8>, FrameError>> {
        let mut lines = Lines::new(3);
        bytes.iter().filter_map(|byte| lines.push(*byte)).collect()
    }

    /// Catches a line of the greatest length that its own end makes too long, and one byte more that is let in.
    #[test]
    fn a_cr_does_not_count_and_every_other_byte_does() {
        let whole = |line: &str| Ok(line.as_bytes().to_vec());
        assert_eq!(split(b"abc\nabc\r\nab\r\n"), [whole("abc"), whole("abc"), whole("ab")]);
        assert_eq!(split(b"abcd\nab\n"), [Err(FrameError::Overlong), whole("ab")]);
        assert_eq!(split(b"abc\rd\nab\n"), [Err(FrameError::Overlong), whole("ab")]);
    }
}
