//! The shipped `herdlinx-mirror` as a child process, and a client of its pages.

use reqwest::header::HeaderName;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use service::harness::{self, ChildProcess};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::Arc;

/// An office in a temporary directory. Its process may run or not; dropping the office kills it.
pub(crate) struct Office {
    // Before `directory`: the process ends before its files are removed.
    process: Option<ChildProcess>,
    pub(crate) directory: tempfile::TempDir,
}

impl Office {
    pub(crate) fn new() -> Self {
        Self { process: None, directory: tempfile::tempdir().unwrap() }
    }

    /// Path of the state directory, which `run` creates. It is longer than the address of a socket can be (108 bytes).
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.directory.path().join("state-".repeat(20))
    }

    fn program(&self, args: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_herdlinx-mirror"));
        program
            .env_clear()
            .env("HERDLINX_MIRROR_STATE_DIR", self.state_dir())
            .env("HERDLINX_MIRROR_LISTEN", "127.0.0.1:0")
            .env("HERDLINX_MIRROR_SYNC_INTERVAL", "1s")
            .args(args);
        program
    }

    pub(crate) fn start(&mut self) {
        self.start_with_env(&[]);
    }

    pub(crate) fn start_with_env(&mut self, variables: &[(&str, &str)]) {
        let mut program = self.program(&["run"]);
        program.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        self.process = Some(ChildProcess::spawn("office", program, &self.log_file()).unwrap());
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Returns the log of all runs.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: harness::Signal) {
        self.process.as_ref().unwrap().signal(signal).unwrap();
    }

    /// Sends SIGTERM and waits for the exit.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let process = self.process.take().unwrap();
        process.terminate_blocking().unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Runs a command to its end.
    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.program(args).output().unwrap()
    }

    /// Runs a command whose stdout has no reader any more.
    pub(crate) fn output_into_closed_pipe(&self, args: &[&str]) -> Output {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.program(args).stdout(writer).output().unwrap()
    }

    /// Runs a command that must succeed, and returns its stdout.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {stderr}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Creates a key and returns its secret.
    pub(crate) fn key(&self, name: &str, scope: &str) -> String {
        self.run(&["key", "add", name, "--scope", scope]).lines().last().unwrap().to_owned()
    }

    /// Waits until the pages are served and returns their address.
    pub(crate) async fn address(&self) -> String {
        self.wait_until("the office is ready", async || {
            let status: Value = serde_json::from_slice(&self.output(&["status"]).stdout).ok()?;
            status["listen"].as_str().map(str::to_owned)
        })
        .await
    }

    /// Waits until `condition` returns a value. The panic names the condition and shows the log if it never does.
    pub(crate) async fn wait_until<T>(&self, what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
        let value = harness::wait_until(what, condition).await;
        value.unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Returns the TLS settings of a client that trusts the office's certificate, and no other.
    pub(crate) fn tls(&self) -> Arc<rustls::ClientConfig> {
        Arc::new(tls(&self.state_dir().join("tls/certificate.pem")))
    }

    /// Returns a client of the pages: it has a key of scope read, which this creates, and sends it unless a request has
    /// another. It trusts the certificate that the office generated, and no other.
    pub(crate) fn client(&self) -> reqwest::Client {
        let key = self.key("pages", "read").parse().unwrap();
        self.client_builder()
            .default_headers([(HeaderName::from_static("x-api-key"), key)].into_iter().collect())
            .build()
            .unwrap()
    }

    /// Returns a client that has no key.
    pub(crate) fn client_without_key(&self) -> reqwest::Client {
        self.client_builder().build().unwrap()
    }

    fn client_builder(&self) -> reqwest::ClientBuilder {
        let certificate = self.state_dir().join("tls/certificate.pem");
        reqwest::Client::builder().use_preconfigured_tls(tls(&certificate)).no_proxy()
    }
}

fn tls(certificate: &Path) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
