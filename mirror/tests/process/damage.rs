//! A damaged copy of an office whose barn is there.

use crate::barn::Barn;
use crate::slow_link::{LONG, Yard};
use crate::{FollowedBarn, get, pair_and_follow, wait_until_copied};
use herd::position::Position;
use herd::store::{ApplyError, ChangeRun, Directory, JOURNAL_FILE, LOG_FILE, Store, StoreError, TABLES_FILE};
use service::harness::NarrowSettings;
use service::process::LOCAL_FILE;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Interval between two looks at a page.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Number of bytes of a page of redb.
const PAGE_BYTES: usize = 4_096;

/// Number of animals that an office's log takes over from its journal within seconds.
const BULK: u64 = 5_000;

/// Returns the directory of a copy.
fn copy(followed: &FollowedBarn, number: u32) -> PathBuf {
    followed.office.state_dir().join(format!("sites/barn/copy-{number}"))
}

/// Waits until the copy is that of the barn again, under another number, and checks that the damaged one was kept.
async fn wait_until_copied_again(followed: &FollowedBarn) {
    let FollowedBarn { barn, office, address, client } = followed;
    let current = office.state_dir().join("sites/barn/current");
    let is_current = || fs::read_link(&current).is_ok_and(|copy| copy == Path::new("copy-2"));
    office.wait_until("another copy is shown", async || is_current().then_some(())).await;
    wait_until_copied(office, client, address, "barn", barn).await;
    assert!(copy(followed, 1).join(LOG_FILE).exists(), "the damaged copy may be needed");
    let verified = office.output(&["verify", "barn"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// Catches a copy that stays closed until a person asks for another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_cannot_be_opened_is_made_again() {
    let mut followed = pair_and_follow(20).await;
    assert_eq!(followed.office.stop().code(), Some(0));
    fs::write(copy(&followed, 1).join(LOG_FILE), "no log").unwrap();
    followed.barn.scan(5);
    followed.office.start();
    followed.address = followed.office.address().await;
    wait_until_copied_again(&followed).await;
    assert_eq!(followed.office.stop().code(), Some(0));
}

/// Returns true if a copy with this log opens, and a writer that takes these changes over finds damage.
fn ends_the_writer(place: &Path, log: &[u8], run: ChangeRun) -> bool {
    fs::write(place.join(LOG_FILE), log).unwrap();
    for made_again in [TABLES_FILE, JOURNAL_FILE] {
        fs::remove_file(place.join(made_again)).ok();
    }
    let Ok(mut store) = Store::open_replica(&Directory::new(place).unwrap(), run.after.store) else { return false };
    match store.apply(run) {
        Ok(_) => matches!(store.settle(), Err(StoreError::DamagedFile { .. })),
        Err(error) => matches!(error, ApplyError::Store(StoreError::DamagedFile { .. })),
    }
}

/// Damages a page of a closed log in such a way that it opens, and ends the writer that takes the next changes over.
fn damage_for_the_writer(followed: &FollowedBarn, after: Position) {
    let log = copy(followed, 1).join(LOG_FILE);
    let whole = fs::read(&log).unwrap();
    let place = tempfile::tempdir().unwrap();
    let places = |page| [5, 40, 200, 1_000].map(|offset| page + offset);
    for at in (PAGE_BYTES..whole.len() - PAGE_BYTES).step_by(PAGE_BYTES).flat_map(places) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x04;
        if ends_the_writer(place.path(), &damaged, followed.barn.changes_after(after)) {
            return fs::write(&log, damaged).unwrap();
        }
    }
    panic!("no page of {} ends the writer", log.display());
}

/// Catches a damaged copy of one site that ends the process, which shows all sites; and one that waits for a person.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_writer_finds_damage_is_made_again_while_other_sites_are_shown() {
    let mut followed = pair_and_follow(20).await;
    let mut south = Barn::open("south", 2);
    south.scan(3);
    followed.office.run(&["add", &south.pair("office-1")]);
    wait_until_copied(&followed.office, &followed.client, &followed.address, "south", &south).await;
    assert_eq!(followed.office.stop().code(), Some(0));

    let after = followed.barn.position();
    followed.barn.scan(BULK);
    damage_for_the_writer(&followed, after);
    followed.office.start();
    followed.address = followed.office.address().await;
    let url = format!("https://{}/sites/south/batches/LOT1", followed.address);
    let south_is_shown = async || get(&followed.client, &url, None).await.0 == 200;
    followed.office.wait_until("the other site is shown", async || south_is_shown().await.then_some(())).await;
    let watch = async {
        while south_is_shown().await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::select! {
        () = watch => panic!("the other site is not shown any more\n{}", followed.office.log()),
        () = wait_until_copied_again(&followed) => {}
    }
    let log = followed.office.log();
    assert!(
        log.contains("the copy is damaged: a new one is made, and this one is kept"),
        "its writer has found it: {log}"
    );
    assert_eq!(followed.office.stop().code(), Some(0), "{}", followed.office.log());
}

/// Catches a new copy whose files are removed under its writer, which would go on into them and be shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_copy_is_closed_first_also_when_the_complete_one_cannot_be_opened() {
    let mut yard = Yard::new(1_000, NarrowSettings::rate(12_000)).await;
    yard.wait_until_equal(LONG).await;
    assert_eq!(yard.office.stop().code(), Some(0));
    let copies = yard.office.state_dir().join("sites/barn");
    fs::write(copies.join("copy-1").join(LOG_FILE), "no log").unwrap();
    yard.office.start();
    yard.address = yard.office.address().await;
    let new = copies.join("copy-2");
    yard.office.wait_until("a new copy is being made", async || new.exists().then_some(())).await;
    assert!(yard.office.run(&["resync", "barn", "--cancel"]).contains("Canceled copy-2"));
    let is_stopped = async || (yard.site().await["link"] == "stopped").then_some(());
    yard.office.wait_until("nothing is made against the will of the operator", is_stopped).await;
    assert!(new.exists(), "nobody can tell whether it holds what the damaged one lacks");
    assert!(yard.office.run(&["resync", "barn"]).contains("copy-3"));
    yard.wait_until_equal(LONG).await;
    yard.office.run(&["verify", "barn"]);
    assert_eq!(yard.office.stop().code(), Some(0), "{}", yard.office.log());
}

/// Catches an office that has lost its users, keys and barns, and starts as if it were new. Catches one that is refused as
/// well after a person moved the file away.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_of_keys_beside_copies_is_a_damaged_one() {
    let FollowedBarn { barn, mut office, .. } = pair_and_follow(3).await;
    assert_eq!(office.stop().code(), Some(0));
    let local = office.state_dir().join(LOCAL_FILE);
    for damage in [[].as_slice(), &[0x5a; 9_000]] {
        fs::write(&local, damage).unwrap();
        for command in [&["show", "batches"][..], &["key", "add", "new", "--scope", "read"], &["run"]] {
            let refused = office.output(command);
            let text = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(refused.status.code(), Some(3), "{command:?}: {text}");
            assert!(text.contains("the file is damaged: restore it from a backup, or move it away"), "{text}");
        }
        assert!(fs::read(&local).unwrap() == damage, "the file is left as it is");
    }
    fs::remove_file(&local).unwrap();
    for _ in 0..2 {
        office.start();
        office.address().await;
        assert_eq!(office.stop().code(), Some(0), "{}", office.log());
    }
    office.run(&["add", &barn.pair("office-2")]);
    office.start();
    let (address, client) = (office.address().await, office.client());
    wait_until_copied(&office, &client, &address, "barn", &barn).await;
    assert_eq!(office.stop().code(), Some(0), "{}", office.log());
}
