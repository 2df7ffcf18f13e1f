//! A barn as a process.

use super::process::{Process, Side};
use super::{ProcessError, Programs};
use daemon::control::{BarnRequest, BarnResponse, BarnStatus};
use service::door::certificate::IdentityFiles;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use toml::Table;

/// Settings of a barn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarnSettings {
    /// Port on 127.0.0.1. With 0, the first start takes a free port, and later starts reuse it.
    pub port: u16,
    /// Name of the site.
    pub site: String,
    /// The list `[[radio]]` as TOML; empty for no radios.
    pub radios: String,
    /// Further settings as TOML, such as `repeat_window = "1s"`.
    pub more: String,
    /// Certificate and key of the operator. The barn generates its own if this is `None`.
    pub tls: Option<IdentityFiles>,
}

impl Default for BarnSettings {
    fn default() -> Self {
        Self { port: 0, site: "barn".into(), radios: String::new(), more: String::new(), tls: None }
    }
}

/// Marks a [`Process`] as a barn.
#[derive(Debug)]
pub struct BarnSide;

impl Side for BarnSide {
    type Request = BarnRequest;
    type Status = BarnStatus;

    const NAME: &'static str = "barn";
    const SETTINGS_FILE: &'static str = "herdlinxd.toml";

    fn command(programs: &Programs) -> Command {
        programs.daemon()
    }

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

/// `herdlinxd` with its own state directory.
pub type Barn = Process<BarnSide>;

impl Barn {
    /// Creates the state directory if it is missing, and writes `herdlinxd.toml` into it. Starts nothing.
    pub fn new(programs: &Programs, state_dir: &Path, settings: &BarnSettings) -> io::Result<Self> {
        let BarnSettings { port, site, radios, more, tls } = settings;
        let mut table: Table = format!("{more}\n{radios}").parse().map_err(io::Error::other)?;
        table.insert("site".into(), site.clone().into());
        let listen = (Ipv4Addr::LOCALHOST, *port).into();
        Self::create(programs, state_dir, listen, tls.as_ref(), table)
    }

    /// Creates a key for an office and returns the pairing line. Blocks the thread.
    pub fn pair(&self) -> Result<String, ProcessError> {
        self.secret(&["pair"])
    }
}
