//! Conditions under which a root on trial is confirmed, or given up.
//!
//! A root has come to serve if the daemon has its store open, the writer and the loop of each radio have answered probes
//! for [`STEADY_TIME`] without a break, and the radios are not worse than before. Opening a large log can take an hour on
//! a slow card. It counts as progress as long as the daemon reports new steps, so it is not given up.

use std::time::Duration;

/// Time for which the daemon must serve without a break. Radios are set up and the first commits are made within it.
pub const STEADY_TIME: Duration = Duration::from_secs(60);

/// Time without progress after which a trial is given up. A single step of opening a log takes 5 minutes at most
/// ([`OPENING_STEP_TIMEOUT`](service::supervisor::OPENING_STEP_TIMEOUT)); the rest is for a slow start of the machine.
pub const NO_PROGRESS_TIMEOUT: Duration = Duration::from_secs(600);

/// Restarts of the daemon after which a trial is given up: each one may report progress again, and get no further.
pub const MAX_RESTARTS: u32 = 5;

/// The daemon as it was observed at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialDaemonState {
    /// All its parts answer, and the store is open.
    Serving,
    /// It is opening its files; the text changes with each step.
    Starting(String),
    /// It does not serve, for this reason.
    Failing(String),
}

/// Decision about a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not decided yet.
    Wait,
    /// The root serves.
    Confirm,
    /// The root does not come to serve, for this reason.
    GiveUp(String),
}

/// A trial as it goes on. All times are since its start.
#[derive(Debug)]
pub struct TrialProgress {
    steady_time: Duration,
    serving_since: Option<Duration>,
    last_step: String,
    last_step_at: Duration,
}

impl TrialProgress {
    /// Creates a trial that is confirmed after this time of service.
    pub fn new(steady_time: Duration) -> Self {
        Self { steady_time, serving_since: None, last_step: String::new(), last_step_at: Duration::ZERO }
    }

    /// Takes in an observation, and decides.
    pub fn observe(&mut self, now: Duration, state: &TrialDaemonState, restarts: u32) -> Verdict {
        if restarts > MAX_RESTARTS {
            return Verdict::GiveUp(format!("the daemon was restarted {restarts} times"));
        }
        let reason = match state {
            TrialDaemonState::Serving => {
                let since = *self.serving_since.get_or_insert(now);
                let is_steady = now.saturating_sub(since) >= self.steady_time;
                return if is_steady { Verdict::Confirm } else { Verdict::Wait };
            }
            TrialDaemonState::Starting(step) => {
                if *step != self.last_step {
                    self.last_step.clone_from(step);
                    self.last_step_at = now;
                }
                step
            }
            TrialDaemonState::Failing(reason) => reason,
        };
        self.serving_since = None;
        if now.saturating_sub(self.last_step_at) < NO_PROGRESS_TIMEOUT {
            return Verdict::Wait;
        }
        Verdict::GiveUp(format!("no progress for {} s: {reason}", NO_PROGRESS_TIMEOUT.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observes one state per second, and returns the verdict with its second.
    fn first_verdict(states: impl IntoIterator<Item = (TrialDaemonState, u32)>) -> (u64, Verdict) {
        let mut progress = TrialProgress::new(STEADY_TIME);
        for (second, (state, restarts)) in (0..).zip(states) {
            match progress.observe(Duration::from_secs(second), &state, restarts) {
                Verdict::Wait => {}
                verdict => return (second, verdict),
            }
        }
        panic!("no verdict");
    }

    fn failing() -> (TrialDaemonState, u32) {
        (TrialDaemonState::Failing("the writer does not respond".into()), 0)
    }

    fn starting(step: u64) -> (TrialDaemonState, u32) {
        (TrialDaemonState::Starting(format!("folding the tables: {step} of 1,000,000 changes")), 0)
    }

    const SERVING: (TrialDaemonState, u32) = (TrialDaemonState::Serving, 0);

    /// Catches a root that is confirmed before it has served for a while, or after it has stopped to.
    #[test]
    fn a_trial_is_confirmed_after_a_minute_of_service_without_a_break() {
        assert_eq!(first_verdict(std::iter::repeat(SERVING)), (60, Verdict::Confirm));
        let with_break = (0..).map(|second| if second == 59 { failing() } else { SERVING });
        assert_eq!(first_verdict(with_break), (120, Verdict::Confirm));
    }

    /// Catches a large log whose folding takes an hour and is taken for a failure.
    #[test]
    fn opening_a_large_log_is_progress_and_a_step_that_hangs_is_none() {
        let slow = (0..3_600).map(|second| starting(second / 290)).chain(std::iter::repeat(SERVING));
        assert_eq!(first_verdict(slow), (3_660, Verdict::Confirm));
        let (second, verdict) = first_verdict((0..).map(|second| starting(second.min(100))));
        assert_eq!(second, 700);
        assert!(matches!(verdict, Verdict::GiveUp(reason) if reason.contains("100 of 1,000,000")));
    }

    /// Catches a broken root that stays: one that never serves, one that serves now and then, and one whose daemon
    /// reports the same steps after each crash.
    #[test]
    fn a_root_that_does_not_come_to_serve_is_given_up() {
        let (second, verdict) = first_verdict(std::iter::repeat_with(failing));
        assert_eq!(second, 600);
        assert!(matches!(verdict, Verdict::GiveUp(reason) if reason.contains("the writer")));
        let flapping = (0_u64..).map(|second| if second % 60 == 59 { failing() } else { SERVING });
        assert_eq!(first_verdict(flapping).0, 659, "at the first break after the timeout");
        let crashing = (0_u32..).map(|second| (starting(u64::from(second % 20)).0, second / 20));
        let (second, verdict) = first_verdict(crashing);
        assert_eq!(second, 120);
        assert_eq!(verdict, Verdict::GiveUp("the daemon was restarted 6 times".into()));
    }
}
