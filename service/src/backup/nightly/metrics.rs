//! Metrics of the nightly backups.

use super::state::BackupReport;
use crate::metrics::{Families, Family};
use prometheus_client::encoding::EncodeLabelSet;
use std::fmt;

const AGE: Family = Family::new("backup_age", "Age of the last verified nightly backup.").in_unit("seconds");
const SIZE: Family = Family::new("backup_size", "Size of the last verified nightly backup.").in_unit("bytes");
const VERIFIED: Family = Family::new("backups_verified", "Nightly backups that were verified since the start.");
const FAILED: Family = Family::new("backups_failed", "Nightly backups that failed since the start.");
const FAILING: Family = Family::new("backup_failing", "1 while the last attempt at a nightly backup failed, else 0.");

/// Encodes the state of stores that are backed up, each with its labels. Without a backup there is no age.
pub fn encode_backups<L: EncodeLabelSet + Copy>(
    families: &mut Families<'_>,
    stores: &[(L, BackupReport)],
) -> fmt::Result {
    let last = || stores.iter().filter_map(|(labels, report)| Some((*labels, report.last.as_ref()?)));
    families.gauges(AGE, last().filter_map(|(labels, last)| Some((labels, last.age_s?))))?;
    families.gauges(SIZE, last().map(|(labels, last)| (labels, last.bytes)))?;
    families.counters(VERIFIED, stores.iter().map(|(labels, report)| (*labels, report.verified)))?;
    families.counters(FAILED, stores.iter().map(|(labels, report)| (*labels, report.failed)))?;
    families.gauges(FAILING, stores.iter().map(|(labels, report)| (*labels, u32::from(report.failing))))
}
