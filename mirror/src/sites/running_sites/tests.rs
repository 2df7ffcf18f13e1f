//! Sites whose task panics, or is held while it opens the copies.

use super::*;
use crate::copies::CopiesError;
use crate::link::tests::barn::{Barn, Identity};
use crate::run::RunError;
use crate::sites::follower::MAX_QUEUED_COMMANDS;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use herd::clock::{RawReading, SystemClock};
use herd::position::StoreId;
use herd::store::LocalFile;
use herd::testing::TestBarn;
use rcgen::KeyPair;
use service::harness::{TIMEOUT, wait_until};
use service::sync::OwnStore;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::Command;
use tokio::sync::oneshot;
use tokio::time::timeout;

const SETTINGS: FollowSettings = FollowSettings { sync_interval: Duration::from_secs(10), seed: 1 };
/// Pipe in the state directory that holds a site's task.
const PIPE: &str = "pipe";

/// Creates the pairing line of a barn that cannot be reached.
fn away(site: &str, store: u8) -> Pairing {
    let addresses = vec!["127.0.0.1:9".to_owned()];
    let store = StoreId([store; 16]);
    Pairing { site: site.to_owned(), addresses, spki_sha256: [1; 32], store, key: "hxb_1".to_owned() }
}

fn files(directory: &tempfile::TempDir) -> SiteFiles {
    SiteFiles::new(LocalFile::open(directory.path().join("local.redb")).unwrap(), directory.path())
}

/// A clock that panics whenever it is read.
struct BrokenClock;

impl Clock for BrokenClock {
    fn read(&self) -> RawReading {
        panic!("no clock is left")
    }

    fn boot_id(&self) -> String {
        String::new()
    }
}

/// Catches a site that stands still for ever after a panic, while the process stays up and tells nobody.
#[tokio::test]
async fn a_panic_of_a_sites_task_is_a_failure_that_ends_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::self_signed(KeyPair::generate().unwrap());
    let log = TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]);
    let store = log.reader().store();
    let shutdown = ShutdownTrigger::default();
    let router = serve::router(Arc::new(OwnStore::new(log.reader(), || 0)), shutdown.signal());
    let barn = Barn::start_with(&identity, router);
    let line = Pairing { addresses: vec![barn.at.to_string()], spki_sha256: identity.pin(), store, ..away("north", 1) };
    let files = files(&directory);
    files.add(&line, &AddOptions::default(), 0).unwrap();
    let (_sites, mut failures) = Sites::start(files, SETTINGS, Arc::new(BrokenClock)).await.unwrap();
    // The barn reports its head with the first page, and the time of the report is read from the clock.
    let failure = timeout(TIMEOUT, failures.recv()).await.expect("nobody is told").unwrap();
    let told = RunError::from(failure).to_string();
    assert!(told.contains("`north`") && told.contains("no clock is left") && told.contains("restart"), "{told}");
}

/// Catches a second click that takes back what the first one has decided, so that the site stops again.
#[tokio::test]
async fn a_second_resync_keeps_the_decision_of_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::self_signed(KeyPair::generate().unwrap());
    let (own, fork) = (TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]), TestBarn::with_payloads(&["hxb:B:LF2:UHF2"]));
    let (shutdown, gate) = (ShutdownTrigger::default(), watch::Sender::new(false));
    let served = serve::router(Arc::new(OwnStore::new(fork.reader(), || 0)), shutdown.signal());
    let opened = gate.subscribe();
    // A new copy gets nothing until the gate is open.
    let router = served.layer(from_fn(move |request: Request, next: Next| {
        let mut opened = opened.clone();
        async move {
            if request.uri().query().is_some_and(|query| query.contains("after=0&")) {
                opened.wait_for(|is_open| *is_open).await.unwrap();
            }
            next.run(request).await
        }
    }));
    let barn = Barn::start_with(&identity, router);
    let (addresses, store) = (vec![barn.at.to_string()], own.reader().store());
    let line = Pairing { addresses, spki_sha256: identity.pin(), store, ..away("north", 1) };
    let files = files(&directory);
    files.add(&line, &AddOptions::default(), 0).unwrap();
    files.copy_from("north", &own.reader());
    let (sites, _failures) = Sites::start(files, SETTINGS, Arc::new(SystemClock::default())).await.unwrap();
    let why_stopped = || sites.view("north").unwrap().state().stopped_because;
    wait_until("the site stops at the fork", async || why_stopped()).await.unwrap();

    let copies = sites.held_copies("north").await.unwrap().copies;
    for copy in ["copy-2", "copy-3"] {
        let begun = sites.resync("north".to_owned()).await.unwrap();
        assert_eq!((begun.to_string().as_str(), copies.is_decided(begun)), (copy, true));
    }
    gate.send_replace(true);
    let head = fork.reader().head().position;
    let is_shown = async || sites.reader("north").is_ok_and(|copy| copy.head().position == head).then_some(());
    wait_until("the barn's history is shown", is_shown).await.unwrap();
    assert_eq!(why_stopped(), None);
    sites.shut_down().await;
}

/// An office with the site `north`, whose task is held at the end of the opening: the note beside a kept copy leads to
/// a pipe.
struct HeldOffice {
    directory: tempfile::TempDir,
    sites: Arc<Sites>,
}

impl HeldOffice {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = files(&directory);
        files.add(&away("north", 1), &AddOptions::default(), 0).unwrap();
        let (kept, current) = (files.begin_copy("north").unwrap(), files.begin_copy("north").unwrap());
        let copies = files.copies(&"north".parse().unwrap()).unwrap();
        symlink(current.to_string(), copies.path(current).with_file_name("current")).unwrap();
        let pipe = directory.path().join(PIPE);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        symlink(pipe, copies.path(kept).join("given-back")).unwrap();
        let (sites, _failures) = Sites::start(files, SETTINGS, Arc::new(SystemClock::default())).await.unwrap();
        let office = Self { directory, sites };
        // The copy is served before the kept one is compared with it.
        let is_open = async || office.sites.reader("north").ok().map(drop);
        wait_until("the copy is open", is_open).await.unwrap();
        office
    }

    /// Lets the task go on. Opening both ends of a pipe does not block, and the last end that closes ends the reader's wait.
    fn release(&self) {
        let path = self.directory.path().join(PIPE);
        let Ok(pipe) = File::options().read(true).write(true).open(&path) else { return };
        fs::remove_file(path).unwrap();
        drop(pipe);
    }
}

impl Drop for HeldOffice {
    fn drop(&mut self) {
        // The runtime waits for the thread that is held.
        self.release();
    }
}

/// Catches one site that keeps the commands of all others waiting.
#[tokio::test]
async fn a_command_that_waits_for_a_busy_site_holds_up_no_other_site() {
    let office = HeldOffice::start().await;
    let sites = &office.sites;
    // Polled in this order, so the resync is on its way when the other begins.
    let (resynced, added) = tokio::join!(sites.resync("north".to_owned()), async {
        let added = timeout(TIMEOUT, sites.add(away("south", 2), AddOptions::default())).await;
        office.release();
        added
    });
    assert_eq!(added.expect("`add` waits for another site").unwrap().site.name.as_str(), "south");
    assert_eq!(resynced.unwrap().to_string(), "copy-3", "it is carried out once the site is ready");
}

/// Catches commands that pile up behind one that waits, and a site that takes none any more after a refusal.
#[tokio::test]
async fn a_second_command_is_refused_until_the_site_has_replied_to_the_first() {
    let (commands, mut queue) = Commands::new("north".parse().unwrap());
    for _ in 0..2 {
        // Polled in this order.
        let (first, second) = tokio::join!(commands.send_about_copy(SiteCommand::Copy), async {
            let second = timeout(TIMEOUT, commands.send_about_copy(SiteCommand::Cancel)).await;
            let Some(SiteCommand::Copy(reply)) = queue.recv().await else { panic!("the first one is not queued") };
            assert!(reply.send(Err(CopiesError::NothingUnfinished)).is_ok() && queue.is_empty());
            second
        });
        assert_eq!(first.unwrap_err().to_string(), CopiesError::NothingUnfinished.to_string());
        let told = second.expect("it waits for the first").unwrap_err().to_string();
        assert!(told.contains("`north`") && told.contains("herdlinx-mirror status"), "{told}");
    }
    let send = || commands.send(SiteCommand::Cancel(oneshot::channel().0));
    for _ in 0..MAX_QUEUED_COMMANDS {
        send().unwrap();
    }
    assert!(matches!(send(), Err(SiteCommandError::Busy(_))), "it would wait for the site");
    drop(queue);
    assert!(matches!(send(), Err(SiteCommandError::ShuttingDown(_))));
}

/// Catches a caller who waits as long as the site is busy, and one whose command is lost although it is called queued.
#[tokio::test]
async fn a_command_to_a_busy_site_is_told_in_time_that_it_stays_queued() {
    let office = HeldOffice::start().await;
    let resync = office.sites.resync("north".to_owned());
    let told = timeout(TIMEOUT, resync).await.expect("it waits for the site").unwrap_err().to_string();
    assert!(told.contains("`north`") && told.contains("stays queued"), "{told}");
    office.release();
    let copy = office.directory.path().join("sites/north/copy-3");
    wait_until("the queued command is carried out", async || copy.is_dir().then_some(())).await.unwrap();
}

/// Catches the removal of a site whose thread still works on the files, and one that is refused for ever.
#[tokio::test]
async fn a_busy_site_is_removed_only_once_its_task_has_ended() {
    let office = HeldOffice::start().await;
    let remove = || timeout(TIMEOUT, office.sites.remove("north".to_owned()));
    let told = remove().await.expect("it waits for the site").unwrap_err().to_string();
    assert!(told.contains("`north`") && told.contains("try again"), "{told}");
    assert_eq!(office.sites.names(), ["north"]);
    assert!(office.directory.path().join("sites/north/copy-2").is_dir(), "its thread still works here");
    office.release();
    let Removal::Site(Some(moved)) = remove().await.unwrap().unwrap() else { panic!("no copies were moved") };
    assert!(moved.join("copy-2").is_dir() && office.sites.names().is_empty());
}
