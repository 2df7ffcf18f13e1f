//! A barn in a directory of its own, and the process that runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use daemon::control::{BarnRequest, BarnResponse, BarnStatus};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use service::control::{SOCKET_NAME, ask};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// So long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until the condition holds; what it is stands in the panic if it never does.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

pub(crate) fn text_of(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A barn that may run or not.
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

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herdlinxd"));
        // Not from the environment of whoever runs the tests.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HERDLINX_")) {
            command.env_remove(name);
        }
        command.env("HERDLINX_STATE_DIR", self.state_dir()).env("HERDLINX_LISTEN", "127.0.0.1:0").args(args);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that makes a secret, which is alone on the last line.
    pub(crate) fn secret(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "{output:?}");
        text_of(&output).lines().last().unwrap().to_owned()
    }

    /// Every payload in the store, as lower-case hex. The process must not run.
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

    pub(crate) fn start(&self) -> Process<'_> {
        self.start_with(&[])
    }

    /// Starts `run` and waits until it answers.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)]) -> Process<'_> {
        let mut command = self.command(&["run"]);
        command.envs(variables.iter().copied());
        self.started(command)
    }

    /// Writes a file of settings, for `--config`.
    pub(crate) fn write_settings(&self, text: &str) -> String {
        let path = self.path("herdlinxd.toml");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Starts `run` with a file of settings.
    pub(crate) fn start_on(&self, settings: &str) -> Process<'_> {
        self.started(self.command(&["--config", settings, "run"]))
    }

    /// Starts a command that goes on until it is stopped.
    pub(crate) fn begin(&self, args: &[&str]) -> Child {
        self.command(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn started(&self, command: Command) -> Process<'_> {
        let mut process = self.spawned(command, Stdio::inherit());
        until("the process answers", || {
            assert_eq!(process.child.try_wait().unwrap(), None, "the process has ended");
            ask(&process.socket(), &BarnRequest::Status).is_ok()
        });
        process.learn_address();
        process
    }

    /// Starts `run` and waits for nothing.
    pub(crate) fn launch(&self, variables: &[(&str, &str)], log: Stdio) -> Process<'_> {
        let mut command = self.command(&["run"]);
        command.envs(variables.iter().copied());
        self.spawned(command, log)
    }

    fn spawned(&self, mut command: Command, log: Stdio) -> Process<'_> {
        let child = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        Process { barn: self, child, addr: "0.0.0.0:0".parse().unwrap() }
    }
}

/// A running process; killed if the test ends before it was stopped.
pub(crate) struct Process<'a> {
    barn: &'a Barn,
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Process<'_> {
    fn socket(&self) -> PathBuf {
        self.barn.state_dir().join(SOCKET_NAME)
    }

    /// Asks the process where it listens.
    pub(crate) fn learn_address(&mut self) {
        self.addr = self.status().listen;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn status(&self) -> BarnStatus {
        match ask(&self.socket(), &BarnRequest::Status).unwrap() {
            BarnResponse::Status(status) => *status,
            other => panic!("a status is not {other:?}"),
        }
    }

    /// Sends a signal and waits for the end; gives the exit code, which a killed process has not.
    pub(crate) fn stop(self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.ended()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end and gives the exit code.
    pub(crate) fn ended(mut self) -> Option<i32> {
        let mut ended = None;
        until("the process ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap().code()
    }

    /// Has so many callers post payloads of their own, one after the other, until nobody answers any more; sends the
    /// signal once `ready` returns. Gives every answer's status and payload.
    pub(crate) fn storm(&self, key: &str, callers: usize, ready: impl FnOnce(), signal: Signal) -> Vec<(u16, String)> {
        std::thread::scope(|scope| {
            let posting: Vec<_> =
                (0..callers).map(|caller| scope.spawn(move || self.post_until_cut(key, caller))).collect();
            ready();
            self.signal(signal);
            posting.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        })
    }

    fn post_until_cut(&self, key: &str, caller: usize) -> Vec<(u16, String)> {
        let mut answered = Vec::new();
        in_runtime(async {
            let client = client(&self.barn.state_dir().join("tls/certificate.pem"));
            for n in 0.. {
                let payload = format!("hxb:STORM:LF{caller}-{n}:UHF{caller}-{n}");
                let request = client.post(self.url("/api/lora/receive")).header("X-API-Key", key);
                let request = request.header("Content-Type", "application/json");
                let Ok(answer) = request.body(json!({ "payload": payload }).to_string()).send().await else { break };
                answered.push((answer.status().as_u16(), payload));
            }
        });
        answered
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.addr.port())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.send(reqwest::Client::get, path, None)
    }

    pub(crate) fn get_with(&self, key: &str, path: &str) -> (u16, Value) {
        self.send(reqwest::Client::get, path, Some(key))
    }

    pub(crate) fn post(&self, key: &str, body: &str) -> (u16, Value) {
        let body = body.to_owned();
        let post = move |client: &reqwest::Client, url: String| {
            client.post(url).header("Content-Type", "application/json").body(body)
        };
        self.send(post, "/api/lora/receive", Some(key))
    }

    /// Over TLS, with the process's own certificate as the only one that is trusted.
    fn send(
        &self,
        request: impl FnOnce(&reqwest::Client, String) -> reqwest::RequestBuilder,
        path: &str,
        key: Option<&str>,
    ) -> (u16, Value) {
        in_runtime(async {
            let client = client(&self.barn.state_dir().join("tls/certificate.pem"));
            let mut request = request(&client, self.url(path));
            if let Some(key) = key {
                request = request.header("X-API-Key", key);
            }
            let response = request.header("Accept", "application/json").send().await.unwrap();
            (response.status().as_u16(), response.json().await.unwrap())
        })
    }
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.kill().expect("a process that has not ended can be killed");
            self.child.wait().expect("a child that was killed can be waited for");
        }
    }
}

fn client(certificate: &Path) -> reqwest::Client {
    let trusted = reqwest::Certificate::from_pem(&std::fs::read(certificate).unwrap()).unwrap();
    // Another test may have done it before.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().tls_certs_only([trusted]).timeout(PATIENCE).no_proxy().build().unwrap()
}
