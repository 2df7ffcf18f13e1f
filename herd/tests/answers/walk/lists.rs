//! Lists with every filter, page by page, in several page sizes.

use super::{Walk, json};
use crate::ledger::{Ledger, Question};
use herd::change::{AnimalId, BatchId};
use herd::payload::SourceType;
use herd::position::Sequence;
use herd::query::{CounterCursor, GapCursor, Page, PageLimit, PayloadFilter, PayloadStatus};
use serde::Serialize;
use std::fmt::Display;

/// Page sizes of lists, with the maximum number of pages that are read: all of the default size, and the first ones of the
/// smallest and largest.
const SIZES: [(u64, usize); 3] = [(50, usize::MAX), (1_000, 2), (3, 200)];

/// Enters a list page by page. The key is the name and the number of the page.
pub(super) fn enter_pages<T: Serialize, C: Serialize + Clone, E: Display>(
    ledger: &mut Ledger,
    question: Question,
    name: &dyn Display,
    max_pages: usize,
    fetch: impl Fn(Option<C>) -> Result<Page<T, C>, E>,
) {
    let mut from = None;
    for number in 1..=max_pages {
        let page = fetch(from);
        let next = page.as_ref().ok().and_then(|page| page.next.clone());
        ledger.enter(question, &format_args!("{name} page {number}"), &json(page));
        match next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
}

impl Walk<'_> {
    pub(super) fn ask_lists(&mut self) {
        self.ledger.enter(Question::Totals, &"totals", &json(self.snapshot.totals()));
        self.ledger.enter(Question::Totals, &"proposals", &json(self.snapshot.reader_era_proposals()));
        self.ledger.enter(Question::Totals, &"moves", &json(self.snapshot.reader_era_moves()));
        for (size, max_pages) in SIZES {
            let limit = PageLimit::new(size).unwrap();
            self.list_animals(limit, max_pages);
            self.list_batches(limit, max_pages);
            self.list_payloads(limit, max_pages);
            self.list_counters(limit, max_pages);
        }
    }

    fn list_animals(&mut self, limit: PageLimit, max_pages: usize) {
        let (snapshot, size) = (self.snapshot, limit.entries());
        let all = |after: Option<u64>| snapshot.animals(after.map(AnimalId), limit);
        enter_pages(self.ledger, Question::Animals, &format!("all by {size}"), max_pages, all);
        let last = self.subjects.changes;
        for through in [last / 3, last * 2 / 3, last].map(Sequence) {
            let name = format!("through {through} by {size}");
            let old = |after: Option<u64>| snapshot.animals_through(through, after.map(AnimalId), limit);
            enter_pages(self.ledger, Question::Animals, &name, max_pages, old);
        }
    }

    fn list_batches(&mut self, limit: PageLimit, max_pages: usize) {
        let (snapshot, size) = (self.snapshot, limit.entries());
        let all = |before: Option<u64>| snapshot.batches(before.map(BatchId), limit);
        enter_pages(self.ledger, Question::Batches, &format!("all by {size}"), max_pages, all);
        let open = |before: Option<u64>| snapshot.open_batches(before.map(BatchId), limit);
        enter_pages(self.ledger, Question::Batches, &format!("open by {size}"), max_pages, open);
        for source in [SourceType::Hxb, SourceType::Hxe] {
            let name = format!("{} by {size}", source.as_str());
            let of_source = |before: Option<u64>| snapshot.batches_by_source(source, before.map(BatchId), limit);
            enter_pages(self.ledger, Question::Batches, &name, max_pages, of_source);
        }
    }

    fn list_payloads(&mut self, limit: PageLimit, max_pages: usize) {
        let (snapshot, size) = (self.snapshot, limit.entries());
        let filters = [
            ("all", PayloadFilter::All),
            ("processed", PayloadFilter::Status(PayloadStatus::Processed)),
            ("error", PayloadFilter::Status(PayloadStatus::Error)),
        ];
        for (name, filter) in filters {
            let name = format!("{name} by {size}");
            let list = |before: Option<u64>| snapshot.payloads(before.map(Sequence), limit, filter);
            enter_pages(self.ledger, Question::Payloads, &name, max_pages, list);
        }
    }

    fn list_counters(&mut self, limit: PageLimit, max_pages: usize) {
        let (snapshot, size) = (self.snapshot, limit.entries());
        let name = format!("all by {size}");
        let gaps = |after: Option<GapCursor>| snapshot.gaps(after.as_ref(), limit);
        enter_pages(self.ledger, Question::Gaps, &name, max_pages, gaps);
        let counters = |after: Option<CounterCursor>| snapshot.counters(after.as_ref(), limit);
        enter_pages(self.ledger, Question::Counters, &name, max_pages, counters);
    }
}
