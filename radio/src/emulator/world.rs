//! All chips, all that is on the air, and what happens next. One lock is around it.

use std::collections::HashMap;
use std::time::Duration;

use super::air::AirOptions;
use super::chance;
use super::chip::{ChipIndex, ChipOptions, ChipState, Mode};
use super::ledger::{Fate, TransmissionId, Verdict};
use super::queue::Queue;
use super::registers::{Register, irq};
use super::signal::{self, Signal};
use super::transmission::{OnAir, Origin, Waves};
use super::tuning::{Direction, Tuning};

/// A signal survives another one that is weaker by so much, and no other (Bor et al. 2016, section 3.3; Goursaud and
/// Gorce, "Dedicated networks for IoT", 2015).
const CAPTURE_DB: f64 = 6.0;

/// From the write of the transmit mode to the first wave: synthesizer and ramp (data sheet, section 2.5.2, TS_TR).
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
}

/// The air and the chips on it.
#[derive(Debug)]
pub(super) struct World {
    options: AirOptions,
    now_ns: u64,
    queue: Queue<Event>,
    chips: Vec<ChipState>,
    /// What is being sent now: a few at most.
    on_air: Vec<OnAir>,
    next_id: u64,
    path_losses_db: HashMap<(usize, usize), f64>,
}

impl World {
    pub(super) fn new(options: AirOptions) -> Self {
        Self {
            options,
            now_ns: 0,
            queue: Queue::default(),
            chips: Vec::new(),
            on_air: Vec::new(),
            next_id: 0,
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

    fn begin(&mut self, id: TransmissionId, waves: Waves) {
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
            let chip = &mut self.chips[place];
            let is_covered = chip.reception.as_ref().is_some_and(|reception| {
                tuning.disturbs(reception.sender()) && power_dbm > reception.power_dbm() - CAPTURE_DB
            });
            if is_covered {
                chip.disturb(self.now_ns);
                self.settle(ChipIndex(place));
            }
        }
        self.on_air.push(transmission);
    }

    fn find(&self, id: TransmissionId) -> Option<usize> {
        self.on_air.iter().position(|transmission| transmission.id == id)
    }

    /// Each receiver locks on a transmission or misses it, and the ledger says why.
    fn lock(&mut self, id: TransmissionId) {
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
        let chip = self.chip(index);
        if !chip.options.ledger && heard.is_err() {
            return;
        }
        let entry = chip.options.ledger.then(|| {
            chip.ledger.add(Verdict {
                transmission: transmission.id,
                payload: transmission.waves.payload.clone(),
                ends_at: Duration::from_nanos(transmission.end_ns()),
                fate: heard.as_ref().err().copied().unwrap_or(Fate::Receiving),
            })
        });
        if let (Ok(signal), Some(receiver)) = (heard, chip.tuning) {
            chip.write_received(now_ns);
            chip.lock(transmission.heard_as(signal), &receiver, entry);
        }
    }

    /// How it arrives at a receiver that can lock on it, or why none can.
    fn hear(&mut self, index: ChipIndex, transmission: &OnAir) -> Result<Signal, Fate> {
        let chip = &self.chips[index.0];
        let receiver = chip.tuning.filter(|_| chip.is_lora() && chip.mode().receives()).ok_or(Fate::NotListening)?;
        if transmission.cut {
            return Err(Fate::Collided);
        }
        let waves = &transmission.waves;
        if !receiver.hears(&waves.tuning) {
            return Err(Fate::OtherSettings);
        }
        let power_dbm = self.power_at(index, transmission);
        let offset_hz = waves.frequency_error_hz - chip.options.frequency_error_hz;
        let signal = signal::arriving(power_dbm, self.options.noise_figure_db, &waves.tuning, offset_hz, &receiver);
        if signal.snr_db < signal::lowest_snr_db(receiver.spreading_factor) {
            return Err(Fate::TooWeak);
        }
        let is_covered = self.on_air.iter().any(|other| {
            !other.cut
                && other.waves.tuning.disturbs(&waves.tuning)
                && self.power_at(index, other) > power_dbm - CAPTURE_DB
        });
        if is_covered || !chip.searches() { Err(Fate::Collided) } else { Ok(signal) }
    }

    fn header(&mut self, id: TransmissionId) {
        for place in 0..self.chips.len() {
            let chip = &mut self.chips[place];
            if chip.receives(id)
                && let Some(fate) = chip.read_header()
            {
                chip.give_up_reception(fate);
                self.time_out_late(ChipIndex(place));
            }
            self.settle(ChipIndex(place));
        }
    }

    fn end(&mut self, id: TransmissionId) {
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

    /// Brings a chip up to now, before its host looks at it.
    pub(super) fn look(&mut self, index: ChipIndex) {
        let now_ns = self.now_ns;
        self.chip(index).write_received(now_ns);
    }

    /// Acts on what the last access or event did to a chip.
    pub(super) fn settle(&mut self, index: ChipIndex) {
        while let Some(mode) = self.chip(index).take_entered() {
            self.enter(index, mode);
        }
        self.chip(index).settle_line();
    }

    fn enter(&mut self, index: ChipIndex, mode: Mode) {
        let now_ns = self.now_ns;
        self.cut(index);
        let chip = self.chip(index);
        chip.write_received(now_ns);
        chip.give_up_reception(Fate::NotListening);
        let direction = if mode == Mode::Transmit { Direction::Transmit } else { Direction::Receive };
        chip.tuning = Tuning::of_registers(chip.registers(), direction).filter(|_| chip.is_lora());
        let Some(tuning) = chip.tuning else { return };
        let entry = chip.entry;
        match mode {
            Mode::Sleep | Mode::Standby | Mode::Synthesizer => {}
            Mode::Transmit => self.send(index, tuning),
            Mode::ReceiveContinuous => chip.begin_to_receive(None),
            Mode::ReceiveSingle => {
                let due_ns = now_ns + chip.preamble_timeout_symbols() * tuning.symbol_ns();
                chip.begin_to_receive(Some(due_ns));
                self.queue.plan(due_ns, Event::ReceiveTimedOut { chip: index, entry });
            }
            Mode::ActivityDetection => {
                let due_ns = now_ns + tuning.activity_detection_ns();
                self.queue.plan(due_ns, Event::ActivityDetected { chip: index, entry });
            }
        }
    }

    /// A chip that left its transmit mode stops in the middle of its packet.
    fn cut(&mut self, index: ChipIndex) {
        let is_of_it = |transmission: &OnAir| {
            matches!(transmission.waves.origin, Origin::Chip { chip, .. } if chip == index) && !transmission.cut
        };
        let Some(at) = self.on_air.iter().position(is_of_it) else { return };
        self.on_air[at].cut = true;
        let id = self.on_air[at].id;
        for chip in self.chips.iter_mut().filter(|chip| chip.receives(id)) {
            chip.disturb(self.now_ns);
        }
    }

    fn send(&mut self, index: ChipIndex, tuning: Tuning) {
        let chip = self.chip(index);
        let waves = Waves {
            payload: chip.payload_to_send().into(),
            tuning,
            origin: Origin::Chip {
                chip: index,
                power_dbm: signal::power_dbm(chip.register(Register::PaConfig), chip.register(Register::PaDac)),
                entry: chip.entry,
            },
            corrupted: false,
            frequency_error_hz: chip.options.frequency_error_hz,
        };
        self.plan_waves(self.now_ns + TRANSMIT_START_NS, waves);
    }

    /// Activity is any part of a packet with the same chirps that began half a symbol ago at the latest.
    fn report_activity(&mut self, index: ChipIndex, entry: u64) {
        let chip = &self.chips[index.0];
        let Some(tuning) = chip.tuning.filter(|_| chip.entry == entry) else { return };
        let detected = self.on_air.iter().any(|other| {
            let noise_dbm = signal::noise_floor_dbm(tuning.bandwidth_hz, self.options.noise_figure_db);
            let snr_db = self.power_at(index, other) - noise_dbm;
            !other.cut
                && other.begun_ns + tuning.symbol_ns() / 2 <= self.now_ns
                && other.waves.tuning.disturbs(&tuning)
                && snr_db >= signal::lowest_snr_db(tuning.spreading_factor)
        });
        let chip = self.chip(index);
        chip.raise(irq::CAD_DONE | if detected { irq::CAD_DETECTED } else { 0 });
        chip.fall_back_to_standby();
        self.settle(index);
    }

    fn time_out(&mut self, index: ChipIndex, entry: u64) {
        let chip = self.chip(index);
        if chip.entry == entry && chip.reception.is_none() {
            chip.raise(irq::RX_TIMEOUT);
            chip.fall_back_to_standby();
            self.settle(index);
        }
    }

    /// A single reception that came to nothing after its time was over.
    fn time_out_late(&mut self, index: ChipIndex) {
        let now_ns = self.now_ns;
        let chip = self.chip(index);
        if chip.is_single() && chip.single_until_ns.is_some_and(|until_ns| now_ns >= until_ns) {
            let entry = chip.entry;
            self.time_out(index, entry);
        }
    }

    /// With which power a transmission arrives at a chip.
    fn power_at(&self, index: ChipIndex, transmission: &OnAir) -> f64 {
        let power_dbm = match transmission.waves.origin {
            Origin::Nowhere { rssi_dbm } => rssi_dbm,
            Origin::Chip { chip, power_dbm, .. } => {
                let loss_db = self.path_losses_db.get(&(chip.0, index.0));
                power_dbm - loss_db.copied().unwrap_or(self.options.path_loss_db)
            }
        };
        if self.options.fading_db == 0.0 {
            return power_dbm;
        }
        let random = chance::of([self.options.seed, transmission.id.0, index.0 as u64]);
        power_dbm + self.options.fading_db * chance::normal(random)
    }
}
