//! A log file that rotates by size: `NAME` is the current file, `NAME.1` the previous one, and so on.
//!
//! - The oldest file is deleted, so that the log never fills a card.
//! - A write waits for the disk, and no line is dropped to be faster. An operator who asks for a file wants all of it.
//! - If no new file can be created, the full one grows: a long file is better than a lost line.
//! - After [`reopen_log_file`] the next line goes to the file that has the name then, as `logrotate` expects it.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Maximum size of a file, in bytes.
pub const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Maximum number of files, including the current one: 32 MiB together.
pub const MAX_FILES: u32 = 4;
/// Mode of a file: readable by owner and group only, because it names lots and animals. The umask may narrow it.
const FILE_MODE: u32 = 0o640;

/// Number of calls of [`reopen_log_file`].
static REOPENINGS: AtomicU64 = AtomicU64::new(0);

/// Has the log file opened again before the next line. A file that cannot be opened stays as it is.
pub fn reopen_log_file() {
    REOPENINGS.fetch_add(1, Ordering::Relaxed);
}

/// Description of the paths that [`is_log_file`] allows, for error messages.
pub const LOG_FILE_RULE: &str = "the absolute path of a file";

/// Returns true if `path` can name a log file: it means the same file wherever the process is started.
pub fn is_log_file(path: &Path) -> bool {
    let ends_as_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    path.is_absolute() && path.file_name().is_some() && !ends_as_directory
}

/// The current file and its size.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
    /// Value of [`REOPENINGS`] when the file was opened.
    opened_at: u64,
}

impl RotatingFile {
    /// Opens the file at `path` for appending, or creates it in an existing directory.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, MAX_FILE_BYTES)
    }

    fn with_limit(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let opened_at = REOPENINGS.load(Ordering::Relaxed);
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.into(), file, bytes, max_bytes, opened_at })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 { self.path.clone() } else { self.with_suffix(&number.to_string()) }
    }

    fn with_suffix(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{suffix}"));
        name.into()
    }

    /// Renames each file to the next older number, which overwrites the oldest, and starts a new one.
    ///
    /// The new file is created first. If that fails, nothing has been renamed and the full file stays in use.
    fn rotate(&mut self) -> io::Result<()> {
        let new = self.with_suffix("new");
        let file = append_to(&new)?;
        for number in (0..MAX_FILES - 1).rev() {
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
    OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)
}

impl Write for RotatingFile {
    /// Writes one line. The caller passes whole lines, and a line is never split across two files.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.opened_at != REOPENINGS.load(Ordering::Relaxed)
            && let Ok(reopened) = Self::with_limit(&self.path, self.max_bytes)
        {
            *self = reopened;
        }
        // If the rotation fails, the file grows: a long file is better than a lost line.
        if self.bytes > 0 && self.bytes.saturating_add(line.len() as u64) > self.max_bytes {
            self.rotate().ok();
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
    use tokio::sync::Mutex;

    fn line(n: usize) -> String {
        format!("line {n:04}\n")
    }

    /// Returns the content of all files, from the oldest to the newest.
    fn read_all(log: &RotatingFile) -> String {
        (0..MAX_FILES).rev().filter_map(|number| read_to_string(log.numbered(number)).ok()).collect()
    }

    /// Catches a line that is lost or torn between one file and the next, also across a restart.
    #[test]
    fn no_line_is_lost_before_its_file_is_the_oldest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for n in 0..35 {
            // Reopened for each line, like a process that restarts.
            let mut log = RotatingFile::with_limit(&path, 100).unwrap();
            log.write_all(line(n).as_bytes()).unwrap();
        }
        let log = RotatingFile::with_limit(&path, 100).unwrap();
        assert_eq!(read_all(&log), (0..35).map(line).collect::<String>());
        assert_eq!(read_to_string(log.numbered(1)).unwrap(), (20..30).map(line).collect::<String>());
    }

    /// Catches a path that means another file after a start elsewhere, or no file.
    #[test]
    fn a_log_file_has_an_absolute_path_and_a_name() {
        assert!(is_log_file(Path::new("/var/log/barn.log")));
        for path in ["", "barn.log", "./barn.log", "/", "/var/log/", "/var/log/.."] {
            assert!(!is_log_file(Path::new(path)), "{path}");
        }
    }

    /// Has one test at a time reopen log files: a request is for all of a process.
    static REOPENING: Mutex<()> = Mutex::const_new(());

    /// Catches a process that SIGHUP ends, and one whose log goes on in the file that `logrotate` moved away.
    #[tokio::test]
    async fn sighup_has_the_log_go_on_in_the_file_of_its_name() {
        let _alone = REOPENING.lock().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = RotatingFile::with_limit(&path, 100_000).unwrap();
        crate::lifecycle::reopen_log_on_hangup().unwrap();
        for _ in 0..2 {
            rename(&path, directory.path().join("moved")).unwrap();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
            let is_reopened = async || {
                log.write_all(b"line\n").unwrap();
                path.exists().then_some(())
            };
            crate::harness::wait_until("a file of its name", is_reopened).await.unwrap();
        }
    }

    /// Catches a log that goes on in a file that was moved away.
    #[test]
    fn a_reopened_log_goes_on_in_the_file_of_its_name() {
        let _alone = REOPENING.blocking_lock();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = RotatingFile::with_limit(&path, 100).unwrap();
        log.write_all(b"before\n").unwrap();
        let moved = directory.path().join("moved");
        rename(&path, &moved).unwrap();
        log.write_all(b"between\n").unwrap();
        reopen_log_file();
        log.write_all(b"after\n").unwrap();
        assert_eq!(read_to_string(&moved).unwrap(), "before\nbetween\n");
        assert_eq!(read_to_string(&path).unwrap(), "after\n");
    }

    /// Catches a log that fills the card.
    #[test]
    fn number_and_size_of_the_files_are_limited() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatingFile::with_limit(&directory.path().join("log"), 100).unwrap();
        for n in 0..1_000 {
            log.write_all(line(n).as_bytes()).unwrap();
            let files: Vec<_> = read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()).collect();
            assert!(files.len() <= MAX_FILES as usize, "{files:?}");
            assert!(files.iter().all(|file| metadata(file).unwrap().len() <= 100));
        }
        assert!(read_all(&log).ends_with(&line(999)));
    }

    /// Catches files that overwrite each other while no new file can be created.
    #[test]
    fn the_full_file_grows_while_no_new_one_can_be_created() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatingFile::with_limit(&directory.path().join("log"), 100).unwrap();
        let obstacle = log.with_suffix("new");
        std::fs::create_dir(&obstacle).unwrap();
        for n in 0..25 {
            log.write_all(line(n).as_bytes()).unwrap();
        }
        assert_eq!(read_to_string(log.numbered(0)).unwrap(), (0..25).map(line).collect::<String>());
        std::fs::remove_dir(obstacle).unwrap();
        log.write_all(line(25).as_bytes()).unwrap();
        assert_eq!(read_to_string(log.numbered(0)).unwrap(), line(25));
        assert_eq!(read_all(&log), (0..26).map(line).collect::<String>());
    }

    /// Catches lines that are overwritten because an older file could not be moved out of their way.
    #[test]
    fn the_full_file_grows_while_an_older_one_cannot_be_renamed() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatingFile::with_limit(&directory.path().join("log"), 100).unwrap();
        std::fs::create_dir_all(log.numbered(3).join("full")).unwrap();
        for n in 0..45 {
            log.write_all(line(n).as_bytes()).unwrap();
        }
        assert_eq!(read_all(&log), (0..45).map(line).collect::<String>());
        assert_eq!(read_to_string(log.numbered(0)).unwrap(), (20..45).map(line).collect::<String>());
    }

    /// Catches a long line that is cut, or that no file ever accepts.
    #[test]
    fn a_line_over_the_limit_is_written_whole_to_its_own_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatingFile::with_limit(&directory.path().join("log"), 100).unwrap();
        let oversized = "x".repeat(1_000);
        for text in ["short\n", &oversized, "short\n"] {
            log.write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(read_to_string(log.numbered(1)).unwrap(), oversized);
        let mut log = RotatingFile::with_limit(&directory.path().join("other"), 100).unwrap();
        log.write_all(oversized.as_bytes()).unwrap();
        assert!(!log.numbered(1).exists(), "an empty file is not set aside");
    }
}
