//! What receivers make of a transmission, from its begin to its end.

use std::time::Duration;

use super::propagation::CORRUPTION;
use super::{CAPTURE_DB, Event, World};
use crate::emulator::chip::ChipIndex;
use crate::emulator::ledger::{Fate, TransmissionId, Verdict};
use crate::emulator::registers::irq;
use crate::emulator::transmission::{OnAir, Origin, Waves};

impl World {
    pub(super) fn begin(&mut self, id: TransmissionId, waves: Waves) {
        if let Origin::Chip { chip, entry, .. } = waves.origin
            && self.chip(chip).entry != entry
        {
            return;
        }
        let transmission = OnAir { id, begun_ns: self.now_ns, waves, cut: false };
        let tuning = transmission.waves.tuning;
        self.queue.plan(self.now_ns + tuning.until_lock_ns(), Event::Lock(id));
        self.queue.plan(transmission.header_ns(), Event::Header(id));
        self.queue.plan(transmission.end_ns(), Event::End(id));
        for place in 0..self.chips.len() {
            let power_dbm = self.power_at(ChipIndex(place), &transmission);
            let is_covered = self.chips[place].reception.as_ref().is_some_and(|reception| {
                tuning.disturbs(reception.sender()) && power_dbm > reception.power_dbm() - CAPTURE_DB
            });
            if is_covered {
                self.disturb(ChipIndex(place));
            }
        }
        self.on_air.push(transmission);
    }

    fn find(&self, id: TransmissionId) -> Option<usize> {
        self.on_air.iter().position(|transmission| transmission.id == id)
    }

    /// Each receiver locks on a transmission or misses it, and the ledger says why.
    pub(super) fn lock(&mut self, id: TransmissionId) {
        let Some(at) = self.find(id) else { return };
        let transmission = self.on_air.swap_remove(at);
        for place in 0..self.chips.len() {
            let sends = matches!(transmission.waves.origin, Origin::Chip { chip, .. } if chip.0 == place);
            if !sends {
                self.lock_at(ChipIndex(place), &transmission);
            }
        }
        self.on_air.push(transmission);
    }

    fn lock_at(&mut self, index: ChipIndex, transmission: &OnAir) {
        let now_ns = self.now_ns;
        let heard = self.hear(index, transmission);
        let spoiled = self.happens(self.options.corruption, CORRUPTION, transmission.id, index);
        let chip = self.chip(index);
        let keeps_ledger = chip.options.verdicts > 0;
        if !keeps_ledger && heard.is_err() {
            return;
        }
        let entry = keeps_ledger.then(|| {
            chip.ledger.add(Verdict {
                transmission: transmission.id,
                payload: transmission.waves.payload.clone(),
                ends_at: Duration::from_nanos(transmission.end_ns()),
                fate: heard.as_ref().err().copied().unwrap_or(Fate::Receiving),
            })
        });
        if let (Ok(signal), Some(receiver)) = (heard, chip.tuning) {
            chip.write_received(now_ns);
            chip.lock(transmission.heard_as(signal, spoiled), &receiver, entry);
        }
    }

    pub(super) fn header(&mut self, id: TransmissionId) {
        for place in 0..self.chips.len() {
            let chip = &mut self.chips[place];
            if chip.receives(id)
                && let Some(fate) = chip.read_header()
            {
                chip.give_up_reception(fate);
                self.time_out_single(ChipIndex(place));
            }
        }
    }

    pub(super) fn end(&mut self, id: TransmissionId) {
        let Some(at) = self.find(id) else { return };
        let transmission = self.on_air.swap_remove(at);
        for place in 0..self.chips.len() {
            let chip = &mut self.chips[place];
            if chip.receives(id)
                && let Some(receiver) = chip.tuning
            {
                chip.finish_reception(&receiver);
                if chip.is_single() {
                    chip.fall_back_to_standby();
                }
                self.settle(ChipIndex(place));
            }
        }
        if let Origin::Chip { chip: index, entry, .. } = transmission.waves.origin {
            let chip = self.chip(index);
            if chip.entry == entry && !chip.faults.no_tx_done {
                chip.raise(irq::TX_DONE);
                chip.fall_back_to_standby();
                self.settle(index);
            }
        }
    }
}
