//! The part of a process that a barn and an office share. [`Barn`](super::Barn) and [`Office`](super::Office) add the
//! calls that only one of them has.

use super::{Client, ProcessError, Programs};
use service::control::{Request, SOCKET_NAME, ask};
use service::door::certificate::{Identity, IdentityFiles};
use service::harness::{ChildProcess, HarnessError, wait_until_within};
use service::lifecycle::Exit;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use toml::Table;

/// Maximum time from the start of a process to its first answer. Longer than the harness's timeout, because opening a
/// large store after a kill takes a while.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Mode of a state directory, which holds secrets.
const OWNER_ONLY: u32 = 0o700;

/// One of the two programs: its names, its executable, and the messages of its control socket.
pub trait Side {
    /// Requests of its control socket.
    type Request: Request;
    /// State of the running program.
    type Status;

    /// Name of the process in messages and of its log.
    const NAME: &'static str;
    /// Name of its settings file.
    const SETTINGS_FILE: &'static str;

    /// Returns the command that runs the program, without arguments.
    fn command(programs: &Programs) -> Command;
    /// Returns the request for the state.
    fn status_request() -> Self::Request;
    /// Returns the state, or `None` if the response is another one.
    fn status(response: <Self::Request as Request>::Response) -> Option<Self::Status>;
    /// Returns the process id.
    fn pid(status: &Self::Status) -> u32;
    /// Returns the address of the HTTPS server.
    fn listen(status: &Self::Status) -> SocketAddr;
}

/// A state directory, the settings in it, and the process that works on them while it runs. `S` says which program that
/// is. Dropping it kills the process.
#[derive(Debug)]
pub struct Process<S> {
    side: PhantomData<S>,
    programs: Programs,
    state_dir: PathBuf,
    settings: Table,
    tls: IdentityFiles,
    address: SocketAddr,
    child: Option<ChildProcess>,
    /// Variables in the environment of the running program.
    variables: Vec<(&'static str, String)>,
    /// Key of [`reader`](Process::reader).
    reader_key: OnceLock<String>,
}

impl<S: Side> Process<S> {
    /// Creates the state directory and writes `settings` into it, with `state_dir`, `listen` and `tls` added.
    pub(super) fn create(
        programs: &Programs,
        state_dir: &Path,
        listen: SocketAddr,
        tls: Option<&IdentityFiles>,
        mut settings: Table,
    ) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(state_dir)?;
        let state_dir = state_dir.canonicalize()?;
        settings.insert("state_dir".into(), utf8(&state_dir)?.into());
        let generated = state_dir.join("tls");
        let generated =
            IdentityFiles { certificate: generated.join("certificate.pem"), key: generated.join("key.pem") };
        if let Some(files) = tls {
            let table = [("certificate", &files.certificate), ("key", &files.key)];
            let table = table.into_iter().map(|(key, path)| Ok((key.to_owned(), utf8(path)?.into())));
            settings.insert("tls".into(), table.collect::<io::Result<Table>>()?.into());
        }
        let process = Self {
            side: PhantomData,
            programs: programs.clone(),
            state_dir,
            settings,
            tls: tls.cloned().unwrap_or(generated),
            address: listen,
            child: None,
            variables: Vec::new(),
            reader_key: OnceLock::new(),
        };
        process.write_settings(listen)?;
        Ok(process)
    }

    fn write_settings(&self, listen: SocketAddr) -> io::Result<()> {
        let mut settings = self.settings.clone();
        settings.insert("listen".into(), listen.to_string().into());
        let text = toml::to_string(&settings).map_err(io::Error::other)?;
        fs::write(self.settings_file(), text)
    }

    fn settings_file(&self) -> PathBuf {
        self.state_dir.join(S::SETTINGS_FILE)
    }

    /// Returns the state directory.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Returns the path of the log, which all runs append to.
    pub fn log(&self) -> PathBuf {
        self.state_dir.join(format!("{}.log", S::NAME))
    }

    /// Returns the path of the certificate, a PEM file that exists after the first start.
    pub fn certificate(&self) -> &Path {
        &self.tls.certificate
    }

    /// Adds a variable to the environment of later starts, such as one that systemd sets.
    pub fn set_variable(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.push((name, value.into()));
    }

    /// Returns the address of the HTTPS server. Before the first start, it is the address in the settings.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the id of the running process.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(ChildProcess::id)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = S::command(&self.programs);
        command.args(args).arg("--config").arg(self.settings_file());
        command
    }

    /// Starts the process, waits until it answers, and keeps its address. A process that does not answer within 30 s is
    /// killed. The log is appended to.
    ///
    /// The process gets its own process group, so that Ctrl-C at the terminal reaches only the demo, which stops its
    /// children in order.
    pub async fn start(&mut self) -> Result<(), ProcessError> {
        if self.child.is_some() {
            return Err(ProcessError::AlreadyRunning(S::NAME));
        }
        let mut command = self.command(&["run"]);
        command.stdout(Stdio::null()).process_group(0).envs(self.variables.iter().cloned());
        self.programs.tie_to_this_process(&mut command);
        let mut child = ChildProcess::spawn(S::NAME, command, &self.log())?;
        let status = self.first_status(&mut child).await?;
        self.child = Some(child);
        self.keep_address(S::listen(&status))
    }

    /// Starts the process. If another process has taken its port, it takes a free one and keeps that.
    pub async fn start_on_any_port(&mut self) -> Result<(), ProcessError> {
        match self.start().await {
            Err(ProcessError::Exited { status, .. }) if status.code() == Some(Exit::CannotListen as i32) => {
                let (mut any_port, path) = (self.address, self.settings_file());
                any_port.set_port(0);
                self.write_settings(any_port).map_err(|source| ProcessError::File { path, source })?;
                self.start().await
            }
            result => result,
        }
    }

    async fn first_status(&self, child: &mut ChildProcess) -> Result<S::Status, ProcessError> {
        let status = wait_until_within(START_TIMEOUT, "the first answer", async || self.poll_start(child).transpose());
        status.await.unwrap_or(Err(ProcessError::StartTimeout { name: S::NAME, after: START_TIMEOUT, log: self.log() }))
    }

    /// Returns the state of the process, or `None` if it does not answer yet.
    fn poll_start(&self, child: &mut ChildProcess) -> Result<Option<S::Status>, ProcessError> {
        if let Some(status) = child.try_wait()? {
            return Err(ProcessError::Exited { name: S::NAME, status, log: self.log() });
        }
        // Until the process listens, the request fails: there is no socket, or one that an earlier process has left.
        Ok(self.status().ok().filter(|status| S::pid(status) == child.id()))
    }

    /// Writes the port of the first start into the settings, so that peers find the process after a restart.
    fn keep_address(&mut self, address: SocketAddr) -> Result<(), ProcessError> {
        if self.address != address {
            self.address = address;
            let path = self.settings_file();
            self.write_settings(address).map_err(|source| ProcessError::File { path, source })?;
        }
        Ok(())
    }

    /// Requests the state of the process from its control socket. Blocks the thread.
    pub fn status(&self) -> Result<S::Status, ProcessError> {
        let response = ask(&self.state_dir.join(SOCKET_NAME), &S::status_request())?;
        S::status(response).ok_or(ProcessError::Incomplete { name: S::NAME, part: "status" })
    }

    /// Runs a command of the program, such as `["verify"]`, on the settings and returns its stdout. Blocks the thread.
    pub fn run(&self, args: &[&str]) -> Result<String, ProcessError> {
        let mut command = self.command(args);
        let program = PathBuf::from(command.get_program());
        let output = command.stdin(Stdio::null()).output();
        let output = output.map_err(|source| HarnessError::Spawn { name: S::NAME, program, source })?;
        stdout_of(args, &output)
    }

    /// Runs a command as [`run`](Self::run) does, and kills it if it has not ended within `limit`.
    pub async fn run_within(&self, limit: Duration, args: &[&str]) -> Result<String, ProcessError> {
        let mut command = self.command(args);
        let program = PathBuf::from(command.get_program());
        command.stdin(Stdio::null());
        let output = tokio::process::Command::from(command).kill_on_drop(true).output();
        let output = tokio::time::timeout(limit, output).await;
        let output = output.map_err(|_| ProcessError::CommandTimeout { command: name_of(args), after: limit })?;
        let output = output.map_err(|source| HarnessError::Spawn { name: S::NAME, program, source })?;
        stdout_of(args, &output)
    }

    /// Runs a command that prints a secret alone on its last line, and returns the secret. Blocks the thread.
    pub fn secret(&self, args: &[&str]) -> Result<String, ProcessError> {
        Self::last_line(&self.run(args)?)
    }

    fn last_line(stdout: &str) -> Result<String, ProcessError> {
        let last = stdout.lines().last().map(str::to_owned);
        last.ok_or(ProcessError::Incomplete { name: S::NAME, part: "secret" })
    }

    /// Runs a command that prints a secret alone on its last line, within `limit`, and returns the secret.
    pub async fn secret_within(&self, limit: Duration, args: &[&str]) -> Result<String, ProcessError> {
        Self::last_line(&self.run_within(limit, args).await?)
    }

    /// Creates a key with these scopes and returns its secret. Blocks the thread.
    pub fn key(&self, name: &str, scopes: &[&str]) -> Result<String, ProcessError> {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        self.secret(&["key", "add", name].into_iter().chain(scopes).collect::<Vec<_>>())
    }

    /// Returns the SHA-256 of the public key, which exists after the first start.
    pub fn spki_sha256(&self) -> Result<[u8; 32], ProcessError> {
        Ok(Identity::load(self.tls.clone())?.spki_sha256())
    }

    /// Returns a client that presents this key. It stays valid across restarts.
    pub fn client(&self, key: &str) -> Result<Client, ProcessError> {
        Client::new(self.address, self.spki_sha256()?, Some(key))
    }

    /// Returns a client that presents a key of scope read, which the first call creates. Blocks the thread then.
    pub fn reader(&self) -> Result<Client, ProcessError> {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        if self.reader_key.get().is_none() {
            // A state directory may have been used by another value of this type, or in another run.
            let name = format!("reader-{}-{}", std::process::id(), CREATED.fetch_add(1, Ordering::Relaxed));
            let key = self.key(&name, &["read"])?;
            let _ = self.reader_key.set(key);
        }
        self.client(self.reader_key.get().ok_or(ProcessError::Incomplete { name: S::NAME, part: "key" })?)
    }

    /// Returns a client that presents no key.
    pub fn visitor(&self) -> Result<Client, ProcessError> {
        Client::new(self.address, self.spki_sha256()?, None)
    }

    /// Returns an error if the process does not run.
    pub fn check_running(&mut self) -> Result<(), ProcessError> {
        let log = self.log();
        let child = self.child.as_mut().ok_or(ProcessError::NotRunning(S::NAME))?;
        match child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(ProcessError::Exited { name: S::NAME, status, log }),
        }
    }

    /// Sends SIGKILL and waits for the exit. Does nothing if the process does not run.
    pub fn kill(&mut self) {
        drop(self.child.take());
    }

    /// Sends SIGTERM and waits for the exit, for at most 10 s. A process that goes on is killed, and an error.
    pub async fn terminate(&mut self) -> Result<ExitStatus, ProcessError> {
        let child = self.child.take().ok_or(ProcessError::NotRunning(S::NAME))?;
        child.terminate().await.map_err(|error| match error {
            HarnessError::Timeout { .. } => ProcessError::ShutdownTimeout { name: S::NAME, log: self.log() },
            error => error.into(),
        })
    }
}

/// Returns the output of a command, or an error with its stderr if it failed.
fn stdout_of(args: &[&str], output: &Output) -> Result<String, ProcessError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ProcessError::Command { command: name_of(args), status: output.status, stderr })
}

/// Returns the first argument of a command; the others may be secrets.
fn name_of(args: &[&str]) -> String {
    args.first().copied().unwrap_or_default().to_owned()
}

fn utf8(path: &Path) -> io::Result<&str> {
    let reason = || format!("{} is not UTF-8, which a settings file needs", path.display());
    path.to_str().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, reason()))
}
