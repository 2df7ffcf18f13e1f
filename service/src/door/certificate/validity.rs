//! The time in which a certificate is valid.

/// The first and the last second of a certificate's validity, since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ValidityPeriod {
    pub(super) not_before_s: i64,
    pub(super) not_after_s: i64,
}
