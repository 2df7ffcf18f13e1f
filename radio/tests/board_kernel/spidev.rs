//! A `/dev/spidevB.S` that is answered for in this process: CUSE, the kernel's character devices in user space, spoken by
//! hand. Shapes and numbers: include/uapi/linux/fuse.h and include/uapi/linux/spi/spidev.h.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use embedded_hal_02::blocking::spi;
use radio::emulator::Spi02;

const FUSE_OPEN: u32 = 14;
const FUSE_WRITE: u32 = 16;
const FUSE_RELEASE: u32 = 18;
const FUSE_FLUSH: u32 = 25;
const FUSE_INTERRUPT: u32 = 36;
const FUSE_IOCTL: u32 = 39;
const CUSE_INIT: u32 = 4_096;
const HEADER_BYTES: usize = 40;
/// The request of an ioctl without its data; the header of a write likewise.
const IOCTL_BYTES: usize = 32;
const WRITE_BYTES: usize = 40;
/// "Ask again, and bring the data at these addresses": how an ioctl that holds pointers is answered.
const RETRY: u32 = 1 << 2;
const UNRESTRICTED_IOCTL: u32 = 1;
const VERSION: [u32; 2] = [7, 31];
const LARGEST_BYTES: u32 = 4_096;

const SET_MODE: u32 = 0x4001_6b01;
const SET_MODE_32: u32 = 0x4004_6b05;
const SET_MAX_SPEED_HZ: u32 = 0x4004_6b04;
/// `SPI_IOC_MESSAGE(n)` without its size, and the size of one transfer in it.
const MESSAGE: u32 = 0x4000_6b00;
const MESSAGE_MASK: u32 = 0xc000_ffff;
const TRANSFER_BYTES: usize = 32;
const NO_SUCH_REQUEST: i32 = -25;
const NOT_IMPLEMENTED: i32 = -38;
const PATIENCE: Duration = Duration::from_secs(10);

/// What was set, each value once, in the order of the first time.
#[derive(Debug, Default)]
struct Seen {
    modes: Vec<u32>,
    clocks_hz: Vec<u32>,
}

/// A SPI device. Its thread ends with the process: the kernel gives no way to wake it.
pub(crate) struct Spidev {
    path: PathBuf,
    seen: Arc<Mutex<Seen>>,
    unplugged: Arc<Mutex<bool>>,
}

struct Server {
    file: File,
    bus: Spi02,
    seen: Arc<Mutex<Seen>>,
    unplugged: Arc<Mutex<bool>>,
    name: String,
}

/// One transfer of a message: where its bytes are in the caller's memory.
#[derive(Clone, Copy)]
struct Transfer {
    out: u64,
    back: u64,
    bytes: usize,
}

impl Spidev {
    pub(crate) fn new(name: &str, bus: Spi02) -> Self {
        let path = PathBuf::from("/dev").join(name);
        let file = OpenOptions::new().read(true).write(true).open("/dev/cuse").expect("the module cuse is loaded");
        let (seen, unplugged) = (Arc::default(), Arc::default());
        let server =
            Server { file, bus, seen: Arc::clone(&seen), unplugged: Arc::clone(&unplugged), name: name.to_owned() };
        thread::spawn(move || server.run());
        let begin = Instant::now();
        while !path.exists() {
            assert!(begin.elapsed() < PATIENCE, "the kernel makes {}", path.display());
            thread::sleep(Duration::from_millis(1));
        }
        Self { path, seen, unplugged }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(crate) fn modes(&self) -> Vec<u32> {
        self.seen.lock().unwrap().modes.clone()
    }

    pub(crate) fn clocks_hz(&self) -> Vec<u32> {
        self.seen.lock().unwrap().clocks_hz.clone()
    }

    /// From the next request on there is no such device.
    pub(crate) fn unplug(&self) {
        *self.unplugged.lock().unwrap() = true;
        let begin = Instant::now();
        while self.path.exists() {
            assert!(begin.elapsed() < PATIENCE, "the kernel takes {} away", self.path.display());
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Server {
    /// Answers until the device is unplugged, which is done by letting go of `/dev/cuse`.
    fn run(mut self) {
        let mut buffer = vec![0; 64 * 1_024];
        while let Ok(bytes) = self.file.read(&mut buffer) {
            let request = &buffer[..bytes];
            let (opcode, unique) = (u32_at(request, 4), u64_at(request, 8));
            if *self.unplugged.lock().unwrap() {
                return;
            }
            let answer = match opcode {
                CUSE_INIT => Ok(self.init()),
                FUSE_OPEN => Ok(vec![0; 16]),
                FUSE_RELEASE | FUSE_FLUSH => Ok(Vec::new()),
                FUSE_WRITE => self.write(&request[HEADER_BYTES..]),
                FUSE_IOCTL => self.ioctl(&request[HEADER_BYTES..]),
                FUSE_INTERRUPT => continue,
                _ => Err(NOT_IMPLEMENTED),
            };
            if self.answer(unique, answer).is_err() {
                return;
            }
        }
    }

    fn answer(&mut self, unique: u64, answer: Result<Vec<u8>, i32>) -> std::io::Result<()> {
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(error) => (error, Vec::new()),
        };
        let length = u32::try_from(16 + body.len()).unwrap();
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(error.to_le_bytes());
        bytes.extend(unique.to_le_bytes());
        bytes.extend(body);
        self.file.write_all(&bytes)
    }

    fn init(&self) -> Vec<u8> {
        let [major, minor] = VERSION;
        let words = [major, minor, 0, UNRESTRICTED_IOCTL, LARGEST_BYTES, LARGEST_BYTES, 0, 0];
        let mut body: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        body.extend([0; 40]);
        body.extend(format!("DEVNAME={}\0", self.name).bytes());
        body
    }

    /// A plain write is one frame of chip select.
    fn write(&mut self, body: &[u8]) -> Result<Vec<u8>, i32> {
        let bytes = &body[WRITE_BYTES..WRITE_BYTES + u32_at(body, 16) as usize];
        spi::Write::write(&mut self.bus, bytes).map_err(|_| NO_SUCH_REQUEST)?;
        Ok([u32_at(body, 16), 0].into_iter().flat_map(u32::to_le_bytes).collect())
    }

    fn ioctl(&mut self, body: &[u8]) -> Result<Vec<u8>, i32> {
        let (command, argument) = (u32_at(body, 12), u64_at(body, 16));
        let data = &body[IOCTL_BYTES..IOCTL_BYTES + u32_at(body, 24) as usize];
        let size = (command >> 16) as usize & 0x3fff;
        let whole = (argument, size);
        if command & MESSAGE_MASK == MESSAGE {
            return Ok(if data.is_empty() {
                retry(&[whole], &[])
            } else {
                self.message(whole, data, u32_at(body, 28))
            });
        }
        // Values that are set and not read back.
        match data {
            [] if command >> 30 == 1 => return Ok(retry(&[whole], &[])),
            [] => return Err(NO_SUCH_REQUEST),
            _ => {}
        }
        let value = data.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        let mut seen = self.seen.lock().unwrap();
        match command {
            SET_MODE | SET_MODE_32 => note(&mut seen.modes, value),
            SET_MAX_SPEED_HZ => note(&mut seen.clocks_hz, value),
            _ => {}
        }
        Ok(done(0, &[]))
    }

    /// A message is one frame of chip select, however many transfers it has. First its transfers are known, then, in a
    /// second round, their bytes.
    fn message(&mut self, whole: (u64, usize), data: &[u8], back_bytes: u32) -> Vec<u8> {
        let transfers: Vec<Transfer> = data[..whole.1].chunks(TRANSFER_BYTES).map(Transfer::of).collect();
        if data.len() == whole.1 && back_bytes == 0 {
            let mut there = vec![whole];
            there.extend(transfers.iter().filter(|one| one.out != 0).map(|one| (one.out, one.bytes)));
            let back: Vec<_> = transfers.iter().filter(|one| one.back != 0).map(|one| (one.back, one.bytes)).collect();
            return retry(&there, &back);
        }
        let mut sent = data[whole.1..].iter().copied();
        let mut frame: Vec<u8> = Vec::new();
        for one in &transfers {
            frame.extend((0..one.bytes).map(|_| if one.out == 0 { 0 } else { sent.next().unwrap() }));
        }
        spi::Transfer::transfer(&mut self.bus, &mut frame).unwrap();
        let (mut at, mut back) = (0, Vec::new());
        for one in &transfers {
            let bytes = &frame[at..at + one.bytes];
            at += one.bytes;
            if one.back != 0 {
                back.extend(bytes);
            }
        }
        done(u32::try_from(at).unwrap(), &back)
    }
}

impl Transfer {
    fn of(bytes: &[u8]) -> Self {
        Self { out: u64_at(bytes, 0), back: u64_at(bytes, 8), bytes: u32_at(bytes, 16) as usize }
    }
}

/// The answer of an ioctl that is done.
fn done(result: u32, back: &[u8]) -> Vec<u8> {
    let mut body: Vec<u8> = [result, 0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect();
    body.extend(back);
    body
}

/// The answer of an ioctl that is to come again with the bytes at these places, and room for those at those.
fn retry(there: &[(u64, usize)], back: &[(u64, usize)]) -> Vec<u8> {
    let counts = [there, back].map(|places| u32::try_from(places.len()).unwrap());
    let mut body: Vec<u8> = [0, RETRY, counts[0], counts[1]].into_iter().flat_map(u32::to_le_bytes).collect();
    for (address, bytes) in there.iter().chain(back) {
        body.extend(address.to_le_bytes());
        body.extend((*bytes as u64).to_le_bytes());
    }
    body
}

fn note(seen: &mut Vec<u32>, value: u32) {
    if !seen.contains(&value) {
        seen.push(value);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
