//! A barn and its office, each its own process, in a directory for one test.
//!
//! Nothing here asserts a time: a test waits for a condition, and the timeout of the harness only bounds a failing test.
#![allow(dead_code, reason = "each test program uses only a part")]

pub(crate) mod authority;
pub(crate) mod damage;
pub(crate) mod log;
pub(crate) mod modem;
pub(crate) mod pages;
pub(crate) mod shipped;

use daemon::control::BarnStatus;
use demo::processes::{Barn, BarnSettings, Client, Office, OfficeSettings, Programs};
use log::OfficeLog;
use serde_json::{Value, json};
use service::harness::wait_until;
use std::path::Path;
use tempfile::TempDir;

/// Waits until `look` returns a value. The panic names the condition if it never does.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    wait_until(what, look).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the programs that the demo's own executable contains, built from this workspace.
pub(crate) fn own_programs() -> Programs {
    Programs::Own(env!("CARGO_BIN_EXE_herdlinx-demo").into())
}

/// A barn, an office that follows it, and a device's key for payloads.
pub(crate) struct Yard {
    pub(crate) barn: Barn,
    pub(crate) office: Office,
    /// Client that delivers payloads.
    pub(crate) device: Client,
    /// Client that reads the office's pages, and its log as another mirror would.
    pub(crate) pages: Client,
    /// The last field, so that the processes end before their files are removed.
    pub(crate) directory: TempDir,
}

impl Yard {
    /// Starts both processes and pairs the office with the barn.
    pub(crate) async fn open(programs: &Programs, settings: impl FnOnce(&Path) -> BarnSettings) -> Self {
        Self::open_with(programs, settings, &[]).await
    }

    /// Like [`Yard::open`], with further arguments for `add`.
    pub(crate) async fn open_with(
        programs: &Programs,
        settings: impl FnOnce(&Path) -> BarnSettings,
        add: &[&str],
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path());
        let mut barn = Barn::new(programs, &directory.path().join("barn"), &settings).unwrap();
        barn.start().await.unwrap();
        let device = barn.client(&barn.key("chute-1", &["ingest"]).unwrap()).unwrap();

        // The machine's own zone is different on each.
        let settings = OfficeSettings { more: "time_zone = 'UTC'".to_owned(), ..OfficeSettings::default() };
        let mut office = Office::new(programs, &directory.path().join("office"), &settings).unwrap();
        office.start().await.unwrap();
        office.add_with(&barn.pair().unwrap(), add).unwrap();
        let pages = office.client(&office.key("auditor", &["sync", "read"]).unwrap()).unwrap();
        Self { barn, office, device, pages, directory }
    }

    /// Delivers one payload, and returns the status and body of the answer.
    pub(crate) async fn deliver(&self, payload: &str) -> (u16, Value) {
        deliver(&self.device, &json!({ "payload": payload })).await.unwrap()
    }

    /// Stops both processes in order and starts them again.
    pub(crate) async fn restart(&mut self) {
        assert_eq!(self.barn.terminate().await.unwrap().code(), Some(0), "{}", log_end(&self.barn.log()));
        assert_eq!(self.office.terminate().await.unwrap().code(), Some(0), "{}", log_end(&self.office.log()));
        self.barn.start().await.unwrap();
        self.office.start().await.unwrap();
    }

    /// Waits until the office holds the barn's log and tables, and returns the office's log.
    pub(crate) async fn wait_until_equal(&self) -> OfficeLog {
        let wanted = self.barn.status().unwrap();
        let BarnStatus { store, epoch, sequence, digest, folded, fold_digest, .. } = &wanted;
        let expected = [json!(store), json!(epoch), json!(sequence), json!(digest), json!(folded), json!(fold_digest)];
        until("the office equals the barn", async || {
            let state = pages::json(&self.pages, "/api/sync/schema").await.ok()?["data"]["state"].take();
            let (at, folded) = (&state["position"], [&state["folded"], &state["fold_digest"]]);
            let found = ["store", "epoch", "sequence", "digest"].map(|name| at[name].clone());
            let found = [&found[..], &folded.map(Value::clone)].concat();
            (found == expected).then_some(())
        })
        .await;
        let kept = OfficeLog::fetch(&self.pages).await;
        assert_eq!(kept.end.digest, wanted.digest, "the office's log has another digest than the barn's");
        kept
    }

    /// Shuts down both processes, and checks that each verifies its files with the barn's digests.
    pub(crate) async fn verify(&mut self) {
        let status = self.barn.status().unwrap();
        assert_eq!(self.office.terminate().await.unwrap().code(), Some(0), "{}", log_end(&self.office.log()));
        assert_eq!(self.barn.terminate().await.unwrap().code(), Some(0), "{}", log_end(&self.barn.log()));
        for report in [self.barn.run(&["verify"]).unwrap(), self.office.run(&["verify", "barn"]).unwrap()] {
            assert!(report.contains("rows hashed again"), "{report}");
            for digest in [status.digest, status.fold_digest] {
                assert!(report.contains(&digest.to_string()), "{digest}: {report}");
            }
        }
    }
}

/// Returns the last lines of a process's log, for a message.
pub(crate) fn log_end(log: &Path) -> String {
    const SHOWN_LINES: usize = 30;
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// Posts to the ingest door. Returns `None` if no answer came.
pub(crate) async fn deliver(device: &Client, body: &Value) -> Option<(u16, Value)> {
    let answer = device.post_json("/api/lora/receive", body).await.ok()?;
    Some((answer.status, answer.json().unwrap()))
}
