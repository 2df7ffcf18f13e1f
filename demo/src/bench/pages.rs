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
use std::time::{Duration, Instant};

/// Pause between two looks at a catalog that is being built.
const CATALOG_POLL: Duration = Duration::from_millis(20);
/// Number of requests for each page.
const SAMPLES: usize = 100;
/// Requests before the measurement, which open the connection and fill caches.
const WARM_UP: usize = 5;
const HTML: &str = "text/html";
const JSON: &str = "application/json";

/// Measures the pages of the office and the lists of the barn.
pub async fn pages(yard: &Yard, floor: &Floor, budget: Budget) -> Result<Figures, BenchError> {
    let (office, barn) = (yard.office.reader()?, yard.barn.reader()?);
    let built = build_catalog(&office, budget).await?;
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
    let from_catalog = [
        "/animals?show=yard&sort=visual".to_owned(),
        "/animals?show=yard&sort=visual&before=end".to_owned(),
        "/animals?show=all&sort=last_seen&order=desc".to_owned(),
        "/animals?show=tag_missing&sort=lot".to_owned(),
        "/animals?show=all&pen=PEN7&sort=weight&order=desc".to_owned(),
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
    let mut worst_of_catalog = 0.0_f64;
    for path in &from_catalog {
        let p50 = ms(request(&office, path, HTML, budget).await?.percentile(50));
        worst_of_catalog = worst_of_catalog.max(p50);
        p50s.insert(format!("office {path}"), p50.into());
    }
    let tls = ms(floor.tls.percentile(50));
    let row = |id, name, value| Row::new(id, name, value, "ms").over("1 TLS", tls).at_most(1.0);
    let rows = vec![
        row("pages_worst_p50_ms", "pages and lists, the slowest one's p50", worst),
        row("animal_lists_worst_p50_ms", "lists of animals by filters, the slowest one's p50", worst_of_catalog),
        Row::new("catalog_build_s", "the office's index of a large store, built", built.as_secs_f64(), "s"),
    ];
    Ok(Figures { rows, details: Value::Object(p50s) })
}

/// Waits until the office has its index, which the first request begins to build, and returns how long that took.
async fn build_catalog(office: &Client, budget: Budget) -> Result<Duration, BenchError> {
    let start = Instant::now();
    while office.get("/animals?limit=1", JSON).await?.status == 503 && !budget.is_spent() {
        tokio::time::sleep(CATALOG_POLL).await;
    }
    Ok(start.elapsed())
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
