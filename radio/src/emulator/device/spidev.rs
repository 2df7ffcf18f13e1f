//! A `/dev/spidevB.S` that is answered for in this process. Its requests: include/uapi/linux/spi/spidev.h.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use embedded_hal_02::blocking::spi::{Transfer as _, Write as _};

use super::DeviceError;
use super::cuse::{self, Asked, Cuse, Errno, Ioctl, Place};
use crate::emulator::{Chip, Spi02};

const SET_MODE: u32 = 0x4001_6b01;
const SET_MODE_32: u32 = 0x4004_6b05;
const SET_MAX_SPEED_HZ: u32 = 0x4004_6b04;
/// `SPI_IOC_MESSAGE(n)` without its size, and the size of one transfer in it.
const MESSAGE: u32 = 0x4000_6b00;
const MESSAGE_MASK: u32 = 0xc000_ffff;
const TRANSFER_BYTES: usize = 32;
/// An ioctl that brings data, by the direction in its number.
const WRITES: u32 = 1;

/// The kernel makes a device at once, and takes it away with the last request to it.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A SPI device with an emulated chip behind it. It is there until it is unplugged, or the process ends: the kernel
/// gives no way to wake the thread that answers.
#[derive(Debug)]
pub struct Spidev {
    path: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    unplugged: AtomicBool,
    set: Mutex<Set>,
}

/// What was set, each value once, in the order of the first time.
#[derive(Debug, Default)]
struct Set {
    modes: Vec<u32>,
    clocks_hz: Vec<u32>,
}

#[derive(Debug)]
struct Server {
    cuse: Cuse,
    bus: Spi02,
    name: String,
    shared: Arc<Shared>,
}

/// One transfer of a message: where its bytes are in the caller's memory.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    out: u64,
    back: u64,
    bytes: usize,
}

impl Spidev {
    /// Makes the device `/dev/NAME` with this chip behind it. Returns when it is there.
    pub fn new(name: &str, chip: &Chip) -> Result<Self, DeviceError> {
        let path = Path::new("/dev").join(name);
        let cuse = Cuse::open().map_err(DeviceError::Cuse)?;
        let shared = Arc::<Shared>::default();
        let server = Server { cuse, bus: chip.spi02(), name: name.to_owned(), shared: Arc::clone(&shared) };
        let thread = Builder::new().name("spidev".to_owned()).spawn(move || server.run());
        thread.map_err(|source| DeviceError::Thread { name: "a SPI device", source })?;
        let device = Self { path, shared };
        device.wait_until("there", Path::exists)?;
        Ok(device)
    }

    /// The device's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The SPI modes that were set.
    pub fn modes(&self) -> Vec<u32> {
        self.shared.set.lock().unwrap_or_else(PoisonError::into_inner).modes.clone()
    }

    /// The clocks that were set, in Hz.
    pub fn clocks_hz(&self) -> Vec<u32> {
        self.shared.set.lock().unwrap_or_else(PoisonError::into_inner).clocks_hz.clone()
    }

    /// From the next request on there is no such device. Returns when it is gone: somebody must be using it.
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
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl Server {
    /// Answers until the device is unplugged, which is done by letting go of `/dev/cuse`.
    fn run(mut self) {
        loop {
            let (unique, asked) = match self.cuse.next() {
                Ok(request) => request,
                Err(error) => return tracing::error!(%error, name = self.name, "a SPI device ends"),
            };
            if self.shared.unplugged.load(SeqCst) {
                return;
            }
            let answer = match asked {
                Asked::Init => Ok(cuse::device(&self.name)),
                Asked::Open => Ok(cuse::opened()),
                Asked::Close => Ok(Vec::new()),
                Asked::Write(bytes) => self.write(&bytes),
                Asked::Ioctl(ioctl) => self.ioctl(&ioctl),
                Asked::Interrupt => continue,
                Asked::Other => Err(Errno::NOT_IMPLEMENTED),
            };
            if let Err(error) = self.cuse.answer(unique, answer) {
                return tracing::error!(%error, name = self.name, "a SPI device ends");
            }
        }
    }

    /// A plain write is one frame of chip select.
    fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Errno> {
        self.bus.write(bytes).map_err(|_| Errno::IO)?;
        Ok(cuse::written(bytes.len()))
    }

    fn ioctl(&mut self, ioctl: &Ioctl) -> Result<Vec<u8>, Errno> {
        let whole = (ioctl.argument, (ioctl.command >> 16) as usize & 0x3fff);
        if ioctl.data.is_empty() {
            return if ioctl.command >> 30 == WRITES {
                Ok(cuse::again(&[whole], &[]))
            } else {
                Err(Errno::NO_SUCH_REQUEST)
            };
        }
        if ioctl.command & MESSAGE_MASK == MESSAGE {
            return self.message(whole, &ioctl.data, ioctl.room_bytes);
        }
        // Values that are set and not read back.
        let value = ioctl.data.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        let mut set = self.shared.set.lock().unwrap_or_else(PoisonError::into_inner);
        match ioctl.command {
            SET_MODE | SET_MODE_32 => note(&mut set.modes, value),
            SET_MAX_SPEED_HZ => note(&mut set.clocks_hz, value),
            _ => {}
        }
        Ok(cuse::done(0, &[]))
    }

    /// A message is one frame of chip select, however many transfers it has. First its transfers are known, then, in a
    /// second round, their bytes.
    fn message(&mut self, whole: Place, data: &[u8], room_bytes: u32) -> Result<Vec<u8>, Errno> {
        let (head, sent) = data.split_at_checked(whole.1).ok_or(Errno::INVALID)?;
        let transfers = head.chunks(TRANSFER_BYTES).map(Transfer::of).collect::<Option<Vec<_>>>();
        let transfers = transfers.ok_or(Errno::INVALID)?;
        if sent.is_empty() && room_bytes == 0 {
            let out = transfers.iter().filter(|one| one.out != 0).map(|one| (one.out, one.bytes));
            let back: Vec<Place> =
                transfers.iter().filter(|one| one.back != 0).map(|one| (one.back, one.bytes)).collect();
            return Ok(cuse::again(&std::iter::once(whole).chain(out).collect::<Vec<_>>(), &back));
        }
        let mut frame = frame_of(&transfers, sent).ok_or(Errno::INVALID)?;
        self.bus.transfer(&mut frame).map_err(|_| Errno::IO)?;
        let (mut rest, mut back) = (frame.as_slice(), Vec::new());
        for one in &transfers {
            let (bytes, behind) = rest.split_at_checked(one.bytes).ok_or(Errno::INVALID)?;
            rest = behind;
            if one.back != 0 {
                back.extend(bytes);
            }
        }
        Ok(cuse::done(frame.len(), &back))
    }
}

impl Transfer {
    fn of(bytes: &[u8]) -> Option<Self> {
        let length = usize::try_from(cuse::u32_at(bytes, 16)?).ok()?;
        Some(Self { out: cuse::u64_at(bytes, 0)?, back: cuse::u64_at(bytes, 8)?, bytes: length })
    }
}

/// The bytes that go out, with zeros where a transfer only reads.
fn frame_of(transfers: &[Transfer], mut sent: &[u8]) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    for one in transfers {
        if one.out == 0 {
            // A length that no message has would be an allocation of that length.
            let at_most = usize::from(u16::MAX);
            frame.resize(frame.len() + Some(one.bytes).filter(|bytes| *bytes <= at_most)?, 0);
        } else {
            let (bytes, behind) = sent.split_at_checked(one.bytes)?;
            frame.extend(bytes);
            sent = behind;
        }
    }
    Some(frame)
}

fn note(seen: &mut Vec<u32>, value: u32) {
    if !seen.contains(&value) {
        seen.push(value);
    }
}
