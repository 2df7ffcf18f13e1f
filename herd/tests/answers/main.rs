//! Every public answer about a log of mixed changes, compared entry by entry with golden files.
//!
//! Catches: a fold that keeps other rows than before and answers differently for it, however rare the case; a replica
//! that depends on its pages; tables that are folded again into others. Rows, tables and the fold digest may change
//! freely. The answers may not.
//!
//! A log of 10,000 changes is compared with every run of the tests, one of 250,000 by `.ci/long tests`. `log` records
//! them from a seed, `walk` asks, `ledger` compares, and `golden` is the form of the files. Three stores answer: the
//! source, a replica that applied the log in pages of other sizes, and the source with its tables folded again.
//! `questions` holds the list of all public questions, and fails if one is added that nobody asks.
//!
//! # When an answer differs
//!
//! A failure names the question, the key and the new answer of the first entries that differ. This prints the answers of
//! the current program to one key, or to all keys that begin like it:
//!
//! ```sh
//! HERDLINX_ANSWER='history/1234' cargo test --release -p herdlinx-herd --test answers large -- --ignored --nocapture
//! HERDLINX_ANSWER='animals/all by 50 page *' cargo test -p herdlinx-herd --test answers small -- --nocapture
//! ```
//!
//! The golden files hold digests, not answers. The program that made them still has the answers: the same command prints
//! them in a worktree of the commit that wrote the files.
//!
//! ```sh
//! git worktree add ../before "$(git log -1 --format=%H -- herd/tests/answers/golden)"
//! ```
//!
//! # The fold that wrote each row with each change
//!
//! Commit 41e0333 brought rows that stay in memory and wide rows. It left the golden files as the fold before it had
//! answered, so a run of its own tests compares the two over 250,000 changes:
//!
//! ```sh
//! git worktree add ../fold 41e0333
//! (cd ../fold && cargo test --release -p herdlinx-herd --test answers -- --include-ignored)
//! ```
//!
//! # New golden files
//!
//! `HERDLINX_BLESS=1` writes a file again if its log is the same: the program answers differently on purpose. A new
//! question, for example. If the chain digest differs, the source decides otherwise or the generator has changed, and
//! only `HERDLINX_BLESS=new-log` writes the file.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod golden;
mod ledger;
mod log;
mod questions;
mod walk;

use golden::Golden;
use herd::position::Sequence;
use herd::store::{MemoryDisk, Reader, Store};
use ledger::{Ledger, Question};
use log::{LogPlan, STORE};
use std::{env, thread};
use walk::{Subjects, ask_everything};

const SMALL: LogPlan = LogPlan { name: "small", seed: 1, changes: 10_000 };
const LARGE: LogPlan = LogPlan { name: "large", seed: 2, changes: 250_000 };

/// Sizes of the pages that the replica applies, in turn: other ones than the groups of the source.
const REPLICA_PAGES: [usize; 7] = [1, 4_096, 37, 1_000, 3, 10_000, 250];
/// Limit of such a page in bytes.
const REPLICA_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Least numbers of what each log holds, for the small log and for the large one.
///
/// Two refusals are missing: a history of 10,000 changes, which would take minutes to replay, and a result that is too
/// large for a change.
const LEAST: &[(&str, u64, u64)] = &[
    ("received", 9_000, 235_000),
    ("corrected", 500, 5_000),
    ("reprocessed", 20, 300),
    ("suppressed", 5, 40),
    ("epoch", 1, 1),
    ("event: scan", 1_200, 25_000),
    ("event: induction", 1_800, 50_000),
    ("event: pairing", 1_500, 50_000),
    ("event: check_in", 1_500, 40_000),
    ("event: repair", 200, 5_000),
    ("event: export", 300, 15_000),
    ("event that absorbs an animal", 250, 8_000),
    ("event that closes a rested batch", 5, 10),
    ("event with a past tag", 80, 800),
    ("event with an unconfirmed tag", 200, 400),
    ("correction: void", 150, 2_000),
    ("correction: merge", 70, 800),
    ("correction: retag", 10, 120),
    ("correction: move_pen", 25, 350),
    ("correction: move_batch", 10, 120),
    ("correction: weigh", 15, 180),
    ("correction: died", 8, 100),
    ("correction: close_batch", 12, 130),
    ("correction: edit_batch", 30, 300),
    ("correction: accept_rejected", 80, 900),
    ("correction: new_reader_era", 5, 5),
    ("void after a void", 25, 300),
    ("void after a merge", 8, 180),
    ("merge after a void", 2, 60),
    ("accepted after a void", 20, 300),
    ("rejected: empty", 10, 450),
    ("rejected: too_long", 10, 500),
    ("rejected: not_text", 10, 500),
    ("rejected: sealed_frame", 10, 500),
    ("rejected: control_character", 10, 500),
    ("rejected: unknown_prefix", 100, 800),
    ("rejected: field_count", 20, 500),
    ("rejected: empty_field", 20, 500),
    ("rejected: field_too_long", 10, 500),
    ("rejected: field_without_value", 20, 1_000),
    ("rejected: repeated_key", 10, 500),
    ("rejected: bad_event_id", 10, 500),
    ("rejected: unknown_event_kind", 10, 500),
    ("rejected: no_animal_named", 10, 500),
    ("rejected: missing_field", 10, 500),
    ("rejected: rounded_tag", 10, 500),
    ("rejected: text_behind_header", 10, 500),
    ("rejected: event_id_reused", 60, 900),
    ("rejected: tags_of_two_animals", 30, 600),
    ("rejected: lid_of_another", 20, 250),
    ("rejected: old_tag_of_another", 25, 300),
    ("payload: duplicate", 200, 5_000),
    ("payload: suppressed", 100, 150),
    ("payload: late", 10, 1_200),
    ("reboot", 5, 5),
    ("reboot without a time source", 5, 5),
    ("correction: duplicate", 15, 180),
    ("refused: absorbed_animal", 3, 60),
    ("refused: accepted_again", 10, 100),
    ("refused: already_accepted", 5, 60),
    ("refused: already_voided", 20, 200),
    ("refused: batch_closed", 1, 15),
    ("refused: key_reused", 15, 180),
    ("refused: lid_of_another", 3, 30),
    ("refused: merge_with_itself", 3, 25),
    ("refused: not_an_event", 2, 25),
    ("refused: not_on_yard", 15, 300),
    ("refused: not_rejected", 1, 20),
    ("refused: nothing_to_change", 5, 100),
    ("refused: still_rejected", 5, 60),
    ("refused: tag_of_another", 2, 25),
    ("refused: unknown_animal", 1, 20),
    ("refused: unknown_batch", 1, 25),
    ("refused: unknown_payload", 1, 20),
    ("refused: unknown_reader_group", 1, 20),
];

#[test]
fn a_small_log_gives_the_same_answers_as_ever() {
    compare(SMALL, |(_, small, _)| *small);
}

#[test]
#[ignore = "takes minutes without optimization; .ci/long runs it"]
fn a_large_log_gives_the_same_answers_as_ever() {
    compare(LARGE, |(_, _, large)| *large);
}

/// Records the log, and compares the answers of three stores that hold it.
fn compare(plan: LogPlan, least: impl Fn(&(&str, u64, u64)) -> u64) {
    let golden = Golden::read(plan.name);
    let mut ledger = Ledger::new(golden.clone()).printing();
    let barn = plan.record(&mut ledger);
    let reader = barn.store().reader();
    let subjects = Subjects::of(&reader);
    for entry in LEAST {
        let found = subjects.counts.get(entry.0).or_else(|| barn.outcomes.get(entry.0)).copied().unwrap_or_default();
        assert!(found >= least(entry), "only {found} times `{}`: {:#?} {:#?}", entry.0, subjects.counts, barn.outcomes);
    }
    let log = plan.lines(&barn);
    if let Ok(bless) = env::var("HERDLINX_BLESS") {
        ask_everything(&reader, &subjects, &mut ledger);
        return bless_file(plan.name, &Golden { log, sections: ledger.sections() }, golden.as_ref(), &bless);
    }
    let golden = golden.expect("a golden file; HERDLINX_BLESS=new-log writes the first one");
    if log != golden.log {
        ask_everything(&reader, &subjects, &mut ledger);
        panic!("{}", describe_other_log(&reader, &ledger, &log, &golden));
    }
    thread::scope(|scope| {
        scope.spawn(|| answer_alike("a replica", &replica_of(&reader).reader(), &subjects, &golden));
        ask_everything(&reader, &subjects, &mut ledger);
        ledger.assert_equals_golden("the source", |_| true);
    });
    drop(reader);
    answer_alike("the source with its tables folded again", &barn.fold_again().reader(), &subjects, &golden);
}

/// Describes a log that is not the one of the golden file: the source decided otherwise, or the generator has changed.
fn describe_other_log(reader: &Reader, ledger: &Ledger, log: &[String], golden: &Golden) -> String {
    let number = ledger.first_difference(Question::Log).map_or(0, |before| before as u64 + 1);
    let change = reader.snapshot().unwrap().change(Sequence(number)).unwrap();
    format!(
        "the source decided otherwise, so it made another log: {log:?} instead of {:?}. The first change that differs is \
         {number}: {change:#?}\nFurther answers that differ:\n{}",
        golden.log,
        ledger.report(|question| question.is_of_source() || question == Question::Log),
    )
}

/// Checks that another store with the same log gives the answers of the golden file.
fn answer_alike(who: &str, reader: &Reader, subjects: &Subjects, golden: &Golden) {
    let mut ledger = Ledger::new(Some(golden.clone()));
    ask_everything(reader, subjects, &mut ledger);
    ledger.assert_equals_golden(who, |question| !question.is_of_source());
}

/// Returns a replica that applied the whole log.
fn replica_of(source: &Reader) -> Store {
    let mut replica = Store::open_replica(&MemoryDisk::default(), STORE).unwrap();
    let mut pages = REPLICA_PAGES.iter().cycle();
    while replica.head().position != source.head().position {
        let run = source.run_after(replica.head().position, *pages.next().unwrap(), REPLICA_PAGE_BYTES).unwrap();
        replica.apply(run).unwrap();
    }
    replica
}

fn bless_file(name: &str, new: &Golden, old: Option<&Golden>, bless: &str) {
    let is_same_log = old.is_some_and(|old| old.log == new.log);
    assert!(
        bless == "new-log" || (bless == "1" && is_same_log),
        "the log is another one: {:?} instead of {:?}; HERDLINX_BLESS=new-log accepts it",
        new.log,
        old.map(|old| &old.log)
    );
    new.write(name);
}
