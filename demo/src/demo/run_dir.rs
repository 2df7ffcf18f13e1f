//! The state directory of the demo, and the notes in it about earlier runs.

use super::{DemoError, Options};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Number of distinct seeds. Seeds that are equal modulo this number give equal payloads: see
/// [`radio::simulated::Traffic::seed`].
pub(super) const SEEDS: u64 = 100_000;
/// Port of the barn in the first run, if it is free.
const BARN_PORT: u16 = 5001;
/// Port of the office in the first run, if it is free.
const OFFICE_PORT: u16 = 5000;
/// Mode of the directory. Barn and office keep secrets below it.
const OWNER_ONLY: u32 = 0o700;

/// Notes about the runs in a state directory, kept in `demo.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notes {
    /// Seeds of the runs, modulo [`SEEDS`].
    seeds: Vec<u64>,
    /// Port of the barn at the latest pairing, which is the one that the office knows.
    barn_port: Option<u16>,
    office_port: Option<u16>,
}

/// The state directory and the run that uses it.
#[derive(Debug)]
pub(super) struct RunDir {
    path: PathBuf,
    /// Removed at the end of a run that went well.
    temporary: Option<TempDir>,
    notes: Notes,
    /// Seed of this run.
    pub(super) seed: u64,
}

impl RunDir {
    /// Opens or creates the directory, and notes the run that begins.
    pub(super) fn open(options: &Options) -> Result<Self, DemoError> {
        let system = |source| DemoError::System { action: "create the state directory", source };
        let temporary = match &options.state {
            Some(path) => {
                DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(path).map_err(system)?;
                None
            }
            None => Some(tempfile::Builder::new().prefix("herdlinx-demo-").tempdir().map_err(system)?),
        };
        let path = options.state.as_deref().or(temporary.as_ref().map(TempDir::path)).unwrap_or(Path::new("."));
        let path = path.canonicalize().map_err(system)?;
        let notes = Notes::read(&notes_file(&path))?;
        let seed = notes.next_seed(options.seed, &path)?;
        let mut run_dir = Self { path, temporary, notes, seed };
        run_dir.notes.seeds.push(seed % SEEDS);
        run_dir.write_notes()?;
        Ok(run_dir)
    }

    /// Returns the number of this run in the directory, counted from 1.
    pub(super) fn run(&self) -> usize {
        self.notes.seeds.len()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the ledger of this run.
    pub(super) fn ledger(&self) -> PathBuf {
        self.path.join(format!("heard-{}", self.run()))
    }

    /// Returns the ports of barn and office in the latest run, or the defaults.
    pub(super) fn ports(&self) -> (u16, u16) {
        (self.notes.barn_port.unwrap_or(BARN_PORT), self.notes.office_port.unwrap_or(OFFICE_PORT))
    }

    /// Returns true if the office knows the barn at this port.
    pub(super) fn is_paired_with(&self, barn_port: u16) -> bool {
        self.notes.barn_port == Some(barn_port)
    }

    /// Notes the ports of barn and office after a pairing.
    pub(super) fn note_pairing(&mut self, barn_port: u16, office_port: u16) -> Result<(), DemoError> {
        (self.notes.barn_port, self.notes.office_port) = (Some(barn_port), Some(office_port));
        self.write_notes()
    }

    /// Keeps a temporary directory, so that somebody can look for the cause of a fault.
    pub(super) fn keep(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            self.path = temporary.keep();
        }
    }

    fn write_notes(&self) -> Result<(), DemoError> {
        let path = notes_file(&self.path);
        let text = serde_json::to_vec_pretty(&self.notes).map_err(std::io::Error::other);
        let new = path.with_extension("new");
        let written = text.and_then(|text| fs::write(&new, text)).and_then(|()| fs::rename(&new, &path));
        written.map_err(|source| DemoError::File { action: "write", path, source })
    }
}

fn notes_file(state_dir: &Path) -> PathBuf {
    state_dir.join("demo.json")
}

impl Notes {
    fn read(path: &Path) -> Result<Self, DemoError> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| DemoError::Notes { path: path.into(), reason: error.to_string() }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(DemoError::File { action: "read", path: path.into(), source }),
        }
    }

    /// Returns the requested seed, or without one the first from the number of this run upwards that no run has used.
    fn next_seed(&self, requested: Option<u64>, run_dir: &Path) -> Result<u64, DemoError> {
        let is_used = |seed: &u64| self.seeds.contains(&(seed % SEEDS));
        let used = |seed| DemoError::SeedUsed { seed, modulo: SEEDS, run_dir: run_dir.into() };
        match requested {
            Some(seed) if is_used(&seed) => Err(used(seed)),
            Some(seed) => Ok(seed),
            None => {
                let first = self.seeds.len() as u64 + 1;
                (first..first + SEEDS).find(|seed| !is_used(seed)).ok_or_else(|| used(first))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(state: Option<&Path>, seed: Option<u64>) -> Options {
        Options { state: state.map(Path::to_path_buf), seed, ..Options::default() }
    }

    #[test]
    fn runs_in_one_directory_have_different_seeds() {
        let directory = tempfile::tempdir().unwrap();
        let open = |seed| RunDir::open(&options(Some(directory.path()), seed));
        let first = open(Some(2)).unwrap();
        let second = open(None).unwrap();
        assert_eq!((first.run(), second.run(), first.seed), (1, 2, 2));
        assert_ne!(second.seed % SEEDS, first.seed % SEEDS);
        assert!(matches!(open(Some(SEEDS + 2)), Err(DemoError::SeedUsed { .. })));
        assert_ne!(first.ledger(), second.ledger());
    }

    #[test]
    fn a_pairing_is_valid_while_the_barn_keeps_its_port() {
        let directory = tempfile::tempdir().unwrap();
        let open = || RunDir::open(&options(Some(directory.path()), None)).unwrap();
        let mut run_dir = open();
        assert_eq!(run_dir.ports(), (BARN_PORT, OFFICE_PORT));
        assert!(!run_dir.is_paired_with(BARN_PORT));
        run_dir.note_pairing(7, 8).unwrap();
        let next = open();
        assert_eq!(next.ports(), (7, 8));
        assert!(next.is_paired_with(7) && !next.is_paired_with(9));
    }

    #[test]
    fn a_temporary_directory_is_removed_unless_it_is_kept() {
        let mut kept = RunDir::open(&options(None, None)).unwrap();
        let removed = RunDir::open(&options(None, None)).unwrap();
        let (kept_path, removed_path) = (kept.path().to_owned(), removed.path().to_owned());
        kept.keep();
        drop((kept, removed));
        assert!(kept_path.exists() && !removed_path.exists());
        fs::remove_dir_all(kept_path).unwrap();
    }

    #[test]
    fn malformed_notes_are_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(notes_file(directory.path()), "{\"seeds\": 3}").unwrap();
        let opened = RunDir::open(&options(Some(directory.path()), None));
        assert!(matches!(opened, Err(DemoError::Notes { .. })));
    }
}
