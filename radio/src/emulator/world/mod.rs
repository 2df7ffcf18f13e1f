//! All chips, all that is on the air, and what happens next. One lock is around it.

mod modes;
mod propagation;
mod receiving;
mod sources;

use std::collections::HashMap;

use self::sources::ReaderState;
use super::air::AirOptions;
use super::chip::{ChipIndex, ChipOptions, ChipState};
use super::feed::Feed;
use super::ledger::TransmissionId;
use super::queue::Queue;
use super::reader::ReaderIndex;
use super::transmission::{OnAir, Transmission, Waves};
use super::waiting::Driver;

/// A signal survives another one that is weaker by so much, and no other (Bor et al., "Do LoRa Low-Power Wide-Area
/// Networks Scale?", 2016, section 3.3).
const CAPTURE_DB: f64 = 6.0;

/// From the write of the transmit mode to the first wave: synthesizer and ramp (data sheet, section 2.5, "transmitter
/// wake-up time").
const TRANSMIT_START_NS: u64 = 120_000;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A transmission begins.
    Begin(TransmissionId, Box<Waves>),
    /// Receivers lock on it, or do not.
    Lock(TransmissionId),
    /// Its header is over.
    Header(TransmissionId),
    /// It is over.
    End(TransmissionId),
    /// A chip has looked for activity, if it is still in that stay.
    ActivityDetected { chip: ChipIndex, entry: u64 },
    /// A chip has waited long enough for a preamble, if it is still in that stay.
    ReceiveTimedOut { chip: ChipIndex, entry: u64 },
    /// A reader's program goes on, if it still waits for this.
    ReaderWakes { reader: ReaderIndex, turn: u64 },
    /// The next payload of a reader's feed is there.
    PayloadArrives(ReaderIndex),
    /// The next transmission of a feed begins.
    Feeds(usize),
}

/// The air and the chips on it.
#[derive(Debug)]
pub(super) struct World {
    options: AirOptions,
    now_ns: u64,
    queue: Queue<Event>,
    chips: Vec<ChipState>,
    readers: Vec<ReaderState>,
    feeds: Vec<Feed<Transmission>>,
    /// What is being sent now: a few at most.
    on_air: Vec<OnAir>,
    next_id: u64,
    pub(super) drivers: Vec<Driver>,
    path_losses_db: HashMap<(usize, usize), f64>,
}

impl World {
    pub(super) fn new(options: AirOptions) -> Self {
        Self {
            options,
            now_ns: 0,
            queue: Queue::default(),
            chips: Vec::new(),
            readers: Vec::new(),
            feeds: Vec::new(),
            on_air: Vec::new(),
            next_id: 0,
            drivers: Vec::new(),
            path_losses_db: HashMap::new(),
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    pub(super) fn planned(&self) -> usize {
        self.queue.len()
    }

    /// When something happens next, if anything will.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.queue.next_ns()
    }

    pub(super) fn add_chip(&mut self, options: ChipOptions) -> ChipIndex {
        self.chips.push(ChipState::new(options));
        ChipIndex(self.chips.len() - 1)
    }

    /// A chip. Indices are only made by [`add_chip`](Self::add_chip), and chips are never taken away.
    pub(super) fn chip(&mut self, chip: ChipIndex) -> &mut ChipState {
        &mut self.chips[chip.0]
    }

    pub(super) fn has_edge(&self, chip: ChipIndex) -> bool {
        self.chips[chip.0].line.has_edge()
    }

    pub(super) fn has_several_drivers(&self) -> bool {
        self.drivers.len() > 1
    }

    pub(super) fn set_path_loss_db(&mut self, one: ChipIndex, other: ChipIndex, loss_db: f64) {
        self.path_losses_db.insert((one.0, other.0), loss_db);
        self.path_losses_db.insert((other.0, one.0), loss_db);
    }

    /// Time goes on to there, and all happens that is due.
    pub(super) fn run_to(&mut self, until_ns: u64) {
        while self.happens_by(until_ns) {}
        self.now_ns = self.now_ns.max(until_ns);
    }

    /// The next thing happens, if it is due by then. False if nothing is.
    pub(super) fn happens_by(&mut self, until_ns: u64) -> bool {
        let Some((at_ns, event)) = self.queue.take_by(until_ns) else { return false };
        self.now_ns = self.now_ns.max(at_ns);
        match event {
            Event::Begin(id, waves) => self.begin(id, *waves),
            Event::Lock(id) => self.lock(id),
            Event::Header(id) => self.header(id),
            Event::End(id) => self.end(id),
            Event::ActivityDetected { chip, entry } => self.report_activity(chip, entry),
            Event::ReceiveTimedOut { chip, entry } => self.time_out(chip, entry),
            Event::ReaderWakes { reader, turn } => self.wake_reader(reader, turn),
            Event::PayloadArrives(reader) => self.let_payload_arrive(reader),
            Event::Feeds(feed) => self.let_next_be_fed(feed),
        }
        true
    }

    /// Puts waves on the air at a time that is not past.
    pub(super) fn plan_waves(&mut self, at_ns: u64, waves: Waves) -> TransmissionId {
        let id = TransmissionId(self.next_id);
        self.next_id += 1;
        self.queue.plan(at_ns.max(self.now_ns), Event::Begin(id, Box::new(waves)));
        id
    }

    /// Acts on what the last access or event did to a chip.
    pub(super) fn settle(&mut self, index: ChipIndex) {
        while let Some(mode) = self.chip(index).take_entered() {
            self.enter(index, mode);
        }
        let chip = self.chip(index);
        chip.settle_line();
        if let Some(reader) = chip.host
            && chip.line.take_edge()
        {
            self.alert(reader);
        }
    }
}
