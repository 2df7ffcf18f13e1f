//! The image of a slot as zstd frames: one frame per chunk, as [`seal`](super::seal) writes them, or any other frames.

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::{self, Read};

/// Bytes of the image in one frame. The encoder keeps a frame in memory, and the decoder its window.
pub const FRAME_BYTES: usize = 1024 * 1024;

/// Maximum window of a frame. `zstd -19` makes windows of this size; a larger one could use up the memory of a small board.
const MAX_WINDOW_BYTES: u64 = 8 * 1024 * 1024;

/// Compresses a chunk of the image into a frame.
///
/// Most of the image is compressed already, so the fast level is enough: it is there for the free space.
pub fn compress(chunk: &[u8]) -> Vec<u8> {
    compress_to_vec(chunk, CompressionLevel::Fastest)
}

/// Decompresses frames, one after the other.
pub struct FrameReader<R> {
    source: R,
    decoder: FrameDecoder,
}

impl<R: Read> FrameReader<R> {
    /// Creates a reader of the frames in `source`.
    pub fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW_BYTES);
        Self { source, decoder }
    }

    /// Returns the compressed bytes after the frames that were read.
    pub fn into_source(self) -> R {
        self.source
    }
}

impl<R: Read> Read for FrameReader<R> {
    /// Reads the next bytes. Fails at the end of the source: the caller knows the size of the image.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 {
            if self.decoder.is_finished() {
                self.decoder.reset(&mut self.source).map_err(io::Error::other)?;
            }
            self.decoder
                .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(io::Error::other)?;
        }
        self.decoder.read(buffer)
    }
}
