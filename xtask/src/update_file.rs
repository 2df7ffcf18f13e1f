//! Update files of a card, and the key that signs them. The format is that of `daemon/src/update/`.

use daemon::update::keys::{KeyFileError, SigningKey};
use daemon::update::manifest::Manifest;
use daemon::update::seal::{SealError, seal};
use semver::Version;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask update-key`.
#[derive(Debug, clap::Args)]
pub struct UpdateKeyArgs {
    /// New file for the private key; an existing one is not replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// New file for the public key, which a card has as /usr/share/herdlinx/update.pub
    #[arg(long, value_name = "FILE")]
    public: PathBuf,
}

/// Arguments of `cargo xtask update-file`.
#[derive(Debug, clap::Args)]
pub struct UpdateFileArgs {
    /// Image of the slot
    #[arg(long, value_name = "FILE")]
    slot: PathBuf,
    /// Private key that signs the update
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Version of the root, such as 0.2.0
    #[arg(long)]
    version: Version,
    /// Commit that the root was built from
    #[arg(long)]
    commit: String,
    /// The update file; an existing one is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Reason why an update file or a key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum UpdateFileError {
    /// The key could not be made or read.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A file could not be opened or created.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The update file could not be made.
    #[error("{}: {source}", path.display())]
    Seal {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: SealError,
    },
}

/// Makes a pair of keys. Only the owner can read the private one.
pub fn make_key(args: &UpdateKeyArgs) -> Result<(), UpdateFileError> {
    let pem = SigningKey::generate()?;
    write_new(&args.out, 0o600, &pem)?;
    let public = SigningKey::load(&args.out)?.public_line();
    write_new(&args.public, 0o644, &format!("# Updates that are signed with this key are installed.\n{public}"))
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), UpdateFileError> {
    let file = File::options().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| UpdateFileError::Open { path: path.into(), source })
}

/// Makes an update file, and returns its manifest.
pub fn make_file(args: &UpdateFileArgs) -> Result<Manifest, UpdateFileError> {
    let open = |path: &PathBuf, file: io::Result<File>| {
        file.map_err(|source| UpdateFileError::Open { path: path.clone(), source })
    };
    let key = SigningKey::load(&args.key)?;
    let mut image = open(&args.slot, File::open(&args.slot))?;
    let mut out = BufWriter::new(open(&args.out, File::create(&args.out))?);
    let sealed = seal(&mut image, args.version.clone(), args.commit.clone(), &key, &mut out);
    sealed.map_err(|source| UpdateFileError::Seal { path: args.out.clone(), source })
}
