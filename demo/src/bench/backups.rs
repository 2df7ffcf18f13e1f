//! A backup of a large store while payloads come in, and the way back: a restore, and a rebuild from the office.

use super::lag::{bodies, post};
use super::listener::Listener;
use super::memory::mib;
use super::rows::Row;
use super::traffic::in_chute_order;
use super::yard::{self, Yard};
use super::{BenchError, Budget, Figures, Samples, Sizes, ms, timed};
use crate::processes::{Barn, BarnSettings, Client, Programs};
use anyhow::Context as _;
use bytes::Bytes;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;
use tokio::time::{MissedTickBehavior, interval};

/// Time between two payloads: a hundred a second, more than any chute sends.
const PACE: Duration = Duration::from_millis(10);
/// Payloads whose lag is measured before the backup.
const QUIET_PAYLOADS: usize = 1_000;
/// Payloads that are prepared for the time of the backup.
const MAX_DURING: usize = 20_000;

/// Measures a backup under traffic, a restore of it, and a rebuild from the office.
pub async fn backups(
    programs: &Programs,
    directory: &Path,
    sizes: &Sizes,
    budget: Budget,
) -> Result<Figures, BenchError> {
    let mut yard = Yard::new(programs, directory)?;
    let filled = block_in_place(|| yard::fill(&yard.barn, in_chute_order(15, sizes.large, 0.0), budget.share(40)))?;
    yard.start_paired(budget).await?;
    let path = |name: &str| Ok::<_, BenchError>(directory.join(name).to_str().context("a UTF-8 path")?.to_owned());
    let (file, office_file) = (path("barn.backup")?, path("office.backup")?);

    let mut traffic = PacedTraffic::open(&yard).await?;
    let quiet = traffic.send(QUIET_PAYLOADS).await?;
    let (during, backed_up) = traffic.send_during(yard.barn.run_within(budget.left(), &["backup", &file])).await?;
    let bytes = std::fs::metadata(&file)?.len();
    yard.wait_until_equal(budget).await?;

    yard.barn.terminate().await?;
    let restored = restore(programs, &directory.join("restored"), &file)?;
    let (made, office_backed_up) = timed(|| yard.office.run(&["backup", "barn", &office_file]));
    made?;
    let rebuilt = restore(programs, &directory.join("rebuilt"), &office_file)?;
    let seconds = |id, name, took: Duration| Row::new(id, name, took.as_secs_f64(), "s");
    let rows = vec![
        seconds("backup_s", "backup of the large store under traffic", backed_up),
        Row::new("backup_mib", "size of the backup", mib(bytes), "MiB"),
        Row::new("backup_lag_p99", "lag p99 during the backup", ms(during.percentile(99)), "ms")
            .over("the same, without a backup", ms(quiet.percentile(99))),
        seconds("restore_s", "restore of the backup", restored),
        seconds("office_backup_s", "backup from the office", office_backed_up),
        seconds("rebuild_s", "restore of the office's backup", rebuilt),
    ];
    let details = json!({
        "payloads": filled.payloads,
        "payloads_per_s": 1_000 / PACE.as_millis(),
        "lag_without": quiet.to_json(),
        "lag_during": during.to_json(),
        "backup": "the whole command, with the proof of the file that was read back",
        "restore": "the whole command, with the proof of the new log and its tables folded",
        "cut_short": filled.payloads < sizes.large || budget.is_spent(),
    });
    Ok(Figures { rows, details })
}

/// Restores a backup in a new directory, and returns the time of the command.
fn restore(programs: &Programs, directory: &Path, file: &str) -> Result<Duration, BenchError> {
    let barn = Barn::new(programs, directory, &BarnSettings::default())?;
    let (restored, took) = timed(|| block_in_place(|| barn.run(&["restore", file])));
    restored?;
    Ok(took)
}

/// Payloads at a steady pace, one after the other, with the time until the office shows each.
struct PacedTraffic {
    poster: Client,
    listener: Listener,
    bodies: std::vec::IntoIter<Bytes>,
}

impl PacedTraffic {
    async fn open(yard: &Yard) -> Result<Self, BenchError> {
        let bodies = bodies(in_chute_order(16, QUIET_PAYLOADS + MAX_DURING, 0.0))?.into_iter();
        Ok(Self { poster: yard.poster()?, listener: Listener::connect(&yard.office).await?, bodies })
    }

    /// Sends this many payloads.
    async fn send(&mut self, count: usize) -> Result<Samples, BenchError> {
        let mut samples = Vec::new();
        let mut ticks = pace();
        for _ in 0..count {
            ticks.tick().await;
            samples.push(self.send_one().await?);
        }
        Ok(Samples::new(samples))
    }

    /// Sends payloads until `command` ends, and returns their lags and the time of the command.
    async fn send_during<T, E>(
        &mut self,
        command: impl Future<Output = Result<T, E>>,
    ) -> Result<(Samples, Duration), BenchError>
    where
        BenchError: From<E>,
    {
        let (start, mut samples, mut ticks) = (Instant::now(), Vec::new(), pace());
        let mut command = std::pin::pin!(command);
        let mut took = None;
        while took.is_none() {
            // The command ends while a payload is on its way, and nothing of either is dropped.
            let next = async {
                ticks.tick().await;
                self.send_one().await
            };
            let mut next = std::pin::pin!(next);
            let lag = tokio::select! {
                ended = &mut command => {
                    ended?;
                    took = Some(start.elapsed());
                    next.await
                }
                lag = &mut next => lag,
            };
            samples.push(lag?);
        }
        Ok((Samples::new(samples), took.unwrap_or_default()))
    }

    async fn send_one(&mut self) -> Result<Duration, BenchError> {
        let body = self.bodies.next().context("the backup takes longer than the payloads of the bench last")?;
        let (expected, start) = (self.listener.at.next(), Instant::now());
        let (reply, shown) = tokio::join!(post(&self.poster, body), self.listener.wait_for_payload(expected));
        reply?;
        Ok(shown?.duration_since(start))
    }
}

fn pace() -> tokio::time::Interval {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
