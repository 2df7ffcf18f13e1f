//! A barn in a temporary directory: its files, its settings, and the commands that work on them.
#![expect(clippy::unwrap_used, reason = "a test that cannot continue fails by a panic")]

use crate::process::Process;
use service::harness::{self, ChildProcess};
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Waits until the condition holds. The panic names it if it never does.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    harness::wait_until_blocking(what, || holds().then_some(())).unwrap_or_else(|error| panic!("{error}"));
}

pub(crate) fn stdout_text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr_text(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The files of one barn. Its process may run or not.
pub(crate) struct Barn {
    directory: TempDir,
}

impl Barn {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    /// Path of the file that collects stderr of every run of the process.
    pub(crate) fn stderr_file(&self) -> PathBuf {
        self.path("stderr")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = harness::command(env!("CARGO_BIN_EXE_herdlinxd"));
        command.env("HERDLINX_STATE_DIR", self.state_dir()).env("HERDLINX_LISTEN", "127.0.0.1:0").args(args);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command whose stdout has no reader any more.
    pub(crate) fn output_into_closed_pipe(&self, args: &[&str]) -> Output {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.command(args).stdout(writer).output().unwrap()
    }

    /// Runs a command that prints a secret alone on its last line, and returns the secret.
    pub(crate) fn secret(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "{output:?}");
        stdout_text(&output).lines().last().unwrap().to_owned()
    }

    /// Returns every payload in the store as lowercase hex. The process must not run.
    pub(crate) fn payloads(&self) -> HashSet<String> {
        use herd::change::Change;
        use herd::decide::Rules;
        use herd::position::{Sequence, StoreId};
        let disk = herd::store::Directory::new(self.state_dir()).unwrap();
        let clock = herd::clock::ClockReading { boot: 1, ..Default::default() };
        let store = herd::store::Store::open_source(&disk, Rules::default(), clock, || StoreId([0; 16])).unwrap();
        let (reader, head) = (store.reader(), store.head().position.sequence.0);
        let changes = (1..=head).map(|n| reader.change(Sequence(n)).unwrap().unwrap());
        changes
            .filter_map(|bytes| match Change::from_bytes(&bytes).unwrap() {
                Change::Received(received) => Some(hex::encode(received.raw)),
                _ => None,
            })
            .collect()
    }

    /// Writes a settings file and returns its path, for `--config`.
    pub(crate) fn write_settings(&self, text: &str) -> String {
        let path = self.path("herdlinxd.toml");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Starts `run` and waits until it answers.
    pub(crate) fn start(&self) -> Process<'_> {
        self.start_with_env(&[])
    }

    /// Starts `run` with environment variables and waits until it answers.
    pub(crate) fn start_with_env(&self, variables: &[(&str, &str)]) -> Process<'_> {
        let mut process = self.launch(variables);
        process.wait_until_ready();
        process
    }

    /// Starts `run` on a settings file and waits until it answers.
    pub(crate) fn start_with_settings(&self, file: &str) -> Process<'_> {
        let mut process = self.spawn_run(self.command(&["--config", file, "run"]));
        process.wait_until_ready();
        process
    }

    /// Starts `run` with environment variables and does not wait.
    pub(crate) fn launch(&self, variables: &[(&str, &str)]) -> Process<'_> {
        let mut command = self.command(&["run"]);
        command.envs(variables.iter().copied());
        self.spawn_run(command)
    }

    fn spawn_run(&self, mut command: Command) -> Process<'_> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Process::new(self, ChildProcess::spawn("barn", command, &self.stderr_file()).unwrap())
    }

    /// Starts a command that runs until it is stopped. Its stdout is a pipe, and its stderr goes to `stderr_file`.
    pub(crate) fn spawn_command(&self, args: &[&str], stderr_file: &str) -> ChildProcess {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        ChildProcess::spawn("command", command, &self.path(stderr_file)).unwrap()
    }
}
