//! Shapes that ordinary traffic does not reach: the limits of the views, and the ends of numbers and texts.

use super::yard::{INDUCTION, KINDS, PAIRING, REPAIR, Subject, Yard};
use herd::correction::CorrectionForm;

/// More tags than a view of an animal shows.
const TAGS: usize = 90;
/// More pens and funders than a view of a batch shows.
const PENS: usize = 120;
/// More batches of one number than a view of a batch shows.
const BATCHES: usize = 25;
/// Length of a chain of merges.
const MERGES: usize = 8;
/// Number of reused event ids after which the barn proposes a new era.
const COLLISIONS: usize = 7;

impl Yard<'_> {
    /// Plays one of the extremes. Each comes several times in a log.
    pub(super) fn play_extreme(&mut self, day: u64) {
        match day % 8 {
            0 => self.wear_many_tags(),
            1 => self.fill_large_batch(),
            2 => self.use_number_again(),
            3 => self.merge_chain(),
            4 => self.send_burst(),
            5 => self.collide(usize::try_from(day / 8).unwrap() % 4),
            6 => self.send_long_texts(),
            _ => self.count_to_the_end(),
        }
    }

    /// Reads an animal with many foreign tags, and replaces its own often.
    fn wear_many_tags(&mut self) {
        let head = self.new_head(0, "LOT-TAGS");
        self.scan(head, "hxb", "LOT-TAGS");
        for n in 0..TAGS {
            self.tags += 1;
            let (lf, foreign) = (self.heads[head].lf.clone(), format!("E2809999{:016X}", self.tags));
            self.send(0, Subject::Head(head), format!("hxb:LOT-TAGS:{lf}:{foreign}"));
            if n % 3 == 0 {
                let id = self.event_id(0, REPAIR);
                let new = format!("124{:012}", self.tags);
                self.send(0, Subject::Head(head), format!("event:{id}|old_lf:{lf}|new_lf:{new}"));
                self.heads[head].lf = new;
            }
        }
    }

    /// Corrects an animal with many foreign tags, and reads it with more of them: the limit on them still holds.
    pub(super) fn correct_many_tags(&mut self) {
        self.wear_many_tags();
        let head = self.heads.len() - 1;
        let Some(animal) = self.id_of(head) else { return };
        self.correct(CorrectionForm::MovePen { animal, pen: "P-TAGS".to_owned() });
        for n in 0..TAGS {
            let lf = self.heads[head].lf.clone();
            self.send(0, Subject::Head(head), format!("hxb:LOT-TAGS:{lf}:E2808888{n:016X}"));
        }
        self.flush();
    }

    /// Accepts an event whose id another one has, and sends both again: repeats are compared with the first one.
    pub(super) fn accept_reused_id(&mut self) {
        let head = self.new_head(0, "LOT-REUSED");
        self.scan(head, "hxb", "LOT-REUSED");
        let (id, lf) = (self.event_id(0, PAIRING), self.heads[head].lf.clone());
        let texts = ["211", "212"].map(|weight| format!("event:{id}|lf:{lf}|weight:{weight}"));
        for text in &texts {
            self.send(0, Subject::Head(head), text.as_str());
        }
        self.flush();
        if let Some(payload) = self.rejected.back().map(|read| read.sequence.0) {
            self.correct(CorrectionForm::AcceptRejected { payload, animal: None, batch_number: None });
        }
        self.barn.wait(61_000);
        for text in &texts {
            self.send(0, Subject::Head(head), text.as_str());
        }
        if let Some(payload) = self.rejected.back().map(|read| read.sequence.0) {
            let animal = self.id_of(head);
            self.correct(CorrectionForm::AcceptRejected { payload, animal, batch_number: None });
        }
    }

    fn fill_large_batch(&mut self) {
        for n in 0..PENS {
            let head = self.new_head(1, "LOT-LARGE");
            self.readers[1].lids += 1;
            let lid = self.readers[1].lids;
            self.heads[head].lid = Some(lid);
            let id = self.event_id(1, INDUCTION);
            let traits = format!("pen:PEN {n:03}|funder:Funder {}|sex:{}", n / 2, ["M", "F"][n % 2]);
            self.send(1, Subject::Head(head), format!("event:{id}|lot:LOT-LARGE|lid:{lid}|{traits}"));
        }
    }

    /// Fills and empties batches of one number.
    fn use_number_again(&mut self) {
        for n in 0..BATCHES {
            let head = self.new_head(0, "LOT-AGAIN");
            self.scan(head, "hxb", "LOT-AGAIN");
            self.scan(head, "hxe", if n % 2 == 0 { "LOT-AGAIN" } else { "EXPORT-AGAIN" });
        }
    }

    /// Merges animals one into the next, and voids an event of the first one.
    fn merge_chain(&mut self) {
        let heads: Vec<_> = (0..MERGES).map(|_| self.new_head(0, "LOT-CHAIN")).collect();
        for head in &heads {
            self.scan(*head, "hxb", "LOT-CHAIN");
        }
        self.flush();
        let ids: Vec<_> = heads.iter().filter_map(|head| self.id_of(*head)).collect();
        for pair in ids.windows(2) {
            self.correct(CorrectionForm::Merge { animal: pair[1], absorbed: pair[0] });
        }
        let (first, middle) = (self.heads[heads[0]].events.clone(), self.heads[heads[MERGES / 2]].events.clone());
        for payload in [first, middle].into_iter().flatten() {
            self.correct(CorrectionForm::Void { payload: payload.0 });
        }
    }

    /// Reuses as many event ids as a replaced reader does.
    fn collide(&mut self, group: usize) {
        for _ in 0..COLLISIONS {
            let head = self.any_head();
            self.event_id(group, super::yard::CHECK_IN);
            self.reuse_event_id(group, head);
            self.reuse_event_id(group, head);
        }
    }

    /// Sends fields of the maximum length, and letters of more than one byte.
    fn send_long_texts(&mut self) {
        let (batch, lf) = ("Ü".repeat(64), "é".repeat(32));
        self.send(0, Subject::Nobody, format!("\u{feff} hxb:{batch}:{lf}:UHF-LONG\n"));
        self.send(0, Subject::Nobody, format!("  hxb:{batch}:{lf}:UHF-LONG\u{a0}"));
        self.send(3, Subject::Nobody, format!("hxb:{}:{}:{}", "B".repeat(64), "L".repeat(64), "U".repeat(64)));
        let id = self.event_id(3, INDUCTION);
        let (lid, notes) = ("9".repeat(64), "n".repeat(64));
        self.send(3, Subject::Nobody, format!("event:{id}|lot:{batch}|lid:{lid}|notes:{notes}"));
        self.send(0, Subject::Nobody, "hxb:LOT/1:0900000000000003:E2801160600002044310B2E2");
    }

    /// Sends the highest event numbers, and numbers far from each other.
    fn count_to_the_end(&mut self) {
        let head = self.new_head(3, "LOT-END");
        self.scan(head, "hxb", "LOT-END");
        let lf = self.heads[head].lf.clone();
        for (kind, counter) in [(2, u64::MAX), (2, u64::MAX - 2), (1, 1 << 40), (2, u64::MAX - 1), (1, 1 << 39), (3, 0)]
        {
            let name = if kind == REPAIR { format!("old_lf:{lf}|new_lf:{lf}") } else { format!("lf:{lf}") };
            self.send(3, Subject::Head(head), format!("event:{}{counter}|{name}|weight:300", KINDS[kind]));
        }
        self.start_era(3);
    }
}
