//! The comparison at the end of a run: the ledger of the simulated radio against the log of the office, payload by
//! payload.

use super::channel_log::ChannelLog;
use super::lag_histogram::LagHistogram;
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
    /// Lines of the ledger; must equal `heard`.
    pub(super) lines: u64,
    /// Duplicates, by the counter of the barn.
    pub(super) duplicates: u64,
    /// Payloads in the log of the barn, including rejections.
    pub(super) kept: u64,
    pub(super) rejections: u64,
    /// Rejections over the limit of the barn. Its log holds only their number.
    pub(super) suppressed: u64,
    /// Payloads in the log of the office.
    pub(super) replicated: u64,
    /// Payloads that were heard and are missing at the office.
    pub(super) lost: u64,
    /// Surplus payloads at the office: second copies, and payloads that were never heard.
    pub(super) surplus: u64,
    /// True if barn and office have equal chain digests and equal fold digests.
    pub(super) digest_equal: bool,
}

impl Account {
    /// Compares the ledger with both logs. `duplicates` is the barn's count for the channel.
    pub(super) fn new(
        ledger: &Ledger,
        duplicates: u64,
        barn: &ChannelLog,
        office: &ChannelLog,
        digest_equal: bool,
    ) -> Self {
        let mut copies: HashMap<&[u8], u64> = HashMap::with_capacity(office.raw.len());
        for raw in &office.raw {
            *copies.entry(raw).or_default() += 1;
        }
        let missing = ledger.distinct.iter().filter(|payload| !copies.contains_key(payload.as_slice()));
        // The barn suppresses rejections only, so a missing event is lost.
        let (events, rejections): (Vec<_>, Vec<_>) = missing.partition(|payload| parse(payload).outcome.is_ok());
        let unaccounted = (rejections.len() as u64).saturating_sub(office.suppressed);
        let surplus = |(raw, copies): (&&[u8], &u64)| copies - u64::from(ledger.distinct.contains(*raw));
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
            surplus: copies.iter().map(surplus).sum(),
            digest_equal,
        }
    }

    /// Returns a sentence for each claim that does not hold.
    pub(super) fn faults(&self) -> Vec<String> {
        let Self { sent, lost_in_air, heard, lines, duplicates, kept, suppressed, replicated, lost, surplus, .. } =
            *self;
        let claims = [
            (lost == 0, format!("{lost} payloads that were heard are missing at the office")),
            (surplus == 0, format!("{surplus} payloads at the office were never heard, or are there twice")),
            (self.digest_equal, "the digests of barn and office differ: run `verify` on both".to_owned()),
            (sent == lost_in_air + heard, format!("sent {sent} is not lost in air {lost_in_air} + heard {heard}")),
            (heard == lines, format!("heard {heard} is not the number of lines in the ledger, {lines}")),
            (
                heard == duplicates + kept + suppressed,
                format!("heard {heard} is not duplicates {duplicates} + kept {kept} + suppressed {suppressed}"),
            ),
            (replicated == kept, format!("replicated {replicated} is not kept {kept}")),
        ];
        claims.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault).collect()
    }

    /// Returns the result that the demo prints.
    pub(super) fn to_json(&self, lags: &LagHistogram) -> Value {
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
            "lag_of": lags.count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(payloads: &[&str], lines: u64) -> Ledger {
        let distinct = payloads.iter().map(|text| text.as_bytes().to_vec()).collect();
        Ledger { sent: lines + 2, lost_in_air: 2, heard: lines, lines, distinct }
    }

    fn log(payloads: &[&str], suppressed: u64) -> ChannelLog {
        let raw = payloads.iter().map(|text| text.as_bytes().to_vec()).collect();
        ChannelLog { raw, suppressed, ..ChannelLog::default() }
    }

    const A: &str = "hxb:LOT1:LF1:UHF1";
    const B: &str = "hxb:LOT1:LF2:UHF2";

    #[test]
    fn a_run_without_losses_has_no_faults() {
        let log = log(&[A, B], 0);
        let account = Account::new(&ledger(&[A, B], 5), 3, &log, &log, true);
        assert_eq!(account.faults(), Vec::<String>::new());
    }

    #[test]
    fn a_payload_that_was_heard_and_is_missing_at_the_office_is_lost() {
        let account = Account::new(&ledger(&[A, B], 2), 0, &log(&[A, B], 0), &log(&[A], 0), false);
        assert_eq!((account.lost, account.surplus), (1, 0));
        assert_eq!(account.faults().len(), 3);
    }

    #[test]
    fn a_surplus_payload_does_not_hide_a_lost_one() {
        for other in [A, "hxb:LOT1:LF3:UHF3"] {
            let log = log(&[A, other], 0);
            let account = Account::new(&ledger(&[A, B], 2), 0, &log, &log, true);
            assert_eq!((account.lost, account.surplus), (1, 1), "{other}");
        }
    }

    #[test]
    fn suppressed_rejections_account_for_a_missing_rejection_but_not_for_a_missing_event() {
        let log = log(&[], 1);
        let account = |payload| Account::new(&ledger(&[payload], 1), 0, &log, &log, true);
        assert_eq!(account("garbage").faults(), Vec::<String>::new());
        assert_eq!(account(A).lost, 1);
    }

    #[test]
    fn each_claim_that_does_not_hold_is_one_fault() {
        let log = log(&[A], 0);
        let good = Account::new(&ledger(&[A], 1), 0, &log, &log, true);
        let broken = [
            Account { sent: 9, ..good.clone() },
            Account { lines: 9, ..good.clone() },
            Account { duplicates: 9, ..good.clone() },
            Account { digest_equal: false, ..good.clone() },
            Account { surplus: 9, ..good.clone() },
        ];
        for account in broken {
            assert_eq!(account.faults().len(), 1, "{account:?}");
        }
    }
}
