//! A barn and an office, each on a real file system that is filled to its last byte.
//!
//! Catches: an acknowledged payload that a full disk loses; a process that ends, hangs or does not start on a full disk; a
//! packet of a radio that is refused while the reserve has room; a copy that is no longer shown; and a process that has to be
//! restarted once there is room again.
//!
//! Each test runs itself again in a mount namespace of its own, where it may mount file systems (`unshare` of util-linux;
//! user namespaces must be allowed). So they are ignored, and `.ci/long tests` runs them.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::{BarnSettings, Client};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use yard::modem::modem_at;
use yard::pages;
use yard::{Yard, own_programs, until};

/// Set for a test that has mounts of its own.
const HAS_OWN_MOUNTS: &str = "HERDLINX_TEST_HAS_OWN_MOUNTS";
/// Size of a file system. The reserve is a twentieth of it.
const DISK_BYTES: u64 = 384 * MIB;
const MIB: u64 = 1024 * 1024;
/// Free bytes of a disk with room for packets of radios, and for nothing else.
const IN_RESERVE: u64 = DISK_BYTES / 20 / 2;

/// Runs a test again with mounts of its own. Returns true in there, and false once that has passed.
fn has_own_mounts(test: &str) -> bool {
    if std::env::var_os(HAS_OWN_MOUNTS).is_some() {
        return true;
    }
    let mut again = Command::new("unshare");
    again.args(["--map-root-user", "--mount", "--"]).arg(std::env::current_exe().unwrap());
    again.args([test, "--exact", "--include-ignored", "--nocapture"]).env(HAS_OWN_MOUNTS, "1");
    let status = again.status().unwrap_or_else(|error| panic!("cannot run `unshare` of util-linux: {error}"));
    assert!(status.success(), "the test failed in its own mount namespace, or may have none: {status}");
    false
}

/// A file system of its own, which a file can fill.
struct Disk {
    root: PathBuf,
}

impl Disk {
    fn mount(root: PathBuf) -> Self {
        std::fs::create_dir(&root).unwrap();
        let options = format!("size={DISK_BYTES},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "herdlinx"]).arg(&root).status();
        assert!(mounted.unwrap().success(), "{} is not mounted", root.display());
        Self { root }
    }

    fn free_bytes(&self) -> u64 {
        service::lifecycle::free_disk(&self.root).unwrap().free_bytes
    }

    /// Fills the disk until this many bytes are free.
    fn fill(&self, free_bytes: u64) {
        let zeros = vec![0; usize::try_from(MIB).unwrap()];
        let mut file = File::options().append(true).create(true).open(self.filler()).unwrap();
        while let Some(missing) = self.free_bytes().checked_sub(free_bytes).filter(|missing| *missing > 0) {
            let piece = usize::try_from(missing.min(MIB)).unwrap();
            match file.write_all(&zeros[..piece]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("cannot fill {}: {error}", self.root.display()),
            }
        }
    }

    /// Gives up so much of the filler that this many bytes are free.
    fn free(&self, free_bytes: u64) {
        let missing = free_bytes.saturating_sub(self.free_bytes());
        let file = File::options().write(true).open(self.filler()).unwrap();
        file.set_len(file.metadata().unwrap().len() - missing).unwrap();
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.root.join("filler")
    }
}

/// Opens a yard with a disk for each side and a serial modem, which listens.
async fn yard_with_disks() -> (Yard, [Disk; 2], File) {
    let mut parts = None;
    let yard = Yard::open(&own_programs(), |directory| {
        let port = directory.join("modem");
        parts = Some((["barn", "office"].map(|side| Disk::mount(directory.join(side))), modem_at(&port)));
        BarnSettings { radios: serial_radio(&port), ..BarnSettings::default() }
    })
    .await;
    let (disks, modem) = parts.unwrap();
    for disk in &disks {
        assert_ne!(disk.root.metadata().unwrap().dev(), yard.directory.path().metadata().unwrap().dev());
    }
    wait_for_modem(&yard).await;
    (yard, disks, modem)
}

async fn wait_for_modem(yard: &Yard) {
    until("the modem is listened to", async || {
        yard.barn.status().unwrap().radios.iter().all(|radio| radio.state == "listening").then_some(())
    })
    .await;
}

/// Waits until the barn's health names the disk.
async fn wait_for_failing_disk(office: &Client) {
    until("the health names the disk", async || {
        let health = office.get("/api/remote/health", "application/json").await.ok()?;
        let failing = health.json().unwrap()["failing"].take();
        (health.status == 503 && failing.as_array()?.contains(&json!("disk"))).then_some(())
    })
    .await;
}

fn serial_radio(port: &Path) -> String {
    format!("[[radio]]\nname = 'line'\nkind = 'serial'\nserial = {{ path = '{}', framing = 'line' }}\n", port.display())
}

/// Sends payloads, each another one, and keeps those that were answered as stored.
#[derive(Default)]
struct Sender {
    sent: usize,
    stored: Vec<String>,
}

impl Sender {
    /// Sends payloads until one is answered with this status, and returns that answer.
    async fn send_until(&mut self, yard: &Yard, wanted: u16) -> Value {
        until("the barn answers as it should", async || {
            self.sent += 1;
            let payload = format!("hxb:SENT:LF{0}:UHF{0}", 1_000 + self.sent);
            let (status, body) = yard.deliver(&payload).await;
            if status == 201 {
                self.stored.push(payload);
            }
            (status == wanted).then_some(body)
        })
        .await
    }
}

async fn shown_at_the_office(yard: &Yard, batch: &str) {
    until(batch, async || pages::json(&yard.pages, &format!("/batches/{batch}")).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts file systems, for which it needs a namespace"]
async fn a_barn_on_a_full_disk_loses_nothing_hears_radios_and_goes_on_by_itself() {
    if !has_own_mounts("a_barn_on_a_full_disk_loses_nothing_hears_radios_and_goes_on_by_itself") {
        return;
    }
    let (mut yard, [disk, _], mut modem) = yard_with_disks().await;
    let mut sender = Sender::default();
    sender.send_until(&yard, 201).await;
    let office = yard.barn.client(&yard.barn.key("office-2", &["sync"]).unwrap()).unwrap();

    disk.fill(IN_RESERVE);
    let refusal = sender.send_until(&yard, 503).await;
    assert_eq!(refusal["error"], "disk_full", "{refusal}");
    modem.write_all(b"hxb:RESERVE:LF3:UHF3\n").unwrap();
    shown_at_the_office(&yard, "RESERVE").await;

    disk.fill(0);
    sender.send_until(&yard, 503).await;
    until("the barn says that its disk is full", async || {
        let findings = yard.barn.status().ok()?.findings;
        findings.iter().any(|finding| finding.part == "disk").then_some(())
    })
    .await;
    yard.barn.kill();
    // The kernel keeps the lock of a killed process on a pseudo-terminal while the far end is open.
    let port = yard.directory.path().join("modem");
    std::fs::remove_file(&port).unwrap();
    modem = modem_at(&port);
    yard.barn.start().await.unwrap();
    sender.send_until(&yard, 503).await;
    wait_for_failing_disk(&office).await;
    let end = office.get_json("/api/sync/schema").await.unwrap()["data"]["state"]["position"].take();
    assert_eq!(end["sequence"], json!(yard.barn.status().unwrap().sequence), "{end}");
    disk.free(IN_RESERVE);
    wait_for_modem(&yard).await;
    modem.write_all(b"hxb:STARTED:LF4:UHF4\n").unwrap();
    shown_at_the_office(&yard, "STARTED").await;
    sender.send_until(&yard, 503).await;
    disk.make_room();
    sender.send_until(&yard, 201).await;
    let log = yard.wait_until_equal().await;
    for kept in sender.stored.iter().map(String::as_str).chain(["hxb:RESERVE:LF3:UHF3", "hxb:STARTED:LF4:UHF4"]) {
        log.sequence_of(kept);
    }
    yard.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts file systems, for which it needs a namespace"]
async fn a_packet_that_a_full_disk_cannot_take_waits_for_room() {
    if !has_own_mounts("a_packet_that_a_full_disk_cannot_take_waits_for_room") {
        return;
    }
    let (mut yard, [disk, _], mut modem) = yard_with_disks().await;
    disk.fill(0);
    Sender::default().send_until(&yard, 503).await;
    modem.write_all(b"hxb:WAITS:LF5:UHF5\n").unwrap();
    until("the packet waits", async || {
        let radios = yard.barn.status().ok()?.radios;
        radios.iter().any(|radio| radio.counts.received == 1).then_some(())
    })
    .await;
    assert_eq!(pages::json(&yard.pages, "/batches/WAITS").await, Err(404));
    disk.make_room();
    shown_at_the_office(&yard, "WAITS").await;
    yard.wait_until_equal().await;
    yard.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts file systems, for which it needs a namespace"]
async fn an_office_on_a_full_disk_shows_its_copy_and_goes_on_by_itself() {
    if !has_own_mounts("an_office_on_a_full_disk_shows_its_copy_and_goes_on_by_itself") {
        return;
    }
    let (mut yard, [_, disk], _modem) = yard_with_disks().await;
    assert_eq!(yard.deliver("hxb:ROOM:LF1:UHF1").await.0, 201);
    shown_at_the_office(&yard, "ROOM").await;
    for end in ["still running", "killed and started"] {
        disk.fill(0);
        if end == "killed and started" {
            yard.office.kill();
            yard.office.start().await.unwrap();
        }
        shown_at_the_office(&yard, "ROOM").await;
        let batch = end.replace(' ', "-");
        assert_eq!(yard.deliver(&format!("hxb:{batch}:LF9:UHF9")).await.0, 201, "{end}");
        until("the office says why it lags", async || {
            pages::html(&yard.pages, "/status").await.ok()?.contains("bytes free").then_some(())
        })
        .await;
        assert_eq!(pages::json(&yard.pages, &format!("/batches/{batch}")).await, Err(404), "{end}");
        shown_at_the_office(&yard, "ROOM").await;
        disk.make_room();
        shown_at_the_office(&yard, &batch).await;
        yard.wait_until_equal().await;
    }
    yard.verify().await;
}
