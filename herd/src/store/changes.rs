//! Stored changes in one buffer, for rows of the log and for pages.

use crate::digest;
use crate::position::{Digest, Sequence};
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::Bytes;

/// Stored changes, one after the other in one buffer: a page of 10,000 needs two allocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    buffer: Vec<u8>,
    ends: Vec<u32>,
}

impl Changes {
    /// Returns the number of changes.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the total length in bytes.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Adds a change at the end. Pages and rows are bounded far below the 4 GiB at which the ends would saturate.
    pub fn push(&mut self, change: &[u8]) {
        self.buffer.extend_from_slice(change);
        self.ends.push(u32::try_from(self.buffer.len()).unwrap_or(u32::MAX));
    }

    /// Returns the change at `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        self.buffer.get(start..end)
    }

    /// Iterates over the changes in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| *end as usize));
        starts.zip(&self.ends).map(|(start, end)| &self.buffer[start..*end as usize])
    }

    /// Iterates over the changes that follow `after`, each with its sequence.
    ///
    /// Sequences end at the largest number: a page may claim to begin anywhere, before anything proves it.
    pub(crate) fn numbered(&self, after: Sequence) -> impl Iterator<Item = (Sequence, &[u8])> {
        let sequences = std::iter::successors(Some(after.next()), |sequence| Some(sequence.next()));
        sequences.zip(self.iter())
    }

    /// Returns the chain digest after all of them. `before` is the digest after `after`.
    #[must_use]
    pub fn chain(&self, before: Digest, after: Sequence) -> Digest {
        self.numbered(after).fold(before, |digest, (sequence, bytes)| digest::chain_next(digest, sequence, bytes))
    }
}

impl<'a> FromIterator<&'a [u8]> for Changes {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(from: I) -> Self {
        let mut changes = Self::default();
        from.into_iter().for_each(|change| changes.push(change));
        changes
    }
}

/// A plain list of byte strings.
impl Serialize for Changes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.len()))?;
        for change in self.iter() {
            list.serialize_element(Bytes::new(change))?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Changes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Changes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of byte strings")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Changes, A::Error> {
                // Do not trust the announced length: memory grows only with bytes that are present.
                let mut changes = Changes::default();
                while let Some(change) = list.next_element::<&'de Bytes>()? {
                    changes.push(change);
                }
                Ok(changes)
            }
        }
        from.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_reads_back_from_postcard_as_a_plain_list_of_byte_strings() {
        let changes: Changes = [&b"one"[..], b"", b"three"].into_iter().collect();
        let bytes = postcard::to_stdvec(&changes).unwrap();
        assert_eq!(bytes, b"\x03\x03one\x00\x05three");
        assert_eq!(postcard::from_bytes::<Changes>(&bytes).unwrap(), changes);
        assert_eq!(changes.get(2), Some(&b"three"[..]));
        assert_eq!(changes.get(3), None);
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        assert!(postcard::from_bytes::<Changes>(&[0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
    }
}
