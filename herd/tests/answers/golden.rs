//! The form of a golden file.
//!
//! A header of text, an empty line, and for each question the first [`PREFIX_BYTES`] bytes of the BLAKE3 of each entry, in
//! the order of the walk. The header holds the log's chain digest, and per question the number of entries and the BLAKE3
//! of all of them. So a difference is never missed: that digest has 256 bits. A differing entry has a prefix that differs
//! too, except in one of 65,536 cases. In such a case the failure names the question without this entry.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of an entry's hash in the file. 200 bytes of an answer become 2.
pub(crate) const PREFIX_BYTES: usize = 2;
/// First line of the file.
const TITLE: &str = "herdlinx answers, form 1";

/// The entries of one question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    /// Hexadecimal BLAKE3 of the lines of all entries; empty if there are none.
    pub(crate) digest: String,
    pub(crate) prefixes: Vec<u8>,
}

impl Section {
    pub(crate) fn entries(&self) -> usize {
        self.prefixes.len() / PREFIX_BYTES
    }
}

/// A golden file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Golden {
    /// Lines about the log: name, seed, number of changes, chain digest.
    pub(crate) log: Vec<String>,
    pub(crate) sections: BTreeMap<String, Section>,
}

impl Golden {
    pub(crate) fn path(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers/golden").join(name).with_extension("answers")
    }

    /// Reads a file; `None` if there is none.
    pub(crate) fn read(name: &str) -> Option<Self> {
        std::fs::read(Self::path(name)).ok().map(|bytes| Self::decode(&bytes))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let end = bytes.windows(2).position(|two| two == b"\n\n").expect("a header with an empty line at its end");
        let (header, mut rest) = (std::str::from_utf8(&bytes[..end]).unwrap(), &bytes[end + 2..]);
        let mut lines = header.lines();
        assert_eq!(lines.next(), Some(TITLE), "the golden file has another form");
        let mut golden = Self::default();
        for line in lines.filter(|line| !line.starts_with("made by ")) {
            let Some(question) = line.strip_prefix("question ") else {
                golden.log.push(line.to_owned());
                continue;
            };
            let [name, entries, digest] = question.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (prefixes, after) = rest.split_at(entries.parse::<usize>().unwrap() * PREFIX_BYTES);
            rest = after;
            let section = Section { digest: digest.to_owned(), prefixes: prefixes.to_vec() };
            golden.sections.insert(name.to_owned(), section);
        }
        assert!(rest.is_empty(), "{} bytes follow the last entry", rest.len());
        golden
    }

    /// Encodes the file. `made_by` names the program that gave the answers.
    pub(crate) fn encode(&self, made_by: &str) -> Vec<u8> {
        let mut header = format!("{TITLE}\n{}\nmade by {made_by}\n", self.log.join("\n"));
        for (name, section) in &self.sections {
            writeln!(header, "question {name} {} {}", section.entries(), section.digest).unwrap();
        }
        header.push('\n');
        let prefixes = self.sections.values().flat_map(|section| &section.prefixes);
        header.into_bytes().into_iter().chain(prefixes.copied()).collect()
    }

    pub(crate) fn write(&self, name: &str) {
        let git = Command::new("git")
            .args(["log", "-1", "--format=commit %H (%s)", "--", "src"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output();
        let made_by = git.map(|git| String::from_utf8_lossy(&git.stdout).trim().to_owned()).unwrap_or_default();
        std::fs::write(Self::path(name), self.encode(&made_by)).unwrap();
    }
}

/// Catches an entry that is lost or moved between writing and reading.
#[test]
fn a_golden_file_reads_back() {
    let section = |digest: &str, prefixes: &[u8]| Section { digest: digest.to_owned(), prefixes: prefixes.to_vec() };
    let sections =
        [("animal", section("ab", b"\n\n12")), ("batch", section("cd", b"")), ("find", section("ef", b"\0\n"))];
    let sections = sections.map(|(name, section)| (name.to_owned(), section)).into();
    let golden = Golden { log: vec!["log small".to_owned(), "chain 00".to_owned()], sections };
    assert_eq!(Golden::decode(&golden.encode("commit 1 (x)")), golden);
}
