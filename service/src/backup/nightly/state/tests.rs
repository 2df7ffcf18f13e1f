//! The state after each kind of attempt, by a clock that the test moves.

use super::super::schedule::ClockTrust;
use super::*;
use herd::testing::ManualClock;
use jiff::tz::TimeZone;

const SITE: &str = "north";

fn states() -> (BackupStates, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(RawReading { since_boot_ms: 1_000_000, ..RawReading::default() }));
    let states = BackupStates::new(clock.clone());
    states.enter(&[(SITE.to_owned(), StoreId([1; 16]))], Path::new("/stick"), 1_000_000);
    (states, clock)
}

fn schedule() -> Schedule {
    Schedule::new("02:30".parse().unwrap(), TimeZone::UTC, ClockTrust::Synchronized)
}

fn report(states: &BackupStates) -> BackupReport {
    states.of_site(SITE).report().unwrap()
}

fn file(time: VerifyTime) -> VerifiedFile {
    VerifiedFile { path: "/stick/north.backup".into(), bytes: 900, change: Sequence(7), time }
}

/// Catches a stick that is worn out by attempts, one that is given up, and a person who waits before a stick is noticed.
#[test]
fn the_time_until_a_retry_doubles_up_to_an_hour_but_a_missing_stick_is_looked_for_at_once() {
    let (states, clock) = states();
    let full = || NightlyError::Limit { needed_bytes: 2, room_bytes: 1 };
    let mut waits = Vec::new();
    for _ in 0..9 {
        states.begin(SITE);
        states.end_failed(SITE, &full(), None);
        let wait = states.wait(SITE, &schedule());
        waits.push(wait.as_secs());
        clock.pass(wait);
        assert_eq!(states.wait(SITE, &schedule()), Duration::ZERO);
    }
    assert_eq!(waits, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
    states.end_failed(SITE, &NightlyError::Missing("/stick".into()), None);
    assert_eq!(states.wait(SITE, &schedule()), MISSING_RETRY);
    assert_eq!(states.wait("another", &schedule()), MAX_RETRY);
    clock.pass(MISSING_RETRY);
    let time = VerifyTime::SinceBoot(states.now().since_boot_ms);
    states.end_verified(SITE, file(time));
    assert_eq!(states.wait(SITE, &schedule()), Duration::from_secs(24 * 3_600));
    assert!(!states.is_due(SITE, &schedule(), Some(VerifyTime::Wall(0))), "this process knows better");
    assert!(states.is_due(SITE, &schedule(), None), "the file is gone");
}

/// Catches a log that fills with one failure, a failure that is never told, and a missing stick that counts every look.
#[test]
fn a_failure_is_new_if_its_reason_is_another_one_or_a_backup_came_between() {
    let (states, _) = states();
    let full = |needed_bytes| NightlyError::Limit { needed_bytes, room_bytes: 1 };
    let missing = || NightlyError::Missing("/stick".into());
    let steps =
        [(full(2), true, 1), (full(2), false, 2), (full(3), true, 3), (missing(), true, 4), (missing(), false, 4)];
    for (error, is_new, failed) in steps {
        assert_eq!((states.end_failed(SITE, &error, None), report(&states).failed), (is_new, failed), "{error}");
    }
    states.end_verified(SITE, file(VerifyTime::SinceBoot(0)));
    assert!(states.end_failed(SITE, &missing(), None));
}

/// Catches a warning that is repeated for each attempt, and one that stays although the place is a good one now.
#[test]
fn a_warning_is_new_once_and_goes_with_its_cause() {
    let (states, _) = states();
    let warnings = [(Some("one disk"), true), (Some("one disk"), false), (Some("other"), true), (None, false)];
    for (warning, is_new) in warnings {
        assert_eq!(states.warn(SITE, warning), is_new, "{warning:?}");
        assert_eq!(report(&states).warning.as_deref(), warning);
    }
}

/// Catches a page that shows no attempt under way, or shows one for ever.
#[test]
fn an_attempt_is_running_until_any_of_its_ends() {
    let ends: [fn(&BackupStates); 4] = [
        |states| states.end_undue(SITE, file(VerifyTime::SinceBoot(1))),
        |states| states.end_verified(SITE, file(VerifyTime::SinceBoot(1))),
        |states| states.end_interrupted(SITE),
        |states| _ = states.end_failed(SITE, &NightlyError::ShuttingDown, None),
    ];
    for end in ends {
        let (states, _) = states();
        states.begin(SITE);
        assert!(report(&states).running);
        end(&states);
        assert!(!report(&states).running);
    }
}

/// Catches a copy made anew that is said to be backed up because the one before it was.
#[test]
fn a_site_begins_anew_with_another_history_and_one_that_is_gone_is_forgotten() {
    let (states, _) = states();
    states.end_verified(SITE, file(VerifyTime::SinceBoot(0)));
    let enter = |site: &str, store| states.enter(&[(site.to_owned(), StoreId([store; 16]))], Path::new("/stick"), 0);
    enter(SITE, 1);
    assert_eq!(report(&states).verified, 1);
    enter(SITE, 2);
    assert_eq!((report(&states).verified, report(&states).last), (0, None));
    enter("south", 2);
    assert_eq!(states.of_site(SITE).report(), None);
}

/// Catches a backup of which nobody hears that it is old, and a note about one that is new.
#[test]
fn a_backup_is_overdue_after_two_days_and_the_note_says_how_old_it_is() {
    let (states, clock) = states();
    let start_ms = clock.read().since_boot_ms;
    let at = |age: Duration| {
        clock.change(|reading| reading.since_boot_ms = start_ms + u64::try_from(age.as_millis()).unwrap());
        report(&states)
    };
    let (second, nearly) = (Duration::from_secs(1), Duration::from_secs(48 * 3_600 - 1));
    let without = "there is no backup in /stick yet";
    let look = "; look at the medium and at the log of the service";
    assert_eq!((at(nearly).note(), at(MAX_AGE).note()), (None, Some(format!("{without}{look}"))));

    states.end_verified(SITE, file(VerifyTime::SinceBoot(1_000_000)));
    let last = "the last verified backup, /stick/north.backup, is";
    for (age_s, text) in [
        (59, "0 minutes old"),
        (3_599, "59 minutes old"),
        (3_600, "1 hours old"),
        (48 * 3_600 - 1, "47 hours old"),
        (48 * 3_600, "2 days old"),
        (11 * 24 * 3_600, "11 days old"),
    ] {
        assert_eq!(at(Duration::from_secs(age_s)).last_text(), format!("{last} {text}"));
    }
    assert_eq!(at(nearly).note(), None);
    assert_eq!(at(MAX_AGE).note(), Some(format!("{last} 2 days old{look}")));
    states.end_failed(SITE, &NightlyError::Missing("/stick".into()), None);
    let note = at(second).note().unwrap();
    assert!(
        note.starts_with(&format!("{last} 0 minutes old, and the next one failed: /stick does not exist")),
        "{note}"
    );

    states.end_verified(SITE, file(VerifyTime::Wall(0)));
    assert_eq!(at(second).last_text(), "the age of the last backup, /stick/north.backup, is unknown");
}
