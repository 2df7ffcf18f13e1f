//! The bytes of the fuzzer as a script.
//!
//! A script is read from the front. Past its end, every number is 0 and every piece is empty, so each input is one and a
//! longer input only adds to it. [`ScriptWriter`] makes the scripts of seeds.

/// First byte of a number that does not stand in it itself.
const LONG: u8 = 250;
/// First byte of the largest number.
const LARGEST: u8 = 255;

/// Reads a script.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// Starts to read.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Reads a number. Small ones take a byte, and the ends of the range are as near as any other.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            LARGEST => u64::MAX,
            LONG.. => {
                let mut bytes = [0; 8];
                bytes.fill_with(|| self.byte());
                u64::from_le_bytes(bytes)
            }
            small => small.into(),
        }
    }

    /// Reads a number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let number = usize::from(u16::from_le_bytes([self.byte(), self.byte()]));
        number.checked_rem(limit).unwrap_or(0)
    }

    /// Reads a piece: its length in two bytes, and as much of it as there is.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = self.below(usize::MAX).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// Returns all that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Writes a script.
#[derive(Clone, Debug, Default)]
pub struct ScriptWriter(Vec<u8>);

impl ScriptWriter {
    /// Adds a byte.
    #[must_use]
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    /// Adds a number that [`Script::number`] reads.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        match u8::try_from(number) {
            Ok(small) if small < LONG => self.0.push(small),
            _ => {
                self.0.push(LONG);
                self.0.extend(number.to_le_bytes());
            }
        }
        self
    }

    /// Adds a number that [`Script::below`] reads.
    #[must_use]
    pub fn below(mut self, number: u16) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    /// Adds a piece of at most 64 KiB.
    #[must_use]
    pub fn piece(self, piece: &[u8]) -> Self {
        let piece = &piece[..piece.len().min(usize::from(u16::MAX) - 1)];
        let mut with_length = self.below(u16::try_from(piece.len()).unwrap_or(0));
        with_length.0.extend_from_slice(piece);
        with_length
    }

    /// Returns the script.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}
