//! Payloads that are rejected: texts that are no events, and events that contradict what is known.

use super::yard::{CHECK_IN, KINDS, PAIRING, REPAIR, Subject, Yard};

/// Number of payloads of a reader with a loose plug. It is above the barn's limit for an hour.
const BURST: usize = 170;

impl Yard<'_> {
    /// Sends a text that no grammar of a barn accepts. Its number makes it unique.
    pub(super) fn send_malformed(&mut self) {
        self.malformed += 1;
        let (n, group) = (self.malformed, self.chance.pick(&[0, 0, 0, 1, 2, 3]));
        let id = format!("event:hxbchi7{n:08}");
        let text = match self.chance.below(18) {
            0 => " \r\n".to_owned(),
            1 => format!("hxb:{}:LF{n}:UHF{n}", "X".repeat(256)),
            2 => return self.send(group, Subject::Nobody, [format!("hxb:L:LF{n}:UHF").as_bytes(), b"\xff"].concat()),
            3 => {
                return self.send(group, Subject::Nobody, [b"\x80".as_slice(), &n.to_le_bytes(), &[0xff; 16]].concat());
            }
            4 => format!("hxb:L\u{7}:LF{n}:UHF{n}"),
            5 => format!("invalid:{n}"),
            6 => format!("hxb:L:LF{n}"),
            7 => format!("hxb: :LF{n}:UHF{n}"),
            8 => format!("hxb:{}:LF{n}:UHF{n}", "L".repeat(65)),
            9 => format!("{id}|lid"),
            10 => format!("{id}|lid:1|lid:2"),
            11 => format!("event:hxb{n}|lid:1"),
            12 => format!("event:hxbxyz{n}|lid:1"),
            13 => format!("{id}|weight:300"),
            14 => format!("event:hxbrep7{n:08}|lid:1"),
            15 => format!("{id}|lf:9.82E+14"),
            16 => {
                return self.send(
                    group,
                    Subject::Nobody,
                    [b"\x01\xff", format!("hxb:L:LF{n}:UHF{n}").as_bytes()].concat(),
                );
            }
            _ => format!("{id}|lid:1|limps"),
        };
        self.send(group, Subject::Nobody, text);
    }

    /// A reader with a loose plug sends more than the barn records in an hour.
    pub(super) fn send_burst(&mut self) {
        self.flush();
        for _ in 0..BURST {
            self.malformed += 1;
            self.send_now(2, Subject::Nobody, format!("noise {}", self.malformed).into_bytes());
        }
        self.flush();
    }

    /// Sends an event that takes two animals for one, or an event id with another content.
    pub(super) fn contradict(&mut self) {
        let Some((first, second)) = self.two_heads() else { return };
        let subject = Subject::Both(first, second);
        let group = self.heads[first].group;
        let (lf, other_epc) = (self.heads[first].lf.clone(), self.heads[second].epc.clone());
        match (self.chance.below(4), self.current_lid(second)) {
            (0, Some(lid)) => {
                let id = self.event_id(group, PAIRING);
                self.send(group, subject, format!("event:{id}|lid:{lid}|lf:{lf}|weight:250"));
            }
            (1, Some(lid)) => {
                let id = self.event_id(group, REPAIR);
                self.send(group, subject, format!("event:{id}|lid:{lid}|old_lf:{lf}|new_lf:124999{lid:09}"));
            }
            (2, _) => self.reuse_event_id(group, first),
            _ => self.send(group, subject, format!("hxb:{}:{lf}:{other_epc}", self.heads[first].lot.clone())),
        }
    }

    /// Sends the last event id of a kind again, with another weight.
    pub(super) fn reuse_event_id(&mut self, group: usize, head: usize) {
        let (kind, weight) = (self.chance.pick(&[CHECK_IN, PAIRING]), 190 + self.chance.below(500));
        let counter = self.readers[group].counters[kind].max(1);
        let lf = self.heads[head].lf.clone();
        let text = format!("event:{}{counter:06}|lf:{lf}|weight:{weight}.25", KINDS[kind]);
        self.send(group, Subject::Head(head), text);
    }

    /// Returns two animals of one reader group, near each other.
    pub(super) fn two_heads(&mut self) -> Option<(usize, usize)> {
        if self.heads.len() < 12 {
            return None;
        }
        let first = self.any_head();
        let second = (0..10).map(|n| (first + 1 + n) % self.heads.len());
        let second = second.into_iter().find(|second| self.heads[*second].group == self.heads[first].group)?;
        Some((first, second))
    }
}
