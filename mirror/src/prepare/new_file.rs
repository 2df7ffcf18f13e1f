//! A file that is opened before, and written after, the office remembers its code.

use std::fs::{File, OpenOptions, Permissions, remove_file};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Mode of the file: it holds a code, and may hold the password of a network.
const OWNER_ONLY: u32 = 0o600;

/// An open file without its content.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    path: PathBuf,
    is_created: bool,
}

/// Reason why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum NewFileError {
    /// The file exists.
    #[error("{} exists, and may hold the code of another barn: choose another --out, or add --overwrite", .0.display())]
    Exists(PathBuf),
    /// The operating system refused.
    #[error("cannot write {}: {source}; choose another place with --out", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl NewFile {
    /// Opens a file, which must not exist unless `overwrite` is true. Its content is left alone.
    pub fn open(path: &Path, overwrite: bool) -> Result<Self, NewFileError> {
        let failed = |source: io::Error| NewFileError::Write { path: path.into(), source };
        let mut options = OpenOptions::new();
        options.write(true).mode(OWNER_ONLY);
        let (file, is_created) = match options.clone().create_new(true).open(path) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !overwrite => {
                return Err(NewFileError::Exists(path.into()));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (options.open(path).map_err(failed)?, false),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o777 != OWNER_ONLY
            && let Err(error) = file.set_permissions(Permissions::from_mode(OWNER_ONLY))
        {
            // The boot partition of a card has no modes. Whoever holds the card can read it anyway.
            tracing::debug!(%error, path = %path.display(), "cannot restrict the file to its owner");
        }
        Ok(Self { file, path: path.into(), is_created })
    }

    /// Writes the content, and syncs it: the card may be pulled out next.
    pub fn write(mut self, text: &str) -> Result<(), NewFileError> {
        let written = self.file.set_len(0).and_then(|()| self.file.write_all(text.as_bytes()));
        let written = written.and_then(|()| self.file.sync_all());
        written.map_err(|source| NewFileError::Write { path: self.path.clone(), source })
    }

    /// Gives the file up. One that did not exist before is removed.
    pub fn give_up(self) {
        if self.is_created
            && let Err(error) = remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "an empty file is left behind: delete it");
        }
    }
}
