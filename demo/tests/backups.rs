//! The drills of a disaster, on real processes: the barn's machine is gone, with its card.
//!
//! Catches: a payload that was answered as stored and is not in the log after a restore, an office that does not follow the
//! restored barn or loses what only it holds, and a restored barn that differs from the one that died.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

#[allow(dead_code, reason = "each test program uses only a part")]
mod senders;
mod yard;

use demo::processes::{Barn, BarnSettings, Office, OfficeSettings};
use herd::position::Epoch;
use senders::Senders;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use yard::{Yard, own_programs, until};

/// Payloads that are answered as stored before the barn dies.
const STORED: u64 = 150;

impl Yard {
    async fn start() -> Self {
        Self::open(&own_programs(), |_| BarnSettings::default()).await
    }

    /// Lets devices deliver until some payloads are answered as stored, and returns all that must be in the log.
    async fn deliver_many(&self, during: impl FnOnce()) -> Vec<String> {
        let senders = Senders::start(&self.device);
        let mut stored = senders.stored();
        let until_count = async |stored: &mut tokio::sync::watch::Receiver<u64>, count| {
            until("payloads are answered as stored", async || (*stored.borrow() >= count).then_some(())).await;
        };
        until_count(&mut stored, STORED / 2).await;
        during();
        let so_far = *stored.borrow();
        until_count(&mut stored, so_far + STORED / 2).await;
        senders.finish().await.all().cloned().collect()
    }

    /// Puts a new machine in the place of the barn: a state directory that has seen a first boot, and a backup in it. Returns
    /// the pairing line, and what the restore printed.
    async fn rebuild_barn(&mut self, machine: &Path, backup: &str) -> (String, String) {
        self.barn.kill();
        let mut barn = Barn::new(&own_programs(), machine, &BarnSettings::default()).unwrap();
        barn.start().await.unwrap();
        let refused = barn.run(&["restore", backup]).unwrap_err().to_string();
        assert!(refused.contains("the barn is running"), "{refused}");
        assert_eq!(barn.terminate().await.unwrap().code(), Some(0));
        let printed = barn.run(&["restore", backup]).unwrap();
        let again = barn.run(&["restore", backup]).unwrap_err().to_string();
        assert!(again.contains("already holds everything"), "{again}");
        for file in ["log.redb", "tables.redb"] {
            let mode = std::fs::metadata(machine.join(file)).unwrap().permissions().mode();
            assert!(mode.is_multiple_of(0o100), "{file} is for its owner alone: {mode:o}");
        }
        barn.start().await.unwrap();
        self.device = barn.client(&barn.key("chute-1", &["ingest"]).unwrap()).unwrap();
        let line = barn.pair().unwrap();
        self.barn = barn;
        (line, printed)
    }

    /// Checks that the log holds each of these payloads once, equal at the office, and that both sides verify their files.
    async fn holds(&mut self, payloads: &[String]) {
        let text_counts = self.wait_until_equal().await.text_counts();
        for text in payloads {
            assert_eq!(text_counts.get(text), Some(&1), "{text}");
        }
        self.verify().await;
    }
}

fn place(directory: &TempDir, name: &str) -> (PathBuf, String) {
    let path = directory.path().join(name);
    let text = path.to_str().unwrap().to_owned();
    (path, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barn_restored_from_its_backup_has_every_stored_payload_and_its_office_follows_it() {
    let mut yard = Yard::start().await;
    let stick = tempfile::tempdir().unwrap();
    let (_, early) = place(&stick, "early.backup");
    let (_, last) = place(&stick, "last.backup");
    // The first backup is made while payloads come in, and the last one of what is there in the end.
    let stored = yard.deliver_many(|| drop(yard.barn.run(&["backup", &early]).unwrap())).await;
    yard.barn.run(&["backup", &last]).unwrap();
    yard.barn.run(&["verify", &early]).unwrap();
    let before = yard.barn.store_state().unwrap();
    yard.wait_until_equal().await;

    let machine = yard.directory.path().join("new-barn");
    let (line, printed) = yard.rebuild_barn(&machine, &last).await;
    assert!(printed.contains(&before.position.digest.to_string()), "{printed}");
    yard.office.add(&line).unwrap();
    let (status, answer) = yard.deliver("hxb:AFTER:LF1:UHF1").await;
    assert_eq!(status, 201, "{answer}");
    let after = yard.barn.store_state().unwrap();
    assert_eq!((after.position.store, after.position.epoch), (before.position.store, Epoch(2)));
    let site = yard.office.site().unwrap().unwrap();
    assert_eq!(site.stopped_because, None);
    yard.holds(&[stored, vec!["hxb:AFTER:LF1:UHF1".to_owned()]].concat()).await;
}

/// Catches a stick that must be there when the barn starts, and a nightly backup that nobody can restore.
#[tokio::test(flavor = "multi_thread")]
async fn a_barn_restored_from_a_nightly_backup_on_an_empty_card_has_every_stored_payload() {
    let stick = tempfile::tempdir().unwrap();
    let (directory, text) = place(&stick, "herdlinx");
    let backup = format!("[backup]\ndirectory = {text:?}");
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings { more: backup, ..BarnSettings::default() }).await;
    let why = until("the barn says that the stick is missing", async || {
        yard.barn.status().unwrap().findings.into_iter().find(|finding| finding.part == "backup")
    })
    .await;
    assert!(!why.failing && why.text.contains("plug the medium in"), "{}", why.text);
    let stored = yard.deliver_many(|| {}).await;
    let before = yard.barn.store_state().unwrap();
    yard.wait_until_equal().await;

    std::fs::create_dir(&directory).unwrap();
    let last = until("the nightly backup is verified", async || yard.barn.status().unwrap().backup?.last).await;
    assert_eq!(last.change, before.position.sequence);
    assert!(yard.barn.status().unwrap().findings.iter().all(|finding| finding.part != "backup"));

    let machine = yard.directory.path().join("new-barn");
    let (line, printed) = yard.rebuild_barn(&machine, last.file.to_str().unwrap()).await;
    assert!(printed.contains(&before.position.digest.to_string()), "{printed}");
    yard.office.add(&line).unwrap();
    yard.holds(&stored).await;
}

/// Catches an office whose nightly backups lack a site, or are of something else than its copy.
#[tokio::test(flavor = "multi_thread")]
async fn an_office_backs_up_each_site_by_itself() {
    let mut yard = Yard::start().await;
    assert_eq!(yard.deliver("hxb:LOT:LF1:UHF1").await.0, 201);
    let before = yard.wait_until_equal().await.end;
    assert_eq!(yard.office.site().unwrap().unwrap().backup, None);
    assert_eq!(yard.office.terminate().await.unwrap().code(), Some(0));
    let stick = tempfile::tempdir().unwrap();
    let more = format!("[backup]\ndirectory = {:?}", stick.path());
    let settings = OfficeSettings { more, ..OfficeSettings::default() };
    yard.office = Office::new(&own_programs(), &yard.directory.path().join("office"), &settings).unwrap();
    yard.office.start().await.unwrap();
    let last =
        until("the site is backed up", async || yard.office.site().unwrap().and_then(|site| site.backup)?.last).await;
    assert_eq!(last.change, before.sequence);
    let printed = yard.office.run(&["verify", "--backup", last.file.to_str().unwrap()]).unwrap();
    assert!(printed.contains(&before.digest.to_string()), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barn_rebuilt_from_the_office_alone_has_every_payload_that_the_office_had() {
    let mut yard = Yard::start().await;
    let stored = yard.deliver_many(|| {}).await;
    let before = yard.wait_until_equal().await.end;
    yard.barn.kill();
    let stick = tempfile::tempdir().unwrap();
    let (running, file) = place(&stick, "running.backup");
    let (stopped, file_of_stopped) = place(&stick, "stopped.backup");
    let printed = yard.office.run(&["backup", "barn", &file]).unwrap();
    assert!(printed.contains(&before.digest.to_string()), "{printed}");
    assert_eq!(yard.office.terminate().await.unwrap().code(), Some(0));
    yard.office.run(&["backup", "barn", &file_of_stopped]).unwrap();
    yard.office.run(&["verify", "--backup", &file_of_stopped]).unwrap();
    yard.office.start().await.unwrap();
    assert_eq!(std::fs::metadata(running).unwrap().len(), std::fs::metadata(stopped).unwrap().len());

    let machine = yard.directory.path().join("new-barn");
    let (line, printed) = yard.rebuild_barn(&machine, &file).await;
    assert!(printed.contains(&before.digest.to_string()), "{printed}");
    yard.office.add(&line).unwrap();
    yard.holds(&stored).await;
}

/// Catches an office that gives up reads which nobody else has, because the barn was restored from an older backup.
#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_holds_more_than_the_backup_keeps_that_and_copies_the_barn_again() {
    let mut yard = Yard::start().await;
    let stick = tempfile::tempdir().unwrap();
    let (_, file) = place(&stick, "old.backup");
    assert_eq!(yard.deliver("hxb:OLD:LF1:UHF1").await.0, 201);
    yard.barn.run(&["backup", &file]).unwrap();
    assert_eq!(yard.deliver("hxb:ONLYOFFICE:LF2:UHF2").await.0, 201);
    let before = yard.wait_until_equal().await.end;

    let machine = yard.directory.path().join("new-barn");
    let (line, printed) = yard.rebuild_barn(&machine, &file).await;
    assert!(printed.contains("An office has only what reached it"), "{printed}");
    assert_eq!(yard.deliver("hxb:NEW:LF3:UHF3").await.0, 201);
    yard.office.add(&line).unwrap();
    let only_here = async || yard.office.site().unwrap()?.only_here.filter(|only_here| *only_here > 0);
    assert_eq!(until("the office has copied the barn again", only_here).await, 1);
    // What only the office holds is a backup as well.
    let (_, only_here) = place(&stick, "office.backup");
    let printed = yard.office.run(&["backup", "barn", "--only-here", &only_here]).unwrap();
    assert!(printed.contains(&before.digest.to_string()), "{printed}");
    let texts = yard.wait_until_equal().await.text_counts();
    assert!(texts.contains_key("hxb:NEW:LF3:UHF3") && !texts.contains_key("hxb:ONLYOFFICE:LF2:UHF2"));
    let copies = yard.office.state_dir().join("sites/barn");
    assert!(copies.join("copy-1/log.redb").exists() && copies.join("copy-2/log.redb").exists());
}

/// Catches a restored machine on which a backup of another yard overwrites the barn.
#[tokio::test(flavor = "multi_thread")]
async fn a_barn_with_payloads_refuses_the_backup_of_another_one_and_goes_on() {
    let (yard, mut other) = (Yard::start().await, Yard::start().await);
    let stick = tempfile::tempdir().unwrap();
    let (_, file) = place(&stick, "yard.backup");
    yard.deliver("hxb:OURS:LF1:UHF1").await;
    other.deliver("hxb:THEIRS:LF1:UHF1").await;
    yard.barn.run(&["backup", &file]).unwrap();
    let before = other.barn.store_state().unwrap();
    other.barn.terminate().await.unwrap();
    let refused = other.barn.run(&["restore", &file]).unwrap_err().to_string();
    assert!(refused.contains("holds payloads"), "{refused}");
    other.barn.start().await.unwrap();
    assert_eq!(other.barn.store_state().unwrap(), before);
    other.holds(&["hxb:THEIRS:LF1:UHF1".to_owned()]).await;
}
