//! The course of a transmission at all receivers: begin, lock, header, end.

use super::propagation::CORRUPTION_SALT;
use super::timed_source::{TimedItems, TimedSource};
use super::{CAPTURE_DB, Event, World};
use crate::emulator::clock::nanoseconds;
use crate::emulator::ids::{ChipIndex, TransmissionId};
use crate::emulator::ledger::{Fate, Verdict};
use crate::emulator::registers::irq;
use crate::emulator::transmission::{ActiveTransmission, Emission, Origin, Transmission};
use std::time::Duration;

impl World {
    /// Schedules an emission. A time in the past means now.
    pub(in crate::emulator) fn schedule_emission(&mut self, at_ns: u64, emission: Emission) -> TransmissionId {
        let id = TransmissionId(self.next_id);
        self.next_id += 1;
        self.queue.schedule(at_ns.max(self.now_ns), Event::Begin(id, Box::new(emission)));
        id
    }

    /// Adds a source of transmissions.
    pub(in crate::emulator) fn add_source(&mut self, transmissions: TimedItems<Transmission>) {
        self.sources.push(TimedSource::new(transmissions));
        self.transmit_from_source(self.sources.len() - 1);
    }

    /// Emits the transmission that a source holds, if any, and schedules its next one.
    pub(super) fn transmit_from_source(&mut self, source: usize) {
        let emission = self.sources[source].take().and_then(Transmission::into_emission);
        if let Some(emission) = emission {
            self.schedule_emission(self.now_ns, emission);
        }
        if let Some(at) = self.sources[source].prepare() {
            self.queue.schedule(nanoseconds(at).max(self.now_ns), Event::SourceTransmits(source));
        }
    }

    /// Starts a transmission, unless its chip has left the transmit mode. It disturbs every reception that is not at least
    /// [`CAPTURE_DB`] stronger.
    pub(super) fn begin(&mut self, id: TransmissionId, emission: Emission) {
        if let Origin::Chip { chip, stay, .. } = emission.origin
            && self.chip(chip).stay != stay
        {
            return;
        }
        let transmission = ActiveTransmission { id, begun_ns: self.now_ns, emission, aborted: false };
        let tuning = transmission.emission.tuning;
        self.queue.schedule(self.now_ns + tuning.until_lock_ns(), Event::Lock(id));
        self.queue.schedule(transmission.header_ns(), Event::Header(id));
        self.queue.schedule(transmission.end_ns(), Event::End(id));
        for place in 0..self.chips.len() {
            let power_dbm = self.power_at(ChipIndex(place), &transmission);
            let is_covered = self.chips[place].reception.as_ref().is_some_and(|reception| {
                tuning.disturbs(reception.sender()) && power_dbm > reception.power_dbm() - CAPTURE_DB
            });
            if is_covered {
                self.disturb(ChipIndex(place));
            }
        }
        self.active.push(transmission);
    }

    fn find(&self, id: TransmissionId) -> Option<usize> {
        self.active.iter().position(|transmission| transmission.id == id)
    }

    /// Lets each receiver lock on the transmission or miss it. The ledgers record the reason.
    pub(super) fn lock(&mut self, id: TransmissionId) {
        let Some(at) = self.find(id) else { return };
        let transmission = self.active.swap_remove(at);
        for place in 0..self.chips.len() {
            let is_sender = matches!(transmission.emission.origin, Origin::Chip { chip, .. } if chip.0 == place);
            if !is_sender {
                self.lock_at(ChipIndex(place), &transmission);
            }
        }
        self.active.push(transmission);
    }

    fn lock_at(&mut self, index: ChipIndex, transmission: &ActiveTransmission) {
        let now_ns = self.now_ns;
        let received = self.receive(index, transmission);
        let corrupted = self.draw(self.options.corruption, CORRUPTION_SALT, transmission.id, index);
        let chip = self.chip(index);
        let keeps_ledger = chip.options.max_verdicts > 0;
        if !keeps_ledger && received.is_err() {
            return;
        }
        let verdict = keeps_ledger.then(|| {
            chip.ledger.add(Verdict {
                transmission: transmission.id,
                payload: transmission.emission.payload.clone(),
                ends_at: Duration::from_nanos(transmission.end_ns()),
                fate: received.as_ref().err().copied().unwrap_or(Fate::Receiving),
            })
        });
        if let (Ok(signal), Some(receiver)) = (received, chip.tuning) {
            chip.write_received(now_ns);
            chip.lock(transmission.incoming_packet(signal, corrupted), &receiver, verdict);
        }
    }

    /// Ends the header of a transmission at all its receivers.
    pub(super) fn end_header(&mut self, id: TransmissionId) {
        for place in 0..self.chips.len() {
            let chip = &mut self.chips[place];
            if chip.receives(id)
                && let Some(fate) = chip.read_header()
            {
                chip.abandon_reception(fate);
                self.time_out_single(ChipIndex(place));
            }
        }
    }

    /// Ends a transmission at all its receivers and at its sender.
    pub(super) fn end(&mut self, id: TransmissionId) {
        let Some(at) = self.find(id) else { return };
        let transmission = self.active.swap_remove(at);
        for place in 0..self.chips.len() {
            let chip = &mut self.chips[place];
            if chip.receives(id)
                && let Some(receiver) = chip.tuning
            {
                chip.finish_reception(&receiver);
                if chip.is_single() {
                    chip.return_to_standby();
                }
                self.settle(ChipIndex(place));
            }
        }
        if let Origin::Chip { chip: index, stay, .. } = transmission.emission.origin {
            let chip = self.chip(index);
            if chip.stay == stay && !chip.faults.no_tx_done {
                chip.raise(irq::TX_DONE);
                chip.return_to_standby();
                self.settle(index);
            }
        }
    }
}
