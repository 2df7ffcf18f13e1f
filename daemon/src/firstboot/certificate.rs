//! The administrator's own certificate: two files in the card's credential store.
//!
//! systemd passes them to the daemon, by `LoadCredential=` in its unit. This module decides whether the daemon's settings
//! name them.
//!
//! # Decisions
//!
//! - **Two files and no setting.** `/etc` is read-only, and `herdlinx.toml` can be read by everybody who holds the card:
//!   no place for a private key. So both files go where the unit looks for them, and firstboot writes `[tls]`.
//! - **A pair that cannot be used leaves the barn with the certificate that it made.** With `[tls]`, the daemon would
//!   refuse to start, and the barn would record nothing until somebody comes. The mistake is in the result and in the
//!   log of the unit. An office that pinned the other key connects no more, so it shows there too. Nothing gets weaker.
//! - **The pair is judged by the daemon's own code**, so what is taken here is taken there.

use super::Places;
use service::door::certificate::{Identity, IdentityFiles};
use service::process::TLS_DIRECTORY;
use std::path::PathBuf;
use toml::Table;

/// Directory of the two files, below the applied settings. `/etc/credstore` links to it.
const CREDENTIAL_STORE: &str = "credstore";
/// Names of the files, as the daemon's unit has them.
const CERTIFICATE_FILE: &str = "herdlinxd.tls.certificate";
const KEY_FILE: &str = "herdlinxd.tls.key";
/// Directory in which the running daemon finds them.
const CREDENTIALS: &str = "/run/credentials/herdlinxd.service";

/// The administrator's own certificate, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OwnCertificate {
    /// There are no files.
    Absent,
    /// The pair in these files is in use.
    Usable(IdentityFiles),
    /// The files cannot be used, for this reason.
    Refused(String),
}

impl OwnCertificate {
    pub(super) fn find(places: &Places) -> Self {
        let directory = places.settings().join(CREDENTIAL_STORE);
        let files = IdentityFiles { certificate: directory.join(CERTIFICATE_FILE), key: directory.join(KEY_FILE) };
        let missing = |missing: &str, found: &str| {
            Self::Refused(format!("there is {found}, but not {missing}: add it, or remove the other one"))
        };
        match (files.certificate.exists(), files.key.exists()) {
            (false, false) => Self::Absent,
            (true, false) => missing(KEY_FILE, CERTIFICATE_FILE),
            (false, true) => missing(CERTIFICATE_FILE, KEY_FILE),
            (true, true) => match Identity::load(files.clone()) {
                Ok(_) => Self::Usable(files),
                Err(error) => Self::Refused(error.to_string()),
            },
        }
    }

    /// Returns the daemon's `[tls]` section, with the paths that the running daemon sees.
    pub(super) fn settings(&self) -> Option<Table> {
        let Self::Usable(_) = self else { return None };
        let path = |name: &str| format!("{CREDENTIALS}/{name}").into();
        let certificate = ("certificate".to_owned(), path("tls.certificate"));
        Some([certificate, ("key".to_owned(), path("tls.key"))].into_iter().collect())
    }

    /// Returns the file with the certificate that the barn shows.
    pub(super) fn certificate_in_use(&self, places: &Places) -> PathBuf {
        match self {
            Self::Usable(files) => files.certificate.clone(),
            Self::Absent | Self::Refused(_) => {
                IdentityFiles::in_directory(&places.state().join(TLS_DIRECTORY)).certificate
            }
        }
    }

    /// Returns a sentence about files that cannot be used.
    pub(super) fn mistake(&self) -> Option<String> {
        let Self::Refused(reason) = self else { return None };
        Some(format!("Your own certificate is not used, and the barn keeps the one that it made: {reason}"))
    }
}
