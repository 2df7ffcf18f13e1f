//! The shipped program as a child process, and a client of its pages.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whatever is waited for must be there by then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(crate) struct Office {
    pub(crate) directory: tempfile::TempDir,
    child: Option<Child>,
}

impl Drop for Office {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Office {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), child: None }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        // Longer than a socket's address can be (108 bytes), and not made beforehand.
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
        self.start_with(&[]);
    }

    pub(crate) fn start_with(&mut self, variables: &[(&str, &str)]) {
        let log = std::fs::File::options().append(true).create(true).open(self.log()).unwrap();
        let mut program = self.program(&["run"]);
        program.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = program.spawn().unwrap();
        self.child = Some(child);
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Output {
        self.program(args).output().unwrap()
    }

    /// What the command printed; it must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.command(args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {told}\n{}", self.logged());
        String::from_utf8(output.stdout).unwrap()
    }

    /// The secret of a new key.
    pub(crate) fn key(&self, name: &str, scope: &str) -> String {
        self.ok(&["key", "add", name, "--scope", scope]).lines().last().unwrap().to_owned()
    }

    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The address of the pages, once they are served.
    pub(crate) async fn address(&self) -> String {
        self.wait_for("the office to open", async || {
            let status: Value = serde_json::from_slice(&self.command(&["status"]).stdout).ok()?;
            status["listen"].as_str().map(str::to_owned)
        })
        .await
    }

    pub(crate) async fn wait_for<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited too long for {what}\n{}", self.logged());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// A client that trusts the certificate which the office made.
    pub(crate) fn client(&self) -> reqwest::Client {
        client(&self.state_dir().join("tls/certificate.pem"))
    }
}

fn client(certificate: &Path) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder().use_preconfigured_tls(config).no_proxy().build().unwrap()
}
