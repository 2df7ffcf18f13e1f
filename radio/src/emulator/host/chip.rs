//! The handle to one chip: faults, ledger and registers, past its wires.

use crate::emulator::air::Air;
use crate::emulator::chip::ChipOptions;
use crate::emulator::clock::nanoseconds;
use crate::emulator::faults::Faults;
use crate::emulator::ids::ChipIndex;
use crate::emulator::ledger::{Tally, Verdict};
use crate::emulator::registers::Register;
use std::time::Duration;

/// A handle to one chip. Clones are handles to the same chip.
#[derive(Clone, Debug)]
pub struct Chip {
    air: Air,
    index: ChipIndex,
}

impl Air {
    /// Puts a chip on the air. A name is enough.
    pub fn chip(&self, options: impl Into<ChipOptions>) -> Chip {
        let index = self.inspect(|world| world.add_chip(options.into()));
        Chip::new(self.clone(), index)
    }

    /// Sets the path loss between two chips, in both directions.
    pub fn set_path_loss_db(&self, one: &Chip, other: &Chip, loss_db: f64) {
        self.change(|world| world.set_path_loss_db(one.index, other.index, loss_db));
    }
}

impl Chip {
    pub(in crate::emulator) fn new(air: Air, index: ChipIndex) -> Self {
        Self { air, index }
    }

    pub(super) fn index(&self) -> ChipIndex {
        self.index
    }

    /// Returns the air that the chip is on.
    pub fn air(&self) -> &Air {
        &self.air
    }

    /// Replaces all faults of the chip.
    pub fn set_faults(&self, faults: Faults) {
        self.air.change(|world| {
            let seed = world.seed();
            let chip = world.chip(self.index);
            chip.faults = faults;
            chip.dio0.restart_faults(seed);
            world.settle(self.index);
        });
    }

    /// Resets the chip without its RESET line, as a disturbance can do.
    pub fn reset_spontaneously(&self) {
        self.air.change(|world| {
            let now_ns = world.now_ns();
            world.chip(self.index).reset(now_ns);
            world.settle(self.index);
        });
    }

    /// Cuts the chip's power for `duration` on the air's clock. The chip does not answer meanwhile, and is as after a
    /// reset when power returns.
    pub fn brown_out(&self, duration: Duration) {
        self.air.change(|world| {
            let back_ns = world.now_ns() + nanoseconds(duration);
            world.chip(self.index).reset(back_ns);
            world.settle(self.index);
        });
    }

    /// Stops the receiver from finding preambles until the chip sleeps, as receivers were seen to do after days. No
    /// register shows it.
    pub fn hang_receiver(&self) {
        self.air.change(|world| world.chip(self.index).is_hung = true);
    }

    /// Returns the frequency at which the receiver was calibrated last.
    pub fn calibrated_hz(&self) -> u32 {
        self.air.inspect(|world| world.chip(self.index).calibrated_hz)
    }

    /// Returns the level of DIO0, as the host would measure it.
    pub fn dio0_is_high(&self) -> bool {
        self.air.inspect(|world| world.chip(self.index).dio0.is_high())
    }

    /// Returns the value of a LoRa register, without a transfer and without time passing.
    pub fn register(&self, register: Register) -> u8 {
        self.air.inspect(|world| world.chip(self.index).register(register))
    }

    /// Returns the kept verdicts, in the order of their transmissions.
    pub fn verdicts(&self) -> Vec<Verdict> {
        self.air.inspect(|world| world.chip(self.index).ledger.verdicts())
    }

    /// Removes and returns the oldest verdicts, up to the first one that can still change. The tally still counts them.
    pub fn take_final_verdicts(&self) -> Vec<Verdict> {
        self.air.inspect(|world| world.chip(self.index).ledger.take_final())
    }

    /// Returns the number of transmissions per fate at this chip.
    pub fn tally(&self) -> Tally {
        self.air.inspect(|world| world.chip(self.index).ledger.tally())
    }
}
