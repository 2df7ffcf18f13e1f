//! The world: all chips and readers of an air, the transmissions between them, and the queue of future events.
//!
//! The world is plain data. It knows neither locks nor threads nor real time; its clock moves only in
//! [`run_until`](World::run_until) and [`run_next`](World::run_next).

mod event_queue;
mod mode_changes;
mod propagation;
mod readers;
mod timed_source;
mod transmissions;

use self::event_queue::EventQueue;
use self::timed_source::TimedSource;
use super::chip::{ChipOptions, ChipState};
use super::ids::{ChipIndex, ReaderIndex, TransmissionId};
use super::options::AirOptions;
use super::reader_program::ReaderProgram;
use super::transmission::{ActiveTransmission, Emission, Transmission};
use std::collections::HashMap;

/// A signal survives another one that is at least this much weaker (Bor et al., "Do LoRa Low-Power Wide-Area Networks
/// Scale?", 2016, section 3.3).
const CAPTURE_DB: f64 = 6.0;

/// Something that happens at a time on the air's clock.
#[derive(Debug)]
enum Event {
    /// A transmission begins.
    Begin(TransmissionId, Box<Emission>),
    /// Receivers lock on a transmission or miss it.
    Lock(TransmissionId),
    /// The header of a transmission ends.
    Header(TransmissionId),
    /// A transmission ends.
    End(TransmissionId),
    /// Activity detection is done, if the chip is still in that stay.
    ActivityDetected { chip: ChipIndex, stay: u64 },
    /// The wait for a preamble times out, if the chip is still in that stay.
    ReceiveTimedOut { chip: ChipIndex, stay: u64 },
    /// A reader's program continues, if it still waits in that turn.
    ReaderWakes { reader: ReaderIndex, turn: u64 },
    /// The next payload of a reader's source arrives.
    PayloadArrives(ReaderIndex),
    /// The next transmission of a source begins.
    SourceTransmits(usize),
}

/// A reader on the air.
#[derive(Debug)]
struct ReaderState {
    program: ReaderProgram,
    chip: ChipIndex,
    /// Number of times the program has continued. An event for an earlier turn no longer wakes it.
    turn: u64,
    source: Option<TimedSource<Vec<u8>>>,
}

/// The air with everything on it.
#[derive(Debug)]
pub(super) struct World {
    options: AirOptions,
    now_ns: u64,
    queue: EventQueue<Event>,
    chips: Vec<ChipState>,
    /// The reader whose program drives a chip, by the chip's index. `None` for chips with a host outside of the world.
    readers_by_chip: Vec<Option<ReaderIndex>>,
    readers: Vec<ReaderState>,
    sources: Vec<TimedSource<Transmission>>,
    /// Transmissions on the air now; a few at most.
    active: Vec<ActiveTransmission>,
    next_id: u64,
    path_losses_db: HashMap<(usize, usize), f64>,
}

impl World {
    pub(super) fn new(options: AirOptions) -> Self {
        Self {
            options,
            now_ns: 0,
            queue: EventQueue::default(),
            chips: Vec::new(),
            readers_by_chip: Vec::new(),
            readers: Vec::new(),
            sources: Vec::new(),
            active: Vec::new(),
            next_id: 0,
            path_losses_db: HashMap::new(),
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    pub(super) fn seed(&self) -> u64 {
        self.options.seed
    }

    /// Returns the number of scheduled events.
    pub(super) fn scheduled(&self) -> usize {
        self.queue.len()
    }

    /// Returns the time of the next event, or `None` if nothing is scheduled.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.queue.next_ns()
    }

    pub(super) fn add_chip(&mut self, options: ChipOptions) -> ChipIndex {
        self.chips.push(ChipState::new(options));
        self.readers_by_chip.push(None);
        ChipIndex(self.chips.len() - 1)
    }

    /// Returns a chip. Every index is valid: [`add_chip`](Self::add_chip) creates them all, and chips are never removed.
    pub(super) fn chip(&mut self, chip: ChipIndex) -> &mut ChipState {
        &mut self.chips[chip.0]
    }

    pub(super) fn has_edge(&self, chip: ChipIndex) -> bool {
        self.chips[chip.0].dio0.has_edge()
    }

    /// Sets the path loss between two chips, in both directions.
    pub(super) fn set_path_loss_db(&mut self, one: ChipIndex, other: ChipIndex, loss_db: f64) {
        self.path_losses_db.insert((one.0, other.0), loss_db);
        self.path_losses_db.insert((other.0, one.0), loss_db);
    }

    /// Moves the clock to `until_ns`, through all events up to then.
    pub(super) fn run_until(&mut self, until_ns: u64) {
        while self.run_next(until_ns) {}
        self.now_ns = self.now_ns.max(until_ns);
    }

    /// Moves the clock to the next event and carries it out. Returns `false` if there is no event up to `until_ns`.
    pub(super) fn run_next(&mut self, until_ns: u64) -> bool {
        let Some((at_ns, event)) = self.queue.pop_due(until_ns) else { return false };
        self.now_ns = self.now_ns.max(at_ns);
        match event {
            Event::Begin(id, emission) => self.begin(id, *emission),
            Event::Lock(id) => self.lock(id),
            Event::Header(id) => self.end_header(id),
            Event::End(id) => self.end(id),
            Event::ActivityDetected { chip, stay } => self.report_activity(chip, stay),
            Event::ReceiveTimedOut { chip, stay } => self.time_out(chip, stay),
            Event::ReaderWakes { reader, turn } => self.wake_reader(reader, turn),
            Event::PayloadArrives(reader) => self.deliver_payload(reader),
            Event::SourceTransmits(source) => self.transmit_from_source(source),
        }
        true
    }

    /// Acts on the effects of the last access or event on a chip: a mode that was entered, and DIO0.
    pub(super) fn settle(&mut self, index: ChipIndex) {
        while let Some(mode) = self.chip(index).take_entered() {
            self.enter(index, mode);
        }
        let chip = self.chip(index);
        chip.update_dio0();
        if let Some(reader) = self.readers_by_chip[index.0]
            && self.chip(index).dio0.take_edge()
        {
            self.alert_reader(reader);
        }
    }
}
