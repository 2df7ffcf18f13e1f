//! Renewal of a certificate that this program made, for phones and browsers.
//!
//! # Decisions
//!
//! - **At most [`VALID_DAYS`] days, as phones demand** of a certificate that their user has installed (Apple, "Requirements for
//!   trusted certificates in iOS 13 and macOS 10.15"). A certificate for peers that pin the key alone is valid for a century.
//! - **The key stays, so every pin stays.** Only who has installed the certificate itself installs the new one.
//! - **It is renewed [`RENEWED_BEFORE_DAYS`] days before its end,** so that an office that is off for a season still has a
//!   valid one when it is back, and whenever the clock says that it is not valid yet.
//! - **A certificate of somebody else is never touched**: neither one that the settings name, nor one in our place that another
//!   authority has signed.

use super::generate::write_certificate;
use super::{CertificateError, Identity, SanEntry, ValidityPeriod};
use crate::lifecycle::Shutdown;
use herd::clock::{Clock, EARLIEST_US};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// Days for which a renewed certificate is valid. It begins a day early, for clocks that are behind.
pub const VALID_DAYS: u64 = 825;
/// Days before its end from which it is renewed.
pub const RENEWED_BEFORE_DAYS: u64 = 90;
/// Interval of checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);
const DAY_S: u64 = 24 * 3600;
const SECOND_US: i64 = 1_000_000;

impl ValidityPeriod {
    /// Returns the period of a certificate that is made now.
    fn from(now_s: i64) -> Self {
        let not_before_s = now_s - seconds(1);
        Self { not_before_s, not_after_s: not_before_s + seconds(VALID_DAYS) }
    }

    fn is_due(self, now_s: i64) -> bool {
        let Self { not_before_s, not_after_s } = self;
        not_after_s - not_before_s > seconds(VALID_DAYS)
            || now_s < not_before_s
            || not_after_s - now_s < seconds(RENEWED_BEFORE_DAYS)
    }
}

fn seconds(days: u64) -> i64 {
    i64::try_from(days * DAY_S).unwrap_or(i64::MAX)
}

impl Identity {
    /// Renews the certificate for `names` and this machine's own if this program made it and its time has come. Returns whether
    /// it did. Reads and writes files.
    ///
    /// A clock that was never set counts as one at the earliest time that a set one can show.
    pub fn renew_if_due(&self, names: &[SanEntry], now_us: i64) -> Result<bool, CertificateError> {
        let second = now_us.max(EARLIEST_US) / SECOND_US;
        if !self.is_self_made() || !self.validity().is_due(second) {
            return Ok(false);
        }
        let period = ValidityPeriod::from(second);
        write_certificate(self.files(), names, period)?;
        self.reload()?;
        tracing::info!(certificate = %self.files().certificate.display(), days = VALID_DAYS, "certificate renewed");
        Ok(true)
    }

    /// Renews the certificate as [`renew_if_due`](Self::renew_if_due) does, and logs a failure: the current one stays in use.
    pub fn renew_or_warn(&self, names: &[SanEntry], now_us: i64) {
        if let Err(error) = self.renew_if_due(names, now_us) {
            tracing::warn!(%error, "the certificate could not be renewed; trying again within an hour");
        }
    }

    /// Renews the certificate whenever its time has come, until the shutdown.
    pub async fn keep_renewed(self, names: Vec<SanEntry>, clock: Arc<dyn Clock>, shutdown: Shutdown) {
        while tokio::time::timeout(CHECK_INTERVAL, shutdown.requested()).await.is_err() {
            let (identity, names, now_us) = (self.clone(), names.clone(), clock.read().received_at_us);
            if let Err(error) = spawn_blocking(move || identity.renew_or_warn(&names, now_us)).await {
                tracing::warn!(%error, "the renewal of the certificate was aborted; trying again within an hour");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::IdentityFiles;
    use super::*;
    use x509_parser::extensions::GeneralName;

    /// 2026-05-04T08:30:00Z.
    const NOW_US: i64 = 1_777_883_400 * SECOND_US;
    const NAME: &str = "office.example";

    fn day_us(days: i64) -> i64 {
        NOW_US + days * seconds(1) * SECOND_US
    }

    fn names() -> Vec<SanEntry> {
        vec![SanEntry::Dns(NAME.to_owned())]
    }

    fn renewed(directory: &std::path::Path) -> Identity {
        let identity = Identity::load_or_generate(directory, &[]).unwrap();
        assert!(identity.renew_if_due(&names(), NOW_US).unwrap());
        identity
    }

    /// Catches a certificate that phones refuse, a new key that breaks every pairing, and names that get lost.
    #[test]
    fn a_renewed_certificate_is_short_has_the_same_key_and_the_names() {
        let directory = tempfile::tempdir().unwrap();
        let before = Identity::load_or_generate(directory.path(), &[]).unwrap().spki_sha256();
        let identity = renewed(directory.path());
        assert_eq!(identity.spki_sha256(), before);
        let der = identity.leaf_der();
        let (_, leaf) = x509_parser::parse_x509_certificate(&der).unwrap();
        let (from, to) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
        assert_eq!((from, to - from), (NOW_US / SECOND_US - 86_400, 825 * 86_400));
        assert!(leaf.extended_key_usage().unwrap().unwrap().value.server_auth);
        let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert!(names.contains(&GeneralName::DNSName(NAME)) && names.contains(&GeneralName::DNSName("localhost")));
        assert_eq!(
            Identity::load_or_generate(directory.path(), &[]).unwrap().leaf_der(),
            der,
            "the next start keeps it"
        );
    }

    /// Catches a certificate that ends while the office runs, and one that is made anew with every check.
    #[test]
    fn a_certificate_is_renewed_ninety_days_before_its_end_or_if_it_is_of_the_future() {
        for (days, is_due) in [(0, false), (734, false), (735, true), (2_000, true), (-1, false), (-2, true)] {
            let directory = tempfile::tempdir().unwrap();
            let identity = renewed(directory.path());
            assert_eq!(identity.renew_if_due(&names(), day_us(days)).unwrap(), is_due, "after {days} days");
            assert!(!identity.renew_if_due(&names(), day_us(days)).unwrap(), "again after {days} days");
        }
    }

    /// Catches a certificate of 1970, and one that stays so once the clock is set.
    #[test]
    fn a_clock_that_was_never_set_makes_a_certificate_that_is_renewed_once_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_generate(directory.path(), &[]).unwrap();
        assert!(identity.renew_if_due(&names(), 60 * SECOND_US).unwrap());
        assert_eq!(identity.validity().not_before_s, EARLIEST_US / SECOND_US - seconds(1));
        assert!(identity.renew_if_due(&names(), NOW_US).unwrap());
    }

    /// Catches a certificate of the operator that is replaced behind their back.
    #[test]
    fn a_certificate_that_the_settings_name_is_never_renewed() {
        let directory = tempfile::tempdir().unwrap();
        let IdentityFiles { certificate, key } = renewed(directory.path()).files().clone();
        let named = Identity::load(IdentityFiles { certificate, key }).unwrap();
        assert!(!named.renew_if_due(&names(), day_us(5_000)).unwrap());
    }

    /// Catches a certificate of an authority that is replaced by one that no phone trusts.
    #[test]
    fn a_certificate_of_an_authority_in_our_place_is_never_renewed() {
        let directory = tempfile::tempdir().unwrap();
        let files = renewed(directory.path()).files().clone();
        let key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(&files.key).unwrap()).unwrap();
        let authority = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "the authority");
        let issuer = rcgen::Issuer::new(params, authority);
        let signed = rcgen::CertificateParams::new([NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(&files.certificate, signed.pem()).unwrap();
        let identity = Identity::load_or_generate(directory.path(), &[]).unwrap();
        assert!(!identity.renew_if_due(&names(), day_us(5_000)).unwrap());
        assert_eq!(identity.leaf_der(), signed.der().to_vec());
    }

    /// Catches an office that renews its certificate at its start only, and a keeper that outlives the office.
    #[tokio::test(start_paused = true)]
    async fn a_certificate_is_kept_renewed_until_the_shutdown() {
        let directory = tempfile::tempdir().unwrap();
        let identity = renewed(directory.path());
        identity.renew_or_warn(&names(), day_us(735));
        assert!(!identity.validity().is_due(day_us(735) / SECOND_US), "renewed at the start");

        let (due, trigger) = (identity.leaf_der(), crate::lifecycle::ShutdownTrigger::default());
        let clock: Arc<dyn Clock> = Arc::new(herd::clock::SystemClock::default());
        let forever = ValidityPeriod { not_before_s: 0, not_after_s: i64::from(u32::MAX) };
        write_certificate(identity.files(), &names(), forever).unwrap();
        identity.reload().unwrap();
        let keeping = tokio::spawn(identity.clone().keep_renewed(names(), clock, trigger.signal()));
        let is_renewed = async {
            while identity.validity() == forever {
                tokio::time::sleep(CHECK_INTERVAL / 4).await;
            }
        };
        tokio::time::timeout(CHECK_INTERVAL * 2, is_renewed).await.expect("not renewed");
        assert!(identity.leaf_der() != due && !keeping.is_finished());
        trigger.request();
        keeping.await.unwrap();
    }

    /// Catches a disk without room that ends the office, or leaves it without a certificate.
    #[test]
    fn a_renewal_that_fails_keeps_the_certificate_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let identity = renewed(directory.path());
        let before = identity.leaf_der();
        std::fs::remove_file(&identity.files().key).unwrap();
        assert!(identity.renew_if_due(&names(), day_us(800)).is_err());
        assert_eq!(identity.leaf_der(), before);
    }
}
