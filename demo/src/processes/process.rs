//! What a barn and an office have in common as processes; [`Barn`](super::Barn) and [`Office`](super::Office) add
//! what only one of them has.

use super::child::{LOOK_AGAIN, Running};
use super::{Client, ProcessError, Programs};
use service::control::{Request, SOCKET_NAME, ask};
use service::door::certificate::{Identity, IdentityFiles};
use service::lifecycle::Exit;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
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
}

/// One of the two programs, as its tests talk to it.
pub trait Side {
    /// Requests of its control socket.
    type Request: Request;
    /// State of the running program.
    type Status;

    /// Returns the request for the state.
    fn status_request() -> Self::Request;
    /// Returns the state, or `None` if the response is another one.
    fn status(response: <Self::Request as Request>::Response) -> Option<Self::Status>;
    /// Returns the process id.
    fn pid(status: &Self::Status) -> u32;
    /// Returns the address of the HTTPS server.
    fn listen(status: &Self::Status) -> SocketAddr;
}

/// A state directory, the settings in it, and, while it runs, one of the two programs on them. Ended when it is dropped.
/// `S` says which of the two it is.
#[derive(Debug)]
pub struct Process<S> {
    side: PhantomData<S>,
    kind: Kind,
    programs: Programs,
    state_dir: PathBuf,
    settings: Table,
    tls: IdentityFiles,
    address: SocketAddr,
    running: Option<Running>,
}

impl<S: Side> Process<S> {
    /// Makes the directory and writes the settings; `state_dir`, `listen` and `tls` are added to those given.
    pub(super) fn make(
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
        let made = Self {
            side: PhantomData,
            kind,
            programs: programs.clone(),
            state_dir,
            settings,
            tls,
            address: listen,
            running: None,
        };
        made.write_settings(listen)?;
        Ok(made)
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

    /// Its state directory.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Its log: all runs of it, one after the other.
    pub fn log(&self) -> PathBuf {
        self.state_dir.join(format!("{}.log", self.kind.what))
    }

    /// The PEM file of its certificate; there after the first start.
    pub fn certificate(&self) -> &Path {
        &self.tls.certificate
    }

    /// Where it listens; before its first start, where it was told to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The running process's id.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Running::pid)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = (self.kind.program)(&self.programs);
        command.args(args).arg("--config").arg(self.settings_file());
        command
    }

    /// Starts the process, waits (at most 30 s) until it answers, and keeps its address. One that does not answer is
    /// killed. The log is appended to.
    pub async fn start(&mut self) -> Result<(), ProcessError> {
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
        self.keep_address(S::listen(&status))
    }

    /// The same; where its port is taken by somebody else, it draws another one and keeps that.
    pub async fn start_anywhere(&mut self) -> Result<(), ProcessError> {
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

    async fn first_answer(&self, running: &mut Running) -> Result<S::Status, ProcessError> {
        let (what, log) = (self.kind.what, self.log());
        let deadline = Instant::now() + ANSWERS_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = running.ended()? {
                return Err(ProcessError::Ended { what, status, log });
            }
            // An error is what there is until it listens: no socket, or one that an earlier process has left.
            if let Ok(status) = self.status()
                && S::pid(&status) == running.pid()
            {
                return Ok(status);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(ProcessError::Silent { what, after: ANSWERS_WITHIN, log })
    }

    /// A port that was drawn is the port from now on, so that others find the process after a restart.
    fn keep_address(&mut self, address: SocketAddr) -> Result<(), ProcessError> {
        if self.address != address {
            self.address = address;
            let path = self.settings_file();
            self.write_settings(address).map_err(|source| ProcessError::File { path, source })?;
        }
        Ok(())
    }

    /// Asks the control socket for the state of the process. Blocks.
    pub fn status(&self) -> Result<S::Status, ProcessError> {
        let response = ask(&self.state_dir.join(SOCKET_NAME), &S::status_request())?;
        S::status(response).ok_or(ProcessError::Incomplete { what: self.kind.what, lacks: "a status" })
    }

    /// Runs a command of its program, such as `["verify"]`, on its settings and gives what it printed. Blocks.
    pub fn run(&self, args: &[&str]) -> Result<String, ProcessError> {
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

    /// Makes a key with these scopes and gives its secret. Blocks.
    pub fn key(&self, name: &str, scopes: &[&str]) -> Result<String, ProcessError> {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        self.secret(&["key", "add", name].into_iter().chain(scopes).collect::<Vec<_>>())
    }

    /// SHA-256 of its public key; there after the first start.
    pub fn spki_sha256(&self) -> Result<[u8; 32], ProcessError> {
        Ok(Identity::load(self.tls.clone())?.spki_sha256())
    }

    /// A client that presents this key. It serves after restarts as well.
    pub fn client(&self, key: &str) -> Result<Client, ProcessError> {
        Client::new(self.address, self.spki_sha256()?, Some(key))
    }

    /// A client that presents no key.
    pub fn visitor(&self) -> Result<Client, ProcessError> {
        Client::new(self.address, self.spki_sha256()?, None)
    }

    /// Says so if the process does not run, or has ended by itself.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        let (what, log) = (self.kind.what, self.log());
        let running = self.running.as_mut().ok_or(ProcessError::NotRunning(what))?;
        match running.ended()? {
            None => Ok(()),
            Some(status) => Err(ProcessError::Ended { what, status, log }),
        }
    }

    /// SIGKILL, and waits for its end. Nothing if it does not run.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }

    /// SIGTERM, and waits for its end, at most 10 s; then it is killed, which is an error.
    pub async fn terminate(&mut self) -> Result<ExitStatus, ProcessError> {
        let running = self.running.take().ok_or(ProcessError::NotRunning(self.kind.what))?;
        running.terminate().await
    }
}

fn utf8(path: &Path) -> io::Result<&str> {
    let why = || format!("{} is no UTF-8, and stands in a settings file", path.display());
    path.to_str().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, why()))
}
