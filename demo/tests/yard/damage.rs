//! Damage of a log, placed by the texts that it holds.

use std::fs;
use std::path::Path;

/// Returns the places of a text in a file.
pub(crate) fn places(file: &[u8], text: &str) -> Vec<usize> {
    let places = file.windows(text.len()).enumerate().filter(|(_, at)| *at == text.as_bytes()).map(|(place, _)| place);
    let places: Vec<_> = places.collect();
    assert!(!places.is_empty(), "{text}");
    places
}

/// Flips a bit in every place of a text in a log.
pub(crate) fn flip(log: &Path, text: &str) {
    let mut bytes = fs::read(log).unwrap();
    for place in places(&bytes, text) {
        bytes[place] ^= 4;
    }
    fs::write(log, bytes).unwrap();
}
