//! The account of the truth: what was sent, what the air took, what was heard.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::MAX_PAYLOAD_BYTES;

/// The longest line of a record: two hex digits a byte and the line end.
const MAX_LINE_BYTES: u64 = 2 * MAX_PAYLOAD_BYTES as u64 + 1;

/// The counts of a simulated radio. `sent == lost_in_air + heard` holds in every reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerCounts {
    /// Transmissions by the readers, repeats among them.
    pub sent: u64,
    /// Transmissions that the chip did not hear, heard with a wrong CRC, or that were overwritten in it before they were
    /// read; and, where the radio was dropped before its end, those that had not been handed over by then.
    pub lost_in_air: u64,
    /// Packets that `receive` handed over.
    pub heard: u64,
}

/// A handle on the account of one simulated radio. Clones read the same account, at any time.
///
/// A transmission enters the account when its fate is settled: lost when the emulated air says so, heard when `receive`
/// hands it over. So the account is balanced at every moment, not only at the end.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<LedgerCounts>>);

impl Ledger {
    /// The counts, all of one moment.
    pub fn counts(&self) -> LedgerCounts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the counts to `path` as three lines, `sent N`, `lost_in_air N` and `heard N`.
    ///
    /// The file appears whole or not at all: it is written beside `path` and renamed.
    pub fn write_summary(&self, path: &Path) -> Result<(), LedgerError> {
        let LedgerCounts { sent, lost_in_air, heard } = self.counts();
        let beside = with_suffix(path, ".new");
        fs::write(&beside, format!("sent {sent}\nlost_in_air {lost_in_air}\nheard {heard}\n"))
            .and_then(|()| fs::rename(&beside, path))
            .map_err(LedgerError::of("write the summary", path))
    }

    pub(super) fn count_heard(&self) {
        self.alter(|counts| {
            counts.heard += 1;
            counts.sent += 1;
        });
    }

    pub(super) fn count_lost(&self, transmissions: u64) {
        self.alter(|counts| {
            counts.lost_in_air += transmissions;
            counts.sent += transmissions;
        });
    }

    /// `sent` moves in the same breath as the other two, which is what keeps every reading balanced.
    fn alter(&self, settle: impl FnOnce(&mut LedgerCounts)) {
        settle(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The ledger's file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} of the simulated radio, {}: {source}; free disk space or choose another `ledger`", path.display())]
pub struct LedgerError {
    /// What was being done, as words that fit after "cannot".
    pub operation: &'static str,
    /// The file in question.
    pub path: PathBuf,
    /// What the operating system answered.
    pub source: io::Error,
}

impl LedgerError {
    fn of(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { operation, path: path.to_owned(), source }
    }
}

/// Where the summary of the record at `path` is written when the traffic ends: `path` with `.summary` appended.
pub fn summary_path(path: &Path) -> PathBuf {
    with_suffix(path, ".summary")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(suffix);
    longer.into()
}

/// The written record: every heard payload as one line of hex, there before the packet is delivered.
///
/// Lines outlive this process but are not synced, so a power cut may take the last ones. An existing file is
/// continued, as one barn may be restarted in the middle of a proof.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    file: File,
    /// Length of all whole lines. Anything behind it is a line that was cut short.
    whole_bytes: u64,
    cut_short: bool,
}

impl Record {
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let open = || {
            let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
            let whole_bytes = length_of_whole_lines(&mut file)?;
            // A half line is of a payload that was never delivered: the process died while writing it.
            file.set_len(whole_bytes)?;
            Ok(Self { path: path.to_owned(), file, whole_bytes, cut_short: false })
        };
        open().map_err(LedgerError::of("open the ledger", path))
    }

    /// A record on what stands at `path`, be it a ledger or not.
    #[cfg(test)]
    pub(super) fn unchecked(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, whole_bytes: 0, cut_short: false })
    }

    /// Appends one line. After an error nothing counts as written, and the same call may be made again.
    pub(super) fn append(&mut self, payload: &[u8]) -> Result<(), LedgerError> {
        let line = hex_line(payload);
        self.append_line(&line).map_err(LedgerError::of("append to the ledger", &self.path))
    }

    fn append_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.cut_short {
            self.file.set_len(self.whole_bytes)?;
        }
        self.cut_short = true;
        self.file.write_all(line)?;
        self.cut_short = false;
        self.whole_bytes += line.len() as u64;
        Ok(())
    }

    pub(super) fn summary_path(&self) -> PathBuf {
        summary_path(&self.path)
    }
}

fn length_of_whole_lines(file: &mut File) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail_start = length.saturating_sub(MAX_LINE_BYTES);
    file.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let looks_like_a_ledger = tail.iter().all(|&byte| byte.is_ascii_hexdigit() || byte == b'\n');
    match tail.iter().rposition(|&byte| byte == b'\n') {
        Some(at) if looks_like_a_ledger => Ok(tail_start + at as u64 + 1),
        None if looks_like_a_ledger && tail_start == 0 => Ok(0),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the file that stands there is no ledger")),
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
    fn a_record_is_one_line_of_hex_a_payload() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        let mut record = Record::open(&path).unwrap();
        record.append(b"hxb:").unwrap();
        record.append(&[0x00, 0xff]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "6878623a\n00ff\n");
    }

    #[test]
    fn a_record_is_continued_and_a_half_line_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        fs::write(&path, "6878\n687").unwrap();
        Record::open(&path).unwrap().append(b"e").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "6878\n65\n");
    }

    #[test]
    fn a_line_that_a_full_disk_cut_short_is_gone_when_the_next_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        let mut record = Record::open(&path).unwrap();
        record.append(b"h").unwrap();
        record.file.write_all(b"7").unwrap();
        record.cut_short = true;
        record.append(b"x").unwrap();
        record.append(b"b").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "68\n78\n62\n");
    }

    #[test]
    fn a_half_line_alone_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        fs::write(&path, "687").unwrap();
        Record::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn a_file_that_is_no_ledger_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("another");
        for bytes in [vec![b'a'; 5_000], b"name = \"barn\"".to_vec(), b"name = \"barn\"\n".to_vec()] {
            fs::write(&path, &bytes).unwrap();
            let error = Record::open(&path).unwrap_err();
            assert!(error.to_string().contains("no ledger"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_summary_is_three_lines_that_balance() {
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
    fn an_error_names_the_file_and_what_was_tried() {
        let path = Path::new("/nowhere/at/all");
        let text = Record::open(path).unwrap_err().to_string();
        assert!(text.contains("/nowhere/at/all") && text.contains("open the ledger"), "{text}");
    }
}
