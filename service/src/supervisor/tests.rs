//! What holds for what the supervisor is told.

use super::*;
use crate::lifecycle::ShutdownTrigger;
use futures::FutureExt as _;
use herd::position::Sequence;
use herd::store::OpenProgress;
use std::sync::Mutex;
use tokio::time::Instant;

/// Words, and when each came.
type Heard = Arc<Mutex<Vec<(Instant, Word)>>>;

/// A supervisor that remembers every word.
fn remembering() -> (Supervisor, Heard) {
    let heard = Heard::default();
    let telling = heard.clone();
    (Supervisor::telling(move |word| telling.lock().unwrap().push((Instant::now(), word))), heard)
}

#[tokio::test]
async fn a_part_answers_while_it_waits_and_only_then() {
    let (asker, mut answerer) = probe();
    let mut question = asker.ask().boxed();
    assert!((&mut question).now_or_never().is_none(), "nobody has answered yet");
    answerer.while_waiting(tokio::task::yield_now()).await;
    question.now_or_never().expect("it has waited, and answered");
    let mut again = asker.ask().boxed();
    assert!((&mut again).now_or_never().is_none(), "an old answer is none to a new question");
    drop(answerer);
    again.now_or_never().expect("a part that is gone is told elsewhere");
}

#[tokio::test]
async fn an_answer_costs_the_work_nothing() {
    let (asker, mut answerer) = probe();
    let mut question = asker.ask().boxed();
    assert!((&mut question).now_or_never().is_none());
    assert_eq!(answerer.while_waiting(async { 7 }).await, 7);
}

const WATCHDOG: Watchdog = Watchdog { period: Duration::from_secs(30) };

/// The gaps between signs of life over an hour, where each probe takes as long as `takes` says.
async fn gaps(takes: impl Fn(usize) -> Duration) -> Vec<Duration> {
    let (supervisor, heard) = remembering();
    let asked = std::cell::Cell::new(0);
    let silent = |within: Duration| {
        asked.set(asked.get() + 1);
        let takes = takes(asked.get());
        async move {
            tokio::time::sleep(takes.min(within)).await;
            if takes > within { vec!["the writer".to_owned()] } else { Vec::new() }
        }
    };
    tokio::select! {
        never = feed(supervisor, WATCHDOG, silent) => match never {},
        () = tokio::time::sleep(Duration::from_secs(3_600)) => {}
    }
    let heard = heard.lock().unwrap();
    heard.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
}

/// Catches a period that is spent waiting for the next probe to begin: slow answers are alive.
#[tokio::test(start_paused = true)]
async fn answers_of_any_speed_within_their_time_leave_no_gap_above_the_period() {
    let speeds = [0, 2, 19, 20, 1, 20, 20, 5];
    let gaps = gaps(|n| Duration::from_secs(speeds[n % speeds.len()])).await;
    assert!(gaps.len() > 100 && gaps.iter().all(|gap| *gap <= WATCHDOG.period), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_no_sign_of_life_and_its_end_is() {
    let all = gaps(|n| if n < 10 { Duration::ZERO } else { Duration::from_secs(21) }).await;
    assert_eq!(all.len(), 8, "nine probes were answered");
    let pause = gaps(|n| if n == 10 { Duration::from_secs(60) } else { Duration::ZERO }).await;
    assert!(pause.iter().filter(|gap| **gap > WATCHDOG.every()).count() == 1, "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_status_is_told_when_it_is_new_and_at_most_every_few_seconds() {
    let (supervisor, heard) = remembering();
    let began = Instant::now();
    // Another one each minute.
    let status = || format!("minute {}", began.elapsed().as_secs() / 60);
    tokio::select! {
        never = report(supervisor, "minute 0".into(), status) => match never {},
        () = tokio::time::sleep(Duration::from_secs(299)) => {}
    }
    let told: Vec<_> = heard.lock().unwrap().iter().map(|(_, word)| word.clone()).collect();
    assert_eq!(told, (1..5).map(|n| Word::Status(format!("minute {n}"))).collect::<Vec<_>>());
}

#[test]
fn an_opening_asks_for_time_and_says_how_far_it_is() {
    let (supervisor, told) = remembering();
    let stop = ShutdownTrigger::default();
    let stopping = stop.signal();
    let tell = tell_opening(supervisor, stopping);
    let at = |folded| OpenProgress::Folding { folded: Sequence(folded), of: Sequence(1_000_000) };
    assert!((0..1_000).all(|folded| tell(&at(folded)).is_continue()));
    let heard = told.lock().unwrap();
    assert!(heard.len() < 100, "{} words of progress are too many", heard.len());
    let status = "folding the tables: 0 of 1,000,000 changes".to_owned();
    assert_eq!(heard[0].1, Word::Starting { at_least: Duration::from_secs(300), status });
    let before = heard.len();
    drop(heard);
    stop.request();
    assert!(tell(&at(1_000)).is_break(), "the stop breaks the opening off");
    assert_eq!(told.lock().unwrap().len(), before, "and asks for no more time");
}
