//! An office.

use super::process::{Kind, Process, Side};
use super::{ProcessError, Programs};
use mirror::control::{OfficeRequest, OfficeResponse, OfficeStatus};
use serde_json::Value;
use service::door::certificate::IdentityFiles;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use toml::Table;

const KIND: Kind = Kind { what: "office", settings_file: "herdlinx-mirror.toml", program: Programs::mirror };

/// What is set for an office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficeSettings {
    /// The port on 127.0.0.1; 0 draws one at the first start and keeps it.
    pub port: u16,
    /// `sync_interval`: also the longest wait before a barn that went away is tried again.
    pub sync_interval: String,
    /// Further settings as TOML.
    pub more: String,
    /// A certificate of one's own.
    pub tls: Option<IdentityFiles>,
}

impl Default for OfficeSettings {
    fn default() -> Self {
        Self { port: 0, sync_interval: "1s".into(), more: String::new(), tls: None }
    }
}

/// Marks the process of an office.
#[derive(Debug)]
pub struct OfficeSide;

impl Side for OfficeSide {
    type Request = OfficeRequest;
    type Status = OfficeStatus;

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

/// `herdlinx-mirror` in a state directory of its own.
pub type Office = Process<OfficeSide>;

impl Office {
    /// Makes the directory, if it is not there, and writes `herdlinx-mirror.toml` into it. Starts nothing.
    pub fn new(programs: &Programs, state_dir: &Path, settings: &OfficeSettings) -> io::Result<Self> {
        let OfficeSettings { port, sync_interval, more, tls } = settings;
        let mut table: Table = more.parse().map_err(io::Error::other)?;
        table.insert("sync_interval".into(), sync_interval.clone().into());
        let listen = (Ipv4Addr::LOCALHOST, *port).into();
        Self::make(KIND, programs, state_dir, (listen, tls.as_ref()), table)
    }

    /// Pairs it with the barn whose `pair` gave the line. Blocks.
    pub fn add(&self, line: &str) -> Result<(), ProcessError> {
        self.add_with(line, &[])
    }

    /// The same with further arguments, such as `["--ca", FILE]`.
    pub fn add_with(&self, line: &str, args: &[&str]) -> Result<(), ProcessError> {
        let args: Vec<_> = ["add", line].into_iter().chain(args.iter().copied()).collect();
        self.run(&args).map(|_| ())
    }

    /// What `/office/api/sync-status` answers.
    pub async fn sync_status(&self) -> Result<Value, ProcessError> {
        self.visitor()?.get_json("/office/api/sync-status").await
    }
}
