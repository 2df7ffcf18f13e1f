//! CUSE, the kernel's character devices in user space, spoken by hand: requests come out of `/dev/cuse`, answers go
//! into it. Shapes and numbers: include/uapi/linux/fuse.h.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

const FUSE_OPEN: u32 = 14;
const FUSE_WRITE: u32 = 16;
const FUSE_RELEASE: u32 = 18;
const FUSE_FLUSH: u32 = 25;
const FUSE_INTERRUPT: u32 = 36;
const FUSE_IOCTL: u32 = 39;
const CUSE_INIT: u32 = 4_096;
const HEADER_BYTES: usize = 40;
const ANSWER_HEADER_BYTES: usize = 16;
/// The request of an ioctl without its data; the header of a write likewise.
const IOCTL_BYTES: usize = 32;
const WRITE_BYTES: usize = 40;
/// "Ask again, and bring the data at these addresses": how an ioctl that holds pointers is answered.
const RETRY: u32 = 1 << 2;
const UNRESTRICTED_IOCTL: u32 = 1;
const VERSION: [u32; 2] = [7, 31];
const LARGEST_BYTES: u32 = 4_096;
/// More than the kernel puts into one request of that size.
const BUFFER_BYTES: usize = 64 * 1_024;

/// An errno, as answers carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Errno(i32);

impl Errno {
    pub(super) const IO: Self = Self(-5);
    pub(super) const INVALID: Self = Self(-22);
    pub(super) const NO_SUCH_REQUEST: Self = Self(-25);
    pub(super) const NOT_IMPLEMENTED: Self = Self(-38);
}

/// Bytes in the memory of the program that asks: address and length.
pub(super) type Place = (u64, usize);

/// One character device. Letting go of it takes it away.
#[derive(Debug)]
pub(super) struct Cuse {
    file: File,
    buffer: Vec<u8>,
}

/// What a program wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The kernel wants to know what the device is.
    Init,
    Open,
    /// Flush and release.
    Close,
    Write(Vec<u8>),
    Ioctl(Ioctl),
    /// The program that asked is gone; nothing here takes long enough to care.
    Interrupt,
    /// Something that this device has not, or that is cut short.
    Other,
}

/// An ioctl. It comes once without data, and again with what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ioctl {
    pub(super) command: u32,
    pub(super) argument: u64,
    pub(super) data: Vec<u8>,
    /// So many bytes of the answer the kernel has room for.
    pub(super) room_bytes: u32,
}

impl Cuse {
    pub(super) fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/cuse")?;
        Ok(Self { file, buffer: vec![0; BUFFER_BYTES] })
    }

    /// Waits for the next request, and gives it with its number.
    pub(super) fn next(&mut self) -> io::Result<(u64, Asked)> {
        loop {
            match self.file.read(&mut self.buffer) {
                Ok(bytes) => {
                    let request = &self.buffer[..bytes];
                    let unique = u64_at(request, 8).ok_or(io::ErrorKind::UnexpectedEof)?;
                    return Ok((unique, asked(request).unwrap_or(Asked::Other)));
                }
                // Interrupted, or taken back before it was read.
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn answer(&mut self, unique: u64, answer: Result<Vec<u8>, Errno>) -> io::Result<()> {
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(Errno(error)) => (error, Vec::new()),
        };
        let mut bytes = length(ANSWER_HEADER_BYTES + body.len()).to_ne_bytes().to_vec();
        bytes.extend(error.to_ne_bytes());
        bytes.extend(unique.to_ne_bytes());
        bytes.extend(body);
        match self.file.write_all(&bytes) {
            // Nobody waits for it any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            written => written,
        }
    }
}

fn asked(request: &[u8]) -> Option<Asked> {
    let body = request.get(HEADER_BYTES..)?;
    Some(match u32_at(request, 4)? {
        CUSE_INIT => Asked::Init,
        FUSE_OPEN => Asked::Open,
        FUSE_RELEASE | FUSE_FLUSH => Asked::Close,
        FUSE_WRITE => Asked::Write(data_at(body, WRITE_BYTES, u32_at(body, 16)?)?),
        FUSE_IOCTL => Asked::Ioctl(Ioctl {
            command: u32_at(body, 12)?,
            argument: u64_at(body, 16)?,
            data: data_at(body, IOCTL_BYTES, u32_at(body, 24)?)?,
            room_bytes: u32_at(body, 28)?,
        }),
        FUSE_INTERRUPT => Asked::Interrupt,
        _ => Asked::Other,
    })
}

/// The answer to [`Asked::Init`]: a device of that name below `/dev`.
pub(super) fn device(name: &str) -> Vec<u8> {
    let [major, minor] = VERSION;
    let mut body = words(&[major, minor, 0, UNRESTRICTED_IOCTL, LARGEST_BYTES, LARGEST_BYTES, 0, 0]);
    body.extend([0; 40]);
    body.extend(format!("DEVNAME={name}\0").bytes());
    body
}

/// The answer to [`Asked::Open`].
pub(super) fn opened() -> Vec<u8> {
    vec![0; 16]
}

/// The answer to a write of which all was taken.
pub(super) fn written(bytes: usize) -> Vec<u8> {
    words(&[length(bytes), 0])
}

/// The answer to an ioctl that is done.
pub(super) fn done(result: usize, back: &[u8]) -> Vec<u8> {
    let mut body = words(&[length(result), 0, 0, 0]);
    body.extend(back);
    body
}

/// The answer to an ioctl that is to come again with the bytes at these places, and room for those at those.
pub(super) fn again(there: &[Place], back: &[Place]) -> Vec<u8> {
    let mut body = words(&[0, RETRY, length(there.len()), length(back.len())]);
    for (address, bytes) in there.iter().chain(back) {
        body.extend(address.to_ne_bytes());
        body.extend((*bytes as u64).to_ne_bytes());
    }
    body
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Nothing here is longer than the buffer.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn data_at(body: &[u8], at: usize, bytes: u32) -> Option<Vec<u8>> {
    Some(body.get(at..)?.get(..bytes as usize)?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request with this number, of which the header says nothing else.
    fn request(opcode: u32, body: &[u8]) -> Vec<u8> {
        let mut request = words(&[0, opcode, 7, 0, 0, 0, 0, 0, 0, 0]);
        request.extend(body);
        request
    }

    #[test]
    fn an_ioctl_is_read_with_its_data_and_one_that_is_cut_short_is_none() {
        let mut body = words(&[0, 0, 0, 0x4001_6b01, 0x1000, 0, 1, 0]);
        body.push(3);
        let whole = Ioctl { command: 0x4001_6b01, argument: 0x1000, data: vec![3], room_bytes: 0 };
        assert_eq!(asked(&request(FUSE_IOCTL, &body)), Some(Asked::Ioctl(whole)));
        for bytes in 0..body.len() {
            assert_eq!(asked(&request(FUSE_IOCTL, &body[..bytes])), None, "{bytes} bytes");
        }
    }

    #[test]
    fn a_write_is_as_long_as_it_says_and_no_longer() {
        let mut body = words(&[0, 0, 0, 0, 2, 0, 0, 0, 0, 0]);
        body.extend([1, 2, 3]);
        assert_eq!(asked(&request(FUSE_WRITE, &body)), Some(Asked::Write(vec![1, 2])));
        assert_eq!(asked(&request(FUSE_WRITE, &body[..41])), None);
    }

    #[test]
    fn places_are_told_with_their_number() {
        let body = again(&[(0x10, 1), (0x20, 2)], &[(0x30, 3)]);
        assert_eq!(body.len(), 16 + 3 * 16);
        assert_eq!([u32_at(&body, 4), u32_at(&body, 8), u32_at(&body, 12)], [Some(RETRY), Some(2), Some(1)]);
        assert_eq!([u64_at(&body, 48), u64_at(&body, 56)], [Some(0x30), Some(3)]);
    }
}
