//! Counts of sent, lost and received packets, and the file that records the received payloads.

use crate::MAX_PAYLOAD_BYTES;
use crate::radio_error::LedgerError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Length of the longest line in a ledger file: two hex digits per byte, and the line end.
const MAX_LINE_BYTES: u64 = 2 * MAX_PAYLOAD_BYTES as u64 + 1;

/// Counts of a simulated radio. Every reading satisfies `sent == lost_in_air + heard`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Transmissions by the readers, including repeats.
    pub sent: u64,
    /// Transmissions that the chip missed or received with a wrong CRC, or that were overwritten in the chip before the
    /// driver read them. If the radio is dropped before its end, also those that `receive` had not returned by then.
    pub lost_in_air: u64,
    /// Packets that `receive` returned.
    pub heard: u64,
}

/// A handle to the counts of one simulated radio. Clones share the counts, and can be read at any time.
///
/// A transmission is counted once its fate is settled: as lost when the emulated air decides so, as received when
/// `receive` returns it. The counts therefore balance at every moment, not only at the end.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<LedgerCounts>>);

impl Ledger {
    /// Returns the counts, all of the same moment.
    pub fn counts(&self) -> LedgerCounts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the counts to `path` as three lines, `sent N`, `lost_in_air N` and `heard N`.
    ///
    /// The file appears complete or not at all: it is written under another name and then renamed.
    pub fn write_summary(&self, path: &Path) -> Result<(), LedgerError> {
        let LedgerCounts { sent, lost_in_air, heard } = self.counts();
        let temporary = with_suffix(path, ".new");
        fs::write(&temporary, format!("sent {sent}\nlost_in_air {lost_in_air}\nheard {heard}\n"))
            .and_then(|()| fs::rename(&temporary, path))
            .map_err(LedgerError::of("write the summary", path))
    }

    pub(super) fn count_heard(&self) {
        self.update(|counts| {
            counts.heard += 1;
            counts.sent += 1;
        });
    }

    pub(super) fn count_lost(&self, transmissions: u64) {
        self.update(|counts| {
            counts.lost_in_air += transmissions;
            counts.sent += transmissions;
        });
    }

    /// Updates the counts under one lock: `sent` changes together with the other two, so every reading balances.
    fn update(&self, change: impl FnOnce(&mut LedgerCounts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Returns the path of the summary that belongs to the ledger file at `path`: `path` with `.summary` appended.
pub fn summary_path(path: &Path) -> PathBuf {
    with_suffix(path, ".summary")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(suffix);
    longer.into()
}

/// The file of received payloads, one line of hex each. A line is written before its packet is delivered.
///
/// Lines survive the process but are not synced, so a power cut may lose the last ones. An existing file is continued,
/// because a barn may be restarted in the middle of a test.
#[derive(Debug)]
pub(super) struct LedgerFile {
    path: PathBuf,
    file: File,
    /// Length of the complete lines. Bytes after it belong to a truncated line.
    complete_bytes: u64,
    /// Set if the last write may have left a truncated line.
    is_truncated: bool,
}

impl LedgerFile {
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let open = || {
            let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
            let complete_bytes = complete_lines_bytes(&mut file)?;
            // The payload of a truncated line was never delivered: the process died while writing the line.
            file.set_len(complete_bytes)?;
            Ok(Self { path: path.to_owned(), file, complete_bytes, is_truncated: false })
        };
        open().map_err(LedgerError::of("open the ledger", path))
    }

    /// Opens whatever is at `path`, even if it is not a ledger.
    #[cfg(test)]
    pub(super) fn unchecked(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, complete_bytes: 0, is_truncated: false })
    }

    /// Appends one line. After an error nothing counts as written, and the call may be repeated.
    pub(super) fn append(&mut self, payload: &[u8]) -> Result<(), LedgerError> {
        let line = hex_line(payload);
        self.append_line(&line).map_err(LedgerError::of("append to the ledger", &self.path))
    }

    fn append_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_truncated {
            self.file.set_len(self.complete_bytes)?;
        }
        self.is_truncated = true;
        self.file.write_all(line)?;
        self.is_truncated = false;
        self.complete_bytes += line.len() as u64;
        Ok(())
    }

    pub(super) fn summary_path(&self) -> PathBuf {
        summary_path(&self.path)
    }
}

/// Returns the length of the complete lines. Returns an error if the end of the file does not look like a ledger.
fn complete_lines_bytes(file: &mut File) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail_start = length.saturating_sub(MAX_LINE_BYTES);
    file.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let is_ledger = tail.iter().all(|&byte| byte.is_ascii_hexdigit() || byte == b'\n');
    match tail.iter().rposition(|&byte| byte == b'\n') {
        Some(at) if is_ledger => Ok(tail_start + at as u64 + 1),
        None if is_ledger && tail_start == 0 => Ok(0),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the existing file is not a ledger")),
    }
}

fn hex_line(payload: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = payload.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.chain(*b"\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_file_has_one_line_of_hex_per_payload() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        let mut file = LedgerFile::open(&path).unwrap();
        file.append(b"hxb:").unwrap();
        file.append(&[0x00, 0xff]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "6878623a\n00ff\n");
    }

    /// Catches a restarted barn that loses its ledger, or glues a payload to a truncated line.
    #[test]
    fn an_existing_ledger_is_continued_without_its_truncated_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        fs::write(&path, "6878\n687").unwrap();
        LedgerFile::open(&path).unwrap().append(b"e").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "6878\n65\n");
    }

    #[test]
    fn a_line_truncated_by_a_full_disk_is_removed_before_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        let mut file = LedgerFile::open(&path).unwrap();
        file.append(b"h").unwrap();
        file.file.write_all(b"7").unwrap();
        file.is_truncated = true;
        file.append(b"x").unwrap();
        file.append(b"b").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "68\n78\n62\n");
    }

    #[test]
    fn a_truncated_line_alone_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        fs::write(&path, "687").unwrap();
        LedgerFile::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }

    /// Catches a mistyped `ledger` path that truncates some other file.
    #[test]
    fn a_file_that_is_not_a_ledger_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("another");
        for bytes in [vec![b'a'; 5_000], b"name = \"barn\"".to_vec(), b"name = \"barn\"\n".to_vec()] {
            fs::write(&path, &bytes).unwrap();
            let error = LedgerFile::open(&path).unwrap_err();
            assert!(error.to_string().contains("not a ledger"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_summary_has_three_lines_that_balance() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard.summary");
        let ledger = Ledger::default();
        ledger.count_heard();
        ledger.count_lost(1);
        ledger.count_heard();
        ledger.write_summary(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "sent 3\nlost_in_air 1\nheard 2\n");
    }

    #[test]
    fn an_error_names_the_file_and_the_operation() {
        let path = Path::new("/nowhere/at/all");
        let text = LedgerFile::open(path).unwrap_err().to_string();
        assert!(text.contains("/nowhere/at/all") && text.contains("open the ledger"), "{text}");
    }
}
