//! Pages and lists of a large store, as a client on the same machine gets them over a warm connection.
//!
//! The goal is about the time in the server. What is measured also holds the client, the key check and a round trip over
//! TLS, so it is an upper bound.

use super::floor::Floor;
use super::rows::Row;
use super::yard::Yard;
use super::{BenchError, Budget, Figures, Samples, ms};
use crate::processes::Client;
use anyhow::Context as _;
use serde_json::{Map, Value};
use std::time::Instant;

/// Number of requests for each page.
const SAMPLES: usize = 100;
/// Requests before the measurement, which open the connection and fill caches.
const WARM_UP: usize = 5;
const HTML: &str = "text/html";
const JSON: &str = "application/json";

/// Measures the pages of the office and the lists of the barn.
pub async fn pages(yard: &Yard, floor: &Floor, budget: Budget) -> Result<Figures, BenchError> {
    let (office, barn) = (yard.office.reader()?, yard.barn.reader()?);
    let head = yard.office_state()?.context("the office shows no copy")?.folded.0;
    let middle = head / 2;
    let animal = first_id(&office, &format!("/animals?after={middle}&limit=1")).await?;
    let batch = first_id(&office, &format!("/batches?before={middle}&limit=1")).await?;
    let pages = [
        "/".to_owned(),
        "/status".to_owned(),
        "/animals".to_owned(),
        format!("/animals?after={middle}"),
        format!("/animals/{animal}"),
        "/batches".to_owned(),
        format!("/batches?before={middle}"),
        format!("/batches/by-id/{batch}"),
        "/payloads".to_owned(),
        format!("/payloads?before={middle}"),
        format!("/payloads/{middle}"),
    ];
    let lists = [
        "/api/remote/status".to_owned(),
        "/api/remote/batches".to_owned(),
        "/api/remote/payloads".to_owned(),
        format!("/api/remote/payloads?before={middle}"),
    ];
    let all = pages.iter().map(|path| (&office, path, HTML)).chain(lists.iter().map(|path| (&barn, path, JSON)));
    let (mut p50s, mut worst) = (Map::new(), 0.0_f64);
    for (client, path, accept) in all {
        let p50 = ms(request(client, path, accept, budget).await?.percentile(50));
        worst = worst.max(p50);
        p50s.insert(format!("{} {path}", if accept == HTML { "office" } else { "barn" }), p50.into());
    }
    let row = Row::new("pages_worst_p50_ms", "pages and lists, the slowest one's p50", worst, "ms");
    let row = row.over("1 TLS", ms(floor.tls.percentile(50))).at_most(1.0);
    Ok(Figures { rows: vec![row], details: Value::Object(p50s) })
}

async fn request(client: &Client, path: &str, accept: &str, budget: Budget) -> Result<Samples, BenchError> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for request in 0..WARM_UP + SAMPLES {
        let start = Instant::now();
        client.get(path, accept).await?.expect(200)?;
        if request >= WARM_UP {
            samples.push(start.elapsed());
        }
        if budget.is_spent() && !samples.is_empty() {
            break;
        }
    }
    Ok(Samples::new(samples))
}

/// Returns the id of the first entry of a list.
async fn first_id(client: &Client, path: &str) -> Result<u64, BenchError> {
    let list = client.get_json(path).await?;
    list["data"][0]["id"].as_u64().with_context(|| format!("{path} has no entry with an id: {list}"))
}
