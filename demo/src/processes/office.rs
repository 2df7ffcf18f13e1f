//! An office.

use super::part::{Kind, Part};
use super::{Client, ProcessError, Programs};
use herd::control::Answer;
use herd::door::certificate::IdentityFiles;
use serde_json::Value;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use toml::Table;

const KIND: Kind =
    Kind { what: "office", settings_file: "herdlinx-mirror.toml", program: Programs::mirror, address_key: "listen" };

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

/// A state directory, the settings in it, and, while it runs, `herdlinx-mirror` on them. Ended when it is dropped.
#[derive(Debug)]
pub struct Office(Part);

impl Office {
    /// Makes the directory, if it is not there, and writes `herdlinx-mirror.toml` into it. Starts nothing.
    pub fn new(programs: &Programs, state_dir: &Path, settings: &OfficeSettings) -> io::Result<Self> {
        let OfficeSettings { port, sync_interval, more, tls } = settings;
        let mut table: Table = more.parse().map_err(io::Error::other)?;
        table.insert("sync_interval".into(), sync_interval.clone().into());
        let listen = (Ipv4Addr::LOCALHOST, *port).into();
        Ok(Self(Part::new(KIND, programs, state_dir, (listen, tls.as_ref()), table)?))
    }

    /// Starts the process, waits (at most 30 s) until it answers, and keeps its address. The log is appended to.
    pub async fn start(&mut self) -> Result<(), ProcessError> {
        self.0.start().await
    }

    /// The same; where its port is taken by somebody else, it draws another one and keeps that.
    pub async fn start_anywhere(&mut self) -> Result<(), ProcessError> {
        self.0.start_anywhere().await
    }

    /// Where it listens; before its first start, where it was told to.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Its state directory.
    pub fn state_dir(&self) -> &Path {
        self.0.state_dir()
    }

    /// Its log: all runs of it, one after the other.
    pub fn log(&self) -> PathBuf {
        self.0.log()
    }

    /// The PEM file of its certificate; there after the first start.
    pub fn certificate(&self) -> &Path {
        self.0.certificate()
    }

    /// The running process's id.
    pub fn pid(&self) -> Option<u32> {
        self.0.pid()
    }

    /// What its control socket answers to `status`. Blocks for as long as that takes.
    pub fn status(&self) -> Result<Answer, ProcessError> {
        self.0.ask_status()
    }

    /// Runs a command of its program, such as `["verify"]`, on its settings and gives what it printed. Blocks.
    pub fn run(&self, args: &[&str]) -> Result<String, ProcessError> {
        self.0.run(args)
    }

    /// Makes a key with these scopes and gives its secret. Blocks.
    pub fn key(&self, name: &str, scopes: &[&str]) -> Result<String, ProcessError> {
        self.0.key(name, scopes)
    }

    /// SHA-256 of its public key; there after the first start.
    pub fn spki_sha256(&self) -> Result<[u8; 32], ProcessError> {
        self.0.spki_sha256()
    }

    /// A client that presents this key. It serves after restarts as well.
    pub fn client(&self, key: &str) -> Result<Client, ProcessError> {
        self.0.client(Some(key))
    }

    /// A client that presents no key.
    pub fn visitor(&self) -> Result<Client, ProcessError> {
        self.0.client(None)
    }

    /// Says so if the process does not run, or has ended by itself.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        self.0.check()
    }

    /// SIGKILL, and waits for its end. Nothing if it does not run.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// SIGTERM, and waits for its end, at most 10 s; then it is killed, which is an error.
    pub async fn terminate(&mut self) -> Result<ExitStatus, ProcessError> {
        self.0.terminate().await
    }

    /// Pairs it with the barn whose `pair` gave the line. Blocks.
    pub fn add(&self, line: &str) -> Result<(), ProcessError> {
        self.add_with(line, &[])
    }

    /// The same with further arguments, such as `["--ca", FILE]`.
    pub fn add_with(&self, line: &str, args: &[&str]) -> Result<(), ProcessError> {
        let args: Vec<_> = ["add", line].into_iter().chain(args.iter().copied()).collect();
        self.0.run(&args).map(|_| ())
    }

    /// What `/office/api/sync-status` answers.
    pub async fn sync_status(&self) -> Result<Value, ProcessError> {
        self.visitor()?.get_json("/office/api/sync-status").await
    }
}
