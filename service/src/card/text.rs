//! The bytes of the file as editors write them.

use super::{CardError, CardMistake};
use std::ops::Range;

/// Maximum size of a file on the card. The commented file has four kilobytes.
pub const MAX_CARD_FILE_BYTES: usize = 64 * 1024;

const BOM: char = '\u{feff}';

/// Encoding of the file, which stays as it was when the file is written again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 without a byte order mark.
    #[default]
    Utf8,
    /// UTF-8 with a byte order mark: Notepad of Windows 7 and 8, "UTF-8 with BOM" later.
    Utf8Bom,
    /// UTF-16, little endian: "Unicode" of older Notepads, "UTF-16 LE" of newer ones.
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
}

/// Text of the file, and its encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardText {
    /// The text, with its own line ends and without a byte order mark.
    pub text: String,
    /// Encoding of the bytes.
    pub encoding: Encoding,
}

impl CardText {
    /// Decodes the bytes of a file.
    pub fn decode(bytes: &[u8]) -> Result<Self, CardMistake> {
        if bytes.len() > MAX_CARD_FILE_BYTES {
            return Err(CardMistake::of_file(CardError::TooLarge { max_kib: MAX_CARD_FILE_BYTES / 1024 }));
        }
        let (encoding, text) = match bytes {
            [0xff, 0xfe, rest @ ..] => (Encoding::Utf16Le, from_utf16(rest, u16::from_le_bytes)?),
            [0xfe, 0xff, rest @ ..] => (Encoding::Utf16Be, from_utf16(rest, u16::from_be_bytes)?),
            // UTF-16 without a mark. The file starts with a character of ASCII.
            [1..=255, 0, ..] => (Encoding::Utf16Le, from_utf16(bytes, u16::from_le_bytes)?),
            [0, 1..=255, ..] => (Encoding::Utf16Be, from_utf16(bytes, u16::from_be_bytes)?),
            [0xef, 0xbb, 0xbf, rest @ ..] => (Encoding::Utf8Bom, from_utf8(rest)?),
            _ => (Encoding::Utf8, from_utf8(bytes)?),
        };
        if text.contains('\0') {
            return Err(CardMistake::of_file(CardError::NotText));
        }
        Ok(Self { text, encoding })
    }

    /// Encodes the text as it was decoded, with a byte order mark if the encoding has one.
    pub fn encode(&self) -> Vec<u8> {
        let marked = || std::iter::once(BOM).chain(self.text.chars());
        let units = || {
            let mut buffer = [0; 2];
            marked().flat_map(|c| c.encode_utf16(&mut buffer).to_vec()).collect::<Vec<_>>()
        };
        match self.encoding {
            Encoding::Utf8 => self.text.clone().into_bytes(),
            Encoding::Utf8Bom => marked().collect::<String>().into_bytes(),
            Encoding::Utf16Le => units().into_iter().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => units().into_iter().flat_map(u16::to_be_bytes).collect(),
        }
    }

    /// Returns the text with an empty text (`""`) in place of each range. The ranges are in order.
    #[must_use]
    pub fn with_blanks(&self, ranges: &[Range<usize>]) -> Self {
        let mut text = String::with_capacity(self.text.len());
        let mut end = 0;
        for range in ranges {
            text.push_str(self.text.get(end..range.start).unwrap_or_default());
            text.push_str("\"\"");
            end = range.end;
        }
        text.push_str(self.text.get(end..).unwrap_or_default());
        Self { text, encoding: self.encoding }
    }
}

fn from_utf8(bytes: &[u8]) -> Result<String, CardMistake> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| not_text_at(bytes, error.valid_up_to()))
}

fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, CardMistake> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect::<Result<String, _>>();
    // Half a character at the end means that the file was cut while it was copied.
    text.ok().filter(|_| rest.is_empty()).ok_or_else(|| CardMistake::of_file(CardError::NotText))
}

fn not_text_at(bytes: &[u8], offset: usize) -> CardMistake {
    CardMistake::at(line_at(bytes, offset), CardError::NotText)
}

/// Returns the line of a byte, counted from 1.
pub(super) fn line_at(bytes: &[u8], offset: usize) -> usize {
    1 + bytes.iter().take(offset).filter(|byte| **byte == b'\n').count()
}
