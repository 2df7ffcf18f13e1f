//! Payloads over HTTPS in chute order: one after the other, a hundred at a time, and in arrays. The barn is compared with a
//! server without a store.

use super::bare::BareServer;
use super::floor::Floor;
use super::lag::{RECEIVE_PATH, bodies};
use super::rows::Row;
use super::traffic::{Feed, Order, in_chute_order};
use super::yard::Yard;
use super::{BenchError, Budget, Figures, Samples, Sizes, rate};
use crate::processes::{Client, Programs, Reply};
use anyhow::Context as _;
use bytes::Bytes;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Number of connections for single calls.
const CONNECTIONS: usize = 100;
/// Number of connections for arrays. The barn commits up to ten arrays together.
const ARRAY_CONNECTIONS: usize = 10;
/// Number of payloads in an array.
pub const ARRAY_PAYLOADS: usize = 100;

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
    floor: &Floor,
    budget: Budget,
) -> Result<Figures, BenchError> {
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
    let rows = vec![
        Row::new("https_lone_per_s", "lone over HTTPS", lone_rate, "/s")
            .over("fdatasync, preallocated", floor.syncs_per_s()),
        Row::new("https_single_per_s", "single calls over HTTPS, 100 connections", with.single_per_s, "/s")
            .over("the same server without a store", without.single_per_s)
            .ratio_at_least(0.7),
        Row::new("https_single_once_more_per_s", "single calls once more", with.single_per_s, "/s")
            .over("100 each fdatasync", floor.syncs_per_s() * 100.0),
        Row::new("https_arrays_per_s", "arrays of 100 over HTTPS, payloads", with.arrays_per_s, "/s")
            .over("the same server without a store", without.arrays_per_s)
            .at_least(80_000.0),
    ];
    let details = json!({
        "lone": lone.to_json(),
        "connections": CONNECTIONS,
        "array_payloads": ARRAY_PAYLOADS,
        "arrays_in_flight": ARRAY_CONNECTIONS,
        "kept_as_rejections": with.rejected,
        "cut_short": budget.is_spent(),
    });
    Ok(Figures { rows, details })
}

async fn lone(client: &Client, count: usize, budget: Budget) -> Result<(Samples, f64), BenchError> {
    let bodies = bodies(in_chute_order(6, count, 0.0))?;
    let (mut samples, start_of_all) = (Vec::with_capacity(count), Instant::now());
    for body in bodies {
        let start = Instant::now();
        client.post_bytes(RECEIVE_PATH, body).await?.expect(201)?;
        samples.push(start.elapsed());
        if budget.is_spent() {
            break;
        }
    }
    let lone_rate = rate(samples.len() as u64, start_of_all.elapsed());
    Ok((Samples::new(samples), lone_rate))
}

async fn rates(client: &Client, sizes: &Sizes, budget: Budget) -> Result<Rates, BenchError> {
    let singles = bodies(in_chute_order(7, sizes.https_single, 0.0))?;
    let (replies, elapsed) = flood(client, singles, CONNECTIONS, budget.share(50)).await?;
    let single_per_s = rate(replies.len() as u64, elapsed);
    let mut rejected = 0;
    for reply in replies {
        match reply.status {
            422 => rejected += 1,
            _ => drop(reply.expect(201)?),
        }
    }
    let arrays = arrays(in_chute_order(8, sizes.https_arrays, 0.0))?;
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

/// Posts the bodies with `at_once` requests in flight, in order, each on a connection of its own: a shared pool at times
/// opens more than a barn takes from one address. Returns the replies, which the caller checks after the measurement.
async fn flood(
    client: &Client,
    bodies: Vec<Bytes>,
    at_once: usize,
    budget: Budget,
) -> Result<(Vec<Reply>, Duration), BenchError> {
    let feeds = Feed::split(bodies, at_once, Order::Chute);
    let clients: Vec<_> = (0..at_once).map(|_| client.apart()).collect::<Result<_, _>>()?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (feed, client) in feeds.into_iter().zip(clients) {
        tasks.spawn(async move {
            let mut replies = Vec::new();
            while !budget.is_spent()
                && let Some(body) = feed.take()
            {
                replies.push(client.post_bytes(RECEIVE_PATH, body).await?);
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

/// Returns the bodies of calls with [`ARRAY_PAYLOADS`] payloads each.
pub fn arrays(payloads: Vec<Vec<u8>>) -> Result<Vec<Bytes>, BenchError> {
    let text = |payload| String::from_utf8(payload).context("a payload of the bench is not UTF-8");
    let texts: Vec<_> = payloads.into_iter().map(text).collect::<Result<_, _>>()?;
    Ok(texts.chunks(ARRAY_PAYLOADS).map(|texts| json!({ "payloads": texts }).to_string().into()).collect())
}
