//! Keys of rows. [`Table`](super::Table) lists the parts of each.

use super::{EVENT_IDS_PER_ROW, Key};
use crate::change::TagKind;
use crate::payload::{EventId, SourceType, compared_label};
use crate::position::{Digest, Sequence};

/// Returns the length of a text that is not the last part of a key, and the text.
///
/// Names come from fields of at most 64 characters (256 bytes) or from settings of at most 64 bytes; a longer one is cut at
/// 255, which keeps keys total and still orders them.
fn counted(text: &str) -> ([u8; 1], &[u8]) {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    ([u8::try_from(bytes.len()).unwrap_or(u8::MAX)], bytes)
}

/// Makes the key of an animal, a batch or a sequence.
#[must_use]
pub fn number_key(number: u64) -> Key {
    Key::of(&[&number.to_be_bytes()])
}

/// Returns the number at the start of a key.
#[must_use]
pub fn number_in(key: &[u8]) -> Option<u64> {
    key.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Returns the number at the end of a key.
#[must_use]
pub fn number_at_end(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Makes a key of two numbers.
#[must_use]
pub fn pair_key(first: u64, second: u64) -> Key {
    Key::of(&[&first.to_be_bytes(), &second.to_be_bytes()])
}

/// Makes a key of [`Table::TagOwners`](super::Table::TagOwners).
#[must_use]
pub fn tag_owner_key(kind: TagKind, tag: &str) -> Key {
    Key::of(&[&[kind as u8], tag.as_bytes()])
}

/// Returns the beginning of all keys of a reader group.
#[must_use]
pub fn reader_group_prefix(group: &str) -> Key {
    let (length, group) = counted(group);
    Key::of(&[&length, group])
}

/// Makes a key of `reader group, era, name`: lids and counters.
#[must_use]
pub fn reader_key(group: &str, era: u32, name: &str) -> Key {
    let (length, group) = counted(group);
    Key::of(&[&length, group, &era.to_be_bytes(), name.as_bytes()])
}

/// Makes a key of [`Table::EventIds`](super::Table::EventIds), and returns the place of the id in its row.
///
/// Ids with another number of digits are other ids, so that `hxbind7` and `hxbind007` do not collide.
#[must_use]
pub fn event_id_key(group: &str, era: u32, id: &EventId) -> (Key, u8) {
    let letters = id.counter_name();
    let digits = u8::try_from(id.text.len() - letters.len()).unwrap_or(u8::MAX);
    event_number_key(group, era, (letters, digits), id.counter)
}

/// Makes the same key of the letters of an id, its number of digits, and its number.
#[must_use]
pub fn event_number_key(group: &str, era: u32, (letters, digits): (&str, u8), number: u64) -> (Key, u8) {
    let block = (number / EVENT_IDS_PER_ROW).to_be_bytes();
    let ((group_length, group), (length, letters)) = (counted(group), counted(letters));
    let key = Key::of(&[&group_length, group, &era.to_be_bytes(), &length, letters, &[digits], &block]);
    (key, u8::try_from(number % EVENT_IDS_PER_ROW).unwrap_or_default())
}

/// Makes a key of [`Table::Gaps`](super::Table::Gaps). The name of a counter always has six letters, so the number can
/// follow it.
#[must_use]
pub fn gap_key(group: &str, era: u32, counter: &str, last: u64) -> Key {
    let (length, group) = counted(group);
    Key::of(&[&length, group, &era.to_be_bytes(), counter.as_bytes(), &last.to_be_bytes()])
}

/// Makes a key of [`Table::LatestBatches`](super::Table::LatestBatches). Numbers that differ only in blanks, or in the case
/// of ASCII letters, have one key.
#[must_use]
pub fn latest_batch_key(source: SourceType, number: &str) -> Key {
    Key::of(&[&[source as u8], compared_label(number).as_bytes()])
}

/// Returns the lowest key above all keys that begin with `prefix`; `None` if there is no such key.
#[must_use]
pub fn after_prefix(prefix: &[u8]) -> Option<Key> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end.as_slice().into());
        }
    }
    None
}

/// Returns the lowest key above `key`.
#[must_use]
pub fn after_key(key: &[u8]) -> Key {
    Key::of(&[key, &[0]])
}

/// Makes the key of a sequence.
#[must_use]
pub fn sequence_key(sequence: Sequence) -> Key {
    number_key(sequence.0)
}

/// Makes the key of a digest.
#[must_use]
pub fn digest_key(digest: &Digest) -> Key {
    Key::of(&[&digest.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_group_are_not_keys_of_a_group_with_a_longer_name() {
        let prefix = reader_group_prefix("main");
        let end = after_prefix(&prefix).unwrap();
        assert!((&prefix..&end).contains(&&reader_key("main", 1, "7")));
        assert!(!(&prefix..&end).contains(&&reader_key("mainly", 1, "7")));
    }

    /// Catches a length that is no longer that of the text behind it.
    #[test]
    fn a_name_is_cut_where_its_length_ends() {
        let prefix = reader_group_prefix(&"x".repeat(300));
        assert_eq!((prefix.len(), prefix[0]), (256, 255));
        assert_eq!(prefix, reader_group_prefix(&"x".repeat(255)));
        assert!(prefix > reader_group_prefix(&"x".repeat(254)));
    }

    /// Catches a lot that is counted as two, because a second reader writes it in another way.
    #[test]
    fn numbers_that_differ_in_case_or_blanks_have_one_key() {
        let key = |number| latest_batch_key(SourceType::Hxb, number);
        for number in ["lot 7-a", "LOT7-A", " Lot\u{a0}7-A", "LOT\u{200b} 7-a"] {
            assert_eq!(key(number), key("LOT 7-A"), "{number:?}");
        }
        assert_ne!(key("LOT 7A"), key("LOT 7-A"));
        assert_ne!(key("LÖT"), key("LöT"));
    }

    #[test]
    fn a_prefix_of_highest_bytes_has_no_key_above() {
        assert_eq!(after_prefix(&[255, 255]), None);
        assert_eq!(after_prefix(&[1, 255]), Some(Key::from(&[2][..])));
    }
}
