//! Labels that many animals share: numbers of lots, pens, funders, sexes, channels.
//!
//! Each text is kept once. Labels that differ only in blanks, or in the case of ASCII letters, are of one *group*, as lots
//! are compared everywhere else. A text that no animal has any more stays until the catalog is built anew.

use super::Catalog;
use crate::payload::compared_label;
use crate::text::Text;
use std::collections::HashMap;

/// The label of an animal that has none.
pub(super) const NO_LABEL: u32 = 0;
/// The group of [`NO_LABEL`].
pub(super) const NO_GROUP: u32 = 0;

/// Number of bytes of a text that are compared when texts are sorted.
pub(super) const KEY_BYTES: usize = 15;

/// Texts by number. Number 0 is no text.
#[derive(Debug)]
pub(super) struct Labels {
    texts: Vec<Text>,
    /// Group of each text.
    groups: Vec<u32>,
    /// Key of each group for sorting.
    keys: Vec<u128>,
    by_text: HashMap<Text, u32>,
    by_compared: HashMap<Text, u32>,
    /// Bytes of texts outside of their places.
    heap_bytes: usize,
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            texts: vec![Text::default()],
            groups: vec![NO_GROUP],
            keys: vec![0],
            by_text: HashMap::new(),
            by_compared: HashMap::new(),
            heap_bytes: 0,
        }
    }
}

impl Labels {
    /// Returns the number of a text, which it gets if it is new.
    pub(super) fn intern(&mut self, text: Option<&str>) -> u32 {
        let Some(text) = text else { return NO_LABEL };
        if let Some(known) = self.by_text.get(text) {
            return *known;
        }
        // Every text is in a change of at most 64 KiB, so there are fewer than the changes of ten years of a yard.
        let number = u32::try_from(self.texts.len()).unwrap_or(NO_LABEL);
        let next_group = u32::try_from(self.by_compared.len() + 1).unwrap_or(NO_GROUP);
        let group = *self.by_compared.entry(compared_label(text)).or_insert(next_group);
        if group == next_group {
            self.keys.push(natural_key(text));
        }
        self.texts.push(text.into());
        self.groups.push(group);
        self.by_text.insert(text.into(), number);
        self.heap_bytes += if text.len() > size_of::<Text>() { 3 * text.len() } else { 0 };
        number
    }

    /// Returns the number of a text, if it has one.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.by_text.get(text).copied()
    }

    /// Returns the text of a label.
    pub(super) fn text(&self, label: u32) -> Option<&Text> {
        self.texts.get(label as usize).filter(|_| label != NO_LABEL)
    }

    /// Returns the group of a label.
    pub(super) fn group(&self, label: u32) -> u32 {
        self.groups.get(label as usize).copied().unwrap_or(NO_GROUP)
    }

    /// Returns the key of a label for sorting, which is that of its group; `None` for no label.
    pub(super) fn key(&self, label: u32) -> Option<u128> {
        self.group_key(self.group(label))
    }

    /// Returns the key of a group for sorting; `None` for that of no label. Groups may share a key.
    pub(super) fn group_key(&self, group: u32) -> Option<u128> {
        self.keys.get(group as usize).copied().filter(|_| group != NO_GROUP)
    }

    /// Returns the group of a text, if a label is of that group.
    pub(super) fn group_of(&self, text: &str) -> Option<u32> {
        self.by_compared.get(&*compared_label(text)).copied()
    }

    /// Returns the first text of each of these groups, in natural order.
    fn names(&self, of: impl Iterator<Item = u32>) -> Vec<Text> {
        let mut is_wanted = vec![false; self.groups()];
        for group in of {
            is_wanted[group as usize] = true;
        }
        let mut is_first = |group: u32| is_wanted.get_mut(group as usize).is_some_and(std::mem::take);
        let groups: Vec<_> = self.groups.iter().skip(1).map(|group| is_first(*group).then_some(*group)).collect();
        let labels = self.texts.iter().skip(1).zip(groups);
        let mut names: Vec<_> = labels.filter_map(|(text, group)| Some((self.group_key(group?), text))).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, text)| text.clone()).collect()
    }

    /// Returns the number of groups, including that of no label.
    pub(super) fn groups(&self) -> usize {
        self.by_compared.len() + 1
    }

    /// Returns the memory of the labels, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let map_entry = size_of::<Text>() + size_of::<u32>() + 8;
        self.texts.capacity() * (size_of::<Text>() + size_of::<u32>())
            + self.keys.capacity() * size_of::<u128>()
            + (self.by_text.capacity() + self.by_compared.capacity()) * map_entry
            + self.heap_bytes
    }
}

impl Catalog {
    /// Returns the funders of listed animals, in natural order.
    pub fn funders(&self) -> Vec<Text> {
        self.funders.names(self.tally.cohorts().map(|(cohort, _)| cohort.funder))
    }

    /// Returns the sexes of listed animals, in natural order.
    pub fn sexes(&self) -> Vec<Text> {
        self.sexes.names(self.tally.cohorts().map(|(cohort, _)| cohort.sex))
    }
}

/// Returns the key of a text: its first signs as labels are compared, with each number behind its number of digits.
pub(super) fn natural_key(text: &str) -> u128 {
    // Nearly all texts have no blanks; the case of letters is seen to below.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return key_of_signs(&compared_label(text));
    }
    key_of_signs(text)
}

fn key_of_signs(text: &str) -> u128 {
    let mut key = [0_u8; KEY_BYTES + 1];
    let (mut at, mut rest) = (1, text.as_bytes());
    while at <= KEY_BYTES
        && let Some((first, others)) = rest.split_first()
    {
        if !first.is_ascii_digit() {
            key[at] = first.to_ascii_lowercase();
            (at, rest) = (at + 1, others);
            continue;
        }
        let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count().min(digits.len() - 1);
        let digits = &digits[zeros..];
        // One to ten digits, and more.
        key[at] = b'0' + u8::try_from(digits.len().min(10) - 1).unwrap_or_default();
        for (place, digit) in key[at + 1..].iter_mut().zip(digits) {
            *place = *digit;
        }
        (at, rest) = (at + 1 + digits.len(), after);
    }
    u128::from_be_bytes(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a filter that offers one funder twice, because somebody wrote it in another way.
    #[test]
    fn each_group_has_the_name_that_came_first() {
        let mut labels = Labels::default();
        assert_eq!(labels.names([NO_GROUP].into_iter()), Vec::<Text>::new());
        for text in ["Steer", "heifer", "STEER", "Lot 10", "lot 9", "Heifer"] {
            labels.intern(Some(text));
        }
        let names = |of: &[u32]| labels.names(of.iter().copied()).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&[NO_GROUP, 1, 2, 3, 4]), ["heifer", "lot 9", "Lot 10", "Steer"]);
        assert_eq!(names(&[4, 1, 1]), ["lot 9", "Steer"]);
    }

    #[test]
    fn numbers_in_texts_are_compared_as_numbers() {
        let ordered = ["1", "2", "10", "0100", "H006", "H7", "h10", "H10a", "PEN8", "Pen 9 b", "PEN10"];
        let mut sorted = ordered;
        sorted.sort_by_key(|text| natural_key(text));
        assert_eq!(sorted, ["1", "2", "10", "0100", "H006", "H7", "h10", "H10a", "PEN8", "Pen 9 b", "PEN10"]);
        assert_eq!(natural_key("H006"), natural_key("h6"));
        assert_eq!(natural_key("Pen 9 b"), natural_key("PEN9B"));
        assert!(natural_key("99999999999999999999") < 1 << (8 * KEY_BYTES));
    }

    /// Catches texts whose memory is not counted, or counted as something else. Short texts have none outside of their place.
    #[test]
    fn the_room_for_texts_keys_and_maps_is_counted_to_the_byte() {
        let mut labels = Labels::default();
        for text in ["L1", "L2", "P 9"] {
            labels.intern(Some(text));
        }
        let maps = labels.by_text.capacity() + labels.by_compared.capacity();
        assert!(labels.texts.capacity() >= 4 && labels.keys.capacity() >= 4 && maps >= 6);
        assert_eq!(labels.bytes(), labels.texts.capacity() * 28 + labels.keys.capacity() * 16 + maps * 36);
    }
}
