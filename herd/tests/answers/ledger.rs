//! The answers of one store, question by question, compared with a golden file while they are given.

use crate::golden::{Golden, PREFIX_BYTES, Section};
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

/// Maximum number of differing entries of one question that a failure names.
const MAX_NAMED: usize = 10;
/// Maximum number of characters of an answer that a failure shows.
const MAX_SHOWN_CHARS: usize = 1_000;

/// Declares the questions with their names, in the order of the golden file.
macro_rules! questions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A question, or a family of them with one kind of key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Question {
            $($(#[$doc])* $variant,)*
        }

        impl Question {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

questions! {
    /// Receipt of a payload, by its number. Only the source gives it.
    Receipt = "receipt",
    /// Receipt of a correction, by its number. Only the source gives it.
    CorrectionReceipt = "correction_receipt",
    /// Receipt of a call of `reprocess`, by its number. Only the source gives it.
    ReprocessReceipt = "reprocess_receipt",
    /// Totals, proposals and the newest payload in the middle of the traffic, by sequence. Only the source gives it.
    Moment = "moment",
    /// Head and state, without the fold digest, which another version of the fold changes.
    State = "state",
    /// Position at a sequence.
    Position = "position",
    /// Stored bytes of a change in hexadecimal.
    Log = "log",
    /// Change by sequence, as later changes left it.
    Change = "change",
    /// Payload by sequence.
    Payload = "payload",
    /// Correction by sequence, with its sentences.
    Correction = "correction",
    /// Animal by id.
    Animal = "animal",
    /// Ids of the animals among a thousand sequences.
    AnimalIds = "animal_ids",
    /// Animal by the text of a tag or lid.
    Find = "find",
    /// Page of a history, by animal.
    History = "history",
    /// Page of weights, by animal.
    Weights = "weights",
    /// Refusal of a cursor of another animal, by animal.
    ForeignCursor = "foreign_cursor",
    /// Batch by id, with the others of its number and its traits.
    Batch = "batch",
    /// Ids of the batches among a thousand sequences.
    BatchIds = "batch_ids",
    /// Batch by number.
    BatchNumber = "batch_number",
    /// Page of members, by batch.
    Members = "members",
    /// Page of a list of animals.
    Animals = "animals",
    /// Page of a list of batches, by filter.
    Batches = "batches",
    /// Page of a list of payloads, by filter.
    Payloads = "payloads",
    /// Page of the gaps in event counters.
    Gaps = "gaps",
    /// Page of the event counters.
    Counters = "counters",
    /// Totals, and proposals of reader eras.
    Totals = "totals",
}

impl Question {
    /// Returns `true` if only the store that recorded the log is asked.
    pub(crate) fn is_of_source(self) -> bool {
        matches!(self, Self::Receipt | Self::CorrectionReceipt | Self::ReprocessReceipt | Self::Moment)
    }
}

/// The entries of one question so far.
#[derive(Default)]
struct Account {
    section: Section,
    digest: blake3::Hasher,
    /// Entries that differ from the golden file.
    differing: u64,
    /// The first of them, with their new answers.
    named: Vec<String>,
}

/// All entries so far.
pub(crate) struct Ledger {
    golden: Option<Golden>,
    /// Key, or prefix of keys with a `*` at its end, of the entries to print.
    wanted: Option<String>,
    accounts: BTreeMap<Question, Account>,
    line: String,
}

impl Ledger {
    pub(crate) fn new(golden: Option<Golden>) -> Self {
        Self { golden, wanted: None, accounts: BTreeMap::new(), line: String::new() }
    }

    /// Prints the entries that `HERDLINX_ANSWER` names.
    pub(crate) fn printing(self) -> Self {
        Self { wanted: std::env::var("HERDLINX_ANSWER").ok().filter(|wanted| !wanted.is_empty()), ..self }
    }

    /// Adds the answer to a question about `key`.
    pub(crate) fn enter(&mut self, question: Question, key: &dyn Display, answer: &str) {
        let Self { golden, wanted, accounts, line } = self;
        line.clear();
        writeln!(line, "{key}\t{answer}").unwrap();
        if let Some(wanted) = wanted {
            print_if_wanted(wanted, question, line);
        }
        let account = accounts.entry(question).or_default();
        account.digest.update(line.as_bytes());
        let hash = blake3::hash(line.as_bytes());
        let prefix = &hash.as_bytes()[..PREFIX_BYTES];
        let start = account.section.prefixes.len();
        account.section.prefixes.extend_from_slice(prefix);
        let Some(golden) = golden else { return };
        let expected =
            golden.sections.get(question.name()).and_then(|known| known.prefixes.get(start..)?.get(..PREFIX_BYTES));
        if expected != Some(prefix) {
            account.differing += 1;
            if account.named.len() < MAX_NAMED {
                let shown: String = line.trim_end().chars().take(MAX_SHOWN_CHARS).collect();
                account.named.push(format!("  {}/{shown}", question.name()));
            }
        }
    }

    /// Returns the number of entries before the first one that differs from the golden file.
    pub(crate) fn first_difference(&self, question: Question) -> Option<usize> {
        let known = self.golden.as_ref()?.sections.get(question.name())?;
        let entries = |section: &Section| section.prefixes.chunks(PREFIX_BYTES).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (found, known) = (entries(&self.accounts.get(&question)?.section), entries(known));
        found.iter().zip(&known).position(|(found, known)| found != known)
    }

    /// Returns the entries for a golden file.
    pub(crate) fn sections(&self) -> BTreeMap<String, Section> {
        let of = |(question, account): (&Question, &Account)| (question.name().to_owned(), account.closed());
        self.accounts.iter().map(of).collect()
    }

    /// Checks that every entry equals the one in the golden file, and that none is missing.
    ///
    /// # Panics
    ///
    /// Panics with the first differing entries of each question.
    pub(crate) fn assert_equals_golden(&self, who: &str, is_asked: impl Fn(Question) -> bool) {
        let report = self.report(is_asked);
        assert!(report.is_empty(), "{who} gives other answers than the golden file. New answers:\n{report}");
    }

    /// Returns the first differing entries of these questions; empty if all are equal.
    pub(crate) fn report(&self, is_asked: impl Fn(Question) -> bool) -> String {
        let golden = self.golden.as_ref().unwrap();
        let mut report = String::new();
        for question in Question::ALL.iter().filter(|question| is_asked(**question)) {
            let expected = golden.sections.get(question.name()).cloned().unwrap_or_default();
            let (found, differing, named) = self.accounts.get(question).map_or_else(Default::default, |account| {
                (account.closed(), account.differing, account.named.join("\n"))
            });
            if found != expected {
                let (entries, before) = (found.entries(), expected.entries());
                let name = question.name();
                writeln!(report, "{name}: {differing} of {entries} entries differ, and there were {before}:\n{named}")
                    .unwrap();
            }
        }
        report
    }
}

impl Account {
    fn closed(&self) -> Section {
        Section { digest: self.digest.finalize().to_hex().to_string(), ..self.section.clone() }
    }
}

#[expect(clippy::print_stdout, reason = "a person asked for these answers")]
fn print_if_wanted(wanted: &str, question: Question, line: &str) {
    let key = line.split('\t').next().unwrap_or_default();
    let name = format!("{}/{key}", question.name());
    let is_wanted = wanted.strip_suffix('*').map_or(name == wanted, |start| name.starts_with(start));
    if is_wanted {
        print!("{}/{line}", question.name());
    }
}

/// Catches a comparison that passes over a changed, a missing or an additional answer, or does not name it.
#[test]
fn each_difference_is_named() {
    let ledger = |golden: Option<Golden>, answers: &[(u64, &str)]| {
        let mut ledger = Ledger::new(golden);
        for (id, answer) in answers {
            ledger.enter(Question::Animal, id, answer);
        }
        ledger
    };
    let before = ledger(None, &[(3, "black"), (7, "brown"), (9, "null")]);
    let golden = Golden { sections: before.sections(), ..Golden::default() };
    let report = |answers: &[(u64, &str)]| ledger(Some(golden.clone()), answers).report(|_| true);
    assert_eq!(report(&[(3, "black"), (7, "brown"), (9, "null")]), "");
    let changed = report(&[(3, "black"), (7, "grey"), (9, "null")]);
    assert_eq!(changed, "animal: 1 of 3 entries differ, and there were 3:\n  animal/7\tgrey\n");
    assert_eq!(report(&[(3, "black"), (7, "brown")]), "animal: 0 of 2 entries differ, and there were 3:\n\n");
    assert!(report(&[(3, "black"), (7, "brown"), (9, "null"), (11, "red")]).contains("  animal/11\tred"));
    assert_eq!(report(&[]), "animal: 0 of 0 entries differ, and there were 3:\n\n");
}
