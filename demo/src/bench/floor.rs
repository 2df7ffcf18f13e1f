//! What the machine can do: the ruler for everything else.

use super::{Samples, timed};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// Appends of 4 KiB, each followed by fdatasync: nothing can be durable faster on this disk.
pub fn fdatasync(directory: &Path, count: usize) -> io::Result<Samples> {
    let path = directory.join("floor");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let block = [0x5a; 4096];
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let (result, took) = timed(|| file.write_all(&block).and_then(|()| file.sync_data()));
        result?;
        samples.push(took);
    }
    std::fs::remove_file(path)?;
    Ok(Samples::new(samples))
}
