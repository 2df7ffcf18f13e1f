//! A part of a file in memory, moved over the file from its start to its end.

use crate::store::raw::{PAGE_BYTES, RawFile, RawJournal};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Number of bytes that are read at once, unless a blob is longer.
const WINDOW_BYTES: usize = 1024 * 1024;

/// Number of bytes after which the progress is reported.
pub(super) const REPORT_BYTES: u64 = 1024 * 1024;

/// Number of bytes that may be hashed in vain for each byte of a file. Damage alone takes less than one.
const VAIN_PER_BYTE: u64 = 4;
/// Number of bytes that may be hashed in vain in any file: less than a second on a Pi.
const VAIN_BYTES: u64 = 64 * 1024 * 1024;

/// Number of bytes that may still be hashed in vain. Bytes that look like a row or a blob cost an attacker little, and each
/// look at them a hash of what they announce.
#[derive(Clone, Copy, Debug)]
pub(super) struct HashBudget(u64);

impl HashBudget {
    pub(super) fn for_file(bytes: u64) -> Self {
        Self(bytes.saturating_mul(VAIN_PER_BYTE).saturating_add(VAIN_BYTES))
    }

    /// Takes bytes that were hashed in vain off.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes as u64);
    }

    pub(super) fn is_spent(self) -> bool {
        self.0 == 0
    }
}

/// Bytes that are read at offsets.
pub trait Bytes {
    /// Returns their number.
    fn length(&self) -> io::Result<u64>;

    /// Fills `to` with the bytes from `offset` on, all of which exist.
    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()>;
}

impl Bytes for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(to, offset)
    }
}

impl Bytes for RawFile {
    fn length(&self) -> io::Result<u64> {
        RawFile::length(self)
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        RawFile::read(self, offset, to)
    }
}

impl Bytes for RawJournal {
    fn length(&self) -> io::Result<u64> {
        Ok(RawJournal::length(self))
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        RawJournal::read(self, offset, to)
    }
}

impl Bytes for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let found = start.checked_add(to.len()).and_then(|end| self.get(start..end));
        to.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Reads bytes, and what the medium does not return as zeros. Returns the number of those.
pub(super) fn read_what_is_readable(from: &dyn Bytes, offset: u64, to: &mut [u8]) -> u64 {
    if from.read(offset, to).is_ok() {
        return 0;
    }
    let mut unreadable = 0;
    for (part, at) in to.chunks_mut(PAGE_BYTES).zip((offset..).step_by(PAGE_BYTES)) {
        if from.read(at, part).is_err() {
            part.fill(0);
            unreadable += part.len() as u64;
        }
    }
    unreadable
}

/// The part of a file that is in memory.
pub(super) struct Window<'a> {
    from: &'a dyn Bytes,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
    /// Bytes that the medium did not return.
    pub(super) unreadable: u64,
}

impl<'a> Window<'a> {
    pub(super) fn over(from: &'a dyn Bytes) -> io::Result<Self> {
        Ok(Self { from, length: from.length()?, start: 0, bytes: Vec::new(), unreadable: 0 })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Returns whether these bytes are at an offset, or the file ends there. The window stays where it is.
    pub(super) fn has_at(&self, offset: u64, expected: &[u8]) -> bool {
        let mut found = vec![0; expected.len()];
        let fits = offset.checked_add(expected.len() as u64).is_some_and(|end| end <= self.length);
        offset == self.length || fits && self.from.read(offset, &mut found).is_ok() && found == expected
    }

    /// Returns the bytes from `offset` on: `wanted` of them, or fewer at the end of the file.
    pub(super) fn at(&mut self, offset: u64, wanted: usize) -> &[u8] {
        let offset = offset.min(self.length);
        let rest = usize::try_from(self.length - offset).unwrap_or(usize::MAX);
        let wanted = wanted.min(rest);
        let end = offset + wanted as u64;
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            self.start = offset;
            self.bytes.resize(WINDOW_BYTES.max(wanted).min(rest), 0);
            self.unreadable += read_what_is_readable(self.from, offset, &mut self.bytes);
        }
        let begin = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        self.bytes.get(begin..begin.saturating_add(wanted)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// A medium of sevens that does not return one of its bytes.
    struct Scratched {
        bytes: Vec<u8>,
        bad: u64,
    }

    impl Bytes for Scratched {
        fn length(&self) -> io::Result<u64> {
            self.bytes.length()
        }

        fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
            if (offset..offset + to.len() as u64).contains(&self.bad) {
                return Err(io::Error::other("a bad block"));
            }
            self.bytes.read(offset, to)
        }
    }

    /// Catches a bad block that costs the sound ones beside it, or that is not counted.
    #[test]
    fn an_unreadable_page_is_zeroed_and_counted() {
        let page = PAGE_BYTES as u64;
        for (bad, lost) in
            [(0, 0..4_096), (4_095, 0..4_096), (4_096, 4_096..8_192), (2 * page + 99, 8_192..8_292), (9_999, 0..0)]
        {
            let medium = Scratched { bytes: vec![7; 2 * PAGE_BYTES + 100], bad };
            let (mut found, mut expected) = (vec![9; medium.bytes.len()], medium.bytes.clone());
            expected[lost.clone()].fill(0);
            assert_eq!(read_what_is_readable(&medium, 0, &mut found), lost.len() as u64, "{bad}");
            assert!(found == expected, "{bad}");
            let mut window = Window::over(&medium).unwrap();
            assert!(window.at(0, expected.len()) == expected, "{bad}");
            assert_eq!(window.unreadable, lost.len() as u64, "{bad}");
        }
    }

    /// Catches a look past the end of a file, and a blob that counts as followed by another one although it is not.
    #[test]
    fn a_window_ends_with_its_file() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut window = Window::over(&bytes).unwrap();
        for (offset, wanted, expected) in
            [(0, 2, 0..2), (254, 9, 254..256), (256, 1, 0..0), (900, 1, 0..0), (9, 1, 9..10)]
        {
            assert_eq!(window.at(offset, wanted), &bytes[expected], "{offset}");
        }
        let signs = [(7, [7, 8], true), (7, [7, 9], false), (254, [254, 255], true), (255, [255, 0], false)];
        for (offset, sign, expected) in signs.into_iter().chain([256, 257, u64::MAX].map(|at| (at, [1, 1], at == 256)))
        {
            assert_eq!(window.has_at(offset, &sign), expected, "{offset} {sign:?}");
        }
    }

    #[test]
    fn a_budget_is_four_times_a_file_and_64_mib() {
        let mut budget = HashBudget::for_file(10);
        budget.spend(64 * 1024 * 1024 + 39);
        assert!(!budget.is_spent());
        budget.spend(1);
        assert!(budget.is_spent());
        budget.spend(1);
        assert!(budget.is_spent() && !HashBudget::for_file(u64::MAX).is_spent());
    }

    #[test]
    fn a_file_is_read_at_offsets_and_not_past_its_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"some bytes").unwrap();
        let mut found = [0; 5];
        Bytes::read(&file, 5, &mut found).unwrap();
        assert_eq!((Bytes::length(&file).unwrap(), &found), (10, b"bytes"));
        assert!(Bytes::read(&file, 6, &mut found).is_err());
    }
}
