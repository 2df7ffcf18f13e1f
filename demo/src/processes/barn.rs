//! A barn.

use super::process::{Kind, Process, Side};
use super::{ProcessError, Programs};
use daemon::control::{BarnRequest, BarnResponse, BarnStatus};
use service::door::certificate::IdentityFiles;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use toml::Table;

const KIND: Kind = Kind { what: "barn", settings_file: "herdlinxd.toml", program: Programs::daemon };

/// What is set for a barn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarnSettings {
    /// The port on 127.0.0.1; 0 draws one at the first start and keeps it.
    pub port: u16,
    /// What the barn calls itself.
    pub site: String,
    /// The list `[[radio]]` as TOML; empty for none.
    pub radios: String,
    /// Further settings as TOML, such as `repeat_window = "1s"`.
    pub more: String,
    /// A certificate of one's own.
    pub tls: Option<IdentityFiles>,
}

impl Default for BarnSettings {
    fn default() -> Self {
        Self { port: 0, site: "barn".into(), radios: String::new(), more: String::new(), tls: None }
    }
}

/// Marks the process of a barn.
#[derive(Debug)]
pub struct BarnSide;

impl Side for BarnSide {
    type Request = BarnRequest;
    type Status = BarnStatus;

    fn status_request() -> BarnRequest {
        BarnRequest::Status
    }

    fn status(response: BarnResponse) -> Option<BarnStatus> {
        match response {
            BarnResponse::Status(status) => Some(*status),
            _ => None,
        }
    }

    fn pid(status: &BarnStatus) -> u32 {
        status.pid
    }

    fn listen(status: &BarnStatus) -> SocketAddr {
        status.listen
    }
}

/// `herdlinxd` in a state directory of its own.
pub type Barn = Process<BarnSide>;

impl Barn {
    /// Makes the directory, if it is not there, and writes `herdlinxd.toml` into it. Starts nothing.
    pub fn new(programs: &Programs, state_dir: &Path, settings: &BarnSettings) -> io::Result<Self> {
        let BarnSettings { port, site, radios, more, tls } = settings;
        let mut table: Table = format!("{more}\n{radios}").parse().map_err(io::Error::other)?;
        table.insert("site".into(), site.clone().into());
        let listen = (Ipv4Addr::LOCALHOST, *port).into();
        Self::make(KIND, programs, state_dir, (listen, tls.as_ref()), table)
    }

    /// Makes a key for an office and gives the line that pairs it. Blocks.
    pub fn pair(&self) -> Result<String, ProcessError> {
        self.secret(&["pair"])
    }
}
