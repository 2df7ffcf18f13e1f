//! The first inputs of a corpus, made of the cases, golden texts and templates that the repository holds.
//!
//! A target writes its seeds when it starts, if [`DIRECTORY`] names where to. So nobody commits thousands of files, and a
//! seed never falls behind its format.

use std::path::Path;
use std::{env, fs};

/// Environment variable with the directory that a target writes its seeds to.
pub const DIRECTORY: &str = "HERDLINX_FUZZ_SEEDS";

/// Texts of the field's cases: payloads that are accepted, repeated and rejected.
const CASES: [&str; 3] = [
    include_str!("../../demo/tests/case_table/mod.rs"),
    include_str!("../../herd/src/payload/tests/cases.rs"),
    include_str!("../../herd/tests/store/cases.rs"),
];
/// Start of every payload that is an event.
const PREFIXES: [&str; 3] = ["hxb:", "hxe:", "event:"];

/// Writes the seeds to the directory that [`DIRECTORY`] names, if it names one.
pub fn write(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    for (number, seed) in seeds.into_iter().enumerate() {
        let path = Path::new(&directory).join(format!("seed-{number:04}"));
        fs::write(&path, seed).unwrap_or_else(|error| panic!("cannot write the seed {}: {error}", path.display()));
    }
}

/// Returns the payloads of the field's cases, each once.
pub fn payloads() -> Vec<&'static str> {
    let mut payloads: Vec<_> = CASES.into_iter().flat_map(quoted).filter(|text| is_payload(text)).collect();
    payloads.sort_unstable();
    payloads.dedup();
    payloads
}

/// Returns the texts of a Rust file that stand in double quotes on one line and have no escape in them.
pub fn quoted(source: &'static str) -> impl Iterator<Item = &'static str> {
    let of_line = |line: &'static str| line.split('"').skip(1).step_by(2);
    source.lines().flat_map(of_line).filter(|text| !text.contains(['\\', '{']))
}

fn is_payload(text: &str) -> bool {
    PREFIXES.into_iter().any(|prefix| text.starts_with(prefix))
}
