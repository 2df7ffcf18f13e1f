//! Ordinary traffic of a yard.

use super::yard::{CHECK_IN, EXPORT, GROUPS, Head, INDUCTION, KINDS, PAIRING, PENS, Pen, REPAIR, Subject, Yard};

const FUNDERS: [&str; 4] = ["Southwest Cattle Co", "Prairie Feedlot Partners", "Hill Country Beef", "Red River LLC"];
const SEXES: [&str; 3] = ["Steer", "Heifer", "Bull"];
const TAG_COLORS: [&str; 3] = ["Red", "Yellow", "Blue"];
/// Number of animals that leave in one export batch.
const EXPORT_HEADS: usize = 60;

impl Yard<'_> {
    /// Plays one turn: mostly one to three payloads, sometimes the work of an operator.
    pub(super) fn play_turn(&mut self) {
        match self.chance.below(1_000) {
            0..330 => self.arrive(),
            330..450 => self.check_in_chute_order(),
            450..590 => self.check_in_anywhere(),
            590..700 => self.scan_anywhere(),
            700..800 => self.leave(),
            800..830 => self.repair(),
            830..875 => self.repeat(),
            875..890 => self.arrive_with_tags_only(),
            890..905 => self.send_late(),
            905..968 => self.send_malformed(),
            968..977 => self.contradict(),
            _ => self.play_operator(),
        }
    }

    /// Returns the next event id of a kind. Now and then a few are lost on the air.
    pub(super) fn event_id(&mut self, group: usize, kind: usize) -> String {
        let lost = if self.chance.percent(1) { 1 + self.chance.below(3) } else { 0 };
        let readers = &mut self.readers[group];
        let before = readers.counters[kind];
        readers.counters[kind] += lost + 1;
        readers.skipped.extend((1..=lost).map(|n| (readers.era, kind, before + n)));
        format!("{}{:06}", KINDS[kind], readers.counters[kind])
    }

    /// Adds an animal with tags of its own.
    pub(super) fn new_head(&mut self, group: usize, lot: &str) -> usize {
        self.tags += 1;
        let era = self.readers[group].era;
        let (lf, epc) = (format!("124{:012}", self.tags), format!("E2801160{:016X}", self.tags));
        self.heads.push(Head { group, era, lf, epc, lot: lot.to_owned(), ..Head::default() });
        self.heads.len() - 1
    }

    /// Returns the LF tag in one of the spellings that readers have.
    fn lf_text(&mut self, head: usize) -> String {
        let lf = &self.heads[head].lf;
        match self.chance.below(20) {
            0 => format!("0{lf}"),
            1 if lf.is_ascii() && lf.len() > 6 => format!("{} {} {}", &lf[..3], &lf[3..6], &lf[6..]),
            _ => lf.clone(),
        }
    }

    fn epc_text(&mut self, head: usize) -> String {
        let epc = &self.heads[head].epc;
        match self.chance.below(10) {
            0..3 => format!("EPC:{epc}"),
            3 => epc.to_lowercase(),
            _ => epc.clone(),
        }
    }

    fn weight_text(&mut self) -> String {
        match self.chance.below(60) {
            0 => "0".to_owned(),
            1 => "-5".to_owned(),
            2 => "NaN".to_owned(),
            3 => String::new(),
            _ => format!("{}.{}", 180 + self.chance.below(400), self.chance.below(10)),
        }
    }

    /// Returns the pen that is worked now, and opens the next lot in it if it is empty.
    fn current_pen(&mut self) -> usize {
        let at = if self.is_interleaved { self.chance.index(PENS) } else { 0 };
        if self.pens[at].left == 0 {
            self.lots += 1;
            // Some numbers come again, for an open batch or for a new one.
            let lot = if self.chance.percent(5) { self.chance.below(self.lots) } else { self.lots };
            let group = self.chance.pick(&[0, 0, 0, 0, 0, 0, 1, 1, 2, 3]);
            let unpaired = std::mem::take(&mut self.pens[at].unpaired);
            self.pens[at] = Pen {
                group,
                lot: format!("LOT{lot:05}"),
                label: format!("PEN{}", 1 + self.chance.below(24)),
                funder: self.chance.pick(&FUNDERS),
                left: 20 + self.chance.below(100),
                unpaired,
            };
        }
        self.pens[at].left -= 1;
        at
    }

    /// An animal passes the gate, the chute, and a few animals later the table. Some pass the table first.
    fn arrive(&mut self) {
        let at = self.current_pen();
        let (group, lot) = (self.pens[at].group, self.pens[at].lot.clone());
        let head = self.new_head(group, &lot);
        self.readers[group].lids += 1;
        self.heads[head].lid = Some(self.readers[group].lids);
        let is_early = self.chance.percent(5);
        if is_early {
            self.pair(head);
        }
        if self.chance.percent(15) {
            self.scan(head, "hxb", &lot);
        }
        self.induct(head, at);
        if !is_early {
            self.pens[at].unpaired.push_back(head);
        }
        let depth = self.chance.index(6);
        while self.pens[at].unpaired.len() > depth {
            let next = self.pens[at].unpaired.pop_front().unwrap();
            self.pair(next);
        }
    }

    fn induct(&mut self, head: usize, pen: usize) {
        let group = self.heads[head].group;
        let id = self.event_id(group, INDUCTION);
        let (sex, color) = (self.chance.pick(&SEXES), self.chance.pick(&TAG_COLORS));
        let Pen { label, funder, lot, .. } = &self.pens[pen];
        let lid = self.heads[head].lid.unwrap_or_default();
        let mut text =
            format!("event:{id}|funder:{funder}|lot:{lot}|pen:{label}|lid:{lid}|sex:{sex}|tag_color:{color}");
        if self.chance.percent(4) {
            text.push_str("|lot_group:G1|pen_location:East Section|visual_id:V7|notes:limps: left hind|x:y");
        }
        self.send(group, Subject::Head(head), text);
    }

    pub(super) fn pair(&mut self, head: usize) {
        let group = self.heads[head].group;
        let id = self.event_id(group, PAIRING);
        let (lf, epc, weight) = (self.lf_text(head), self.epc_text(head), self.weight_text());
        let Some(lid) = self.current_lid(head) else { return self.check_in(head) };
        self.send(group, Subject::Head(head), format!("event:{id}|lf:{lf}|epc:{epc}|lid:{lid}|weight:{weight}"));
    }

    pub(super) fn scan(&mut self, head: usize, prefix: &str, batch: &str) {
        let Head { group, lf, epc, .. } = &self.heads[head];
        let (group, text) = (*group, format!("{prefix}:{batch}:{lf}:{epc}"));
        self.send(group, Subject::Head(head), text);
    }

    pub(super) fn check_in(&mut self, head: usize) {
        let group = self.heads[head].group;
        let (id, weight) = (self.event_id(group, CHECK_IN), self.weight_text());
        let name = match self.current_lid(head) {
            Some(lid) => format!("lid:{lid}"),
            None => format!("lf:{}", self.lf_text(head)),
        };
        self.send(group, Subject::Head(head), format!("event:{id}|weight:{weight}|{name}"));
    }

    fn check_in_chute_order(&mut self) {
        if self.heads.is_empty() {
            return;
        }
        if self.chance.percent(1) {
            self.in_chute = self.any_head();
        }
        self.in_chute = (self.in_chute + 1) % self.heads.len();
        self.check_in(self.in_chute);
    }

    fn check_in_anywhere(&mut self) {
        if self.heads.is_empty() {
            return;
        }
        let head = self.any_head();
        let is_old = self.heads[head].era < self.readers[self.heads[head].group].era;
        if is_old && self.chance.percent(30) {
            // The new reader gives the animal a lid of its own.
            let readers = &mut self.readers[self.heads[head].group];
            readers.lids += 1;
            (self.heads[head].lid, self.heads[head].era) = (Some(readers.lids), readers.era);
            return self.pair(head);
        }
        self.check_in(head);
    }

    fn scan_anywhere(&mut self) {
        if self.heads.is_empty() {
            return;
        }
        let head = self.any_head();
        // A few animals are moved to another lot by it.
        let from = if self.chance.percent(10) { self.any_head() } else { head };
        let lot = self.heads[from].lot.clone();
        self.scan(head, "hxb", &lot);
    }

    /// The next animal goes up the ramp. Half of the lots leave with events, half with short scans.
    fn leave(&mut self) {
        if self.at_ramp + 2_000 >= self.heads.len() && !self.chance.percent(40) {
            return self.check_in_chute_order();
        }
        if self.heads.is_empty() {
            return;
        }
        let skipped = self.chance.index(3);
        self.at_ramp = (self.at_ramp + 1 + skipped) % self.heads.len();
        let (head, number) = (self.at_ramp, self.at_ramp / EXPORT_HEADS);
        let batch = format!("EXPORT{number:04}");
        match self.current_lid(head) {
            Some(lid) if number % 2 == 0 => {
                let group = self.heads[head].group;
                let id = self.event_id(group, EXPORT);
                let key = if number % 4 == 0 { "lot" } else { "batch" };
                self.send(group, Subject::Head(head), format!("event:{id}|lid:{lid}|{key}:{batch}"));
            }
            _ => self.scan(head, "hxe", &batch),
        }
    }

    /// Exports a few animals in the batch whose number comes every day. After a long night it is another batch.
    pub(super) fn export_daily(&mut self) {
        for _ in 0..3.min(self.heads.len()) {
            let head = self.any_head();
            self.scan(head, "hxe", "EXPORT-DAILY");
        }
    }

    fn repair(&mut self) {
        if self.heads.is_empty() {
            return;
        }
        let head = self.any_head();
        let group = self.heads[head].group;
        let id = self.event_id(group, REPAIR);
        self.tags += 1;
        let is_lf = self.chance.percent(70);
        let (kind, new) = if is_lf {
            ("lf", format!("124{:012}", self.tags))
        } else {
            ("epc", format!("E2801160{:016X}", self.tags))
        };
        let lid = self.current_lid(head).map(|lid| format!("|lid:{lid}")).unwrap_or_default();
        let worn = if is_lf { &mut self.heads[head].lf } else { &mut self.heads[head].epc };
        let old = std::mem::replace(worn, new.clone());
        let text = format!("event:{id}|old_{kind}:{old}|new_{kind}:{new}{lid}|reason:LF tag lost during handling");
        self.send(group, Subject::Head(head), text);
    }

    /// A reader sends a text again: at once, over another channel, with blanks around it, or much later.
    fn repeat(&mut self) {
        if self.texts.is_empty() {
            return;
        }
        let back = if self.chance.percent(70) {
            self.chance.index(self.texts.len().min(8))
        } else {
            self.chance.index(self.texts.len())
        };
        let (group, raw) = self.texts[self.texts.len() - 1 - back].clone();
        match self.chance.below(4) {
            0 => self.send_now(group, Subject::Nobody, [b" ", raw.as_slice(), b"\r\n"].concat()),
            1 => {
                let other = self.chance.index(GROUPS.len());
                self.send(other, Subject::Nobody, raw);
            }
            _ => self.send(group, Subject::Nobody, raw),
        }
    }

    /// An animal whose tags are read before anybody inducts it. The event that names both makes one animal of the two.
    fn arrive_with_tags_only(&mut self) {
        let at = self.current_pen();
        let (group, lot) = (self.pens[at].group, self.pens[at].lot.clone());
        let head = self.new_head(group, &lot);
        self.scan(head, "hxb", &lot);
        if self.chance.percent(80) {
            self.readers[group].lids += 1;
            self.heads[head].lid = Some(self.readers[group].lids);
            self.induct(head, at);
            self.pair(head);
        }
    }

    /// An event arrives after later ones of its kind, and closes or splits a gap.
    fn send_late(&mut self) {
        let group = self.chance.index(GROUPS.len());
        let Some((era, kind, counter)) = self.readers[group].skipped.pop_front() else { return };
        if era != self.readers[group].era || self.heads.is_empty() {
            return;
        }
        self.barn.count("payload: late");
        let head = self.any_head();
        let name = format!("lf:{}", self.heads[head].lf);
        let rest = match kind {
            INDUCTION | EXPORT => format!("{name}|lot:{}", self.heads[head].lot),
            REPAIR => format!("old_{name}|new_{name}"),
            _ => format!("{name}|weight:301.5"),
        };
        self.send(group, Subject::Head(head), format!("event:{}{counter:06}|{rest}", KINDS[kind]));
    }
}
