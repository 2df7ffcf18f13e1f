//! Who transmits: readers with their programs, and feeds of bare transmissions.

use std::time::Duration;

use super::{Event, World};
use crate::emulator::air::{AirError, nanoseconds};
use crate::emulator::chip::{ChipIndex, ChipOptions};
use crate::emulator::feed::Feed;
use crate::emulator::reader::{Machine, Next, ReaderCounts, ReaderIndex, ReaderOptions};
use crate::emulator::transmission::Transmission;
use crate::emulator::{chance, reader};

/// From an edge of DIO0 to the first transfer of a reader's program.
const REACTION_NS: u64 = 50_000;

/// A reader on the air.
#[derive(Debug)]
pub(super) struct ReaderState {
    machine: Machine,
    chip: ChipIndex,
    /// Counts how often the program went on, so that what it no longer waits for does not wake it.
    turn: u64,
    feed: Option<Feed<Vec<u8>>>,
}

impl World {
    pub(in crate::emulator) fn add_reader(&mut self, options: ReaderOptions) -> (ReaderIndex, ChipIndex) {
        let place = self.readers.len();
        let seed = chance::of([self.options.seed, options.seed, place as u64]);
        let chip = self.add_chip(ChipOptions {
            name: options.name.clone(),
            frequency_error_hz: crystal_error_hz(&options, seed),
            verdicts: 0,
        });
        let machine = Machine::new(options, chance::next(seed));
        machine.set_up(&mut self.chips[chip.0], self.now_ns);
        self.chips[chip.0].host = Some(ReaderIndex(place));
        self.readers.push(ReaderState { machine, chip, turn: 0, feed: None });
        self.settle(chip);
        (ReaderIndex(place), chip)
    }

    pub(in crate::emulator) fn reader_counts(&self, index: ReaderIndex) -> ReaderCounts {
        self.readers[index.0].machine.counts()
    }

    /// Gives a reader a payload of a length that a packet can have.
    pub(in crate::emulator) fn give(&mut self, index: ReaderIndex, payload: Vec<u8>) -> Result<(), AirError> {
        let reader = &mut self.readers[index.0];
        if !reader.machine.give(payload) {
            return Err(AirError::ReaderFull(reader::MAX_QUEUED_PAYLOADS));
        }
        if reader.machine.is_idle() {
            let turn = reader.turn;
            self.queue.plan(self.now_ns, Event::ReaderWakes { reader: index, turn });
        }
        Ok(())
    }

    /// DIO0 of a reader's chip has risen.
    pub(super) fn alert(&mut self, index: ReaderIndex) {
        let turn = self.readers[index.0].turn;
        self.queue.plan(self.now_ns + REACTION_NS, Event::ReaderWakes { reader: index, turn });
    }

    pub(super) fn wake_reader(&mut self, index: ReaderIndex, turn: u64) {
        let chip = self.readers[index.0].chip;
        if self.readers[index.0].turn != turn {
            return;
        }
        self.measure(chip);
        let reader = &mut self.readers[index.0];
        reader.turn += 1;
        let next = reader.machine.wake(&mut self.chips[chip.0], self.now_ns);
        let turn = reader.turn;
        match next {
            Next::Given => {}
            Next::After(ns) | Next::Edge { at_most_ns: ns } => {
                self.queue.plan(self.now_ns + ns, Event::ReaderWakes { reader: index, turn });
            }
        }
        self.settle(chip);
    }

    pub(in crate::emulator) fn feed_reader(
        &mut self,
        index: ReaderIndex,
        payloads: Box<dyn Iterator<Item = (Duration, Vec<u8>)> + Send>,
    ) {
        let mut feed = Feed::new(payloads);
        let first = feed.prepare();
        self.readers[index.0].feed = Some(feed);
        self.plan_arrival(index, first);
    }

    fn plan_arrival(&mut self, index: ReaderIndex, at: Option<Duration>) {
        if let Some(at) = at {
            self.queue.plan(nanoseconds(at).max(self.now_ns), Event::PayloadArrives(index));
        }
    }

    pub(super) fn let_payload_arrive(&mut self, index: ReaderIndex) {
        let Some(feed) = self.readers[index.0].feed.as_mut() else { return };
        let payload = feed.take();
        let next = feed.prepare();
        if let Some(payload) = payload.filter(|payload| (1..=crate::MAX_PAYLOAD_BYTES).contains(&payload.len())) {
            // A full queue is counted by the reader.
            let _refused = self.give(index, payload);
        }
        self.plan_arrival(index, next);
    }

    pub(in crate::emulator) fn feed(
        &mut self,
        transmissions: Box<dyn Iterator<Item = (Duration, Transmission)> + Send>,
    ) {
        self.feeds.push(Feed::new(transmissions));
        self.let_next_be_fed(self.feeds.len() - 1);
    }

    /// What a feed held goes on the air, and the next one is planned.
    pub(super) fn let_next_be_fed(&mut self, feed: usize) {
        let waves = self.feeds[feed].take().and_then(Transmission::into_waves);
        if let Some(waves) = waves {
            self.plan_waves(self.now_ns, waves);
        }
        if let Some(at) = self.feeds[feed].prepare() {
            self.queue.plan(nanoseconds(at).max(self.now_ns), Event::Feeds(feed));
        }
    }
}

/// Evenly anywhere within what the crystal is allowed.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and is far below")]
fn crystal_error_hz(options: &ReaderOptions, seed: u64) -> i32 {
    let share = 2.0 * chance::unit(chance::next(seed)) - 1.0;
    (share * options.crystal_ppm * f64::from(options.modulation.frequency_hz) / 1e6) as i32
}
