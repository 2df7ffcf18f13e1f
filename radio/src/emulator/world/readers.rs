//! Readers on the air: their payloads, and the events on which their programs continue.

use super::timed_source::{TimedItems, TimedSource};
use super::{Event, ReaderState, World};
use crate::MAX_PAYLOAD_BYTES;
use crate::emulator::chip::ChipOptions;
use crate::emulator::clock::nanoseconds;
use crate::emulator::ids::{ChipIndex, ReaderIndex};
use crate::emulator::random;
use crate::emulator::reader_program::{Pause, ReaderCounts, ReaderOptions, ReaderProgram};
use std::time::Duration;

/// Time from an edge of DIO0 to the first transfer of a reader's program.
const REACTION_NS: u64 = 50_000;

impl World {
    pub(in crate::emulator) fn add_reader(&mut self, options: ReaderOptions) -> (ReaderIndex, ChipIndex) {
        let index = ReaderIndex(self.readers.len());
        let seed = random::hash([self.options.seed, options.seed, index.0 as u64]);
        let chip = self.add_chip(ChipOptions {
            name: options.name.clone(),
            frequency_error_hz: crystal_error_hz(&options, seed),
            tcxo: false,
            max_verdicts: 0,
        });
        let program = ReaderProgram::new(options, random::next(seed));
        program.set_up(&mut self.chips[chip.0], self.now_ns);
        self.readers_by_chip[chip.0] = Some(index);
        self.readers.push(ReaderState { program, chip, turn: 0, source: None });
        self.settle(chip);
        (index, chip)
    }

    pub(in crate::emulator) fn reader_counts(&self, index: ReaderIndex) -> ReaderCounts {
        self.readers[index.0].program.counts()
    }

    /// Queues a payload, which must fit into a packet, at a reader. Returns `false` if its queue is full.
    pub(in crate::emulator) fn enqueue(&mut self, index: ReaderIndex, payload: Vec<u8>) -> bool {
        let reader = &mut self.readers[index.0];
        if !reader.program.enqueue(payload) {
            return false;
        }
        if reader.program.is_idle() {
            let turn = reader.turn;
            self.queue.schedule(self.now_ns, Event::ReaderWakes { reader: index, turn });
        }
        true
    }

    /// Wakes a reader after its reaction time, because DIO0 of its chip has risen.
    pub(super) fn alert_reader(&mut self, index: ReaderIndex) {
        let turn = self.readers[index.0].turn;
        self.queue.schedule(self.now_ns + REACTION_NS, Event::ReaderWakes { reader: index, turn });
    }

    /// Continues a reader's program, unless it has continued since this turn.
    pub(super) fn wake_reader(&mut self, index: ReaderIndex, turn: u64) {
        let chip = self.readers[index.0].chip;
        if self.readers[index.0].turn != turn {
            return;
        }
        self.measure(chip);
        let reader = &mut self.readers[index.0];
        reader.turn += 1;
        let pause = reader.program.resume(&mut self.chips[chip.0], self.now_ns);
        let turn = reader.turn;
        match pause {
            Pause::UntilPayload => {}
            Pause::For(ns) | Pause::UntilEdge { timeout_ns: ns } => {
                self.queue.schedule(self.now_ns + ns, Event::ReaderWakes { reader: index, turn });
            }
        }
        self.settle(chip);
    }

    /// Sets the source of a reader's payloads, in place of an earlier one.
    pub(in crate::emulator) fn set_payload_source(&mut self, index: ReaderIndex, payloads: TimedItems<Vec<u8>>) {
        let mut source = TimedSource::new(payloads);
        let first = source.prepare();
        self.readers[index.0].source = Some(source);
        self.schedule_payload(index, first);
    }

    fn schedule_payload(&mut self, index: ReaderIndex, at: Option<Duration>) {
        if let Some(at) = at {
            self.queue.schedule(nanoseconds(at).max(self.now_ns), Event::PayloadArrives(index));
        }
    }

    /// Queues the payload that a reader's source holds, and schedules the next one.
    pub(super) fn deliver_payload(&mut self, index: ReaderIndex) {
        let Some(source) = self.readers[index.0].source.as_mut() else { return };
        let payload = source.take();
        let next = source.prepare();
        if let Some(payload) = payload.filter(|payload| (1..=MAX_PAYLOAD_BYTES).contains(&payload.len())) {
            // The reader counts a payload that it refuses.
            let _accepted = self.enqueue(index, payload);
        }
        self.schedule_payload(index, next);
    }
}

/// Draws a crystal error, uniformly distributed over the range that the options allow.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and the value is far below the limit")]
fn crystal_error_hz(options: &ReaderOptions, seed: u64) -> i32 {
    let share = 2.0 * random::unit(random::next(seed)) - 1.0;
    (share * options.crystal_ppm * f64::from(options.modulation.frequency_hz) / 1e6) as i32
}
