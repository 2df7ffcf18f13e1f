//! Keys that are revoked while `local.redb` cannot be written.
//!
//! Catches: a revoked key that is let in because a disk fails, a command that says nothing of it, a health that is well before
//! the revocation is on disk, one that stays unwell afterwards, and a key that comes back with a restart.
//!
//! The kernel refuses each write behind the first pages of any file of the process (`RLIMIT_FSIZE`, error `EFBIG`), as a disk
//! without room does. The signal that comes with it would end the process, so it is started with that ignored.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

use demo::processes::{Barn, BarnSettings, Client, Office, OfficeSettings, Process, ProcessError, Programs, Side};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use service::harness::wait_until;
use service::lifecycle::Exit;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Length to which the process may write its files. A commit of `local.redb` writes pages behind it, the log of the process is
/// shorter, and a barn at rest writes nothing else.
const WRITABLE_BYTES: u64 = 8 * 1024;
/// A call of the barn that needs a key.
const BARN_PATH: &str = "/api/remote/status";
/// A call of the office that needs a key.
const OFFICE_PATH: &str = "/office/api/sync-status";

/// Writes a script that runs one of the programs with the signal of a file that is too long ignored.
fn script(directory: &Path, program: &str) -> PathBuf {
    let path = directory.join(program);
    let demo = env!("CARGO_BIN_EXE_herdlinx-demo");
    fs::write(&path, format!("#!/bin/sh\ntrap '' XFSZ\nexec '{demo}' {program} \"$@\"\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    path
}

fn programs(directory: &Path) -> Programs {
    Programs::Shipped { daemon: script(directory, "barn"), mirror: script(directory, "office") }
}

/// Limits the length of the files that a running process writes; `None` lifts the limit.
fn limit_files<S: Side>(process: &Process<S>, current: Option<u64>) {
    let pid = process.pid().and_then(|pid| Pid::from_raw(pid.try_into().unwrap()));
    prlimit(Some(pid.unwrap()), Resource::Fsize, Rlimit { current, maximum: None }).unwrap();
}

/// Returns the status of the health, and whether it names the keys.
async fn health<S: Side>(process: &Process<S>) -> (u16, bool) {
    let answer = process.visitor().unwrap().get("/api/remote/health", "application/json").await.unwrap();
    let names_keys = answer.json().unwrap()["failing"].as_array().is_some_and(|parts| parts.contains(&json!("keys")));
    (answer.status, names_keys)
}

async fn status_with(client: &Client, path: &str) -> (u16, Value) {
    let answer = client.get(path, "application/json").await.unwrap();
    (answer.status, answer.json().unwrap()["error"].take())
}

async fn until<T, S: Side>(process: &Process<S>, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    let log = || fs::read_to_string(process.log()).unwrap_or_default();
    wait_until(what, look).await.unwrap_or_else(|error| panic!("{error}: {}", log()))
}

/// Revokes a key of a running process that cannot write its files, and lets it write them again.
async fn revoke_without_room<S: Side>(process: &mut Process<S>, path: &str) {
    let [stolen, kept] = ["stolen", "kept"].map(|name| process.key(name, &["read"]).unwrap());
    let [stolen, kept] = [stolen, kept].map(|key| process.client(&key).unwrap());
    // A clean stop leaves nothing to be written later.
    process.terminate().await.unwrap();
    process.start().await.unwrap();
    assert_eq!((status_with(&stolen, path).await.0, health(process).await), (200, (200, false)));

    limit_files(process, Some(WRITABLE_BYTES));
    let refused = process.run(&["key", "revoke", "stolen"]).unwrap_err();
    let ProcessError::Command { status, stderr: said, .. } = refused else { panic!("{refused}") };
    assert_eq!(status.code(), Some(Exit::Refused as i32), "{said}");
    for words in
        ["`stolen` is rejected from now on, but its removal is not on disk", "local.redb", "A running process tries"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(status_with(&stolen, path).await, (401, json!("unauthorized")));
    assert_eq!(status_with(&kept, path).await.0, 200, "the other keys are let in");
    assert_eq!(health(process).await, (503, true));
    until(process, "the process tries again in vain", async || {
        let log = fs::read_to_string(process.log()).unwrap();
        log.contains("revoked keys are rejected, but still on disk").then_some(())
    })
    .await;
    assert_eq!((status_with(&stolen, path).await.0, health(process).await), (401, (503, true)));

    limit_files(process, None);
    until(process, "the health is well again", async || (health(process).await == (200, false)).then_some(())).await;
    process.kill();
    process.start().await.unwrap();
    assert_eq!((status_with(&stolen, path).await.0, status_with(&kept, path).await.0), (401, 200), "after a restart");
    let listed = process.run(&["key", "list"]).unwrap();
    assert!(listed.contains("kept") && !listed.contains("stolen"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_barn_cannot_remove_from_its_disk_is_refused_now_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = directory.path().join("state");
    let mut barn = Barn::new(&programs(directory.path()), &state_dir, &BarnSettings::default()).unwrap();
    barn.start().await.unwrap();
    revoke_without_room(&mut barn, BARN_PATH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_an_office_cannot_remove_from_its_disk_is_refused_now_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = directory.path().join("state");
    let mut office = Office::new(&programs(directory.path()), &state_dir, &OfficeSettings::default()).unwrap();
    office.start().await.unwrap();
    revoke_without_room(&mut office, OFFICE_PATH).await;
}
