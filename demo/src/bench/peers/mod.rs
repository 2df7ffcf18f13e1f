//! Peers: other programs that record durably and replicate, with the same shapes of work, on the same disk, in the same run.
//!
//! | peer | source and replica | one payload is |
//! |---|---|---|
//! | PostgreSQL 15 | two servers, logical replication | a row in a transaction of its own |
//! | Redis 7 | two servers, replication of the append-only file | an entry of a stream |
//! | NATS JetStream 2.10 | a hub and a leaf node, a stream and its mirror | a message |
//!
//! Each is set to be durable at both ends before a payload counts as stored or visible there, as ours is. That was checked
//! with strace at the replicas: 320 payloads one by one took 330 fdatasync of the write-ahead log in PostgreSQL and 357 of
//! the append-only file in Redis. JetStream made an fsync for each message, also of the 3,300 that came in bulk.
//!
//! # Decisions
//!
//! - **The clients are ours.** Of each protocol they need a request, its reply, and a notice. Rejected: client libraries,
//!   which would bring three trees of dependencies for a page of code each, and Debian's tools, whose start or interpreter
//!   takes as long as what is measured. Ours run on the runtime of the other rows, so that both pay the same for waking up.
//! - **No TLS and no HTTP for the peers.** That favors them by about two round trips of the floor in the lag, and by most
//!   of the work of a single call with 100 in flight.
//! - **Visibility is a notice, not a poll**: a notification in PostgreSQL, a blocked read in Redis, a push consumer in
//!   JetStream, a follower of the office at ours. Only the end of a catch-up is polled, at the same interval as ours.
//! - **Lone payloads and 100 in flight run without a replica**, as our rows of the same kind do.
//! - **Not measured**: a first copy, because the peers have no chain to verify and build no tables of animals and batches;
//!   bytes to disk, because the peers checkpoint minutes later; memory, which they take as they are configured.

mod comparison;
mod jetstream;
mod package;
mod postgres;
mod redis;

pub use comparison::Comparison;
pub use jetstream::JetStream;
pub use package::Package;
pub use postgres::Postgres;
pub use redis::Redis;

use super::floor::Floor;
use super::rows::Row;
use super::traffic::{Feed, Order, in_chute_order};
use super::yard::COPY_POLL_INTERVAL;
use super::{BenchError, Budget, Figures, Samples, Sizes, ms, rate};
use anyhow::Context as _;
use serde_json::json;
use service::harness::TIMEOUT;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Number of payloads in flight, each on its own connection.
const IN_FLIGHT: usize = 100;
/// Number of payloads in a transaction, or on the way, while the replica is away. The same as ours.
const GROUP: usize = super::store::FILL_GROUP;
/// Payloads before the measurement of the lag, which fill caches.
const WARM_UP: usize = 20;

/// A source and its replica.
pub trait Peer: Sized {
    /// A connection to the source.
    type Writer: Writer;
    /// A connection to the replica.
    type Watcher: Watcher;

    /// Names of the rows.
    const ROWS: RowIds;

    /// Starts the source, with its files in `directory`.
    fn start(package: &Package, directory: &Path) -> impl Future<Output = Result<Self, BenchError>>;
    /// Opens a connection to the source.
    fn writer(&self) -> impl Future<Output = Result<Self::Writer, BenchError>>;
    /// Starts the replica, which then follows the source.
    fn follow(&mut self) -> impl Future<Output = Result<(), BenchError>>;
    /// Returns the number of payloads that a reader of the replica can see.
    fn replicated(&mut self) -> impl Future<Output = Result<u64, BenchError>>;
    /// Opens a connection to the replica that is told of each payload.
    fn watcher(&mut self) -> impl Future<Output = Result<Self::Watcher, BenchError>>;
    /// Makes the replica unable to follow.
    fn leave(&mut self) -> impl Future<Output = Result<(), BenchError>>;
    /// Makes the replica follow again. Returns before it has caught up.
    fn return_to_source(&mut self) -> impl Future<Output = Result<(), BenchError>>;
    /// Ends the processes.
    fn end(self) -> impl Future<Output = Result<(), BenchError>>;
}

/// A connection to a source.
pub trait Writer: Send + 'static {
    /// Records a payload. Returns once it is durable.
    fn append(&mut self, payload: &str) -> impl Future<Output = Result<(), BenchError>> + Send;
    /// Records many payloads at once. Returns once they are durable.
    fn append_group(&mut self, payloads: &[String]) -> impl Future<Output = Result<(), BenchError>> + Send;
}

/// A connection to a replica.
pub trait Watcher {
    /// Waits until the next payload is durable and visible there.
    fn wait_for_next(&mut self) -> impl Future<Output = Result<(), BenchError>>;
}

/// Names of the rows of a peer.
#[derive(Clone, Copy, Debug)]
pub struct RowIds {
    lag_p50: [&'static str; 2],
    lag_p99: [&'static str; 2],
    lone: [&'static str; 2],
    in_flight: [&'static str; 2],
    catch_up: [&'static str; 2],
}

/// Measures a peer.
pub async fn measure<P: Peer>(
    package: &Package,
    directory: &Path,
    sizes: &Sizes,
    floor: &Floor,
    budget: Budget,
) -> Result<Figures, BenchError> {
    let mut peer = P::start(package, directory).await?;
    let (lone, lone_per_s) = lone(&mut peer.writer().await?, texts(21, sizes.lone)?, budget.share(15)).await?;
    let (flooded, in_flight_per_s) = flood(&peer, texts(22, sizes.peer_flood)?, budget.share(20)).await?;
    let mut stored = (lone.len() + flooded) as u64;
    peer.follow().await?;
    let (copied, _) = wait_until_replicated(&mut peer, stored, budget.share(30)).await?;
    anyhow::ensure!(copied == stored, "too slow for this part: the replica has {copied} of {stored} payloads");
    let (lag, sent) = lag(&mut peer, texts(23, WARM_UP + sizes.lone)?, budget.share(30)).await?;
    stored += sent;
    peer.leave().await?;
    let behind = load(&mut peer.writer().await?, &texts(24, sizes.peer_behind)?, budget.share(30)).await?;
    let start = Instant::now();
    peer.return_to_source().await?;
    let (replicated, end) = wait_until_replicated(&mut peer, stored + behind, budget).await?;
    let (caught_up, took) = (replicated.saturating_sub(stored), end.duration_since(start));
    peer.end().await?;

    let (both_ends, syncs_per_s) = (ms(floor.both_ends(50)), floor.syncs_per_s());
    let RowIds { lag_p50, lag_p99, lone: lone_id, in_flight, catch_up } = P::ROWS;
    let row = |[id, name]: [&'static str; 2], value, unit| Row::new(id, name, value, unit);
    let rows = vec![
        row(lag_p50, ms(lag.percentile(50)), "ms").over("2 fdatasync, appended + 1 TLS", both_ends),
        row(lag_p99, ms(lag.percentile(99)), "ms").over("the same, p50", both_ends),
        row(lone_id, lone_per_s, "/s").over("fdatasync, preallocated", syncs_per_s),
        row(in_flight, in_flight_per_s, "/s").over("100 each fdatasync", syncs_per_s * 100.0),
        row(catch_up, rate(caught_up, took), "/s"),
    ];
    let details = json!({
        "program": package.version(),
        "lag": lag.to_json(),
        "lone": lone.to_json(),
        "in_flight_payloads": flooded,
        "behind": behind,
        "caught_up": caught_up,
        "catch_up_ms": ms(took),
        "cut_short": lone.len() < sizes.lone || flooded < sizes.peer_flood || caught_up < sizes.peer_behind as u64,
    });
    Ok(Figures { rows, details })
}

fn texts(seed: u64, count: usize) -> Result<Vec<String>, BenchError> {
    let text = |payload| String::from_utf8(payload).context("a payload of the bench is not UTF-8");
    in_chute_order(seed, count, 0.0).into_iter().map(text).collect()
}

async fn lone(writer: &mut impl Writer, texts: Vec<String>, budget: Budget) -> Result<(Samples, f64), BenchError> {
    let (mut samples, start_of_all) = (Vec::with_capacity(texts.len()), Instant::now());
    for text in texts {
        let start = Instant::now();
        writer.append(&text).await?;
        samples.push(start.elapsed());
        if budget.is_spent() {
            break;
        }
    }
    let per_s = rate(samples.len() as u64, start_of_all.elapsed());
    Ok((Samples::new(samples), per_s))
}

async fn flood<P: Peer>(peer: &P, texts: Vec<String>, budget: Budget) -> Result<(usize, f64), BenchError> {
    let mut writers = Vec::with_capacity(IN_FLIGHT);
    for feed in Feed::split(texts, IN_FLIGHT, Order::Chute) {
        writers.push((peer.writer().await?, feed));
    }
    let (start, mut tasks) = (Instant::now(), JoinSet::new());
    for (mut writer, feed) in writers {
        tasks.spawn(async move {
            let mut stored = 0;
            while !budget.is_spent()
                && let Some(text) = feed.take()
            {
                writer.append(&text).await?;
                stored += 1;
            }
            Ok::<usize, BenchError>(stored)
        });
    }
    let mut stored = 0;
    while let Some(result) = tasks.join_next().await {
        stored += result??;
    }
    Ok((stored, rate(stored as u64, start.elapsed())))
}

/// Returns the samples after the first ones, and the number of payloads that were sent.
async fn lag<P: Peer>(peer: &mut P, texts: Vec<String>, budget: Budget) -> Result<(Samples, u64), BenchError> {
    let (mut writer, mut watcher) = (peer.writer().await?, peer.watcher().await?);
    let (mut samples, mut sent) = (Vec::with_capacity(texts.len()), 0);
    for text in texts {
        let start = Instant::now();
        let visible = async {
            let seen = tokio::time::timeout(TIMEOUT, watcher.wait_for_next()).await;
            seen.with_context(|| format!("a payload was not visible at the replica within {TIMEOUT:?}"))??;
            Ok::<Duration, BenchError>(start.elapsed())
        };
        let (stored, visible) = tokio::join!(writer.append(&text), visible);
        stored?;
        samples.push(visible?);
        sent += 1;
        if budget.is_spent() {
            break;
        }
    }
    Ok((Samples::new(samples.into_iter().skip(WARM_UP).collect()), sent))
}

/// Records payloads in groups while the replica is away, and returns their number.
async fn load(writer: &mut impl Writer, texts: &[String], budget: Budget) -> Result<u64, BenchError> {
    let mut stored = 0;
    for group in texts.chunks(GROUP) {
        writer.append_group(group).await?;
        stored += group.len() as u64;
        if budget.is_spent() {
            break;
        }
    }
    Ok(stored)
}

/// Waits until the replica has `count` payloads, or the budget is spent. Returns how many it has, and since when.
async fn wait_until_replicated<P: Peer>(
    peer: &mut P,
    count: u64,
    budget: Budget,
) -> Result<(u64, Instant), BenchError> {
    loop {
        let replicated = peer.replicated().await?;
        let now = Instant::now();
        anyhow::ensure!(replicated <= count, "the replica has {replicated} payloads, the source only {count}");
        if replicated == count || budget.is_spent() {
            return Ok((replicated, now));
        }
        tokio::time::sleep(COPY_POLL_INTERVAL).await;
    }
}
