//! Claims about the notifications and when they are sent.

use super::*;
use crate::lifecycle::ShutdownTrigger;
use futures::FutureExt as _;
use herd::position::Sequence;
use herd::store::OpenProgress;
use std::sync::Mutex;
use tokio::time::Instant;

/// Notifications with the times at which they were sent.
type NotificationLog = Arc<Mutex<Vec<(Instant, Notification)>>>;

/// Creates a supervisor that records every notification.
fn recording_supervisor() -> (Supervisor, NotificationLog) {
    let log = NotificationLog::default();
    let sender = log.clone();
    (Supervisor::from_fn(move |notification| sender.lock().unwrap().push((Instant::now(), notification))), log)
}

/// Catches a part that counts as alive although it does not reach its waiting place.
#[tokio::test]
async fn a_part_answers_only_while_it_waits() {
    let (probe, mut target) = probe();
    let mut question = probe.ask().boxed();
    assert!((&mut question).now_or_never().is_none(), "the part has not waited yet");
    target.answer_while(tokio::task::yield_now()).await;
    question.now_or_never().expect("it has waited and answered");
    let mut again = probe.ask().boxed();
    assert!((&mut again).now_or_never().is_none(), "an old answer does not answer a new question");
    drop(target);
    again.now_or_never().expect("a part that has ended does not hang");
}

/// Catches a probe that cancels the work of the part.
#[tokio::test]
async fn an_answer_does_not_disturb_the_work() {
    let (probe, mut target) = probe();
    let mut question = probe.ask().boxed();
    assert!((&mut question).now_or_never().is_none());
    assert_eq!(target.answer_while(async { 7 }).await, 7);
}

const WATCHDOG: Watchdog = Watchdog { period: Duration::from_secs(30) };

/// Returns the gaps between signs of life over an hour; `takes` returns the duration of each probe.
async fn gaps(takes: impl Fn(usize) -> Duration) -> Vec<Duration> {
    let (supervisor, log) = recording_supervisor();
    let probes = std::cell::Cell::new(0);
    let unresponsive = |within: Duration| {
        probes.set(probes.get() + 1);
        let takes = takes(probes.get());
        async move {
            tokio::time::sleep(takes.min(within)).await;
            if takes > within { vec!["the writer".to_owned()] } else { Vec::new() }
        }
    };
    tokio::select! {
        never = feed_watchdog(supervisor, WATCHDOG, unresponsive) => match never {},
        () = tokio::time::sleep(Duration::from_secs(3_600)) => {}
    }
    let log = log.lock().unwrap();
    log.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
}

/// Catches a period that passes while the next probe waits to start: a slow answer is a sign of life too.
#[tokio::test(start_paused = true)]
async fn answers_in_time_leave_no_gap_longer_than_the_period() {
    let speeds = [0, 2, 19, 20, 1, 20, 20, 5];
    let gaps = gaps(|n| Duration::from_secs(speeds[n % speeds.len()])).await;
    assert!(gaps.len() > 100 && gaps.iter().all(|gap| *gap <= WATCHDOG.period), "{gaps:?}");
}

/// Catches a watchdog that is fed although a part hangs, or is not fed again after a pause.
#[tokio::test(start_paused = true)]
async fn the_watchdog_is_fed_only_while_all_parts_answer() {
    let all = gaps(|n| if n < 10 { Duration::ZERO } else { Duration::from_secs(21) }).await;
    assert_eq!(all.len(), 8, "nine probes were answered");
    let pause = gaps(|n| if n == 10 { Duration::from_secs(60) } else { Duration::ZERO }).await;
    assert!(pause.iter().filter(|gap| **gap > WATCHDOG.probe_interval()).count() == 1, "{pause:?}");
}

/// Catches a status that is repeated without a change, or lags behind it.
#[tokio::test(start_paused = true)]
async fn a_status_is_sent_only_when_it_has_changed() {
    let (supervisor, log) = recording_supervisor();
    let start = Instant::now();
    // A new status each minute.
    let status = || format!("minute {}", start.elapsed().as_secs() / 60);
    tokio::select! {
        never = report_status(supervisor, "minute 0".into(), status) => match never {},
        () = tokio::time::sleep(Duration::from_secs(299)) => {}
    }
    let sent: Vec<_> = log.lock().unwrap().iter().map(|(_, notification)| notification.clone()).collect();
    assert_eq!(sent, (1..5).map(|n| Notification::Status(format!("minute {n}"))).collect::<Vec<_>>());
}

/// Catches a process that its supervisor takes for one that starts for ever, that hangs, or that ends by itself.
#[tokio::test(start_paused = true)]
async fn the_supervisor_is_told_of_ready_alive_and_stopping() {
    let (supervisor, log) = recording_supervisor();
    let trigger = ShutdownTrigger::default();
    let answered = |_| std::future::ready(Vec::new());
    let report = |supervisor, watchdog| {
        let status = || "healthy".to_owned();
        tokio::spawn(report_until_shutdown(supervisor, watchdog, status, answered, trigger.signal()))
    };
    let reports = [report(supervisor.clone(), Some(WATCHDOG)), report(Supervisor::none(), Some(WATCHDOG))];
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert!(reports.iter().all(|report| !report.is_finished()));
    trigger.request();
    for report in reports {
        report.await.unwrap();
    }
    let sent: Vec<_> = log.lock().unwrap().drain(..).map(|(_, notification)| notification).collect();
    let alive = vec![Notification::Alive; 3];
    let ready = Notification::Ready { status: "healthy".into() };
    assert_eq!(sent, [vec![ready.clone()], alive, vec![Notification::Stopping]].concat());

    // Without a watchdog, nothing is probed.
    let trigger = ShutdownTrigger::default();
    trigger.request();
    report_until_shutdown(supervisor.clone(), None, String::new, answered, trigger.signal()).await;
    let first = Notification::Ready { status: String::new() };
    let sent: Vec<_> = log.lock().unwrap().iter().map(|(_, notification)| notification.clone()).collect();
    assert_eq!(sent, [first, Notification::Stopping]);
    assert!(supervisor.is_present() && !Supervisor::none().is_present());
}

/// Catches a slow opening that the supervisor kills, and an opening that delays a shutdown.
#[test]
fn an_opening_asks_for_time_and_reports_its_progress_until_the_shutdown() {
    let (supervisor, log) = recording_supervisor();
    let trigger = ShutdownTrigger::default();
    let report = opening_reporter(supervisor, trigger.signal());
    let at = |folded| OpenProgress::Folding { folded: Sequence(folded), of: Sequence(1_000_000) };
    assert!((0..1_000).all(|folded| report(&at(folded)).is_continue()));
    let sent = log.lock().unwrap().clone();
    assert!(sent.len() < 100, "{} reports of progress are too many", sent.len());
    let status = "folding the tables: 0 of 1,000,000 changes".to_owned();
    assert_eq!(sent[0].1, Notification::Starting { at_least: Duration::from_secs(300), status });
    trigger.request();
    assert!(report(&at(1_000)).is_break(), "a shutdown breaks the opening off");
    assert_eq!(log.lock().unwrap().len(), sent.len(), "and asks for no more time");
}
