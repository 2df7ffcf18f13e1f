//! The ledger of the simulated radio: what the readers sent, what the air lost, and what the radio delivered.

use super::DemoError;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

/// The ledger and its summary, which the simulated radio leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// Transmissions by the readers.
    pub(super) sent: u64,
    /// Transmissions that faded, collided, arrived with a wrong CRC, or were not delivered before the radio stopped.
    pub(super) lost_in_air: u64,
    /// Packets that the radio counted as delivered.
    pub(super) heard: u64,
    /// Lines of the ledger. The radio writes one before it delivers a packet.
    pub(super) lines: u64,
    /// Distinct payloads of the lines: a reader repeats the same text.
    pub(super) distinct: HashSet<Vec<u8>>,
}

impl Ledger {
    /// Reads the ledger at `path` and the summary beside it.
    pub(super) fn read(path: &Path) -> Result<Self, DemoError> {
        let mut ledger = read_summary(&radio::simulated::summary_path(path))?;
        let failed = |source| DemoError::File { action: "read", path: path.into(), source };
        for line in BufReader::new(File::open(path).map_err(failed)?).lines() {
            let payload = hex::decode(line.map_err(failed)?);
            ledger.distinct.insert(payload.map_err(|_| DemoError::Ledger { path: path.into() })?);
            ledger.lines += 1;
        }
        Ok(ledger)
    }
}

fn read_summary(path: &Path) -> Result<Ledger, DemoError> {
    let text = fs::read_to_string(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => DemoError::NoSummary { path: path.into() },
        _ => DemoError::File { action: "read", path: path.into(), source },
    })?;
    let count = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.ok_or_else(|| DemoError::Ledger { path: path.into() })
    };
    let (sent, lost_in_air, heard) = (count("sent ")?, count("lost_in_air ")?, count("heard ")?);
    Ok(Ledger { sent, lost_in_air, heard, ..Ledger::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_payload_counts_as_two_lines_and_one_payload() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        fs::write(&path, "6878\n80ff\n6878\n").unwrap();
        fs::write(directory.path().join("heard.summary"), "sent 5\nlost_in_air 2\nheard 3\n").unwrap();
        let ledger = Ledger::read(&path).unwrap();
        assert_eq!((ledger.sent, ledger.lost_in_air, ledger.heard, ledger.lines), (5, 2, 3, 3));
        assert_eq!(ledger.distinct, HashSet::from([b"hx".to_vec(), vec![0x80, 0xff]]));
    }

    #[test]
    fn a_ledger_without_a_summary_and_a_malformed_one_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        fs::write(&path, "6878\n").unwrap();
        assert!(matches!(Ledger::read(&path), Err(DemoError::NoSummary { .. })));
        let summary = directory.path().join("heard.summary");
        fs::write(&summary, "sent 1\nheard 1\n").unwrap();
        assert!(matches!(Ledger::read(&path), Err(DemoError::Ledger { .. })));
        fs::write(&summary, "sent 1\nlost_in_air 0\nheard 1\n").unwrap();
        fs::write(&path, "xyz\n").unwrap();
        assert!(matches!(Ledger::read(&path), Err(DemoError::Ledger { .. })));
    }
}
