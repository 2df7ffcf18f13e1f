//! A log file of bounded size.
//!
//! Whoever asks for a file wants all of it: each line is written before its event is over, and nothing is dropped to
//! be fast. What is old goes, so that a card is never filled: `NAME` is written, `NAME.1` is the one before, and so on.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// So long a file grows.
pub const FILE_BYTES: u64 = 8 * 1024 * 1024;
/// So many are kept, the one that is written among them: 32 MiB together.
pub const FILES_KEPT: u32 = 4;
/// Names of lots and animals stand in it. A narrower umask narrows it further.
const OWNER_AND_GROUP: u32 = 0o640;

/// What [`is_log_file`] allows, for people.
pub const LOG_FILES: &str = "the path of a file, from the root on";

/// Whether a log file may be named so: a path that means the same wherever the process was started.
pub fn is_log_file(path: &Path) -> bool {
    let ends_as_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    path.is_absolute() && path.file_name().is_some() && !ends_as_directory
}

/// The file that is written.
#[derive(Debug)]
pub(super) struct RotatedFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    longest_bytes: u64,
}

impl RotatedFile {
    /// Goes on with the file at this path, or makes it; its directory must be there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::with_bound(path, FILE_BYTES)
    }

    fn with_bound(path: &Path, longest_bytes: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.into(), file, bytes, longest_bytes })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 { self.path.clone() } else { self.beside(&number.to_string()) }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{ending}"));
        name.into()
    }

    /// Each file becomes the next older one, over the oldest, and a new one begins. The new one is made first: where
    /// that fails nothing has moved, and the full one goes on.
    fn roll(&mut self) -> io::Result<()> {
        let new = self.beside("new");
        let file = append_to(&new)?;
        for number in (0..FILES_KEPT - 1).rev() {
            match rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        rename(&new, &self.path)?;
        self.file = file;
        self.bytes = 0;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(OWNER_AND_GROUP).open(path)
}

impl Write for RotatedFile {
    /// Lines come whole, and are not parted by a new file.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A file that cannot be parted grows: better a long one than a line that is lost.
        if self.bytes > 0 && self.bytes.saturating_add(line.len() as u64) > self.longest_bytes {
            self.roll().ok();
        }
        let written = self.file.write(line)?;
        self.bytes = self.bytes.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{metadata, read_dir, read_to_string};

    fn line(n: usize) -> String {
        format!("line {n:04}\n")
    }

    /// From the oldest to the newest.
    fn all_of(log: &RotatedFile) -> String {
        (0..FILES_KEPT).rev().filter_map(|number| read_to_string(log.numbered(number)).ok()).collect()
    }

    /// Catches a line that is lost or torn where one file ends and the next begins, also over a restart.
    #[test]
    fn no_line_is_lost_while_the_files_hold_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for n in 0..35 {
            // Each line is written by a process of its own, as it were.
            let mut log = RotatedFile::with_bound(&path, 100).unwrap();
            log.write_all(line(n).as_bytes()).unwrap();
        }
        let log = RotatedFile::with_bound(&path, 100).unwrap();
        assert_eq!(all_of(&log), (0..35).map(line).collect::<String>());
        assert_eq!(read_to_string(log.numbered(1)).unwrap(), (20..30).map(line).collect::<String>());
    }

    #[test]
    fn the_files_together_never_hold_more_than_their_bound() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatedFile::with_bound(&directory.path().join("log"), 100).unwrap();
        for n in 0..1_000 {
            log.write_all(line(n).as_bytes()).unwrap();
            let files: Vec<_> = read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()).collect();
            assert!(files.len() <= FILES_KEPT as usize, "{files:?}");
            assert!(files.iter().all(|file| metadata(file).unwrap().len() <= 100));
        }
        assert!(all_of(&log).ends_with(&line(999)));
    }

    /// Catches files that are moved over each other by lines for which no new file can be made.
    #[test]
    fn where_no_new_file_can_be_made_the_old_one_goes_on_and_no_line_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatedFile::with_bound(&directory.path().join("log"), 100).unwrap();
        let in_the_way = log.beside("new");
        std::fs::create_dir(&in_the_way).unwrap();
        for n in 0..25 {
            log.write_all(line(n).as_bytes()).unwrap();
        }
        assert_eq!(read_to_string(log.numbered(0)).unwrap(), (0..25).map(line).collect::<String>());
        std::fs::remove_dir(in_the_way).unwrap();
        log.write_all(line(25).as_bytes()).unwrap();
        assert_eq!(read_to_string(log.numbered(0)).unwrap(), line(25));
        assert_eq!(all_of(&log), (0..26).map(line).collect::<String>());
    }

    #[test]
    fn a_line_above_the_bound_is_kept_whole_in_a_file_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatedFile::with_bound(&directory.path().join("log"), 100).unwrap();
        let endless = "x".repeat(1_000);
        for text in ["short\n", &endless, "short\n"] {
            log.write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(read_to_string(log.numbered(1)).unwrap(), endless);
    }
}
