//! The generator's own list: what the readers sent, what the air took, what the radio handed over.

use super::Failure;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

/// The account that the simulated radio leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// Transmissions by the readers.
    pub(super) sent: u64,
    /// Those that faded, collided, came with a wrong CRC, or were not handed over when the radio was stopped.
    pub(super) lost_in_air: u64,
    /// Those that the radio counted as handed over.
    pub(super) heard: u64,
    /// Those that it wrote down before it handed them over.
    pub(super) lines: u64,
    /// The payloads written down, each once: a reader's repeat is the same text.
    pub(super) distinct: HashSet<Vec<u8>>,
}

impl Ledger {
    /// Reads the list at `path`, and the counts beside it.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let mut ledger = counts(&radio::simulated::summary_path(path))?;
        let failed = |source| Failure::File { doing: "reading", path: path.into(), source };
        for line in BufReader::new(File::open(path).map_err(failed)?).lines() {
            let payload = hex::decode(line.map_err(failed)?);
            ledger.distinct.insert(payload.map_err(|_| Failure::Ledger { path: path.into() })?);
            ledger.lines += 1;
        }
        Ok(ledger)
    }
}

fn counts(path: &Path) -> Result<Ledger, Failure> {
    let text = fs::read_to_string(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => Failure::NoAccount { path: path.into() },
        _ => Failure::File { doing: "reading", path: path.into(), source },
    })?;
    let count = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.ok_or_else(|| Failure::Ledger { path: path.into() })
    };
    let (sent, lost_in_air, heard) = (count("sent ")?, count("lost_in_air ")?, count("heard ")?);
    Ok(Ledger { sent, lost_in_air, heard, ..Ledger::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_lines_of_their_own_and_one_payload() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        fs::write(&path, "6878\n80ff\n6878\n").unwrap();
        fs::write(directory.path().join("heard.summary"), "sent 5\nlost_in_air 2\nheard 3\n").unwrap();
        let ledger = Ledger::read(&path).unwrap();
        assert_eq!((ledger.sent, ledger.lost_in_air, ledger.heard, ledger.lines), (5, 2, 3, 3));
        assert_eq!(ledger.distinct, HashSet::from([b"hx".to_vec(), vec![0x80, 0xff]]));
    }

    #[test]
    fn a_list_without_counts_or_with_other_lines_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heard");
        fs::write(&path, "6878\n").unwrap();
        assert!(matches!(Ledger::read(&path), Err(Failure::NoAccount { .. })));
        let summary = directory.path().join("heard.summary");
        fs::write(&summary, "sent 1\nheard 1\n").unwrap();
        assert!(matches!(Ledger::read(&path), Err(Failure::Ledger { .. })));
        fs::write(&summary, "sent 1\nlost_in_air 0\nheard 1\n").unwrap();
        fs::write(&path, "xyz\n").unwrap();
        assert!(matches!(Ledger::read(&path), Err(Failure::Ledger { .. })));
    }
}
