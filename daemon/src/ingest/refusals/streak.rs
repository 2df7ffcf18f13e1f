//! Refusals without a read that was taken between them: a barn that takes nothing is not well.

use super::RefusedRead;
use std::time::Duration;
use tokio::time::Instant;

/// Time over which every read must have been refused. A restart, or a key that is being replaced, is over in less; and the
/// animals of more than some minutes are hard to find again.
pub(super) const MIN_DURATION: Duration = Duration::from_secs(3 * 60);
/// Number of refused calls below which nothing is concluded. A sender repeats its call, a stranger who tries the door once or
/// twice does not.
pub(super) const MIN_CALLS: u64 = 5;
/// Time without any call after which a streak ends: nobody knows what the barn would answer now. It is longer than the pauses
/// of a chute at work, and shorter than a night.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(15 * 60);

/// The refused calls since the last read that was taken.
#[derive(Debug, Default)]
pub(super) struct Streak(Option<Run>);

#[derive(Debug)]
struct Run {
    first: Instant,
    last: Instant,
    calls: u64,
    latest: RefusedRead,
}

impl Streak {
    /// Notes a call of which nothing was taken.
    pub(super) fn add(&mut self, now: Instant, read: RefusedRead) {
        match &mut self.0 {
            Some(run) if now.saturating_duration_since(run.last) < MAX_PAUSE => {
                (run.last, run.calls, run.latest) = (now, run.calls.saturating_add(1), read);
            }
            run => *run = Some(Run { first: now, last: now, calls: 1, latest: read }),
        }
    }

    /// Notes a read that was taken.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    /// Returns what a person should know if every read of some minutes was refused.
    pub(super) fn finding(&self, now: Instant) -> Option<String> {
        let run = self.0.as_ref().filter(|run| now.saturating_duration_since(run.last) < MAX_PAUSE)?;
        let lasted = run.last.saturating_duration_since(run.first);
        (lasted >= MIN_DURATION && run.calls >= MIN_CALLS).then(|| {
            let (calls, minutes) = (run.calls, lasted.as_secs() / 60);
            let RefusedRead { why, kind, .. } = &run.latest;
            let (who, advice) = (run.latest.who(), kind.advice());
            format!(
                "no read over HTTPS was taken in {minutes} min of {calls} calls; the last one, from {who}: {why}; {advice}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::refusals::RefusalKind;

    fn refused() -> RefusedRead {
        let kind = RefusalKind::of_code("unauthorized");
        RefusedRead { kind, peer: [192, 168, 1, 20].into(), key: None, why: "this key is not known here".to_owned() }
    }

    /// Adds calls at these seconds, and returns if there is a finding right after the last one.
    fn has_finding(streak: &mut Streak, start: Instant, seconds: &[u64]) -> bool {
        let at = |second: u64| start + Duration::from_secs(second);
        for second in seconds {
            streak.add(at(*second), refused());
        }
        streak.finding(at(*seconds.last().unwrap())).is_some()
    }

    /// Catches an alarm for a stranger who tries the door, and none for a sender whose key is wrong for minutes.
    #[test]
    fn only_calls_that_are_all_refused_over_minutes_are_a_finding() {
        let start = Instant::now();
        assert!(!has_finding(&mut Streak::default(), start, &[0, 1, 2, 3, 4, 5, 6, 7]), "a burst");
        assert!(!has_finding(&mut Streak::default(), start, &[0, 200, 400, 600]), "too few");
        assert!(
            !has_finding(&mut Streak::default(), start, &[0, 1_000, 2_000, 3_000, 4_000, 5_000]),
            "once in a while"
        );
        assert!(!has_finding(&mut Streak::default(), start, &[0, 60, 120, 150, 179]));
        assert!(has_finding(&mut Streak::default(), start, &[0, 60, 120, 150, 1_049]), "a pause of almost 15 minutes");
        assert!(!has_finding(&mut Streak::default(), start, &[0, 60, 120, 150, 1_050]), "one of 15 minutes");
        let mut streak = Streak::default();
        assert!(has_finding(&mut streak, start, &[0, 60, 120, 150, 180]));
        let finding = streak.finding(start + Duration::from_secs(181)).unwrap();
        let expected = "no read over HTTPS was taken in 3 min of 5 calls; the last one, from 192.168.1.20: this key is not known \
            here; give the sender a key";
        assert!(finding.starts_with(expected), "{finding}");
    }

    /// Catches a barn that is called unwell although it takes reads, or hours after anybody called.
    #[test]
    fn a_read_that_is_taken_and_a_long_pause_end_the_streak() {
        let start = Instant::now();
        let mut streak = Streak::default();
        assert!(has_finding(&mut streak, start, &[0, 60, 120, 180, 240]));
        assert!(streak.finding(start + Duration::from_secs(240) + MAX_PAUSE).is_none());
        streak.end();
        assert!(streak.finding(start + Duration::from_secs(240)).is_none());
        assert!(!has_finding(&mut streak, start, &[241, 242, 243, 244, 245]));
    }
}
