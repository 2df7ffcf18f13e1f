//! A herd on paper: decide and fold with no disk beneath, so that thousands of histories can be tried.

use crate::herd_view::HerdView;
use crate::steps::{Sent, Step};
use herd::change::Change;
use herd::clock::RawReading;
use herd::decide::{Decision, History, Rules, decide};
use herd::fold::{FOLD_VERSION, NoRows, RowsError, Staged, fold};
use herd::position::Sequence;

pub(crate) struct Paper {
    pub(crate) rows: Staged<NoRows>,
    pub(crate) changes: Vec<Change>,
    pub(crate) now: RawReading,
    pub(crate) boot: u32,
}

struct Kept<'a>(&'a [Change]);

impl History for Kept<'_> {
    fn text_at(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, RowsError> {
        let index = usize::try_from(sequence.0).unwrap().checked_sub(1);
        Ok(match index.and_then(|index| self.0.get(index)) {
            Some(Change::Received(received)) => Some(received.text().to_vec()),
            _ => None,
        })
    }
}

impl Paper {
    pub(crate) fn new() -> Self {
        let rows = Staged::new(NoRows, Sequence::ZERO, herd::digest::fold_start(FOLD_VERSION));
        let now = RawReading { received_at_us: crate::world::BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
        Self { rows, changes: Vec::new(), now, boot: 1 }
    }

    /// Does one step; gives the decision where something was sent.
    pub(crate) fn step(&mut self, step: &Step, rules: &Rules) -> Option<Decision> {
        step.pass(&mut self.now);
        match step {
            Step::Wait { .. } => None,
            Step::Reboot => {
                self.boot += 1;
                None
            }
            Step::Send(sent) => Some(self.send(sent, rules)),
        }
    }

    pub(crate) fn send(&mut self, sent: &Sent, rules: &Rules) -> Decision {
        let sequence = self.rows.folded().next();
        let clock = self.now.in_boot(self.boot);
        let history = Kept(&self.changes);
        let decision = decide(&self.rows, &history, rules, sequence, &sent.raw, &sent.origin(), clock).unwrap();
        if let Decision::Keep(change) = &decision {
            fold(&mut self.rows, sequence, change).unwrap();
            self.changes.push(change.clone());
        }
        decision
    }

    pub(crate) fn herd(&self) -> HerdView {
        HerdView::read(&self.rows)
    }
}
