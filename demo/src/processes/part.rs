//! What a barn and an office have in common as processes.

use super::child::{LOOK_AGAIN, Running};
use super::{Client, ProcessError, Programs};
use herd::control::{Answer, SOCKET_NAME, ask};
use herd::door::certificate::{Identity, IdentityFiles};
use herd::lifecycle::Exit;
use serde_json::{Value, json};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::time::Instant;
use toml::Table;

/// A start must have come so far that it answers by then: opening a large store after a kill takes a while.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// State directories hold secrets.
const OWNER_ONLY: u32 = 0o700;

/// What differs between the two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// In messages, and the name of the log.
    pub(super) what: &'static str,
    pub(super) settings_file: &'static str,
    pub(super) program: fn(&Programs) -> Command,
    /// The key of the control socket's `status` that says where it listens.
    pub(super) address_key: &'static str,
}

/// A state directory, its settings, and, while it runs, a process.
#[derive(Debug)]
pub(super) struct Part {
    kind: Kind,
    programs: Programs,
    state_dir: PathBuf,
    settings: Table,
    tls: IdentityFiles,
    address: SocketAddr,
    running: Option<Running>,
}

impl Part {
    /// Makes the directory and writes the settings; `state_dir`, `listen` and `tls` are added to those given.
    pub(super) fn new(
        kind: Kind,
        programs: &Programs,
        state_dir: &Path,
        (listen, tls): (SocketAddr, Option<&IdentityFiles>),
        mut settings: Table,
    ) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(state_dir)?;
        let state_dir = state_dir.canonicalize()?;
        settings.insert("state_dir".into(), utf8(&state_dir)?.into());
        let own = state_dir.join("tls");
        let own = IdentityFiles { certificate: own.join("certificate.pem"), key: own.join("key.pem") };
        if let Some(given) = tls {
            let table = [("certificate", &given.certificate), ("key", &given.key)];
            let table = table.into_iter().map(|(key, path)| Ok((key.to_owned(), utf8(path)?.into())));
            settings.insert("tls".into(), table.collect::<io::Result<Table>>()?.into());
        }
        let tls = tls.cloned().unwrap_or(own);
        let part = Self { kind, programs: programs.clone(), state_dir, settings, tls, address: listen, running: None };
        part.write_settings(listen)?;
        Ok(part)
    }

    fn write_settings(&self, listen: SocketAddr) -> io::Result<()> {
        let mut settings = self.settings.clone();
        settings.insert("listen".into(), listen.to_string().into());
        let text = toml::to_string(&settings).map_err(io::Error::other)?;
        fs::write(self.settings_file(), text)
    }

    fn settings_file(&self) -> PathBuf {
        self.state_dir.join(self.kind.settings_file)
    }

    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    pub(super) fn log(&self) -> PathBuf {
        self.state_dir.join(format!("{}.log", self.kind.what))
    }

    pub(super) fn certificate(&self) -> &Path {
        &self.tls.certificate
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Running::pid)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = (self.kind.program)(&self.programs);
        command.args(args).arg("--config").arg(self.settings_file());
        command
    }

    /// Starts the process and waits until it answers. One that does not is killed.
    pub(super) async fn start(&mut self) -> Result<(), ProcessError> {
        let what = self.kind.what;
        if self.running.is_some() {
            return Err(ProcessError::Running(what));
        }
        let log = File::options().append(true).create(true).open(self.log());
        let log = log.map_err(|source| ProcessError::File { path: self.log(), source })?;
        let mut command = self.command(&["run"]);
        command.stdout(Stdio::null()).stderr(log);
        self.programs.staying(&mut command);
        let mut running = Running::spawn(command, what, self.log())?;
        let status = self.first_answer(&mut running).await?;
        self.running = Some(running);
        self.keep_address(&status)
    }

    /// The same; where its port is taken, on a drawn one.
    pub(super) async fn start_anywhere(&mut self) -> Result<(), ProcessError> {
        match self.start().await {
            Err(ProcessError::Ended { status, .. }) if status.code() == Some(Exit::CannotListen as i32) => {
                let (mut drawn, path) = (self.address, self.settings_file());
                drawn.set_port(0);
                self.write_settings(drawn).map_err(|source| ProcessError::File { path, source })?;
                self.start().await
            }
            started => started,
        }
    }

    async fn first_answer(&self, running: &mut Running) -> Result<Answer, ProcessError> {
        let (what, log) = (self.kind.what, self.log());
        let deadline = Instant::now() + ANSWERS_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = running.ended()? {
                return Err(ProcessError::Ended { what, status, log });
            }
            // An error is what there is until it listens: no socket, or one that an earlier process has left.
            if let Ok(status) = self.ask_status()
                && status.get("pid").and_then(Value::as_u64) == Some(running.pid().into())
            {
                return Ok(status);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(ProcessError::Silent { what, after: ANSWERS_WITHIN, log })
    }

    /// A port that was drawn is the port from now on, so that others find the process after a restart.
    fn keep_address(&mut self, status: &Answer) -> Result<(), ProcessError> {
        let lacks = self.kind.address_key;
        let address = status.get(lacks).and_then(Value::as_str).and_then(|text| text.parse().ok());
        let address = address.ok_or(ProcessError::Incomplete { what: self.kind.what, lacks })?;
        if self.address != address {
            self.address = address;
            let path = self.settings_file();
            self.write_settings(address).map_err(|source| ProcessError::File { path, source })?;
        }
        Ok(())
    }

    pub(super) fn ask_status(&self) -> Result<Answer, ProcessError> {
        Ok(ask(&self.state_dir.join(SOCKET_NAME), &json!({"command": "status"}))?)
    }

    /// Runs a command of the program to its end and gives what it printed.
    pub(super) fn run(&self, args: &[&str]) -> Result<String, ProcessError> {
        let mut command = self.command(args);
        let (what, program) = (self.kind.what, PathBuf::from(command.get_program()));
        let output = command.stdin(Stdio::null()).output();
        let output = output.map_err(|source| ProcessError::Spawn { what, program, source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        // The arguments of some commands are secrets.
        let command = args.first().copied().unwrap_or_default().to_owned();
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(ProcessError::Command { command, status: output.status, told })
    }

    /// Runs a command that prints a secret alone as its last line.
    pub(super) fn secret(&self, args: &[&str]) -> Result<String, ProcessError> {
        let printed = self.run(args)?;
        let last = printed.lines().last().map(str::to_owned);
        last.ok_or(ProcessError::Incomplete { what: self.kind.what, lacks: "the secret" })
    }

    pub(super) fn key(&self, name: &str, scopes: &[&str]) -> Result<String, ProcessError> {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        self.secret(&["key", "add", name].into_iter().chain(scopes).collect::<Vec<_>>())
    }

    pub(super) fn spki_sha256(&self) -> Result<[u8; 32], ProcessError> {
        Ok(Identity::load(self.tls.clone())?.spki_sha256())
    }

    pub(super) fn client(&self, key: Option<&str>) -> Result<Client, ProcessError> {
        Client::new(self.address, self.spki_sha256()?, key)
    }

    /// Says so if the process has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), ProcessError> {
        let (what, log) = (self.kind.what, self.log());
        let running = self.running.as_mut().ok_or(ProcessError::NotRunning(what))?;
        match running.ended()? {
            None => Ok(()),
            Some(status) => Err(ProcessError::Ended { what, status, log }),
        }
    }

    pub(super) fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }

    pub(super) async fn terminate(&mut self) -> Result<ExitStatus, ProcessError> {
        let running = self.running.take().ok_or(ProcessError::NotRunning(self.kind.what))?;
        running.terminate().await
    }
}

fn utf8(path: &Path) -> io::Result<&str> {
    let why = || format!("{} is no UTF-8, and stands in a settings file", path.display());
    path.to_str().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, why()))
}
