//! A running `herdlinxd`, and a client of its HTTPS interface.
#![expect(clippy::unwrap_used, reason = "a test that cannot continue fails by a panic")]

use crate::barn::{Barn, wait_until};
use daemon::control::{BarnRequest, BarnResponse, BarnStatus};
use serde_json::Value;
use service::control::{SOCKET_NAME, ask};
use service::harness::{ChildProcess, Signal, TIMEOUT};
use std::fs::read_to_string;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A running process. It is killed if the test ends first; a test that fails prints its stderr.
pub(crate) struct Process<'a> {
    barn: &'a Barn,
    child: ChildProcess,
    pub(crate) address: SocketAddr,
}

impl<'a> Process<'a> {
    pub(crate) fn new(barn: &'a Barn, child: ChildProcess) -> Self {
        Self { barn, child, address: "0.0.0.0:0".parse().unwrap() }
    }

    /// Waits until the process answers at its control socket.
    pub(crate) fn wait_until_ready(&mut self) {
        wait_until("the process answers", || {
            assert_eq!(self.child.try_wait().unwrap(), None, "the process has exited");
            ask(&self.socket(), &BarnRequest::Status).is_ok()
        });
        self.read_address();
    }

    /// Asks the process for its address and keeps it for requests.
    pub(crate) fn read_address(&mut self) {
        self.address = self.status().listen;
    }

    fn socket(&self) -> PathBuf {
        self.barn.state_dir().join(SOCKET_NAME)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn status(&self) -> BarnStatus {
        match ask(&self.socket(), &BarnRequest::Status).unwrap() {
            BarnResponse::Status(status) => *status,
            other => panic!("not a status: {other:?}"),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.child.signal(signal).unwrap();
    }

    /// Sends a signal, waits for the exit and returns the exit code; `None` if the signal killed the process.
    pub(crate) fn stop(self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.wait()
    }

    /// Waits for the exit and returns the exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait_blocking().unwrap_or_else(|error| panic!("{error}")).code()
    }

    /// Has `callers` threads post the bodies that `call` makes of the caller's number and that of the call, each until its
    /// first request without an answer. Sends `signal` once `ready` returns. Returns status and body of every answered call.
    pub(crate) fn post_until_shutdown(
        &self,
        key: &str,
        callers: usize,
        call: impl Fn(usize, usize) -> Value + Sync,
        ready: impl FnOnce(),
        signal: Signal,
    ) -> Vec<(u16, Value)> {
        let call = &call;
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..callers)
                .map(|caller| scope.spawn(move || self.post_until_refused(key, |n| call(caller, n))))
                .collect();
            ready();
            self.signal(signal);
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        })
    }

    fn post_until_refused(&self, key: &str, call: impl Fn(usize) -> Value) -> Vec<(u16, Value)> {
        let mut answers = Vec::new();
        block_on(async {
            let client = self.client();
            for n in 0.. {
                let body = call(n);
                let request = client.post(self.url("/api/lora/receive")).header("X-API-Key", key);
                let request = request.header("Content-Type", "application/json");
                let Ok(answer) = request.body(body.to_string()).send().await else { break };
                answers.push((answer.status().as_u16(), body));
            }
        });
        answers
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.send(reqwest::Client::get, path, None)
    }

    pub(crate) fn get_with_key(&self, key: &str, path: &str) -> (u16, Value) {
        self.send(reqwest::Client::get, path, Some(key))
    }

    pub(crate) fn post(&self, key: &str, body: &str) -> (u16, Value) {
        let body = body.to_owned();
        let post = move |client: &reqwest::Client, url: String| {
            client.post(url).header("Content-Type", "application/json").body(body)
        };
        self.send(post, "/api/lora/receive", Some(key))
    }

    fn send(
        &self,
        request: impl FnOnce(&reqwest::Client, String) -> reqwest::RequestBuilder,
        path: &str,
        key: Option<&str>,
    ) -> (u16, Value) {
        block_on(async {
            let mut request = request(&self.client(), self.url(path));
            if let Some(key) = key {
                request = request.header("X-API-Key", key);
            }
            let response = request.header("Accept", "application/json").send().await.unwrap();
            (response.status().as_u16(), response.json().await.unwrap())
        })
    }

    /// Returns a client that trusts the certificate of this process and no other.
    fn client(&self) -> reqwest::Client {
        client(&self.barn.state_dir().join("tls/certificate.pem"))
    }
}

impl Drop for Process<'_> {
    #[expect(clippy::print_stderr, reason = "this goes into the output of the test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", read_to_string(self.barn.stderr_file()).unwrap_or_default());
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn client(certificate: &Path) -> reqwest::Client {
    let trusted = reqwest::Certificate::from_pem(&std::fs::read(certificate).unwrap()).unwrap();
    // Fails if another test of this program has installed it, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().tls_certs_only([trusted]).timeout(TIMEOUT).no_proxy().build().unwrap()
}
