//! The time from a request at the barn to the row in the office's tables.

use super::floor::Floor;
use super::yard::Yard;
use super::{BenchError, Budget, Samples, Sizes, store, times};
use crate::processes::{Client, Programs};
use anyhow::Context as _;
use herd::position::Sequence;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Payloads before the measurement, which open connections and fill caches.
const WARM_UP: usize = 20;
/// Path that accepts payloads.
pub const RECEIVE_PATH: &str = "/api/lora/receive";

/// Measures one payload at a time with a barn, an office and a follower of the office.
pub async fn lag(
    programs: &Programs,
    directory: &Path,
    sizes: &Sizes,
    floor: &Floor,
    budget: Budget,
) -> Result<Value, BenchError> {
    let mut yard = Yard::new(programs, directory)?;
    yard.start_paired(budget).await?;
    let (poster, mut follower) = (yard.poster()?, yard.follow_office().await?);
    let (mut answered, mut visible) = (Vec::new(), Vec::new());
    for payload in store::chute(3).take(WARM_UP + sizes.lone) {
        let next = follower.at.next();
        let start = Instant::now();
        let (reply, page) = tokio::join!(post(&poster, payload), follower.wait_for_sequence(next));
        let (sequence, answered_at) = reply?;
        anyhow::ensure!(sequence == next, "the payload became change {sequence}, not {next}");
        answered.push(answered_at.duration_since(start));
        visible.push(page?.duration_since(start));
        if budget.is_spent() {
            break;
        }
    }
    yard.wait_until_equal(budget).await?;
    let counted = |samples: Vec<Duration>| Samples::new(samples.into_iter().skip(WARM_UP).collect());
    let (answered, visible) = (counted(answered), counted(visible));
    Ok(json!({
        "what": "request sent to the barn over TLS -> durable there, durable and folded at the office, and sent to a \
                 follower of the office: one TLS hop more than the floor counts",
        "visible_at_office": visible.to_json(),
        "p50_of_floor": times(visible.percentile(50), floor.both_ends(50)),
        "p99_of_floor_p50": times(visible.percentile(99), floor.both_ends(50)),
        "p99_of_floor_p99": times(visible.percentile(99), floor.both_ends(99)),
        "answered_by_barn": answered.to_json(),
        "answered_p50_of_floor": times(answered.percentile(50), floor.fdatasync.percentile(50) + floor.tls.percentile(50)),
        "cut_short": visible.len() < sizes.lone,
    }))
}

/// Posts a payload that must be stored. Returns the sequence of its change and the time of the answer.
pub async fn post(poster: &Client, payload: Vec<u8>) -> Result<(Sequence, Instant), BenchError> {
    let text = String::from_utf8(payload).context("a payload of the bench is not UTF-8")?;
    let reply = poster.post_json(RECEIVE_PATH, &json!({ "payload": text })).await?;
    let answered_at = Instant::now();
    let id = reply.expect(201)?.json()?["payload_id"].as_u64().context("the reply has no payload_id")?;
    Ok((Sequence(id), answered_at))
}
