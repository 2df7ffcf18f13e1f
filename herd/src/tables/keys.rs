//! The keys of the rows. See [`Table`](super::Table) for what each is made of.

use crate::change::{AnimalId, BatchId, TagKind};
use crate::payload::SourceType;
use crate::position::Sequence;

/// A trait whose values a batch shows as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BatchTrait {
    /// The pens its animals were inducted into.
    Pen = 0,
    /// Their sexes.
    Sex = 1,
    /// Who funds them.
    Funder = 2,
}

/// The bytes of a key.
pub type Key = Vec<u8>;

fn prefixed(text: &str) -> impl Iterator<Item = u8> + '_ {
    // Names come from fields of at most 64 characters (256 bytes) or from settings of at most 64 bytes; a longer one
    // is cut at 255, which keeps keys total and still orders them.
    let bytes = &text.as_bytes()[..text.len().min(255)];
    std::iter::once(u8::try_from(bytes.len()).unwrap_or(u8::MAX)).chain(bytes.iter().copied())
}

/// `u64`, for animals, batches and sequences.
#[must_use]
pub fn number_key(number: u64) -> Key {
    number.to_be_bytes().to_vec()
}

/// The number at the start of a key, where there is one.
#[must_use]
pub fn number_in(key: &[u8]) -> Option<u64> {
    key.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The number at the end of a key, where there is one.
#[must_use]
pub fn number_at_end(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Two numbers after one another.
#[must_use]
pub fn pair_key(first: u64, second: u64) -> Key {
    [first.to_be_bytes(), second.to_be_bytes()].concat()
}

/// [`Table::AnimalTags`](super::Table::AnimalTags).
#[must_use]
pub fn animal_tag_key(animal: AnimalId, kind: TagKind, tag: &str) -> Key {
    let mut key = number_key(animal.0);
    key.push(kind as u8);
    key.extend_from_slice(tag.as_bytes());
    key
}

/// The kind of tag that a key of [`Table::AnimalTags`](super::Table::AnimalTags) is of.
#[must_use]
pub fn tag_kind_in(key: &[u8]) -> TagKind {
    if key.get(8) == Some(&(TagKind::Lf as u8)) { TagKind::Lf } else { TagKind::Epc }
}

/// [`Table::TagOwners`](super::Table::TagOwners).
#[must_use]
pub fn tag_owner_key(kind: TagKind, tag: &str) -> Key {
    let mut key = Vec::with_capacity(1 + tag.len());
    key.push(kind as u8);
    key.extend_from_slice(tag.as_bytes());
    key
}

/// `reader group, era, name`: lids, event ids and counters.
#[must_use]
pub fn reader_key(group: &str, era: u32, name: &str) -> Key {
    let mut key: Key = prefixed(group).collect();
    key.extend_from_slice(&era.to_be_bytes());
    key.extend_from_slice(name.as_bytes());
    key
}

/// [`Table::Gaps`](super::Table::Gaps): the counter's name has its fixed six letters, so the number can follow it.
#[must_use]
pub fn gap_key(group: &str, era: u32, counter: &str, first: u64) -> Key {
    let mut key = reader_key(group, era, counter);
    key.extend_from_slice(&first.to_be_bytes());
    key
}

/// [`Table::LatestBatches`](super::Table::LatestBatches).
#[must_use]
pub fn latest_batch_key(source: SourceType, number: &str) -> Key {
    let mut key = vec![source as u8];
    key.extend_from_slice(number.as_bytes());
    key
}

/// [`Table::BatchNumbers`](super::Table::BatchNumbers).
#[must_use]
pub fn batch_number_key(number: &str, batch: BatchId) -> Key {
    let mut key: Key = prefixed(number).collect();
    key.extend_from_slice(&batch.0.to_be_bytes());
    key
}

/// [`Table::BatchTraits`](super::Table::BatchTraits).
#[must_use]
pub fn batch_trait_key(batch: BatchId, which: BatchTrait, value: &str) -> Key {
    let mut key = number_key(batch.0);
    key.push(which as u8);
    key.extend_from_slice(value.as_bytes());
    key
}

/// Every key that begins with `prefix` is at least the prefix and below this; none where no key is above.
#[must_use]
pub fn after_prefix(prefix: &[u8]) -> Option<Key> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// The lowest key above `key`.
#[must_use]
pub fn after_key(key: &[u8]) -> Key {
    [key, &[0]].concat()
}

/// A sequence as a key.
#[must_use]
pub fn sequence_key(sequence: Sequence) -> Key {
    number_key(sequence.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_group_are_not_keys_of_a_group_whose_name_begins_alike() {
        let end = after_prefix(&prefixed("main").collect::<Vec<_>>()).unwrap();
        let own = reader_key("main", 1, "7");
        assert!(own < end);
        let other = reader_key("mainly", 1, "7");
        assert!(other >= end || other < prefixed("main").collect::<Vec<_>>());
    }

    #[test]
    fn a_prefix_of_highest_bytes_has_no_end() {
        assert_eq!(after_prefix(&[255, 255]), None);
        assert_eq!(after_prefix(&[1, 255]), Some(vec![2]));
    }
}
