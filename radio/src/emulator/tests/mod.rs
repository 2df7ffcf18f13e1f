//! The behavior of the emulated chip and its air, observed through the wires that every host has.

mod arbitrary_actions;
mod collisions;
mod faults;
mod fifo;
mod link;
mod loss_and_corruption;
mod modes;
mod quirks;
mod readers;
mod reception;
mod registers;
mod time;
mod transmission;

use super::registers::Register;
use super::{Air, Chip, Dio0, Fate, Spi02, Transmission};
use crate::board::{EdgeLine, Wake};
use crate::lora::{Bandwidth, Modulation, SpreadingFactor};
use embedded_hal_02::blocking::spi::{Transfer, Write};
use std::time::Duration;

const SLEEP: u8 = 0;
const STANDBY: u8 = 1;
const TRANSMIT: u8 = 3;
const RECEIVE: u8 = 5;
const RECEIVE_SINGLE: u8 = 6;
const DETECT: u8 = 7;

const RX_TIMEOUT: u8 = 0x80;
const RX_DONE: u8 = 0x40;
const CRC_ERROR: u8 = 0x20;
const VALID_HEADER: u8 = 0x10;
const TX_DONE: u8 = 0x08;
const CAD_DONE: u8 = 0x04;
const CAD_DETECTED: u8 = 0x01;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A chip with a host at its wires.
struct Host {
    air: Air,
    chip: Chip,
    spi: Spi02,
    dio0: Dio0,
}

impl Host {
    /// Returns a chip as it is after power-up.
    fn powered_up(air: &Air, name: &str) -> Self {
        let chip = air.chip(name);
        Self { air: air.clone(), spi: chip.spi02(), dio0: chip.dio0(), chip }
    }

    /// Returns a LoRa chip in standby with this modulation.
    fn in_standby(air: &Air, name: &str, modulation: &Modulation) -> Self {
        let mut host = Self::powered_up(air, name);
        host.set_mode(SLEEP);
        host.configure(modulation);
        host.set_mode(STANDBY);
        host
    }

    /// Returns a chip that receives with the default modulation.
    fn listening(air: &Air) -> Self {
        let mut host = Self::in_standby(air, "barn", &Modulation::default());
        host.set_mode(RECEIVE);
        host
    }

    fn configure(&mut self, modulation: &Modulation) {
        let frf = u32::try_from(((u64::from(modulation.frequency_hz) << 19) + 16_000_000) / 32_000_000).unwrap();
        self.write_burst(Register::FrfMsb, &frf.to_be_bytes()[1..]);
        let bandwidth = Bandwidth::ALL.iter().position(|bandwidth| *bandwidth == modulation.bandwidth).unwrap();
        let rate = modulation.coding_rate.denominator() - 4;
        self.write(Register::ModemConfig1, (u8::try_from(bandwidth).unwrap() << 4) | (rate << 1));
        self.write(Register::ModemConfig2, (modulation.spreading_factor.get() << 4) | 0x04);
        self.write(Register::ModemConfig3, if modulation.low_data_rate_optimize() { 0x0C } else { 0x04 });
        self.write_burst(Register::PreambleMsb, &modulation.preamble_symbols.to_be_bytes());
        self.write(Register::SyncWord, modulation.sync_word);
    }

    fn set_mode(&mut self, mode: u8) {
        self.write(Register::OpMode, 0x80 | mode);
    }

    fn op_mode(&mut self) -> u8 {
        self.read(Register::OpMode)
    }

    fn read(&mut self, register: Register) -> u8 {
        self.read_burst(register, 1)[0]
    }

    fn read_burst(&mut self, register: Register, bytes: usize) -> Vec<u8> {
        let mut words = vec![0; bytes + 1];
        words[0] = register as u8;
        self.spi.transfer(&mut words).unwrap();
        words.split_off(1)
    }

    fn write(&mut self, register: Register, value: u8) {
        self.write_burst(register, &[value]);
    }

    fn write_burst(&mut self, register: Register, values: &[u8]) {
        let words: Vec<u8> = std::iter::once(register as u8 | 0x80).chain(values.iter().copied()).collect();
        self.spi.write(&words).unwrap();
    }

    fn flags(&mut self) -> u8 {
        self.read(Register::IrqFlags)
    }

    fn clear_flags(&mut self) {
        self.write(Register::IrqFlags, 0xFF);
    }

    /// Reads the last packet from the place that the registers name.
    fn last_packet(&mut self) -> Vec<u8> {
        let start = self.read(Register::FifoRxCurrentAddr);
        let length = self.read(Register::RxNbBytes);
        self.write(Register::FifoAddrPtr, start);
        self.read_burst(Register::Fifo, usize::from(length))
    }

    /// Loads a payload at the transmit base address and sends it.
    fn send(&mut self, payload: &[u8]) {
        let base = self.read(Register::FifoTxBaseAddr);
        self.write(Register::FifoAddrPtr, base);
        self.write_burst(Register::Fifo, payload);
        self.write(Register::PayloadLength, u8::try_from(payload.len()).unwrap());
        self.set_mode(TRANSMIT);
    }

    fn wait(&mut self, timeout: Duration) -> Wake {
        self.dio0.wait(timeout).unwrap()
    }

    /// Transmits a packet to the chip and lets time pass until the air is quiet.
    fn receive(&mut self, transmission: Transmission) {
        self.air.transmit(transmission, Duration::ZERO).unwrap();
        self.air.pass_until_quiet(ms(60_000));
    }

    fn fates(&self) -> Vec<Fate> {
        self.chip.verdicts().into_iter().map(|verdict| verdict.fate).collect()
    }
}

fn modulation(factor: u8, bandwidth: Bandwidth) -> Modulation {
    let spreading_factor = SpreadingFactor::new(factor).unwrap();
    Modulation { spreading_factor, bandwidth, ..Modulation::default() }
}

/// Returns a packet of 12 bytes.
fn packet_with(modulation: Modulation) -> Transmission {
    Transmission { payload: b"hxb:LOT7:1:2".to_vec(), modulation, ..Transmission::default() }
}
