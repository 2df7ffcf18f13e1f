//! The proof: the generator's own list against what the office holds, one by one.

use super::held::Log;
use super::lag::Lags;
use super::ledger::Ledger;
use herd::payload::parse;
use serde_json::{Value, json};
use std::collections::HashMap;

/// All counts of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) sent: u64,
    pub(super) lost_in_air: u64,
    pub(super) heard: u64,
    /// Lines of the generator's list; as many as were heard.
    pub(super) lines: u64,
    /// By the barn's own counter.
    pub(super) duplicates: u64,
    /// By the barn's log, rejections included.
    pub(super) kept: u64,
    pub(super) rejections: u64,
    /// Rejections above the barn's bound: in its log as a number only.
    pub(super) suppressed: u64,
    /// By the office's log.
    pub(super) replicated: u64,
    /// Payloads that were heard and that the office does not hold.
    pub(super) lost: u64,
    /// Payloads that the office holds more often than once, or that were never heard.
    pub(super) strange: u64,
    /// Both chain digests and both fold digests are equal.
    pub(super) digest_equal: bool,
}

impl Account {
    /// Compares. `duplicates` is what the barn counted for the channel.
    pub(super) fn of(ledger: &Ledger, duplicates: u64, barn: &Log, office: &Log, digest_equal: bool) -> Self {
        let mut held: HashMap<&[u8], u64> = HashMap::with_capacity(office.raw.len());
        for raw in &office.raw {
            *held.entry(raw).or_default() += 1;
        }
        let missing = ledger.distinct.iter().filter(|payload| !held.contains_key(payload.as_slice()));
        // Only what is no event can have been counted instead of kept; an event that is missing is lost.
        let (events, others): (Vec<_>, Vec<_>) = missing.partition(|payload| parse(payload).outcome.is_ok());
        let unaccounted = (others.len() as u64).saturating_sub(office.suppressed);
        let excess = |(raw, times): (&&[u8], &u64)| times - u64::from(ledger.distinct.contains(*raw));
        Self {
            sent: ledger.sent,
            lost_in_air: ledger.lost_in_air,
            heard: ledger.heard,
            lines: ledger.lines,
            duplicates,
            kept: barn.raw.len() as u64,
            rejections: barn.rejections,
            suppressed: barn.suppressed,
            replicated: office.raw.len() as u64,
            lost: events.len() as u64 + unaccounted,
            strange: held.iter().map(excess).sum(),
            digest_equal,
        }
    }

    /// What does not hold, in words; nothing when all is well.
    pub(super) fn faults(&self) -> Vec<String> {
        let Self { sent, lost_in_air, heard, lines, duplicates, kept, suppressed, replicated, lost, strange, .. } =
            *self;
        let claims = [
            (lost == 0, format!("{lost} payloads that were heard are not at the office")),
            (strange == 0, format!("{strange} payloads at the office were never heard, or are there twice")),
            (self.digest_equal, "the digests of barn and office differ: run `verify` on both".to_owned()),
            (sent == lost_in_air + heard, format!("sent {sent} is not lost in air {lost_in_air} + heard {heard}")),
            (heard == lines, format!("heard {heard} is not the {lines} lines of the generator's list")),
            (
                heard == duplicates + kept + suppressed,
                format!("heard {heard} is not duplicates {duplicates} + kept {kept} + suppressed {suppressed}"),
            ),
            (replicated == kept, format!("replicated {replicated} is not kept {kept}")),
        ];
        claims.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault).collect()
    }

    /// The result's keys.
    pub(super) fn to_json(&self, lags: &Lags) -> Value {
        json!({
            "sent": self.sent,
            "lost_in_air": self.lost_in_air,
            "heard": self.heard,
            "duplicates": self.duplicates,
            "kept": self.kept,
            "rejections": self.rejections,
            "suppressed": self.suppressed,
            "replicated": self.replicated,
            "lost": self.lost,
            "digest_equal": self.digest_equal,
            "lag_ms_p50": lags.percentile_ms(50),
            "lag_ms_p99": lags.percentile_ms(99),
            "lag_of": lags.of(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(payloads: &[&str], lines: u64) -> Ledger {
        let distinct = payloads.iter().map(|text| text.as_bytes().to_vec()).collect();
        Ledger { sent: lines + 2, lost_in_air: 2, heard: lines, lines, distinct }
    }

    fn log(payloads: &[&str], suppressed: u64) -> Log {
        Log { raw: payloads.iter().map(|text| text.as_bytes().to_vec()).collect(), suppressed, ..Log::default() }
    }

    const A: &str = "hxb:LOT1:LF1:UHF1";
    const B: &str = "hxb:LOT1:LF2:UHF2";

    #[test]
    fn a_run_without_a_loss_has_no_fault() {
        let log = log(&[A, B], 0);
        let account = Account::of(&heard(&[A, B], 5), 3, &log, &log, true);
        assert_eq!(account.faults(), Vec::<String>::new());
    }

    #[test]
    fn what_was_heard_and_is_not_at_the_office_is_lost() {
        let account = Account::of(&heard(&[A, B], 2), 0, &log(&[A, B], 0), &log(&[A], 0), false);
        assert_eq!((account.lost, account.strange), (1, 0));
        assert_eq!(account.faults().len(), 3);
    }

    #[test]
    fn one_too_many_does_not_hide_one_lost() {
        for other in [A, "hxb:LOT1:LF3:UHF3"] {
            let log = log(&[A, other], 0);
            let account = Account::of(&heard(&[A, B], 2), 0, &log, &log, true);
            assert_eq!((account.lost, account.strange), (1, 1), "{other}");
        }
    }

    #[test]
    fn suppressed_rejections_account_for_garbage_and_never_for_an_event() {
        let log = log(&[], 1);
        let account = |payload| Account::of(&heard(&[payload], 1), 0, &log, &log, true);
        assert_eq!(account("garbage").faults(), Vec::<String>::new());
        assert_eq!(account(A).lost, 1);
    }

    #[test]
    fn each_identity_that_does_not_hold_is_said() {
        let log = log(&[A], 0);
        let good = Account::of(&heard(&[A], 1), 0, &log, &log, true);
        let broken = [
            Account { sent: 9, ..good.clone() },
            Account { lines: 9, ..good.clone() },
            Account { duplicates: 9, ..good.clone() },
            Account { digest_equal: false, ..good.clone() },
            Account { strange: 9, ..good.clone() },
        ];
        for account in broken {
            assert_eq!(account.faults().len(), 1, "{account:?}");
        }
    }
}
