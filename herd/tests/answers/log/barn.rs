//! A source on a disk in memory, with a manual clock. Each of its receipts is an answer too.

use crate::ledger::{Ledger, Question};
use herd::clock::RawReading;
use herd::correction::{CorrectionForm, CorrectionOrder};
use herd::decide::Rules;
use herd::position::{Sequence, StoreId};
use herd::store::{CorrectionReceipt, Disk, Incoming, MemoryDisk, Receipt, ReprocessReceipt, Store, TABLES_FILE};
use std::collections::BTreeMap;

/// Identity of the histories.
pub(crate) const STORE: StoreId = StoreId([7; 16]);
/// Start of the wall clock: 2026-01-15T10:35:20Z.
const START_US: i64 = 1_768_473_320_000_000;
/// Distance by which a wall clock without a time source is behind, microseconds.
const SET_BACK_US: i64 = 3 * 86_400 * 1_000_000;
/// Time between the start of the machine and the first payload.
const BOOT_MS: u64 = 5_000;
/// Limit on rejections that ordinary traffic does not reach and a faulty reader does.
const RULES: Rules = Rules {
    repeat_window_ms: 60_000,
    export_rest_ms: 24 * 3_600_000,
    rejections_per_hour: 120,
    pound_groups: std::collections::BTreeSet::new(),
};

pub(crate) struct Barn {
    disk: MemoryDisk,
    /// `None` only while the machine restarts.
    store: Option<Store>,
    now: RawReading,
    boot: u32,
    /// Receipts of each kind so far, which number the next one.
    receipts: [u64; 3],
    /// Number of outcomes that the log does not show, by name.
    pub(crate) outcomes: BTreeMap<String, u64>,
}

impl Barn {
    pub(crate) fn new() -> Self {
        let now = RawReading { received_at_us: START_US, synchronized: true, since_boot_ms: BOOT_MS };
        let disk = MemoryDisk::default();
        let store = Some(open(&disk, now, 1));
        Self { disk, store, now, boot: 1, receipts: [0; 3], outcomes: BTreeMap::new() }
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn writer(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    /// Returns the number of changes so far.
    pub(crate) fn changes(&self) -> u64 {
        self.store().head().position.sequence.0
    }

    pub(crate) fn now(&self) -> RawReading {
        self.now
    }

    pub(crate) fn count(&mut self, outcome: &str) {
        *self.outcomes.entry(outcome.to_owned()).or_default() += 1;
    }

    /// Advances both clocks.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.now.since_boot_ms += ms;
        self.now.received_at_us += i64::try_from(ms).unwrap() * 1_000;
    }

    /// Restarts the machine. A machine without a time source comes back in the past.
    pub(crate) fn reboot(&mut self, finds_time: bool) {
        self.count(if finds_time { "reboot" } else { "reboot without a time source" });
        self.store = None;
        self.boot += 1;
        self.now.since_boot_ms = BOOT_MS;
        if !finds_time {
            self.set_clock(false);
        }
        self.store = Some(open(&self.disk, self.now, self.boot));
    }

    /// Sets the wall clock to the right time, or back to a wrong one.
    pub(crate) fn set_clock(&mut self, synchronized: bool) {
        if self.now.synchronized != synchronized {
            self.now.received_at_us += if synchronized { SET_BACK_US } else { -SET_BACK_US };
            self.now.synchronized = synchronized;
        }
    }

    /// Opens the same history with its tables folded again from the log.
    pub(crate) fn fold_again(self) -> Store {
        let Self { disk, store, now, boot, .. } = self;
        drop(store);
        disk.remove(TABLES_FILE).unwrap();
        open(&disk, now, boot)
    }

    pub(crate) fn append(&mut self, payloads: &[Incoming], ledger: &mut Ledger) -> Vec<Receipt> {
        let receipts = self.writer().append(payloads).unwrap();
        for receipt in &receipts {
            let answer = match receipt {
                Receipt::Kept { sequence } => format!("kept as {sequence}"),
                Receipt::Rejected { sequence, reason } => {
                    format!("rejected as {sequence}: {}, {reason}", reason.code())
                }
                Receipt::Duplicate { of } => format!("duplicate of {of}"),
                Receipt::Suppressed => "suppressed".to_owned(),
            };
            if matches!(receipt, Receipt::Duplicate { .. } | Receipt::Suppressed) {
                let outcome = answer.split(' ').next().unwrap_or_default();
                self.count(&format!("payload: {outcome}"));
            }
            self.write_receipt(Question::Receipt, &answer, ledger);
        }
        receipts
    }

    /// Applies a correction as a person orders it, and returns its change.
    pub(crate) fn correct(&mut self, order: CorrectionOrder, channel: &str, ledger: &mut Ledger) -> Option<Sequence> {
        let asked = serde_json::to_string(&order).unwrap();
        let request = order.checked(channel).unwrap();
        let now = self.now;
        let receipt = self.writer().correct(&request, now).unwrap();
        let answer = match &receipt {
            CorrectionReceipt::Kept { sequence } => format!("kept as {sequence}"),
            CorrectionReceipt::Duplicate { of } => format!("duplicate of {of}"),
            CorrectionReceipt::Refused(error) => format!("refused: {}, {error}", error.code()),
        };
        match &receipt {
            CorrectionReceipt::Kept { .. } => {}
            CorrectionReceipt::Duplicate { .. } => self.count("correction: duplicate"),
            CorrectionReceipt::Refused(error) => self.count(&format!("refused: {}", error.code())),
        }
        self.write_receipt(Question::CorrectionReceipt, &format!("{answer} ({asked})"), ledger);
        match receipt {
            CorrectionReceipt::Kept { sequence } => Some(sequence),
            CorrectionReceipt::Duplicate { .. } | CorrectionReceipt::Refused(_) => None,
        }
    }

    pub(crate) fn reprocess(&mut self, after: Sequence, limit: usize, ledger: &mut Ledger) -> ReprocessReceipt {
        let now = self.now;
        let receipt = self.writer().reprocess(after, limit, now).unwrap();
        self.write_receipt(Question::ReprocessReceipt, &format!("{receipt:?} after {after}"), ledger);
        receipt
    }

    /// Records how many rejections of a channel were counted instead of recorded.
    pub(crate) fn record_suppressed(&mut self, channel: &str, count: u64, first: RawReading) {
        let (first, last) = (first.in_boot(self.boot), self.now.in_boot(self.boot));
        let suppressed = herd::change::Suppressed { channel: channel.to_owned(), count, first, last };
        self.writer().append_suppressed(suppressed).unwrap();
    }

    fn write_receipt(&mut self, of: Question, answer: &str, ledger: &mut Ledger) {
        let number = &mut self.receipts[match of {
            Question::CorrectionReceipt => 1,
            Question::ReprocessReceipt => 2,
            _ => 0,
        }];
        *number += 1;
        ledger.enter(of, &*number, answer);
    }
}

fn open(disk: &MemoryDisk, now: RawReading, boot: u32) -> Store {
    Store::open_source(disk, RULES, now.in_boot(boot), || STORE).unwrap()
}

/// Makes an order whose author and reason recur as they do in an office.
pub(crate) fn order(number: u64, correction: CorrectionForm) -> CorrectionOrder {
    let author = ["J. Doe", "M. Vance", "office"][usize::try_from(number % 3).unwrap()];
    let reason =
        ["seen in the pen", "two reads of one animal", "wrong tag typed"][usize::try_from(number % 5 % 3).unwrap()];
    CorrectionOrder {
        author: author.to_owned(),
        reason: reason.to_owned(),
        idempotency_key: format!("order-{number}"),
        correction,
    }
}
