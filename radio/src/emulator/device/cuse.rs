//! CUSE, the kernel's interface for character devices in user space.
//!
//! Requests are read from `/dev/cuse` and answers are written to it. Layouts and numbers: include/uapi/linux/fuse.h.

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
/// Size of an ioctl request without its data.
const IOCTL_BYTES: usize = 32;
/// Size of a write request without its data.
const WRITE_BYTES: usize = 40;
/// Flag of an answer that asks the kernel to repeat an ioctl with the data at given addresses. An ioctl that holds
/// pointers is answered with it.
const RETRY: u32 = 1 << 2;
const UNRESTRICTED_IOCTL: u32 = 1;
const VERSION: [u32; 2] = [7, 31];
const MAX_TRANSFER_BYTES: u32 = 4_096;
/// Size of the read buffer: more than the kernel puts into one request with such a transfer.
const BUFFER_BYTES: usize = 64 * 1_024;

/// A negative errno, as an answer carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errno(i32);

impl Errno {
    pub(super) const IO: Self = Self(-5);
    pub(super) const INVALID: Self = Self(-22);
    pub(super) const NO_SUCH_REQUEST: Self = Self(-25);
    pub(super) const NOT_IMPLEMENTED: Self = Self(-38);
}

/// Address and length of bytes in the memory of the calling program.
pub(super) type MemoryRange = (u64, usize);

/// One character device. Dropping it removes the device.
#[derive(Debug)]
pub(super) struct Cuse {
    file: File,
    buffer: Vec<u8>,
}

/// A request of the kernel or of a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The kernel asks for the device's name and limits.
    Init,
    Open,
    /// Flush or release.
    Close,
    Write(Vec<u8>),
    Ioctl(Ioctl),
    /// The calling program was interrupted. No answer takes long enough to be canceled.
    Interrupt,
    /// A request that is truncated, or that this device does not support.
    Other,
}

/// An ioctl. It comes once without data, and again with the data that the first answer asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ioctl {
    pub(super) command: u32,
    pub(super) argument: u64,
    pub(super) data: Vec<u8>,
    /// Number of bytes that the kernel accepts in the answer.
    pub(super) room_bytes: u32,
}

impl Cuse {
    pub(super) fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/cuse")?;
        Ok(Self { file, buffer: vec![0; BUFFER_BYTES] })
    }

    /// Waits for the next request and returns it with its number.
    pub(super) fn next(&mut self) -> io::Result<(u64, Request)> {
        loop {
            match self.file.read(&mut self.buffer) {
                Ok(bytes) => {
                    let request = &self.buffer[..bytes];
                    let unique = u64_at(request, 8).ok_or(io::ErrorKind::UnexpectedEof)?;
                    return Ok((unique, decode(request).unwrap_or(Request::Other)));
                }
                // The call was interrupted, or the request was withdrawn before it was read.
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
            // The caller no longer waits for the answer.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            written => written,
        }
    }
}

/// Decodes a request. Returns `None` if it is truncated.
fn decode(request: &[u8]) -> Option<Request> {
    let body = request.get(HEADER_BYTES..)?;
    Some(match u32_at(request, 4)? {
        CUSE_INIT => Request::Init,
        FUSE_OPEN => Request::Open,
        FUSE_RELEASE | FUSE_FLUSH => Request::Close,
        FUSE_WRITE => Request::Write(data_at(body, WRITE_BYTES, u32_at(body, 16)?)?),
        FUSE_IOCTL => Request::Ioctl(Ioctl {
            command: u32_at(body, 12)?,
            argument: u64_at(body, 16)?,
            data: data_at(body, IOCTL_BYTES, u32_at(body, 24)?)?,
            room_bytes: u32_at(body, 28)?,
        }),
        FUSE_INTERRUPT => Request::Interrupt,
        _ => Request::Other,
    })
}

/// Returns the answer to [`Request::Init`], which names the device below `/dev`.
pub(super) fn init_answer(name: &str) -> Vec<u8> {
    let [major, minor] = VERSION;
    let mut body = words(&[major, minor, 0, UNRESTRICTED_IOCTL, MAX_TRANSFER_BYTES, MAX_TRANSFER_BYTES, 0, 0]);
    body.extend([0; 40]);
    body.extend(format!("DEVNAME={name}\0").bytes());
    body
}

/// Returns the answer to [`Request::Open`].
pub(super) fn open_answer() -> Vec<u8> {
    vec![0; 16]
}

/// Returns the answer to a write whose bytes were all accepted.
pub(super) fn write_answer(bytes: usize) -> Vec<u8> {
    words(&[length(bytes), 0])
}

/// Returns the answer to a completed ioctl, with bytes for the caller's memory.
pub(super) fn ioctl_answer(result: usize, output: &[u8]) -> Vec<u8> {
    let mut body = words(&[length(result), 0, 0, 0]);
    body.extend(output);
    body
}

/// Returns the answer that asks for an ioctl again, with the bytes in `input` and room for the bytes in `output`.
pub(super) fn retry_answer(input: &[MemoryRange], output: &[MemoryRange]) -> Vec<u8> {
    let mut body = words(&[0, RETRY, length(input.len()), length(output.len())]);
    for (address, bytes) in input.iter().chain(output) {
        body.extend(address.to_ne_bytes());
        body.extend((*bytes as u64).to_ne_bytes());
    }
    body
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Converts a length, which never exceeds that of the buffer.
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

    /// Returns a request whose header holds nothing but the opcode and the number 7.
    fn request(opcode: u32, body: &[u8]) -> Vec<u8> {
        let mut request = words(&[0, opcode, 7, 0, 0, 0, 0, 0, 0, 0]);
        request.extend(body);
        request
    }

    #[test]
    fn ioctl_is_decoded_with_its_data_and_truncated_ones_are_not() {
        let mut body = words(&[0, 0, 0, 0x4001_6b01, 0x1000, 0, 1, 0]);
        body.push(3);
        let ioctl = Ioctl { command: 0x4001_6b01, argument: 0x1000, data: vec![3], room_bytes: 0 };
        assert_eq!(decode(&request(FUSE_IOCTL, &body)), Some(Request::Ioctl(ioctl)));
        for bytes in 0..body.len() {
            assert_eq!(decode(&request(FUSE_IOCTL, &body[..bytes])), None, "{bytes} bytes");
        }
    }

    #[test]
    fn write_is_as_long_as_its_header_says() {
        let mut body = words(&[0, 0, 0, 0, 2, 0, 0, 0, 0, 0]);
        body.extend([1, 2, 3]);
        assert_eq!(decode(&request(FUSE_WRITE, &body)), Some(Request::Write(vec![1, 2])));
        assert_eq!(decode(&request(FUSE_WRITE, &body[..41])), None);
    }

    #[test]
    fn retry_lists_each_range_and_their_number() {
        let body = retry_answer(&[(0x10, 1), (0x20, 2)], &[(0x30, 3)]);
        assert_eq!(body.len(), 16 + 3 * 16);
        assert_eq!([u32_at(&body, 4), u32_at(&body, 8), u32_at(&body, 12)], [Some(RETRY), Some(2), Some(1)]);
        assert_eq!([u64_at(&body, 48), u64_at(&body, 56)], [Some(0x30), Some(3)]);
    }
}
