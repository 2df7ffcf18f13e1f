//! The list of all public questions.
//!
//! Every `pub fn` of a `Snapshot`, a `Reader` or a `Store` is listed here, with the entries that hold its answers or with
//! the reason why there are none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Public functions, with the questions of [`Question`](crate::ledger::Question) that ask them.
const ASKED: &[(&str, &str)] = &[
    ("Snapshot::animal", "animal, animal_ids"),
    ("Snapshot::animals", "animals: all"),
    ("Snapshot::animals_through", "animals: through"),
    ("Snapshot::batch", "batch, batch_ids"),
    ("Snapshot::batch_by_number", "batch_number"),
    ("Snapshot::batch_traits", "batch"),
    ("Snapshot::batch_with_others", "batch"),
    ("Snapshot::batches", "batches: all"),
    ("Snapshot::batches_by_source", "batches: hxb, hxe"),
    ("Snapshot::change_bytes", "log"),
    ("Snapshot::change_view", "change"),
    ("Snapshot::correction", "correction, with the sentences of its view"),
    ("Snapshot::counters", "counters"),
    ("Snapshot::find_animal", "find"),
    ("Snapshot::folded", "state"),
    ("Snapshot::gaps", "gaps"),
    ("Snapshot::history", "history, foreign_cursor"),
    ("Snapshot::members", "members"),
    ("Snapshot::open_batches", "batches: open"),
    ("Snapshot::payload", "payload"),
    ("Snapshot::payloads", "payloads: all, processed, error; moment"),
    ("Snapshot::reader_era_moves", "totals"),
    ("Snapshot::reader_era_proposals", "totals, moment"),
    ("Snapshot::state", "state, without the fold digest"),
    ("Snapshot::totals", "totals, moment"),
    ("Snapshot::weights", "weights"),
    ("Reader::head", "state, without the fold digest"),
    ("Reader::position_at", "position"),
    ("Reader::snapshot", "all"),
    ("Reader::store", "state"),
    ("Store::append", "receipt"),
    ("Store::append_suppressed", "change"),
    ("Store::correct", "correction_receipt"),
    ("Store::reprocess", "reprocess_receipt"),
];

/// Public functions that have no entries.
const NOT_ASKED: &[(&str, &str)] = &[
    ("Snapshot::change", "the decoded change; `log` has its bytes, and `change` shows it"),
    ("Snapshot::gap_neighbors", "two payloads by their event ids; the entries of `payload` have them"),
    ("Snapshot::reads", "the cost of an answer"),
    ("Reader::change", "bytes of the log, as in a snapshot"),
    ("Reader::damaged_rows", "a log without damage has none"),
    ("Reader::run_after", "bytes of the log; the chain over all of them is checked, and the replica applies them"),
    ("Reader::subscribe", "a channel of heads"),
    ("Store::accept_source", "the source does it"),
    ("Store::begin_epoch_after", "a history without losses has no epoch in between; the tests of a lost end claim it"),
    ("Store::apply", "the replica does it"),
    ("Store::boot", "the number that the caller gave"),
    ("Store::check", "no answer"),
    ("Store::has_refused", "no answer"),
    ("Store::head", "that of the reader"),
    ("Store::last_boot", "a clock reading of the log"),
    ("Store::readmit", "a history without losses has none; the tests of a recovery claim what comes back"),
    ("Store::mend", "a log without damage has no row to mend"),
    ("Store::open_replica", "the replica does it"),
    ("Store::open_source", "the source does it"),
    ("Store::open_source_after", "the source does it"),
    ("Store::reader", "all"),
    ("Store::settle", "no answer"),
    ("Store::settle_if_room", "no answer"),
    ("Store::step_era_moves", "the source does it"),
    ("Store::step_flush", "no answer"),
    ("Store::step_fold", "no answer"),
];

fn sources(of: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the public functions in the `impl` blocks of these types. rustfmt decides where such a block begins and ends.
fn public_functions(text: &str) -> BTreeSet<String> {
    let (mut found, mut of) = (BTreeSet::new(), None);
    for line in text.lines() {
        let types = ["Snapshot", "Reader", "Store"];
        if let Some(name) = types.into_iter().find(|name| line == format!("impl {name} {{")) {
            of = Some(name);
        } else if line == "}" {
            of = None;
        } else if let (Some(name), Some(function)) = (of, line.strip_prefix("    pub fn ")) {
            let end = function.find(['(', '<']).unwrap();
            found.insert(format!("{name}::{}", &function[..end]));
        }
    }
    found
}

/// Catches a new public question whose answers no golden file holds, and one that is gone.
#[test]
fn every_public_question_is_listed() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let found: BTreeSet<_> =
        files.iter().flat_map(|file| public_functions(&std::fs::read_to_string(file).unwrap())).collect();
    let listed: BTreeSet<_> = ASKED.iter().chain(NOT_ASKED).map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, listed, "ask a new question in `walk`, list it here, and write the golden files again");
}
