//! Corrections by people, alone and on top of each other.

use super::barn::order;
use super::yard::{GROUPS, PAIRING, RejectedRead, Subject, Yard};
use herd::change::TagKind;
use herd::correction::{CorrectionForm, CorrectionOrder, Kilograms};
use herd::position::Sequence;
use herd::store::MAX_REPROCESSED;

/// Maximum number of events of an animal one of which is voided. A void replays them.
const MAX_VOIDED_HISTORY: usize = 12;
/// Number of rejected payloads that are reprocessed at once.
const REPROCESSED: usize = 40;

/// A task of an operator.
#[derive(Clone, Copy)]
enum Task {
    Void,
    Merge,
    Retag,
    Move,
    Weigh,
    Batch,
    Accept,
    AcceptTwice,
    MergeAccepted,
    Reprocess,
    VoidAbsorption,
    Refusal,
}

/// The tasks, as often as they come up.
const TASKS: [Task; 18] = [
    Task::Void,
    Task::Void,
    Task::Void,
    Task::Void,
    Task::Merge,
    Task::Merge,
    Task::Retag,
    Task::Move,
    Task::Weigh,
    Task::Batch,
    Task::Accept,
    Task::Accept,
    Task::AcceptTwice,
    Task::MergeAccepted,
    Task::Reprocess,
    Task::Reprocess,
    Task::VoidAbsorption,
    Task::Refusal,
];

impl Yard<'_> {
    /// Plays one task of an operator, of one to five corrections.
    pub(super) fn play_operator(&mut self) {
        if self.heads.len() < 12 {
            return;
        }
        let task = self.chance.pick(&TASKS);
        self.play_task(task);
    }

    /// Plays every task at least once.
    pub(super) fn play_all_operators(&mut self) {
        for task in TASKS {
            self.play_task(task);
        }
    }

    fn play_task(&mut self, task: Task) {
        match task {
            Task::Void => self.void_something(),
            Task::Merge => self.merge_something(),
            Task::Retag => self.retag(),
            Task::Move => self.move_animal(),
            Task::Weigh => self.weigh_and_lose(),
            Task::Batch => self.edit_batches(),
            Task::Accept => self.accept_rejected(),
            Task::AcceptTwice => self.accept_twice(),
            Task::MergeAccepted => self.merge_accepted(),
            Task::Reprocess => self.merge_and_reprocess(),
            Task::VoidAbsorption => self.void_absorption(),
            Task::Refusal => self.refuse_everything(),
        }
    }

    /// Sends an order under the next key.
    pub(super) fn correct(&mut self, correction: CorrectionForm) -> Option<Sequence> {
        self.orders += 1;
        let order = order(self.orders, correction);
        self.send_order(order)
    }

    fn send_order(&mut self, order: CorrectionOrder) -> Option<Sequence> {
        self.flush();
        let pause_ms = 100 + self.chance.below(3_000);
        self.barn.wait(pause_ms);
        let channel = self.chance.pick(&["office-1", "control socket"]);
        self.barn.correct(order, channel, self.ledger)
    }

    /// Returns the id of an animal, looked up by its tags as a person does it.
    pub(super) fn id_of(&mut self, head: usize) -> Option<u64> {
        self.flush();
        let snapshot = self.barn.store().reader().snapshot().unwrap();
        let found = snapshot.find_animal(&self.heads[head].lf).unwrap();
        found.or_else(|| snapshot.find_animal(&self.heads[head].epc).unwrap()).map(|animal| animal.id.0)
    }

    /// Returns an event of an animal with a short history.
    fn event_of(&mut self, head: usize) -> Option<u64> {
        self.flush();
        let events = &self.heads[head].events;
        let is_short = (1..=MAX_VOIDED_HISTORY).contains(&events.len());
        is_short.then(|| self.chance.pick(events).0)
    }

    /// Voids an event, and often something after it: another event, the void's own payload, a merge.
    fn void_something(&mut self) {
        let head = self.any_head();
        let Some(payload) = self.event_of(head) else { return };
        self.correct(CorrectionForm::Void { payload });
        match self.chance.below(8) {
            0..3 => {
                let Some(payload) = self.event_of(head) else { return };
                self.correct(CorrectionForm::Void { payload });
            }
            3..5 => {
                self.correct(CorrectionForm::AcceptRejected { payload, animal: None, batch_number: None });
                if self.chance.percent(50) {
                    self.correct(CorrectionForm::Void { payload });
                }
            }
            5 => self.merge_after_void(head),
            6 => {
                let animal = self.id_of(head);
                self.correct(CorrectionForm::AcceptRejected { payload, animal, batch_number: None });
            }
            _ => drop(self.correct(CorrectionForm::Void { payload })),
        }
    }

    fn merge_after_void(&mut self, head: usize) {
        let other = (head + 1) % self.heads.len();
        let (Some(animal), Some(absorbed)) = (self.id_of(head), self.id_of(other)) else { return };
        self.correct(CorrectionForm::Merge { animal, absorbed });
        if self.chance.percent(40) {
            let Some(payload) = self.event_of(other) else { return };
            self.correct(CorrectionForm::Void { payload });
        }
    }

    /// Merges two animals, and sometimes voids an event of either afterwards.
    fn merge_something(&mut self) {
        let Some((first, second)) = self.two_heads() else { return };
        let (Some(animal), Some(absorbed)) = (self.id_of(first), self.id_of(second)) else { return };
        self.correct(CorrectionForm::Merge { animal, absorbed });
        if self.chance.percent(40) {
            let head = self.chance.pick(&[first, second]);
            let Some(payload) = self.event_of(head) else { return };
            self.correct(CorrectionForm::Void { payload });
        }
        if self.chance.percent(20) {
            // Refused: it is part of the other one by now.
            self.correct(CorrectionForm::Weigh {
                animal: absorbed,
                weight_kg: Kilograms("200".to_owned()),
                replaces: None,
                weighed_at: None,
            });
        }
    }

    fn retag(&mut self) {
        let Some((first, second)) = self.two_heads() else { return };
        let Some(animal) = self.id_of(first) else { return };
        self.tags += 1;
        let (tag_kind, tag) = match self.chance.below(8) {
            0..3 => (TagKind::Lf, Some(format!("124{:012}", self.tags))),
            3..5 => (TagKind::Epc, Some(format!("E2801160{:016X}", self.tags))),
            5 => (TagKind::Lf, None),
            // Refused: it is another animal's, or its own already.
            6 => (TagKind::Lf, Some(self.heads[second].lf.clone())),
            _ => (TagKind::Epc, Some(self.heads[first].epc.clone())),
        };
        if self.correct(CorrectionForm::Retag { animal, tag_kind, tag: tag.clone() }).is_some()
            && let Some(tag) = tag
        {
            let head = &mut self.heads[first];
            *(if tag_kind == TagKind::Lf { &mut head.lf } else { &mut head.epc }) = tag;
        }
    }

    fn move_animal(&mut self) {
        let Some((first, second)) = self.two_heads() else { return };
        let Some(animal) = self.id_of(first) else { return };
        let pen = format!("HOSPITAL {}", self.chance.below(3));
        self.correct(CorrectionForm::MovePen { animal, pen });
        let batch_number = match self.chance.below(3) {
            0 => format!("SORTED{}", self.orders),
            _ => self.heads[second].lot.clone(),
        };
        self.correct(CorrectionForm::MoveBatch { animal, batch_number: batch_number.clone() });
        if self.chance.percent(20) {
            // Refused: it is there already.
            self.correct(CorrectionForm::MoveBatch { animal, batch_number });
        }
    }

    /// Weighs an animal; some die. A dead one is not weighed any more, and a later read brings it back.
    fn weigh_and_lose(&mut self) {
        let head = self.any_head();
        let Some(animal) = self.id_of(head) else { return };
        let weight_kg = Kilograms(format!("{}.5", 200 + self.chance.below(300)));
        self.correct(CorrectionForm::Weigh { animal, weight_kg: weight_kg.clone(), replaces: None, weighed_at: None });
        if self.chance.percent(60) {
            self.correct(CorrectionForm::Died { animal });
            self.correct(CorrectionForm::Weigh { animal, weight_kg, replaces: None, weighed_at: None });
            if self.chance.percent(30) {
                self.check_in(head);
            }
        }
    }

    fn edit_batches(&mut self) {
        let head = self.any_head();
        let lot = self.heads[head].lot.clone();
        self.flush();
        let found = self.barn.store().reader().snapshot().unwrap().batch_by_number(&lot).unwrap();
        let Some(batch) = found.map(|found| found.batch.id.0) else { return };
        let notes = Some(format!("sorted twice\nby {}", self.orders));
        self.correct(CorrectionForm::EditBatch { batch, notes });
        if self.chance.percent(50) {
            self.correct(CorrectionForm::EditBatch { batch, notes: None });
        }
        if self.chance.percent(50) {
            self.correct(CorrectionForm::CloseBatch { batch });
            // The number opens a new batch.
            self.scan(head, "hxb", &lot);
        }
        if self.chance.percent(20) {
            self.correct(CorrectionForm::CloseBatch { batch });
        }
    }

    /// Accepts a rejected payload, for the animal that a person chooses if it is about two.
    fn accept_rejected(&mut self) {
        let decided = ["event_id_reused", "tags_of_two_animals", "lid_of_another", "old_tag_of_another"];
        let is_decided = |read: &&RejectedRead| decided.contains(&read.code);
        let wanted = if self.chance.percent(90) {
            self.rejected.iter().rev().filter(is_decided).nth(self.chance.index(3)).copied()
        } else {
            self.rejected.back().copied()
        };
        let Some(RejectedRead { sequence, subject, .. }) = wanted else { return };
        let animal = match subject {
            Subject::Both(first, second) => {
                let chosen = self.chance.pick(&[first, second]);
                self.id_of(chosen)
            }
            Subject::Head(head) if self.chance.percent(50) => self.id_of(head),
            Subject::Head(_) | Subject::Nobody => None,
        };
        let payload = sequence.0;
        self.correct(CorrectionForm::AcceptRejected { payload, animal, batch_number: None });
        if self.chance.percent(15) {
            self.correct(CorrectionForm::Void { payload });
        }
    }

    /// Accepts one of two equal rejected payloads, and then the other, which is refused.
    fn accept_twice(&mut self) {
        let Some((first, second)) = self.two_heads() else { return };
        let (group, subject) = (self.heads[first].group, Subject::Both(first, second));
        let id = self.event_id(group, PAIRING);
        let text = format!("event:{id}|lf:{}|epc:{}|weight:199.75", self.heads[first].lf, self.heads[second].epc);
        self.send(group, subject, text.clone());
        self.flush();
        self.barn.wait(61_000);
        self.send(group, subject, text);
        let animal = self.id_of(first);
        let last_two: Vec<u64> = self.rejected.iter().rev().take(2).map(|read| read.sequence.0).collect();
        for payload in last_two {
            self.correct(CorrectionForm::AcceptRejected { payload, animal, batch_number: None });
        }
    }

    /// Accepts a scan of two animals for one of them, to which the other's tag is unconfirmed then. Merges both.
    fn merge_accepted(&mut self) {
        let Some((first, second)) = self.two_heads() else { return };
        let (group, lot) = (self.heads[first].group, self.heads[first].lot.clone());
        let text = format!("hxb:{lot}:{}:{}", self.heads[first].lf, self.heads[second].epc);
        self.send(group, Subject::Both(first, second), text);
        self.flush();
        let (Some(one), Some(other)) = (self.id_of(first), self.id_of(second)) else { return };
        let Some(payload) = self.rejected.back().map(|read| read.sequence.0) else { return };
        let (animal, absorbed) = self.chance.pick(&[(one, other), (other, one)]);
        let chosen = self.chance.pick(&[one, other]);
        self.correct(CorrectionForm::AcceptRejected { payload, animal: Some(chosen), batch_number: None });
        self.correct(CorrectionForm::Merge { animal, absorbed });
        if self.chance.percent(30) {
            self.correct(CorrectionForm::Void { payload });
        }
    }

    /// Merges two animals that a rejected event took for one. Reprocessing accepts the event then.
    fn merge_and_reprocess(&mut self) {
        self.contradict();
        self.flush();
        let Some(RejectedRead { sequence, subject: Subject::Both(first, second), .. }) = self.rejected.back().copied()
        else {
            return;
        };
        let (Some(animal), Some(absorbed)) = (self.id_of(first), self.id_of(second)) else { return };
        if animal == absorbed || self.correct(CorrectionForm::Merge { animal, absorbed }).is_none() {
            return;
        }
        let receipt = self.barn.reprocess(Sequence(sequence.0 - 1), REPROCESSED, self.ledger);
        if let Some(payload) = receipt.accepted.first().map(|payload| payload.0)
            && self.chance.percent(30)
        {
            self.correct(CorrectionForm::Void { payload });
        }
    }

    /// Undoes what made one animal of a tag-only animal and another one.
    fn void_absorption(&mut self) {
        let head = self.new_head(0, "LOT-ABSORBED");
        self.scan(head, "hxb", "LOT-ABSORBED");
        self.readers[0].lids += 1;
        self.heads[head].lid = Some(self.readers[0].lids);
        self.check_in(head);
        self.pair(head);
        self.flush();
        let events = self.heads[head].events.clone();
        if let [.., Sequence(payload)] = events[..] {
            self.correct(CorrectionForm::Void { payload });
        }
        if let [Sequence(payload), _, ..] = events[..]
            && self.chance.percent(50)
        {
            self.correct(CorrectionForm::Void { payload });
        }
    }

    /// Sends orders that are refused, and one that is a duplicate.
    fn refuse_everything(&mut self) {
        let head = self.any_head();
        let Some(animal) = self.id_of(head) else { return };
        let (nowhere, rejected) = (self.barn.changes() + 1_000_000, self.rejected.back().map(|read| read.sequence.0));
        let pen = "P9".to_owned();
        let refused = [
            CorrectionForm::MovePen { animal: nowhere, pen: pen.clone() },
            CorrectionForm::Merge { animal, absorbed: animal },
            CorrectionForm::Void { payload: nowhere },
            CorrectionForm::Void { payload: rejected.unwrap_or(1) },
            CorrectionForm::AcceptRejected { payload: rejected.unwrap_or(1), animal: None, batch_number: None },
            CorrectionForm::AcceptRejected {
                payload: self.event_of(head).unwrap_or(1),
                animal: None,
                batch_number: None,
            },
            CorrectionForm::EditBatch { batch: nowhere, notes: None },
            CorrectionForm::NewReaderEra { reader_group: "nobody".to_owned(), from: None },
        ];
        let chosen = self.chance.index(refused.len());
        self.correct(refused[chosen].clone());
        self.orders += 1;
        let edit = order(self.orders, CorrectionForm::MovePen { animal, pen });
        self.send_order(edit.clone());
        self.send_order(edit.clone());
        self.send_order(CorrectionOrder { correction: CorrectionForm::Died { animal }, ..edit });
    }

    /// Starts a new era of a reader group, whose readers count from 1 again.
    pub(super) fn start_era(&mut self, group: usize) {
        let reader_group = GROUPS[group].0.to_owned();
        if self.correct(CorrectionForm::NewReaderEra { reader_group, from: None }).is_some() {
            let readers = &mut self.readers[group];
            readers.era += 1;
            (readers.counters, readers.lids) = ([0; 5], 0);
        }
    }

    /// Reprocesses every rejected payload.
    pub(super) fn reprocess_all(&mut self) {
        let mut after = Sequence::ZERO;
        loop {
            let receipt = self.barn.reprocess(after, MAX_REPROCESSED, self.ledger);
            let Some(next) = receipt.next else { return };
            after = next;
        }
    }
}
