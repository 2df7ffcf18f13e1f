//! The state directory, and what is noted in it from run to run.

use super::{Failure, Options};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Seeds that are equal modulo this give payloads that are equal: see [`radio::simulated::Traffic::seed`].
pub(super) const SEEDS: u64 = 100_000;
/// The ports that are tried first.
const BARN_PORT: u16 = 5001;
const OFFICE_PORT: u16 = 5000;
/// Barns and offices keep secrets below it.
const OWNER_ONLY: u32 = 0o700;

/// What is noted from run to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notes {
    /// Seeds of the runs, modulo [`SEEDS`].
    seeds: Vec<u64>,
    /// Where the barn listens, as the office was told when the two were paired.
    barn_port: Option<u16>,
    office_port: Option<u16>,
}

/// Where a demo keeps its files.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Removed when the demo has gone well.
    temporary: Option<TempDir>,
    notes: Notes,
    /// Of this run.
    pub(super) seed: u64,
}

impl Place {
    /// Finds or makes the directory, and notes the run that begins.
    pub(super) fn begin(options: &Options) -> Result<Self, Failure> {
        let system = |source| Failure::System { doing: "making the state directory", source };
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
        let mut place = Self { path, temporary, notes, seed };
        place.notes.seeds.push(seed % SEEDS);
        place.write_notes()?;
        Ok(place)
    }

    /// Which run in this directory this is, from 1.
    pub(super) fn run(&self) -> usize {
        self.notes.seeds.len()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The generator's list of this run.
    pub(super) fn ledger(&self) -> PathBuf {
        self.path.join(format!("heard-{}", self.run()))
    }

    /// Where barn and office listened the last time, or usually do.
    pub(super) fn ports(&self) -> (u16, u16) {
        (self.notes.barn_port.unwrap_or(BARN_PORT), self.notes.office_port.unwrap_or(OFFICE_PORT))
    }

    /// Whether the office was told where the barn listens now.
    pub(super) fn is_paired_with(&self, barn_port: u16) -> bool {
        self.notes.barn_port == Some(barn_port)
    }

    /// They listen there now, and the office was told.
    pub(super) fn note_paired(&mut self, barn_port: u16, office_port: u16) -> Result<(), Failure> {
        (self.notes.barn_port, self.notes.office_port) = (Some(barn_port), Some(office_port));
        self.write_notes()
    }

    /// Keeps the directory, even a temporary one, as somebody is going to look into it.
    pub(super) fn keep(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            self.path = temporary.keep();
        }
    }

    fn write_notes(&self) -> Result<(), Failure> {
        let path = notes_file(&self.path);
        let text = serde_json::to_vec_pretty(&self.notes).map_err(std::io::Error::other);
        let beside = path.with_extension("new");
        let written = text.and_then(|text| fs::write(&beside, text)).and_then(|()| fs::rename(&beside, &path));
        written.map_err(|source| Failure::File { doing: "writing", path, source })
    }
}

fn notes_file(state_dir: &Path) -> PathBuf {
    state_dir.join("demo.json")
}

impl Notes {
    fn read(path: &Path) -> Result<Self, Failure> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| Failure::Notes { path: path.into(), why: error.to_string() }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Failure::File { doing: "reading", path: path.into(), source }),
        }
    }

    /// The seed that was asked for, or one that no run had: their number, from 1, and up.
    fn next_seed(&self, asked: Option<u64>, place: &Path) -> Result<u64, Failure> {
        let used = |seed: &u64| self.seeds.contains(&(seed % SEEDS));
        match asked {
            Some(seed) if used(&seed) => Err(Failure::SeedUsed { seed, modulo: SEEDS, place: place.into() }),
            Some(seed) => Ok(seed),
            None => {
                let from = self.seeds.len() as u64 + 1;
                let free = (from..from + SEEDS).find(|seed| !used(seed));
                free.ok_or_else(|| Failure::SeedUsed { seed: from, modulo: SEEDS, place: place.into() })
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
    fn runs_in_one_place_have_different_seeds() {
        let directory = tempfile::tempdir().unwrap();
        let begin = |seed| Place::begin(&options(Some(directory.path()), seed));
        let first = begin(Some(2)).unwrap();
        let second = begin(None).unwrap();
        assert_eq!((first.run(), second.run(), first.seed), (1, 2, 2));
        assert_ne!(second.seed % SEEDS, first.seed % SEEDS);
        assert!(matches!(begin(Some(SEEDS + 2)), Err(Failure::SeedUsed { .. })));
        assert_ne!(first.ledger(), second.ledger());
    }

    #[test]
    fn a_pairing_holds_as_long_as_the_barn_has_its_port() {
        let directory = tempfile::tempdir().unwrap();
        let begin = || Place::begin(&options(Some(directory.path()), None)).unwrap();
        let mut place = begin();
        assert_eq!(place.ports(), (BARN_PORT, OFFICE_PORT));
        assert!(!place.is_paired_with(BARN_PORT));
        place.note_paired(7, 8).unwrap();
        let again = begin();
        assert_eq!(again.ports(), (7, 8));
        assert!(again.is_paired_with(7) && !again.is_paired_with(9));
    }

    #[test]
    fn a_temporary_place_is_removed_unless_it_is_kept() {
        let mut place = Place::begin(&options(None, None)).unwrap();
        let (path, other) = (place.path().to_owned(), Place::begin(&options(None, None)).unwrap());
        let removed = other.path().to_owned();
        place.keep();
        drop((place, other));
        assert!(path.exists() && !removed.exists());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn notes_that_do_not_read_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(notes_file(directory.path()), "{\"seeds\": 3}").unwrap();
        let refused = Place::begin(&options(Some(directory.path()), None));
        assert!(matches!(refused, Err(Failure::Notes { .. })));
    }
}
