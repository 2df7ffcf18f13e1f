//! Nightly backups of a barn in memory onto a medium that fails, by a clock that the test sets.

mod room;

use super::job::{NightlyStep, OnStep};
use super::schedule::{ClockTrust, Schedule};
use super::state::MAX_AGE;
use super::*;
use crate::backup::{FinishStep, open_backup};
use crate::lifecycle::ShutdownTrigger;
use herd::backup::BackupSummary;
use herd::change::Origin;
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::position::StoreId;
use herd::store::{Directory, Incoming, LOG_FILE, Reader, Store};
use herd::testing::{ManualClock, TestBarn};
use jiff::tz::TimeZone;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3_600);
/// 2026-01-15T10:00:00Z.
const START_US: i64 = 1_768_471_200_000_000;

type Fault = Box<dyn FnMut(NightlyStep) -> io::Result<()> + Send>;

/// A barn with nightly backups at 02:30 UTC, on a medium of its own.
struct World {
    barn: TestBarn,
    clock: Arc<ManualClock>,
    place: TempDir,
    settings: BackupSettings,
    fault: Arc<Mutex<Fault>>,
    trigger: ShutdownTrigger,
    nightly: NightlyBackups,
    gauge: BackupGauge,
}

impl World {
    fn new(payloads: u32) -> Self {
        Self::with(payloads, |_| {})
    }

    fn with(payloads: u32, change: fn(&mut BackupSettings)) -> Self {
        let mut barn = TestBarn::default();
        for n in 0..payloads {
            barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
        }
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("stick")).unwrap();
        let mut settings = BackupSettings { directory: Some(place.path().join("stick")), ..BackupSettings::default() };
        change(&mut settings);
        let now = RawReading { received_at_us: START_US, synchronized: true, since_boot_ms: 1_000 };
        let clock = Arc::new(ManualClock::at(now));
        let fault: Arc<Mutex<Fault>> = Arc::new(Mutex::new(Box::new(|_| Ok(()))));
        let (nightly, gauge) = start(&barn.reader(), &settings, &clock, &fault);
        Self { barn, clock, place, settings, fault, trigger: ShutdownTrigger::default(), nightly, gauge }
    }

    /// Replaces the process by a new one on the same clock.
    fn restart(&mut self) {
        (self.nightly, self.gauge) = start(&self.barn.reader(), &self.settings, &self.clock, &self.fault);
    }

    fn stick(&self) -> PathBuf {
        self.place.path().join("stick")
    }

    fn record(&mut self, payloads: u32) {
        let head = self.barn.reader().head().position.sequence;
        for n in 0..payloads {
            self.barn.record(&format!("hxb:LOT2:LF{head}{n}:UHF{head}{n}"));
        }
    }

    /// Lets time pass, and the process look at the clock.
    async fn after(&mut self, time: Duration) -> BackupReport {
        self.clock.pass(time);
        self.nightly.make_due(&self.trigger.signal()).await;
        self.gauge.report().unwrap()
    }

    /// Lets each of these steps fail from now on.
    fn fail_at(&self, fails: impl Fn(NightlyStep) -> bool + Send + 'static) {
        *self.fault.lock().unwrap() =
            Box::new(move |step| if fails(step) { Err(io::Error::other("the stick is gone")) } else { Ok(()) });
    }

    fn mend(&self) {
        self.fail_at(|_| false);
    }

    fn files(&self) -> Vec<String> {
        names_in(&self.stick())
    }

    /// Proves all files on the stick, and returns their last changes, in order.
    fn proved(&self) -> Vec<u64> {
        let prove = |name: &String| {
            let reader = open_backup(&self.stick().join(name)).unwrap();
            let BackupSummary { end, .. } = reader.prove(&mut |_| {}).unwrap();
            end.sequence.0
        };
        let mut changes: Vec<_> = self.files().iter().map(prove).collect();
        changes.sort_unstable();
        changes
    }
}

fn start(
    reader: &Reader,
    settings: &BackupSettings,
    clock: &Arc<ManualClock>,
    fault: &Arc<Mutex<Fault>>,
) -> (NightlyBackups, BackupGauge) {
    let states = BackupStates::new(clock.clone());
    let gauge = states.of_site("north");
    let schedule = Schedule::new(settings.at, TimeZone::UTC, ClockTrust::Synchronized);
    let reader = reader.clone();
    let stores = move || vec![("north".to_owned(), reader.clone())];
    let nightly = NightlyBackups::new(settings, "/proc", schedule, states, stores).unwrap();
    let fault = fault.clone();
    let on_step: OnStep = Arc::new(move |step| (fault.lock().unwrap())(step));
    (nightly.observed(on_step), gauge)
}

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn change_of(report: &BackupReport) -> u64 {
    report.last.as_ref().unwrap().change.0
}

fn failure(report: &BackupReport) -> &str {
    assert!(report.failing, "{report:?}");
    &report.failure.as_ref().unwrap().text
}

/// Catches a stick that is empty after the first night, a second backup in one night, and a night without one.
#[tokio::test]
async fn a_new_stick_gets_a_backup_at_once_and_another_one_each_night() {
    let mut world = World::new(3);
    let first = world.after(Duration::ZERO).await;
    assert_eq!((change_of(&first), first.verified, first.last.unwrap().age_s), (4, 1, Some(0)));
    let expected = "north-02020202-epoch1-change4-20260115T1000Z.backup";
    assert_eq!(world.files(), [expected]);

    world.record(2);
    for hours in 0..16 {
        let report = world.after(HOUR).await;
        assert_eq!((change_of(&report), report.verified), (4, 1), "{hours}");
    }
    assert_eq!(change_of(&world.after(HOUR).await), 6);
    assert_eq!(world.proved(), [4, 6]);
    assert_eq!(world.after(HOUR).await.verified, 2);
}

/// Catches a barn that rewrites the whole log each night of a winter, and one that does not notice a stick that forgets.
#[tokio::test]
async fn a_log_that_did_not_grow_is_proved_again_and_written_again_only_if_its_file_is_damaged() {
    let mut world = World::new(3);
    world.after(Duration::ZERO).await;
    let second = world.after(24 * HOUR).await;
    assert_eq!((second.verified, second.last.unwrap().age_s, world.files().len()), (2, Some(0), 1));

    let file = world.stick().join(&world.files()[0]);
    let length = fs::metadata(&file).unwrap().len();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length - 1).unwrap();
    let third = world.after(24 * HOUR).await;
    let last = third.last.unwrap();
    assert!(third.verified == 3 && last.file != file, "{last:?}");
    open_backup(&last.file).unwrap().prove(&mut |_| {}).unwrap();
}

/// Catches an age that begins anew with each start of the process, and a backup at each start.
#[tokio::test]
async fn a_restarted_process_knows_the_age_of_the_last_backup() {
    let mut world = World::new(3);
    world.after(Duration::ZERO).await;
    world.clock.pass(HOUR);
    world.restart();
    let report = world.after(Duration::ZERO).await;
    assert_eq!((report.verified, report.last.unwrap().age_s), (0, Some(3_600)));

    // The machine was off at 02:30; what was missed is made once it has settled.
    world.clock.pass(24 * HOUR);
    world.restart();
    assert_eq!(world.after(Duration::ZERO).await.verified, 0);
    assert_eq!(world.after(HOUR / 10).await.verified, 1);
}

/// Catches a stick that fills up, and one from which the last good backup is removed.
#[tokio::test]
async fn as_many_are_kept_as_the_settings_say() {
    let mut world = World::with(3, |settings| settings.keep = 2);
    for _ in 0..4 {
        world.after(24 * HOUR).await;
        world.record(1);
    }
    assert_eq!(world.proved(), [6, 7]);
    fs::write(world.stick().join("of a person.backup"), "not ours").unwrap();
    world.after(24 * HOUR).await;
    assert_eq!(world.files().len(), 3);
}

/// Catches a process that makes no backups although it has a directory for them, and one that goes on after its end.
#[tokio::test]
async fn nightly_backups_run_until_the_shutdown() {
    let World { nightly, gauge, trigger, place, .. } = World::new(3);
    let part = tokio::spawn(nightly.run(trigger.signal()));
    let verified = async || gauge.report().filter(|report| report.verified == 1);
    crate::harness::wait_until("the first backup", verified).await.unwrap();
    trigger.request();
    part.await.unwrap();
    assert_eq!(names_in(&place.path().join("stick")).len(), 1);
}

/// Catches a missing stick that is called an error of the disk, and one that is noticed only in the next night.
#[tokio::test]
async fn a_stick_that_is_plugged_in_late_gets_its_backup_then() {
    let mut world = World::new(3);
    fs::remove_dir(world.stick()).unwrap();
    let report = world.after(Duration::ZERO).await;
    assert!(failure(&report).contains("plug the medium in"), "{report:?}");
    let note = report.note().unwrap();
    assert!(note.starts_with("there is no backup in ") && !report.overdue, "{note}");
    assert_eq!(world.after(HOUR / 3600).await.failed, 1);
    fs::create_dir(world.stick()).unwrap();
    let report = world.after(HOUR / 60).await;
    assert_eq!((change_of(&report), report.failing, report.note()), (4, false, None));
    assert_eq!(report.failure.unwrap().age_s, 61);
}

/// Catches a step whose failure leaves half a file, counts as a backup, or stops the later ones.
#[tokio::test]
async fn a_medium_that_fails_in_any_step_leaves_nothing_and_is_tried_again_less_and_less_often() {
    use FinishStep::{Name, ReadBack, Sync};
    let steps: [fn(NightlyStep) -> bool; 5] = [
        |step| step == NightlyStep::ReadDirectory,
        |step| step == NightlyStep::Write,
        |step| step == NightlyStep::Finish(Sync),
        |step| matches!(step, NightlyStep::Finish(ReadBack(_))),
        |step| step == NightlyStep::Finish(Name),
    ];
    for (index, fails) in steps.into_iter().enumerate() {
        let mut world = World::new(3);
        world.after(Duration::ZERO).await;
        world.record(1);
        world.fail_at(fails);
        let report = world.after(24 * HOUR).await;
        assert!(failure(&report).contains("the stick is gone"), "{index}: {report:?}");
        assert_eq!((change_of(&report), world.proved()), (4, vec![4]), "{index}");
        let mut failed = Vec::new();
        for _ in 0..6 {
            failed.push(world.after(HOUR / 60).await.failed);
        }
        assert_eq!(failed, [2, 2, 3, 3, 3, 3], "{index}");
        let report = world.after(23 * HOUR).await;
        let note = report.note().unwrap();
        assert!(note.contains("is 47 hours old") && !report.overdue, "{note}");
        let report = world.after(2 * HOUR).await;
        assert!(report.overdue && report.last.unwrap().age_s >= Some(MAX_AGE.as_secs()));
        world.mend();
        assert_eq!(change_of(&world.after(HOUR).await), 5);
        assert_eq!(world.proved(), [4, 5], "{index}");
    }
}

/// Catches a whole backup that is deleted, or one that counts as safe, because its directory could not be synced.
#[tokio::test]
async fn an_error_after_the_rename_is_told_and_leaves_the_whole_file() {
    let mut world = World::new(3);
    world.fail_at(|step| step == NightlyStep::Finish(FinishStep::SyncDirectory));
    let report = world.after(Duration::ZERO).await;
    assert!(failure(&report).contains("is whole, but its directory cannot be synced"), "{report:?}");
    assert_eq!((world.proved(), report.verified), (vec![4], 0));
    assert_eq!(world.after(HOUR).await.verified, 0);
    world.mend();
    let report = world.after(HOUR).await;
    assert_eq!((report.verified, change_of(&report), world.files().len(), report.failing), (1, 4, 1, false));
}

/// Catches what a killed process or a pulled stick left and nobody removes, because the next file has another name.
#[tokio::test]
async fn partial_files_of_earlier_processes_are_removed_and_those_of_others_stay() {
    let mut world = World::new(3);
    for name in ["north-02020202-epoch1-change2-20260114T0230Z.backup.partial", "of a person.backup.partial"] {
        fs::write(world.stick().join(name), vec![7; 10_000]).unwrap();
    }
    world.after(Duration::ZERO).await;
    let files = world.files();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files.contains(&"of a person.backup.partial".to_owned()), "{files:?}");
}

/// Catches the backup of a command that the nightly one takes for its own, and one that it hides.
#[tokio::test]
async fn a_partial_file_that_another_command_writes_is_left_to_it() {
    let mut world = World::new(3);
    let path = world.stick().join("north-02020202-epoch1-change4-20260115T1000Z.backup");
    let other = crate::backup::BackupTarget::create(&path, false).unwrap();
    let report = world.after(Duration::ZERO).await;
    assert!(failure(&report).contains("is under way"), "{report:?}");
    assert_eq!(world.files(), [format!("{}.partial", path.file_name().unwrap().to_str().unwrap())]);
    drop(other);
    assert_eq!(change_of(&world.after(HOUR).await), 4);
}

/// Catches the only copy of reads that died with a card, removed because it is older than the backups of the new one.
#[tokio::test]
async fn backups_of_another_history_stay() {
    let mut world = World::with(9, |settings| settings.keep = 1);
    world.after(Duration::ZERO).await;
    // A card of the same history that had gone on in another way.
    let mut old_card = World::with(2, |settings| settings.keep = 1);
    for file in world.files() {
        fs::rename(world.stick().join(&file), old_card.stick().join(&file)).unwrap();
    }
    for _ in 0..3 {
        old_card.record(1);
        old_card.after(24 * HOUR).await;
    }
    assert_eq!(old_card.proved(), [6, 10]);
}

/// Catches a shutdown that waits for a slow stick, and a partial file that stays.
#[tokio::test]
async fn a_shutdown_ends_a_backup_under_way_and_leaves_nothing() {
    let mut world = World::new(3);
    let trigger = world.trigger.clone();
    *world.fault.lock().unwrap() = Box::new(move |step| {
        if step == NightlyStep::Write {
            trigger.request();
        }
        Ok(())
    });
    let report = world.after(Duration::ZERO).await;
    assert_eq!((report.failed, report.verified, report.running), (0, 0, false));
    crate::harness::wait_until("the thread has removed its file", async || world.files().is_empty().then_some(()))
        .await
        .unwrap();
}

/// Catches a backup of a damaged log that looks like a good one, and a damaged log that ends the process.
#[tokio::test]
async fn a_damaged_log_is_told_and_older_backups_stay() {
    let mut world = World::new(0);
    let directory = tempfile::tempdir().unwrap();
    let store = filled_store(directory.path(), 0..100);
    (world.nightly, world.gauge) = start(&store.reader(), &world.settings, &world.clock, &world.fault);
    assert_eq!(change_of(&world.after(Duration::ZERO).await), 101);
    drop((store, world.nightly));

    let log = directory.path().join(LOG_FILE);
    let mut bytes = fs::read(&log).unwrap();
    let text = b"hxb:LOT1:LF55:UHF55";
    let places: Vec<_> = (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + text.len() - 1] ^= 1;
    }
    fs::write(&log, bytes).unwrap();

    let store = filled_store(directory.path(), 100..101);
    (world.nightly, world.gauge) = start(&store.reader(), &world.settings, &world.clock, &world.fault);
    world.after(24 * HOUR).await;
    let report = world.after(HOUR).await;
    assert!(failure(&report).contains("log.redb is damaged"), "{report:?}");
    assert_eq!((world.proved(), change_of(&report)), (vec![101], 101));
}

/// Opens the store in a directory, and records payloads of these numbers.
fn filled_store(directory: &Path, numbers: Range<u32>) -> Store {
    let clock = RawReading::default().in_boot(1);
    let disk = Directory::new(directory).unwrap();
    let mut store = Store::open_source(&disk, Rules::default(), clock, || StoreId([1; 16])).unwrap();
    for n in numbers {
        let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
        let raw = format!("hxb:LOT1:LF{n}:UHF{n}").into_bytes();
        store.append(&[Incoming { raw, origin, at: RawReading::default() }]).unwrap();
        // A row for each ten, so that damage to one leaves the others.
        if n % 10 == 9 {
            store.settle().unwrap();
        }
    }
    store
}

/// Catches a directory on the card itself that nobody is warned of, because the stick was there when the process started.
#[tokio::test]
async fn a_directory_on_the_disk_of_the_log_is_warned_of() {
    let mut world = World::new(1);
    assert_eq!(world.after(Duration::ZERO).await.warning, None);
    world.nightly = world.nightly.in_place(world.place.path());
    let report = world.after(24 * HOUR).await;
    assert!(report.warning.unwrap().contains("on the same disk"));
    assert_eq!(report.verified, 2);
}

#[tokio::test]
async fn without_a_directory_there_are_no_backups_and_no_report() {
    let states = BackupStates::default();
    let schedule = Schedule::of_machine(BackupSettings::default().at);
    assert!(NightlyBackups::new(&BackupSettings::default(), "/proc", schedule, states.clone(), Vec::new).is_none());
    assert_eq!(states.of_site("north").report(), None);
    assert_eq!(BackupGauge::default().report(), None);
}
