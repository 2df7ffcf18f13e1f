//! Every public question of a store about a whole log, walked exhaustively.
//!
//! The keys of the walk come from the stored changes, which every fold has in common: all sequences, the animals and
//! batches that changes name, and all tags, lids and numbers in them. An answer is the JSON of the view, as the API and
//! the pages show it, or the text of the error.

mod lists;
mod subjects;

pub(crate) use subjects::Subjects;

use crate::ledger::{Ledger, Question};
use herd::change::{AnimalId, BatchId};
use herd::payload::WeightUnit;
use herd::position::Sequence;
use herd::query::{HistoryCursor, Page, PageLimit};
use herd::store::{Head, Reader, Snapshot};
use serde::Serialize;
use std::fmt::Display;

/// Distance of the sequences whose positions are asked for. The chain digest covers them all.
const POSITION_STEP: usize = 97;
/// Number of sequences in one answer about ids.
const ID_BLOCK: u64 = 1_000;
/// Page sizes of histories, weights and members. An id takes one of them.
const PAGE_SIZES: [u64; 5] = [50, 1, 2, 7, 1_000];
/// Distance of the animals whose history is asked for with the cursor of another one.
const FOREIGN_STEP: usize = 25;
/// Distance of the names that are looked up in other spellings as well.
const SPELLING_STEP: usize = 40;

/// Returns the JSON of an answer, or the text of its error.
pub(crate) fn json<T: Serialize, E: Display>(answer: Result<T, E>) -> String {
    match answer {
        Ok(answer) => serde_json::to_string(&answer).unwrap(),
        Err(error) => format!("error: {error}"),
    }
}

fn page_size(id: u64) -> PageLimit {
    PageLimit::new(PAGE_SIZES[usize::try_from(id % 5).unwrap()]).unwrap()
}

/// Asks a store everything.
pub(crate) fn ask_everything(reader: &Reader, subjects: &Subjects, ledger: &mut Ledger) {
    let snapshot = reader.snapshot().unwrap();
    let mut walk = Walk { snapshot: &snapshot, subjects, ledger };
    walk.ask_state(reader);
    walk.ask_log();
    walk.ask_changes();
    walk.ask_animals();
    walk.ask_names();
    walk.ask_histories();
    walk.ask_batches();
    walk.ask_lists();
}

struct Walk<'a> {
    snapshot: &'a Snapshot,
    subjects: &'a Subjects,
    ledger: &'a mut Ledger,
}

impl Walk<'_> {
    fn ask_state(&mut self, reader: &Reader) {
        let Head { position, folded, blocked, .. } = reader.head();
        self.ledger.enter(
            Question::State,
            &"head",
            &format!("{} {folded} {blocked:?}", json::<_, String>(Ok(position))),
        );
        let state = self.snapshot.state().unwrap();
        let answer = format!("{} {}", json::<_, String>(Ok(state.position)), state.folded);
        self.ledger.enter(Question::State, &"snapshot", &answer);
        self.ledger.enter(Question::State, &"folded", &json(self.snapshot.folded()));
        self.ledger.enter(Question::State, &"store", &reader.store().to_string());
        let last = self.subjects.changes;
        for sequence in (0..=last).step_by(POSITION_STEP).chain([last, last + 1]) {
            self.ledger.enter(Question::Position, &sequence, &json(reader.position_at(Sequence(sequence))));
        }
    }

    fn ask_log(&mut self) {
        for sequence in (1..=self.subjects.changes).map(Sequence) {
            let bytes = self.snapshot.change_bytes(sequence).unwrap().unwrap();
            self.ledger.enter(Question::Log, &sequence, &hex::encode(bytes));
        }
    }

    fn ask_changes(&mut self) {
        // One past the end: there is none.
        for sequence in (1..=self.subjects.changes + 1).map(Sequence) {
            self.ledger.enter(Question::Change, &sequence, &json(self.snapshot.change_view(sequence)));
            self.ledger.enter(Question::Payload, &sequence, &json(self.snapshot.payload(sequence)));
        }
        for sequence in &self.subjects.corrections {
            let correction = self.snapshot.correction(*sequence);
            let mut answer = String::new();
            if let Ok(Some(view)) = &correction {
                let of_animals =
                    view.animals.iter().map(|animal| view.summary_for(*animal, WeightUnit::Kg, &str::to_owned));
                answer = std::iter::once(view.summary(WeightUnit::Kg, &str::to_owned))
                    .chain(of_animals)
                    .collect::<Vec<_>>()
                    .join("; ");
            }
            self.ledger.enter(Question::Correction, sequence, &format!("{} {answer}", json(correction)));
        }
        self.ledger.enter(Question::Correction, &"of a payload", &json(self.snapshot.correction(Sequence(2))));
    }

    fn ask_animals(&mut self) {
        for animal in &self.subjects.animals {
            self.ledger.enter(Question::Animal, animal, &json(self.snapshot.animal(*animal)));
        }
        let is_animal = |id| self.snapshot.animal(AnimalId(id)).unwrap().is_some();
        enter_ids(self.ledger, Question::AnimalIds, self.subjects.changes, is_animal);
    }

    fn ask_names(&mut self) {
        for (n, name) in self.subjects.names.iter().enumerate() {
            self.ledger.enter(Question::Find, name, &json(self.snapshot.find_animal(name)));
            if n % SPELLING_STEP == 0 {
                for spelling in [name.to_lowercase(), format!("EPC:{name}"), format!(" {name} "), format!("0{name}")] {
                    self.ledger.enter(Question::Find, &spelling, &json(self.snapshot.find_animal(&spelling)));
                }
            }
        }
        for unknown in ["", "EPC:", "nobody's tag", "0"] {
            self.ledger.enter(Question::Find, &unknown, &json(self.snapshot.find_animal(unknown)));
        }
    }

    fn ask_histories(&mut self) {
        let snapshot = self.snapshot;
        let mut other: Option<HistoryCursor> = None;
        for (n, animal) in self.subjects.animals.iter().enumerate() {
            let limit = page_size(animal.0);
            let history = |from| snapshot.history(*animal, from, limit);
            enter_history(self.ledger, Question::History, *animal, history);
            let limit = page_size(animal.0 / 5);
            enter_history(self.ledger, Question::Weights, *animal, |from| snapshot.weights(*animal, from, limit));
            if n % FOREIGN_STEP == 0 {
                let answer = json(snapshot.history(*animal, other.take(), limit));
                self.ledger.enter(Question::ForeignCursor, animal, &answer);
                other = animal.to_string().parse().ok();
            }
        }
        let nobody = AnimalId(self.subjects.changes + 9);
        self.ledger.enter(Question::History, &nobody, &json(snapshot.history(nobody, None, PageLimit::default())));
        self.ledger.enter(Question::Weights, &nobody, &json(snapshot.weights(nobody, None, PageLimit::default())));
    }

    fn ask_batches(&mut self) {
        let snapshot = self.snapshot;
        for batch in &self.subjects.batches {
            let answers = [
                json(snapshot.batch(*batch)),
                json(snapshot.batch_with_others(*batch)),
                json(snapshot.batch_traits(*batch)),
            ];
            self.ledger.enter(Question::Batch, batch, &answers.join(" "));
            let members = |after: Option<u64>| snapshot.members(*batch, after.map(AnimalId), page_size(batch.0));
            lists::enter_pages(self.ledger, Question::Members, batch, usize::MAX, members);
        }
        for number in &self.subjects.numbers {
            self.ledger.enter(Question::BatchNumber, number, &json(snapshot.batch_by_number(number)));
        }
        self.ledger.enter(Question::BatchNumber, &"no batch", &json(snapshot.batch_by_number("no batch")));
        let is_batch = |id| snapshot.batch(BatchId(id)).unwrap().is_some();
        enter_ids(self.ledger, Question::BatchIds, self.subjects.changes, is_batch);
    }
}

/// Enters the ids that exist, in blocks, so that one too many is found as well.
fn enter_ids(ledger: &mut Ledger, question: Question, changes: u64, exists: impl Fn(u64) -> bool) {
    for first in (0..=changes).step_by(usize::try_from(ID_BLOCK).unwrap()) {
        let ids: Vec<u64> = (first..first + ID_BLOCK).filter(|id| exists(*id)).collect();
        ledger.enter(question, &first, &format!("{ids:?}"));
    }
}

/// Enters a whole history, page by page, under the id of its animal.
fn enter_history<T: Serialize, E: Display>(
    ledger: &mut Ledger,
    question: Question,
    animal: AnimalId,
    fetch: impl Fn(Option<HistoryCursor>) -> Result<Option<Page<T, HistoryCursor>>, E>,
) {
    let (mut from, mut answer) = (None, String::new());
    loop {
        let page = fetch(from);
        let next = page.as_ref().ok().and_then(|page| page.as_ref()?.next.clone());
        answer.push_str(&json(page));
        match next {
            // A cursor is text between two pages, so it must survive that.
            Some(next) => from = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    ledger.enter(question, &animal, &answer);
}
