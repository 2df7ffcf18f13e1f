//! Openings of copies, as an upgrade of the program and an interrupted resync leave them.

use super::*;
use crate::link::Trust;
use herd::clock::SystemClock;
use herd::fold::FOLD_VERSION;
use herd::query::PageLimit;
use herd::store::{Directory, Head, MemoryDisk, OpenProgress, Store, TABLES_FILE, set_fold_version};
use herd::testing::TestBarn;
use service::harness::TIMEOUT;
use service::lifecycle::ShutdownTrigger;
use service::sync::NotServedError;
use std::ops::ControlFlow;
use std::sync::Mutex;

/// The copies of one site, and the barn that they are of.
struct Yard {
    _directory: tempfile::TempDir,
    barn: TestBarn,
    copies: Copies,
    view: Arc<SiteView>,
}

impl Yard {
    fn without_copy() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (copies, barn) = (Copies::open(directory.path()).unwrap(), TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]));
        let (_, follow) = watch::channel(FollowStatus::default());
        let view = Arc::new(SiteView::new("north".parse().unwrap(), follow));
        Self { _directory: directory, barn, copies, view }
    }

    /// Creates a complete copy whose tables were folded by an earlier version.
    fn upgraded() -> Self {
        let yard = Self::without_copy();
        let number = yard.old_copy();
        yard.copies.finish(number, |_| true).unwrap();
        yard.view.change(|state| state.has_complete = true);
        yard
    }

    /// Creates a copy whose tables were folded by an earlier version.
    fn old_copy(&self) -> CopyNumber {
        let number = self.copies.begin(|_| true).unwrap();
        let disk = Directory::new(self.copies.path(number)).unwrap();
        let mut store = Store::open_replica(&disk, self.barn.reader().store()).unwrap();
        let run = self.barn.reader().run_after(store.head().position, 1_000, 1_000_000).unwrap();
        store.apply(run).unwrap();
        store.settle().unwrap();
        drop(store);
        set_fold_version(&disk, FOLD_VERSION - 1).unwrap();
        number
    }

    fn damage(&self, number: CopyNumber) {
        std::fs::write(self.copies.path(number).join(herd::store::LOG_FILE), b"no log").unwrap();
    }

    fn served(&self) -> Result<Head, NotServedError> {
        self.view.state().served().map(|reader| reader.head())
    }

    /// Opens the copies, and returns what was served at each step.
    fn open(&self) -> (Result<SiteStores, OpenError>, Vec<Result<Head, NotServedError>>) {
        self.open_until(usize::MAX)
    }

    /// Opens the copies until this many steps were reported, and then requests the shutdown.
    fn open_until(&self, max_steps: usize) -> (Result<SiteStores, OpenError>, Vec<Result<Head, NotServedError>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (view, steps, trigger) = (self.view.clone(), seen.clone(), ShutdownTrigger::default());
        let report = report_progress(view.clone(), trigger.signal());
        let progress = move |at: &OpenProgress<'_>| {
            let mut steps = steps.lock().unwrap();
            if steps.len() + 1 == max_steps {
                trigger.request();
            }
            let flow = report(at);
            steps.push(view.state().served().map(|reader| reader.head()));
            flow
        };
        let stores =
            SiteStores::open(&self.copies, self.barn.reader().store(), &self.view, AlreadyOpen::default(), progress);
        let seen = seen.lock().unwrap().clone();
        (stores, seen)
    }
}

fn opening(text: &str) -> Result<Head, NotServedError> {
    Err(NotServedError::Opening(text.to_owned()))
}

/// Catches an office whose site is stopped and whose pages are refused until a person decides: the tables of the copy were found
/// damaged, and only a new start folds them again.
#[tokio::test]
async fn a_stopped_site_ends_its_wait_with_the_writer_of_its_copy() {
    let mut yard = Yard::without_copy();
    // Enough rows that a page of the file is read for them.
    for n in 0..300 {
        yard.barn.record(&format!("hxb:B{n}:LF{n}:UHF{n}"));
    }
    let (number, disk) = (yard.copies.begin(|_| true).unwrap(), MemoryDisk::default().uncached());
    let store = yard.barn.reader().store();
    let mut copy = Store::open_replica(&disk, store).unwrap();
    copy.apply(yard.barn.reader().run_after(copy.head().position, 1_000, 1_000_000).unwrap()).unwrap();
    copy.settle().unwrap();
    drop(copy);
    let copy = OpenCopy::start(&yard.copies, (number, Store::open_replica(&disk, store).unwrap())).unwrap();
    let (snapshot, probe) = (copy.handle.reader().snapshot().unwrap(), copy.handle.probe());
    let mut open = OpenCopies { shown: Some(copy), building: None };
    let (_commands, commands) = mpsc::channel(MAX_QUEUED_COMMANDS);
    let trigger = ShutdownTrigger::default();
    let mut follower = SiteFollower {
        site: Site {
            name: "north".parse().unwrap(),
            addresses: Vec::new(),
            trust: Trust::Pin([0; 32]),
            key: String::new(),
            store,
            added_at_us: 0,
        },
        copies: yard.copies.clone(),
        settings: FollowSettings { sync_interval: TIMEOUT, seed: 1 },
        clock: Arc::new(SystemClock::default()),
        view: yard.view.clone(),
        status: watch::channel(FollowStatus::default()).0,
        commands,
        shutdown: trigger.signal(),
        retry: Retry::OnCommand,
        own_steps: OwnSteps::default(),
    };
    assert!(disk.fail_reads(TABLES_FILE));
    assert!(snapshot.batches(None, PageLimit::default()).is_err(), "the tables cannot be read");
    probe.wait().await;
    let step = timeout(TIMEOUT, follower.wait_halted(&mut open)).await;
    assert!(matches!(step, Ok(Err(_))), "a copy that cannot be read ends the process");
    assert!(open.is_empty(), "and is looked at once");
}

/// Catches an office that after an upgrade calls its whole copy unfinished, and one that shows a part of it.
#[test]
fn a_copy_of_an_earlier_fold_version_is_folded_again_and_never_called_unfinished() {
    let yard = Yard::upgraded();
    assert_eq!(yard.served(), opening("the copy is being opened"), "the opening has not begun");
    let (stores, seen) = yard.open();
    assert_eq!(seen, [opening("the copy of 2 changes is being folded again, 0 % done")]);
    let stores = stores.unwrap();
    assert_eq!(stores.shown.unwrap().1.head(), yard.barn.reader().head(), "equal fold digest");
    assert!(stores.building.is_none());
}

/// Catches a resync that was interrupted by an upgrade, and hides the complete copy until it is opened itself.
#[test]
fn the_complete_copy_is_served_before_an_unfinished_one_is_opened() {
    let yard = Yard::upgraded();
    let unfinished = yard.old_copy();
    let (stores, seen) = yard.open();
    let complete = yard.barn.reader().head();
    let first = opening("the copy of 2 changes is being folded again, 0 % done");
    assert_eq!(seen, [first, Ok(complete)]);
    let stores = stores.unwrap();
    assert_eq!(stores.building.unwrap().0, unfinished);
    assert_eq!(stores.shown.unwrap().0, yard.copies.current().unwrap().unwrap(), "both are followed into");
}

/// Catches a copy that is called unfinished because it cannot be opened.
#[test]
fn a_complete_copy_that_cannot_be_opened_is_called_unreadable() {
    let yard = Yard::upgraded();
    yard.damage(yard.copies.current().unwrap().unwrap());
    assert!(yard.open().0.is_err());
    yard.view.change(|state| (state.opening, state.stopped_because) = (None, Some("damaged".to_owned())));
    assert_eq!(yard.served(), Err(NotServedError::Unreadable));
    yard.view.change(|state| (state.stopped_because, state.building) = (None, Some(yard.barn.reader())));
    assert_eq!(yard.served(), Err(NotServedError::Unreadable), "another copy is being made");
}

/// Catches a site that goes on without any copy as if one were open, and a shutdown that goes on with the copy that was open by
/// then.
#[test]
fn a_damaged_copy_is_skipped_only_if_another_opens_and_nobody_cancels() {
    let yard = Yard::without_copy();
    yard.damage(yard.old_copy());
    assert!(matches!(yard.open().0, Err(OpenError::Store(_))), "its only copy is damaged");

    let yard = Yard::upgraded();
    yard.old_copy();
    let (stores, seen) = yard.open_until(2);
    assert!(seen.last().unwrap().is_ok() && stores.is_err_and(|error| error.is_canceled()));

    let yard = Yard::upgraded();
    yard.damage(yard.old_copy());
    let stores = yard.open().0.unwrap();
    assert!(stores.shown.is_some() && stores.building.is_none());
}

/// Catches a copy that stays closed because a verification was reading it when it was opened.
#[test]
fn a_copy_that_something_else_reads_is_opened_once_that_is_done() {
    let yard = Yard::upgraded();
    drop(yard.open().0.unwrap());
    yard.view.change(|state| state.shown = None);
    yard.old_copy();
    let (disk, history) = (
        Directory::new(yard.copies.path(yard.copies.current().unwrap().unwrap())).unwrap(),
        yard.barn.reader().store(),
    );
    let reads = Store::open_replica(&disk, history).unwrap().reader();
    let stores = yard.open().0.unwrap();
    assert!(stores.shown.is_none() && stores.left_out.is_some_and(|error| error.may_pass()));
    drop(reads);
    let already = AlreadyOpen { shown: false, building: true };
    let opened = SiteStores::open(&yard.copies, history, &yard.view, already, |_| ControlFlow::Continue(())).unwrap();
    assert!(opened.shown.is_some() && opened.building.is_none() && opened.left_out.is_none());
    drop(stores.building);
}

/// Catches a site that waits for a person because its disk was full for a while, and one that tries for ever what only a person
/// can mend.
#[test]
fn only_what_may_pass_is_opened_again_by_itself() {
    let files = CopiesError::Files { action: "list", path: "x".into(), source: std::io::ErrorKind::Other.into() };
    let invalid = CopiesError::InvalidCurrent { path: "x".into(), target: "y".into() };
    for (error, may_pass) in [
        (OpenError::Copies(files), true),
        (OpenError::Copies(invalid), false),
        (OpenError::Copies(CopiesError::NothingUnfinished), false),
        (OpenError::Thread(std::io::ErrorKind::WouldBlock.into()), true),
    ] {
        assert_eq!(error.may_pass(), may_pass, "{error}");
    }
    let yard = Yard::upgraded();
    yard.damage(yard.copies.current().unwrap().unwrap());
    let Err(damaged) = yard.open().0 else { panic!("a damaged copy was opened") };
    assert!(!damaged.may_pass(), "{damaged}");
}
