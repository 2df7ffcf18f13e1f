//! A herd without a disk: decide and fold alone, so that thousands of histories can be tried.

use crate::herd_view::HerdView;
use crate::replicas::run_of;
use crate::steps::{SentPayload, Step};
use crate::world::STORE;
use herd::change::Change;
use herd::clock::RawReading;
use herd::decide::{
    CorrectionDecision, CorrectionRequest, Decision, History, Rules, TextWindow, decide, decide_correction,
    decide_era_move, decide_reprocess, end_of_era_moves,
};
use herd::digest::RowSum;
use herd::fold::{NoRows, RowsError, StagedRows, fold};
use herd::position::Sequence;
use herd::store::{Changes, MemoryDisk, Store};

pub(crate) struct Paper {
    pub(crate) rows: StagedRows<NoRows>,
    pub(crate) window: TextWindow,
    pub(crate) changes: Vec<Change>,
    pub(crate) now: RawReading,
    pub(crate) boot: u32,
}

struct ChangeList<'a>(&'a [Change], &'a TextWindow);

impl History for ChangeList<'_> {
    fn change_at(&self, sequence: Sequence) -> Result<Option<Change>, RowsError> {
        let index = usize::try_from(sequence.0).unwrap().checked_sub(1);
        Ok(index.and_then(|index| self.0.get(index)).cloned())
    }

    fn recent_texts(&self) -> &TextWindow {
        self.1
    }
}

impl Paper {
    pub(crate) fn new() -> Self {
        let rows = StagedRows::new(NoRows, Sequence::ZERO, RowSum::default());
        let now = RawReading { received_at_us: crate::world::BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
        Self { rows, window: TextWindow::default(), changes: Vec::new(), now, boot: 1 }
    }

    /// Does one step, and returns the decision about a sent payload or the change of a correction.
    pub(crate) fn step(&mut self, step: &Step, rules: &Rules) -> Option<Decision> {
        step.pass(&mut self.now);
        match step {
            Step::Wait { .. } => None,
            Step::Reboot => {
                self.boot += 1;
                None
            }
            Step::Send(sent) => Some(self.send(sent, rules)),
            Step::Correct(request) => self.correct(request, rules),
            Step::Reprocess => {
                self.reprocess(rules);
                None
            }
        }
    }

    /// Makes a correction, and returns its change.
    fn correct(&mut self, request: &CorrectionRequest, rules: &Rules) -> Option<Decision> {
        let sequence = self.rows.folded().next();
        let clock = self.now.in_boot(self.boot);
        let decided =
            decide_correction(&self.rows, &ChangeList(&self.changes, &self.window), rules, sequence, request, clock)
                .unwrap();
        let CorrectionDecision::Keep(corrected) = decided else { return None };
        let change = Change::Corrected(corrected);
        fold(&mut self.rows, sequence, &change).unwrap();
        self.changes.push(change.clone());
        self.move_into_era(sequence, rules);
        Some(Decision::Keep(change))
    }

    /// Moves all payloads of an order into its reader era, as a barn does in steps.
    fn move_into_era(&mut self, order: Sequence, rules: &Rules) {
        let Some(start) = self.herd().era_starts.into_values().find(|start| start.order == order) else { return };
        let clock = self.now.in_boot(self.boot);
        for of in (start.from.0..order.0).map(Sequence) {
            let history = ChangeList(&self.changes, &self.window);
            let next = self.rows.folded().next();
            if let Some(step) = decide_era_move(&self.rows, &history, rules, next, &start, of, clock).unwrap() {
                self.push(Change::EraMove(Box::new(step)));
            }
        }
        self.push(Change::EraMove(Box::new(end_of_era_moves(&start, clock))));
    }

    fn push(&mut self, change: Change) {
        let sequence = self.rows.folded().next();
        fold(&mut self.rows, sequence, &change).unwrap();
        self.changes.push(change);
    }

    fn reprocess(&mut self, rules: &Rules) {
        let rejected: Vec<u64> = self.herd().rejected.into_keys().collect();
        for of in rejected.into_iter().map(Sequence) {
            let sequence = self.rows.folded().next();
            let clock = self.now.in_boot(self.boot);
            let again =
                decide_reprocess(&self.rows, &ChangeList(&self.changes, &self.window), rules, sequence, of, clock)
                    .unwrap();
            if let Some(body) = again {
                let change = Change::Reprocessed(Box::new(body));
                fold(&mut self.rows, sequence, &change).unwrap();
                self.changes.push(change);
            }
        }
    }

    pub(crate) fn send(&mut self, sent: &SentPayload, rules: &Rules) -> Decision {
        let sequence = self.rows.folded().next();
        let clock = self.now.in_boot(self.boot);
        let history = ChangeList(&self.changes, &self.window);
        let decision = decide(&self.rows, &history, rules, sequence, &sent.raw, &sent.origin(), clock).unwrap();
        if let Decision::Keep(change) = &decision {
            fold(&mut self.rows, sequence, change).unwrap();
            self.window.record(sequence, change);
            self.changes.push(change.clone());
        }
        decision
    }

    /// Returns the herd as it was after the first `count` changes.
    pub(crate) fn cut(self, count: usize) -> Self {
        let mut cut = Self { now: self.now, boot: self.boot, ..Self::new() };
        for change in self.changes.into_iter().take(count) {
            let sequence = cut.rows.folded().next();
            fold(&mut cut.rows, sequence, &change).unwrap();
            cut.window.record(sequence, &change);
            cut.changes.push(change);
        }
        cut
    }

    /// Returns a replica that has received the changes.
    pub(crate) fn copied(&self) -> Store {
        let mut replica = Store::open_replica(&MemoryDisk::default(), STORE).unwrap();
        let changes: Vec<Vec<u8>> = self.changes.iter().map(Change::to_bytes).collect();
        if !changes.is_empty() {
            let changes: Changes = changes.iter().map(Vec::as_slice).collect();
            replica.apply(run_of(replica.head().position, changes)).unwrap();
        }
        replica
    }

    pub(crate) fn herd(&self) -> HerdView {
        HerdView::read(&self.rows)
    }
}
