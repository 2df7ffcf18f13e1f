//! An office as a process.

use super::process::{Process, Side};
use super::{ProcessError, Programs};
use mirror::control::{OfficeRequest, OfficeResponse, OfficeStatus};
use serde_json::Value;
use service::door::certificate::IdentityFiles;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use toml::Table;

/// Settings of an office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficeSettings {
    /// Port on 127.0.0.1. With 0, the first start takes a free port, and later starts reuse it.
    pub port: u16,
    /// `sync_interval`, which is also the longest pause between two attempts to reach a barn that is away.
    pub sync_interval: String,
    /// Further settings as TOML.
    pub more: String,
    /// Certificate and key of the operator. The office generates its own if this is `None`.
    pub tls: Option<IdentityFiles>,
}

impl Default for OfficeSettings {
    fn default() -> Self {
        Self { port: 0, sync_interval: "1s".into(), more: String::new(), tls: None }
    }
}

/// Marks a [`Process`] as an office.
#[derive(Debug)]
pub struct OfficeSide;

impl Side for OfficeSide {
    type Request = OfficeRequest;
    type Status = OfficeStatus;

    const NAME: &'static str = "office";
    const SETTINGS_FILE: &'static str = "herdlinx-mirror.toml";

    fn command(programs: &Programs) -> Command {
        programs.mirror()
    }

    fn status_request() -> OfficeRequest {
        OfficeRequest::Status
    }

    fn status(response: OfficeResponse) -> Option<OfficeStatus> {
        match response {
            OfficeResponse::Status(status) => Some(status),
            _ => None,
        }
    }

    fn pid(status: &OfficeStatus) -> u32 {
        status.pid
    }

    fn listen(status: &OfficeStatus) -> SocketAddr {
        status.listen
    }
}

/// `herdlinx-mirror` with its own state directory.
pub type Office = Process<OfficeSide>;

impl Office {
    /// Creates the state directory if it is missing, and writes `herdlinx-mirror.toml` into it. Starts nothing.
    pub fn new(programs: &Programs, state_dir: &Path, settings: &OfficeSettings) -> io::Result<Self> {
        let OfficeSettings { port, sync_interval, more, tls } = settings;
        let mut table: Table = more.parse().map_err(io::Error::other)?;
        table.insert("sync_interval".into(), sync_interval.clone().into());
        let listen = (Ipv4Addr::LOCALHOST, *port).into();
        Self::create(programs, state_dir, listen, tls.as_ref(), table)
    }

    /// Pairs the office with the barn that printed `line`. Blocks the thread.
    pub fn add(&self, line: &str) -> Result<(), ProcessError> {
        self.add_with(line, &[])
    }

    /// Pairs the office, with further arguments of `add` such as `["--ca", FILE]`. Blocks the thread.
    pub fn add_with(&self, line: &str, args: &[&str]) -> Result<(), ProcessError> {
        let args: Vec<_> = ["add", line].into_iter().chain(args.iter().copied()).collect();
        self.run(&args).map(|_| ())
    }

    /// Requests `/office/api/sync-status`. Blocks the thread if it is the first call that needs a key.
    pub async fn sync_status(&self) -> Result<Value, ProcessError> {
        self.reader()?.get_json("/office/api/sync-status").await
    }
}
