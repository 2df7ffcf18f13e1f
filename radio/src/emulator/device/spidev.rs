//! A `/dev/spidevB.S` that this process serves. Its requests: include/uapi/linux/spi/spidev.h.

use super::cuse::{self, Cuse, Errno, Ioctl, MemoryRange, Request};
use super::error::DeviceError;
use crate::emulator::air::Air;
use crate::emulator::host::{Chip, Spi02};
use embedded_hal_02::blocking::spi::{Transfer as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

const SET_MODE: u32 = 0x4001_6b01;
const SET_MODE_32: u32 = 0x4004_6b05;
const SET_MAX_SPEED_HZ: u32 = 0x4004_6b04;
/// `SPI_IOC_MESSAGE(n)` without its size.
const MESSAGE: u32 = 0x4000_6b00;
/// Bits of an ioctl number other than the size.
const MESSAGE_MASK: u32 = 0xc000_ffff;
/// Size of one transfer in a message.
const TRANSFER_BYTES: usize = 32;
/// Direction in the number of an ioctl that carries data to the device.
const WRITES: u32 = 1;

/// Longest wait for the kernel, which creates a device at once and removes it with the last request to it.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// A SPI device with an emulated chip behind it.
///
/// It exists until it is unplugged or the process ends. Dropping it does not remove it, because the kernel offers no
/// way to wake the thread that answers.
#[derive(Debug)]
pub struct Spidev {
    path: PathBuf,
    shared: Arc<DeviceState>,
}

/// State shared with the thread that answers.
#[derive(Debug, Default)]
struct DeviceState {
    unplugged: AtomicBool,
    settings: Mutex<BusSettings>,
}

/// Settings that programs made, each value once, in the order of their first use.
#[derive(Debug, Default)]
struct BusSettings {
    modes: Vec<u32>,
    clocks_hz: Vec<u32>,
}

/// The thread that answers the device's requests.
#[derive(Debug)]
struct Server {
    cuse: Cuse,
    air: Air,
    bus: Spi02,
    name: String,
    shared: Arc<DeviceState>,
}

/// One transfer of a message. Addresses are in the caller's memory; 0 stands for no buffer.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    send_address: u64,
    receive_address: u64,
    bytes: usize,
}

impl Spidev {
    /// Creates the device `/dev/NAME` with this chip behind it, and waits until it is there.
    pub fn new(name: &str, chip: &Chip) -> Result<Self, DeviceError> {
        let path = Path::new("/dev").join(name);
        let cuse = Cuse::open().map_err(DeviceError::Cuse)?;
        let shared = Arc::<DeviceState>::default();
        let air = chip.air().clone();
        let server = Server { cuse, air, bus: chip.spi02(), name: name.to_owned(), shared: Arc::clone(&shared) };
        let thread = Builder::new().name("spidev".to_owned()).spawn(move || server.run());
        thread.map_err(|source| DeviceError::Thread { name: "a SPI device", source })?;
        let device = Self { path, shared };
        device.wait_until("there", Path::exists)?;
        Ok(device)
    }

    /// Returns the path of the device file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the SPI modes that programs have set.
    pub fn modes(&self) -> Vec<u32> {
        self.shared.settings.lock().unwrap_or_else(PoisonError::into_inner).modes.clone()
    }

    /// Returns the clocks in Hz that programs have set.
    pub fn clocks_hz(&self) -> Vec<u32> {
        self.shared.settings.lock().unwrap_or_else(PoisonError::into_inner).clocks_hz.clone()
    }

    /// Removes the device at its next request and waits until it is gone. A program has to be using it meanwhile,
    /// because only a request wakes the thread that removes it.
    pub fn unplug(&self) -> Result<(), DeviceError> {
        self.shared.unplugged.store(true, SeqCst);
        self.wait_until("gone", |path| !path.exists())
    }

    fn wait_until(&self, expected: &'static str, holds: impl Fn(&Path) -> bool) -> Result<(), DeviceError> {
        let begun = Instant::now();
        while !holds(&self.path) {
            if begun.elapsed() > PATIENCE {
                return Err(DeviceError::Unchanged { path: self.path.clone(), expected, waited_s: PATIENCE.as_secs() });
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Server {
    /// Answers requests until the device is unplugged. Closing `/dev/cuse` on return removes the device.
    fn run(mut self) {
        loop {
            let (unique, request) = match self.cuse.next() {
                Ok(request) => request,
                Err(error) => return tracing::error!(%error, name = self.name, "emulated SPI device stopped"),
            };
            if self.shared.unplugged.load(SeqCst) {
                return;
            }
            let answer = match request {
                Request::Init => Ok(cuse::init_answer(&self.name)),
                Request::Open => Ok(cuse::open_answer()),
                Request::Close => Ok(Vec::new()),
                Request::Write(bytes) => self.write(&bytes),
                Request::Ioctl(ioctl) => self.ioctl(&ioctl),
                Request::Interrupt => continue,
                Request::Other => Err(Errno::NOT_IMPLEMENTED),
            };
            if let Err(error) = self.cuse.answer(unique, answer) {
                return tracing::error!(%error, name = self.name, "emulated SPI device stopped");
            }
        }
    }

    /// Carries out a plain write as one chip-select frame.
    fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Errno> {
        self.air.catch_up();
        self.bus.write(bytes).map_err(|_| Errno::IO)?;
        Ok(cuse::write_answer(bytes.len()))
    }

    fn ioctl(&mut self, ioctl: &Ioctl) -> Result<Vec<u8>, Errno> {
        let argument = (ioctl.argument, (ioctl.command >> 16) as usize & 0x3fff);
        if ioctl.data.is_empty() {
            return if ioctl.command >> 30 == WRITES {
                Ok(cuse::retry_answer(&[argument], &[]))
            } else {
                Err(Errno::NO_SUCH_REQUEST)
            };
        }
        if ioctl.command & MESSAGE_MASK == MESSAGE {
            return self.message(argument, &ioctl.data, ioctl.room_bytes);
        }
        // Settings are accepted and recorded, but change nothing.
        let value = ioctl.data.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        let mut settings = self.shared.settings.lock().unwrap_or_else(PoisonError::into_inner);
        match ioctl.command {
            SET_MODE | SET_MODE_32 => push_new(&mut settings.modes, value),
            SET_MAX_SPEED_HZ => push_new(&mut settings.clocks_hz, value),
            _ => {}
        }
        Ok(cuse::ioctl_answer(0, &[]))
    }

    /// Carries out a message as one chip-select frame, however many transfers it has.
    ///
    /// The first round brings the list of transfers and asks for their bytes. The second round brings these, too.
    fn message(&mut self, list: MemoryRange, data: &[u8], room_bytes: u32) -> Result<Vec<u8>, Errno> {
        let (head, sent) = data.split_at_checked(list.1).ok_or(Errno::INVALID)?;
        let transfers = head.chunks(TRANSFER_BYTES).map(Transfer::of).collect::<Option<Vec<_>>>();
        let transfers = transfers.ok_or(Errno::INVALID)?;
        if sent.is_empty() && room_bytes == 0 {
            return Ok(ask_for_bytes(list, &transfers));
        }
        let mut frame = frame_of(&transfers, sent).ok_or(Errno::INVALID)?;
        self.air.catch_up();
        self.bus.transfer(&mut frame).map_err(|_| Errno::IO)?;
        let (mut rest, mut received) = (frame.as_slice(), Vec::new());
        for transfer in &transfers {
            let (bytes, remaining) = rest.split_at_checked(transfer.bytes).ok_or(Errno::INVALID)?;
            rest = remaining;
            if transfer.receive_address != 0 {
                received.extend(bytes);
            }
        }
        Ok(cuse::ioctl_answer(frame.len(), &received))
    }
}

impl Transfer {
    fn of(bytes: &[u8]) -> Option<Self> {
        let length = usize::try_from(cuse::u32_at(bytes, 16)?).ok()?;
        Some(Self { send_address: cuse::u64_at(bytes, 0)?, receive_address: cuse::u64_at(bytes, 8)?, bytes: length })
    }
}

/// Returns the answer that asks for the list again, with the bytes to send and room for the bytes to receive.
fn ask_for_bytes(list: MemoryRange, transfers: &[Transfer]) -> Vec<u8> {
    let ranges = |address: fn(&Transfer) -> u64| {
        transfers.iter().map(move |transfer| (address(transfer), transfer.bytes)).filter(|(address, _)| *address != 0)
    };
    let input: Vec<MemoryRange> = std::iter::once(list).chain(ranges(|transfer| transfer.send_address)).collect();
    let output: Vec<MemoryRange> = ranges(|transfer| transfer.receive_address).collect();
    cuse::retry_answer(&input, &output)
}

/// Returns the bytes that go out, with zeros for transfers that only read.
fn frame_of(transfers: &[Transfer], mut sent: &[u8]) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    for transfer in transfers {
        if transfer.send_address == 0 {
            // The caller names this length without bytes to back it, so an absurd one would be allocated.
            let max_bytes = usize::from(u16::MAX);
            frame.resize(frame.len() + Some(transfer.bytes).filter(|bytes| *bytes <= max_bytes)?, 0);
        } else {
            let (bytes, remaining) = sent.split_at_checked(transfer.bytes)?;
            frame.extend(bytes);
            sent = remaining;
        }
    }
    Some(frame)
}

fn push_new(values: &mut Vec<u32>, value: u32) {
    if !values.contains(&value) {
        values.push(value);
    }
}
