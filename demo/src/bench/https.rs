//! Payloads over HTTPS: one after the other, a hundred at a time, and in arrays. The barn is compared with a server
//! without a store.

use super::bare::BareServer;
use super::lag::RECEIVE_PATH;
use super::yard::Yard;
use super::{BenchError, Budget, Samples, Sizes, rate, ratio, store};
use crate::processes::{Client, Programs, Reply};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Number of connections for single calls.
const CONNECTIONS: usize = 100;
/// Number of connections for arrays. The barn commits up to ten arrays together.
const ARRAY_CONNECTIONS: usize = 10;
/// Number of payloads in an array.
const ARRAY_PAYLOADS: usize = 100;

/// Payloads per second. With a store, all of them are durable.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    single_per_s: f64,
    arrays_per_s: f64,
    /// Payloads recorded as rejections: connections overtake each other, so a tag may be removed before it was
    /// attached.
    rejected: usize,
}

/// Measures both servers in turn, with the same payloads and the same client.
pub async fn https(
    programs: &Programs,
    directory: &Path,
    sizes: &Sizes,
    sync_rate: f64,
    budget: Budget,
) -> Result<Value, BenchError> {
    std::fs::create_dir_all(directory)?;
    let bare = BareServer::start(directory)?;
    let client = Client::new(bare.address, bare.spki_sha256, Some(&bare.key))?;
    let without = rates(&client, sizes, budget.share(35)).await?;
    drop(bare);

    let mut yard = Yard::new(programs, directory)?;
    yard.barn.start().await?;
    let poster = yard.poster()?;
    let (lone, lone_rate) = lone(&poster, sizes.lone, budget.share(25)).await?;
    let with = rates(&poster, sizes, budget.share(80)).await?;
    Ok(json!({
        "lone": lone.to_json(),
        "lone_per_s": lone_rate,
        "lone_of_fdatasync_rate": ratio(lone_rate, sync_rate),
        "connections": CONNECTIONS,
        "single_per_s": with.single_per_s,
        "single_per_s_without_store": without.single_per_s,
        "single_of_without_store": ratio(with.single_per_s, without.single_per_s),
        "array_payloads": ARRAY_PAYLOADS,
        "arrays_in_flight": ARRAY_CONNECTIONS,
        "arrays_per_s": with.arrays_per_s,
        "arrays_per_s_without_store": without.arrays_per_s,
        "arrays_of_without_store": ratio(with.arrays_per_s, without.arrays_per_s),
        "kept_as_rejections": with.rejected,
        "cut_short": budget.is_spent(),
    }))
}

async fn lone(client: &Client, count: usize, budget: Budget) -> Result<(Samples, f64), BenchError> {
    let (mut samples, start_of_all) = (Vec::with_capacity(count), Instant::now());
    for body in singles(4, count)? {
        let start = Instant::now();
        client.post_json(RECEIVE_PATH, &body).await?.expect(201)?;
        samples.push(start.elapsed());
        if budget.is_spent() {
            break;
        }
    }
    let lone_rate = rate(samples.len() as u64, start_of_all.elapsed());
    Ok((Samples::new(samples), lone_rate))
}

async fn rates(client: &Client, sizes: &Sizes, budget: Budget) -> Result<Rates, BenchError> {
    let (replies, elapsed) = flood(client, singles(5, sizes.https_single)?, CONNECTIONS, budget.share(50)).await?;
    let single_per_s = rate(replies.len() as u64, elapsed);
    let mut rejected = 0;
    for reply in replies {
        match reply.status {
            422 => rejected += 1,
            _ => drop(reply.expect(201)?),
        }
    }
    let arrays = arrays(6, sizes.https_arrays)?;
    let (replies, elapsed) = flood(client, arrays, ARRAY_CONNECTIONS, budget).await?;
    let mut durable = 0;
    for reply in replies {
        let answer = reply.expect(200)?.json()?;
        let results = answer["results"].as_array().context("the reply to an array has no results")?;
        let count = |status: &str| results.iter().filter(|one| one["status"] == status).count();
        let (stored, rejections) = (count("stored"), count("rejected"));
        anyhow::ensure!(stored + rejections == results.len(), "some are neither stored nor rejected: {answer}");
        rejected += rejections;
        durable += results.len() as u64;
    }
    Ok(Rates { single_per_s, arrays_per_s: rate(durable, elapsed), rejected })
}

/// Posts the bodies with `at_once` requests in flight. Returns the replies, which the caller checks after the
/// measurement.
async fn flood(
    client: &Client,
    bodies: Vec<Value>,
    at_once: usize,
    budget: Budget,
) -> Result<(Vec<Reply>, Duration), BenchError> {
    // A connection gets consecutive payloads, because most payloads refer to animals shortly before them.
    let share = bodies.len().div_ceil(at_once).max(1);
    let shares: Vec<_> = bodies.chunks(share).map(<[Value]>::to_vec).collect();
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for share in shares {
        let client = client.clone();
        tasks.spawn(async move {
            let mut replies = Vec::with_capacity(share.len());
            for body in share {
                replies.push(client.post_json(RECEIVE_PATH, &body).await?);
                if budget.is_spent() {
                    break;
                }
            }
            Ok::<_, BenchError>(replies)
        });
    }
    let mut replies = Vec::new();
    while let Some(result) = tasks.join_next().await {
        replies.extend(result??);
    }
    Ok((replies, start.elapsed()))
}

fn texts(seed: u64, count: usize) -> Result<Vec<String>, BenchError> {
    let text = |payload| String::from_utf8(payload).context("a payload of the bench is not UTF-8");
    store::chute(seed).take(count).map(text).collect()
}

fn singles(seed: u64, count: usize) -> Result<Vec<Value>, BenchError> {
    Ok(texts(seed, count)?.into_iter().map(|text| json!({ "payload": text })).collect())
}

fn arrays(seed: u64, count: usize) -> Result<Vec<Value>, BenchError> {
    Ok(texts(seed, count)?.chunks(ARRAY_PAYLOADS).map(|texts| json!({ "payloads": texts })).collect())
}
