//! The time from a request at the barn to the row in the office's tables.

use super::floor::Floor;
use super::listener::Listener;
use super::rows::Row;
use super::traffic::in_chute_order;
use super::yard::Yard;
use super::{BenchError, Budget, Figures, Samples, Sizes, ms, times};
use crate::processes::{Client, Programs};
use anyhow::Context as _;
use bytes::Bytes;
use herd::position::Sequence;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// Payloads before the measurement, which open connections and fill caches.
const WARM_UP: usize = 20;
/// Path that accepts payloads.
pub const RECEIVE_PATH: &str = "/api/lora/receive";

/// Measures one payload at a time with a barn, an office and a listener to the office's events.
pub async fn lag(
    programs: &Programs,
    directory: &Path,
    sizes: &Sizes,
    floor: &Floor,
    budget: Budget,
) -> Result<Figures, BenchError> {
    let bodies = bodies(in_chute_order(5, WARM_UP + sizes.lone, 0.0))?;
    let mut yard = Yard::new(programs, directory)?;
    yard.start_paired(budget).await?;
    let (poster, mut listener) = (yard.poster()?, Listener::connect(&yard.office).await?);
    let (mut answered, mut visible) = (Vec::new(), Vec::new());
    for body in bodies {
        let next = listener.at.next();
        let start = Instant::now();
        let (reply, shown) = tokio::join!(post(&poster, body), listener.wait_for_payload(next));
        let (sequence, answered_at) = reply?;
        anyhow::ensure!(sequence == next, "the payload became change {sequence}, not {next}");
        answered.push(answered_at.duration_since(start));
        visible.push(shown?.duration_since(start));
        if budget.is_spent() {
            break;
        }
    }
    yard.wait_until_equal(budget).await?;
    let counted = |samples: Vec<Duration>| Samples::new(samples.into_iter().skip(WARM_UP).collect());
    let (answered, visible) = (counted(answered), counted(visible));
    let (appended, preallocated) = (ms(floor.both_ends(50)), ms(floor.both_ends_preallocated(50)));
    let (p50, p99) = (ms(visible.percentile(50)), ms(visible.percentile(99)));
    let rows = vec![
        Row::new("lag_p50", "lag p50", p50, "ms").over("2 fdatasync, appended + 1 TLS", appended).ratio_at_most(1.8),
        Row::new("lag_p99", "lag p99", p99, "ms").over("the same, p50", appended).ratio_at_most(5.0),
        Row::new("lag_p50_preallocated", "lag p50 once more", p50, "ms")
            .over("2 fdatasync, preallocated + 1 TLS", preallocated),
    ];
    let barn_floor = floor.preallocated.percentile(50) + floor.tls.percentile(50);
    let details = json!({
        "from": "request sent to the barn over TLS",
        "to": "durable there, durable and folded at the office, and received by a listener to its events: one TLS hop \
               more than the floor counts",
        "visible_at_office": visible.to_json(),
        "p99_of_floor_p99": times(visible.percentile(99), floor.both_ends(99)),
        "answered_by_barn": answered.to_json(),
        "answered_p50_of_floor": times(answered.percentile(50), barn_floor),
        "cut_short": visible.len() < sizes.lone,
    });
    Ok(Figures { rows, details })
}

/// Returns the bodies of single calls.
pub fn bodies(payloads: Vec<Vec<u8>>) -> Result<Vec<Bytes>, BenchError> {
    let body = |payload| {
        let text = String::from_utf8(payload).context("a payload of the bench is not UTF-8")?;
        Ok(json!({ "payload": text }).to_string().into())
    };
    payloads.into_iter().map(body).collect()
}

/// Posts a payload that must be stored. Returns the sequence of its change and the time of the answer.
pub async fn post(poster: &Client, body: Bytes) -> Result<(Sequence, Instant), BenchError> {
    let reply = poster.post_bytes(RECEIVE_PATH, body).await?;
    let answered_at = Instant::now();
    let id = reply.expect(201)?.json()?["payload_id"].as_u64().context("the reply has no payload_id")?;
    Ok((Sequence(id), answered_at))
}
