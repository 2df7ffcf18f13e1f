//! The drills of a damaged card and of an old one, on real processes. Each prints what was typed, how long it took, and what
//! the programs said:
//!
//! ```sh
//! cargo test -p herdlinx-demo --test drills -- --nocapture
//! ```
//!
//! Catches: a payload that was answered as stored, is not in the log afterwards and is not named as lost; reads that only the
//! office holds and that a resync takes away, that come back twice, or not at all; and digests that differ at the end.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]
#![expect(clippy::print_stderr, reason = "a drill is read by people")]

mod yard;

use daemon::control::BarnStatus;
use demo::processes::{BarnSettings, ProcessError};
use herd::backup::BackupReader;
use herd::change::{Change, Received};
use herd::position::{Epoch, Sequence};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;
use yard::damage::{flip, places};
use yard::{Yard, own_programs, until};

/// Payloads that are answered as stored in each session of a barn.
const SESSION: u64 = 60;
/// Bytes of a block of the card.
const BLOCK: usize = 4_096;
/// The arguments of a person who gives back.
const BY: [&str; 4] = ["--author", "J. Doe", "--reason", "old card put back"];

/// Prints the steps of a drill, each with the seconds since its beginning.
struct Drill {
    begun: Instant,
}

impl Drill {
    fn begin(name: &str) -> Self {
        eprintln!("\n=== {name}");
        Self { begun: Instant::now() }
    }

    fn note(&self, text: &str) {
        eprintln!("{:5.1} s  {text}", self.begun.elapsed().as_secs_f32());
    }

    /// Runs a command, and prints it with its time and its output.
    fn run(&self, program: &str, args: &[&str], run: impl FnOnce(&[&str]) -> Result<String, ProcessError>) -> String {
        let start = Instant::now();
        let printed = run(args).unwrap_or_else(|error| panic!("{program} {args:?}: {error}"));
        let took = start.elapsed().as_secs_f32();
        self.note(&format!("$ {program} {}    ({took:.1} s)", args.join(" ")));
        for line in printed.lines() {
            eprintln!("             {line}");
        }
        printed
    }
}

impl Yard {
    async fn start() -> Self {
        Self::open(&own_programs(), |_| BarnSettings::default()).await
    }

    /// Delivers payloads of which each is answered as stored. Returns the texts by the changes that hold them.
    async fn session(&self, name: &str, payloads: u64) -> BTreeMap<u64, String> {
        let mut stored = BTreeMap::new();
        for n in 0..payloads {
            let text = format!("hxb:{name}:LF{name}{n}:UHF{name}{n}");
            let (status, answer) = self.deliver(&text).await;
            assert_eq!(status, 201, "{answer}");
            stored.insert(answer["payload_id"].as_u64().unwrap(), text);
        }
        stored
    }

    /// Runs a command of the barn.
    fn barn(&self, drill: &Drill, args: &[&str]) -> String {
        drill.run("herdlinxd", args, |args| self.barn.run(args))
    }

    /// Runs a command of the office.
    fn office(&self, drill: &Drill, args: &[&str]) -> String {
        drill.run("herdlinx-mirror", args, |args| self.office.run(args))
    }

    /// Returns the payloads of the barn's log.
    fn received_at_barn(&self, drill: &Drill, file: &Path) -> Vec<Received> {
        self.barn(drill, &["backup", "--force", file.to_str().unwrap()]);
        let mut reader = BackupReader::open(fs::File::open(file).unwrap()).unwrap();
        let mut received = Vec::new();
        while let Some(run) = reader.next_run().unwrap() {
            received.extend(run.changes.iter().filter_map(|bytes| match Change::from_bytes(bytes) {
                Ok(Change::Received(received)) => Some(*received),
                _ => None,
            }));
        }
        received
    }

    /// Waits until the office has stopped, and returns why.
    async fn until_stopped(&self) -> String {
        until("the office has stopped", async || self.office.site().unwrap()?.stopped_because).await
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        if path.is_dir() {
            copy_directory(&path, &to.join(name));
        } else if path.is_file() {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// Returns the changes that a recovery names as lost.
fn named_as_lost(printed: &str) -> Vec<(u64, u64)> {
    let Some(line) = printed.lines().find(|line| line.contains("changes are lost here:")) else { return Vec::new() };
    let named = line.split("lost here: ").nth(1).unwrap().split(". An office").next().unwrap();
    let range = |text: &str| {
        let numbers: Vec<u64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
        (numbers[0], *numbers.last().unwrap())
    };
    named.split(", ").map(range).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn recover_a_log_with_a_damaged_row_an_unreadable_header_and_a_hole() {
    let drill = Drill::begin("recover a log with a damaged row, an unreadable header, and a hole");
    let mut yard = Yard::start().await;
    yard.office.kill();
    let mut stored = BTreeMap::new();
    // A row for each session.
    for name in ["ONE", "TWO", "THREE", "FOUR", "FIVE"] {
        stored.extend(yard.session(name, SESSION).await);
        yard.barn.terminate().await.unwrap();
        yard.barn.start().await.unwrap();
    }
    let refused = yard.barn.run(&["recover"]).unwrap_err().to_string();
    assert!(refused.contains("the barn is running"), "{refused}");
    yard.barn.terminate().await.unwrap();

    drill.note("a bit of session TWO flips, a hole is in session FOUR, and the header is gone");
    let log = yard.barn.state_dir().join("log.redb");
    let mut bytes = fs::read(&log).unwrap();
    for place in places(&bytes, "LFTWO30:") {
        bytes[place] ^= 4;
    }
    for place in places(&bytes, "LFFOUR30:") {
        let block = place / BLOCK * BLOCK;
        bytes[block..block + BLOCK].fill(0);
    }
    bytes[..BLOCK].fill(0);
    fs::write(&log, bytes).unwrap();
    fs::remove_file(yard.barn.state_dir().join("log.journal")).unwrap();
    let refused = yard.barn.start().await.unwrap_err().to_string();
    drill.note(&format!("the service does not start: {refused}"));

    let printed = yard.barn(&drill, &["recover"]);
    let lost = named_as_lost(&printed);
    let again = yard.barn(&drill, &["recover"]);
    assert!(again.contains("is whole up to change"), "{again}");
    yard.barn.start().await.unwrap();
    let received = yard.received_at_barn(&drill, &yard.directory.path().join("after.backup"));
    let mut missing = 0;
    for (sequence, text) in &stored {
        let count = received.iter().filter(|received| received.raw == text.as_bytes()).count();
        let is_lost = lost.iter().any(|(first, last)| (first..=last).contains(&sequence));
        assert_eq!(count, usize::from(!is_lost), "{text}, change {sequence}: lost are {lost:?}");
        missing += u64::from(is_lost);
    }
    assert_eq!(missing, 2 * SESSION, "the sessions of the damaged rows, and no other");
    yard.session("AFTER", 1).await;
    yard.barn.terminate().await.unwrap();
    yard.barn(&drill, &["verify"]);
    assert!(yard.barn.state_dir().join("log.redb.set-aside-1").exists());
}

/// The payloads that were answered as stored, with the changes that hold them.
type Stored = BTreeMap<String, Sequence>;

fn add(stored: &mut Stored, session: BTreeMap<u64, String>) {
    stored.extend(session.into_iter().map(|(sequence, text)| (text, Sequence(sequence))));
}

/// A card of before is put back, while the office is away or follows.
async fn put_old_card_back(drill: &Drill, yard: &mut Yard, office_is_away: bool) -> Stored {
    let mut stored = Stored::new();
    add(&mut stored, yard.session("BEFORE", SESSION).await);
    yard.barn.terminate().await.unwrap();
    let (card, old) = (yard.barn.state_dir().to_owned(), yard.directory.path().join("old-card"));
    copy_directory(&card, &old);
    yard.barn.start().await.unwrap();
    add(&mut stored, yard.session("LOST", SESSION).await);
    yard.wait_until_equal().await;
    yard.barn.kill();
    if office_is_away {
        yard.office.terminate().await.unwrap();
    }
    drill.note("the card dies; a copy of before is put in its place, and the barn starts");
    fs::rename(&card, yard.directory.path().join("right-card")).unwrap();
    copy_directory(&old, &card);
    yard.barn.start().await.unwrap();
    stored
}

/// A card of before is put back while the office is away: the barn goes on without its last reads, and with new ones under
/// their numbers.
async fn go_on_with_old_card(drill: &Drill, yard: &mut Yard) -> Stored {
    let mut stored = put_old_card_back(drill, yard, true).await;
    add(&mut stored, yard.session("NEW", SESSION / 2).await);
    yard.office.start().await.unwrap();
    stored
}

/// Checks that both sides are equal and hold each of these payloads once.
async fn check_equal(yard: &mut Yard, stored: &Stored) {
    let counts = yard.wait_until_equal().await.text_counts();
    for text in stored.keys() {
        assert_eq!(counts.get(text), Some(&1), "{text}");
    }
    assert_eq!(counts.len(), stored.len());
    yard.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_card_put_back_and_what_only_the_office_has_given_back() {
    let drill = Drill::begin("an old card put back, what only the office has given back, both digests equal");
    let mut yard = Yard::start().await;
    let stored = go_on_with_old_card(&drill, &mut yard).await;
    let stopped = yard.until_stopped().await;
    assert!(stopped.contains("two barns run on clones of one card"), "{stopped}");
    drill.note(&format!("the office stops: {stopped}"));

    // What only it holds survives any number of resyncs.
    for _ in 0..3 {
        yard.office(&drill, &["resync", "barn"]);
        yard.wait_until_equal().await;
    }
    let counted = async || yard.office.site().unwrap().filter(|site| site.only_here.is_some());
    let site = until("the office has compared its copies", counted).await;
    assert_eq!((site.stopped_because, site.only_here), (None, Some(SESSION)));
    let printed = yard.office(&drill, &[&["give-back", "barn"], &BY[..]].concat());
    assert!(printed.contains(&format!("took {SESSION} payloads back")), "{printed}");
    let again = yard.office(&drill, &[&["give-back", "barn"], &BY[..]].concat());
    assert!(again.contains("took 0 payloads back"), "{again}");
    assert_eq!(yard.office.site().unwrap().unwrap().only_here, Some(0));

    let received = yard.received_at_barn(&drill, &yard.directory.path().join("after.backup"));
    let back: Vec<_> = received.iter().filter_map(|received| received.readmission.as_ref()).collect();
    assert_eq!(back.len() as u64, SESSION);
    assert!(back.iter().all(|former| former.author == "J. Doe" && former.epoch == Epoch(1)));
    check_equal(&mut yard, &stored).await;
}

/// Catches an office that stays stopped, or copies everything again, although nothing is wrong any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_office_goes_on_by_itself_once_the_right_card_is_back() {
    let drill = Drill::begin("an old card put back, and the right one again");
    let mut yard = Yard::start().await;
    let mut stored = go_on_with_old_card(&drill, &mut yard).await;
    drill.note(&format!("the office stops: {}", yard.until_stopped().await));
    yard.barn.terminate().await.unwrap();
    let card = yard.barn.state_dir().to_owned();
    fs::remove_dir_all(&card).unwrap();
    fs::rename(yard.directory.path().join("right-card"), &card).unwrap();
    yard.barn.start().await.unwrap();
    stored.retain(|text, _| !text.contains(":NEW:"));
    until("the office follows again", async || yard.office.site().unwrap()?.stopped_because.is_none().then_some(()))
        .await;
    check_equal(&mut yard, &stored).await;
    let copies = fs::read_dir(yard.office.state_dir().join("sites/barn")).unwrap();
    let copies = copies.filter(|copy| copy.as_ref().unwrap().file_name().to_string_lossy().starts_with("copy-"));
    assert_eq!(copies.count(), 1, "it goes on with the copy that it had");
}

/// Catches a barn that gives the numbers of what it lost again in the same epoch although an office knows better, an office
/// that waits for a person without need, and one that drops what only it has.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_card_put_back_beside_an_office_that_follows_begins_the_next_epoch_by_itself() {
    let drill = Drill::begin("an old card put back beside an office that follows");
    let mut yard = Yard::start().await;
    let mut stored = put_old_card_back(&drill, &mut yard, false).await;
    let is_copied_again = async || {
        let site = yard.office.site().unwrap()?;
        (site.stopped_because.is_none() && site.position?.epoch == Epoch(2) && site.only_here == Some(SESSION))
            .then_some(())
    };
    until("the office shows the next epoch, and what only it has", is_copied_again).await;
    drill.note("the barn began epoch 2, and the office has copied it again");
    add(&mut stored, yard.session("NEW", SESSION / 2).await);
    yard.wait_until_equal().await;
    let printed = yard.office(&drill, &[&["give-back", "barn"], &BY[..]].concat());
    assert!(printed.contains(&format!("took {SESSION} payloads back")), "{printed}");
    begin_no_epoch(&yard).await;
    yard.barn.terminate().await.unwrap();
    yard.barn.start().await.unwrap();
    check_equal(&mut yard, &stored).await;
}

/// Checks that a second follower who shows a lost end makes the barn begin no epoch.
async fn begin_no_epoch(yard: &Yard) {
    let BarnStatus { store, epoch, sequence, digest, .. } = yard.barn.status().unwrap();
    let follower = yard.barn.client(&yard.barn.key("follower", &["sync"]).unwrap()).unwrap();
    let end = |sequence: u64| json!({"store": store, "epoch": epoch, "sequence": sequence, "digest": digest});
    let shown = json!({"shared": end(sequence.0), "copy": end(sequence.0 + 9)});
    let answer = follower.post_json("/api/sync/lost-end", &shown).await.unwrap();
    assert_eq!((answer.status, &answer.json().unwrap()["error"]), (409, &json!("epoch_began")));
    assert_eq!(yard.barn.status().unwrap().sequence, sequence);
}

/// Catches an office that cannot give back before it has copied the barn again, and one that gives back twice by two ways.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_office_has_is_carried_to_the_barn_as_a_file() {
    let drill = Drill::begin("an old card put back, and what only the office has carried to the barn as a file");
    let mut yard = Yard::start().await;
    let stored = go_on_with_old_card(&drill, &mut yard).await;
    yard.until_stopped().await;
    let stick = yard.directory.path().join("north.only-here");
    let stick = stick.to_str().unwrap();
    yard.office(&drill, &["backup", "barn", "--only-here", stick]);
    yard.barn.terminate().await.unwrap();
    let printed = yard.barn(&drill, &["recover", stick]);
    assert!(printed.contains(&format!("{SESSION} payloads were appended once more")), "{printed}");
    let again = yard.barn(&drill, &["recover", stick]);
    assert!(again.contains(&format!("{SESSION} payloads were there already")), "{again}");
    yard.barn.start().await.unwrap();
    // Before the resync: the office asks the barn itself.
    let printed = yard.office(&drill, &[&["give-back", "barn"], &BY[..]].concat());
    assert!(printed.contains("took 0 payloads back"), "{printed}");
    yard.office(&drill, &["resync", "barn"]);
    check_equal(&mut yard, &stored).await;
}

/// Catches a damaged row that stays, one that gets other changes than were there, and a second run that does anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_comes_back_from_the_office_and_one_of_the_office_from_the_barn() {
    let drill = Drill::begin("a damaged row fetched back: at the barn from the office, at the office from the barn");
    let mut yard = Yard::start().await;
    let mut stored = Stored::new();
    for name in ["ONE", "TWO", "THREE"] {
        add(&mut stored, yard.session(name, SESSION).await);
        yard.wait_until_equal().await;
        // Each has a row for each session then.
        yard.restart().await;
    }
    yard.wait_until_equal().await;

    drill.note("a bit of session TWO flips on the barn's card");
    yard.barn.terminate().await.unwrap();
    flip(&yard.barn.state_dir().join("log.redb"), "LFTWO30:");
    yard.barn.start().await.unwrap();
    let refused = yard.barn.run(&["verify"]).unwrap_err().to_string();
    assert!(refused.contains("the store is damaged"), "{refused}");
    drill.note(&format!("$ herdlinxd verify: {refused}"));
    let give_back = [&["give-back", "barn"], &BY[..]].concat();
    let printed = yard.office(&drill, &give_back);
    assert!(printed.contains("has them again") && printed.contains("took 0 payloads back"), "{printed}");
    yard.barn(&drill, &["verify"]);
    let again = yard.office(&drill, &give_back);
    assert!(!again.contains("has them again"), "{again}");

    drill.note("a bit of session TWO flips in the office's copy");
    yard.office.terminate().await.unwrap();
    flip(&yard.office.state_dir().join("sites/barn/copy-1/log.redb"), "LFTWO30:");
    let refused = yard.office.run(&["verify", "barn"]).unwrap_err().to_string();
    assert!(refused.contains("is damaged"), "{refused}");
    drill.note(&format!("$ herdlinx-mirror verify barn: {refused}"));
    yard.office.start().await.unwrap();
    // Whoever reads the row first finds it damaged: here the verification, unless a page has.
    until("the copy has fetched the row", async || yard.office.run(&["verify", "barn"]).ok()).await;
    check_equal(&mut yard, &stored).await;
}
