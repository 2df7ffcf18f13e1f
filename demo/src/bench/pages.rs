//! Every page, list, search and sheet of an office with a large herd, as clients on the same machine get them.
//!
//! The goal is about the time in the server, which the office tells in the header `Server-Timing`. The time at the client also
//! holds the key check, a round trip over TLS, and the client itself. With 32 clients on a few cores, each waits for the others.

use super::floor::Floor;
use super::memory::{Memory, mib};
use super::rows::{Row, number};
use super::season::{self, FIRST_EID};
use super::yard::Yard;
use super::{BenchError, Budget, Figures, Samples, Sizes, ms};
use crate::processes::{Client, Programs};
use anyhow::Context as _;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use service::lifecycle::print_notice;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, block_in_place};

/// Pause between two looks at a catalog that is being built.
const CATALOG_POLL: Duration = Duration::from_millis(20);
/// Number of requests for each page by a lone client.
const SAMPLES: usize = 100;
/// Number of clients at one time.
const CLIENTS: usize = 32;
/// Number of requests for each page by each of them.
const SAMPLES_EACH: usize = 10;
/// Number of whole sheets that a lone client fetches.
const SHEETS: usize = 10;
/// Requests of each client before the measurement, which open the connection and fill caches.
const WARM_UP: usize = 3;
/// Statuses of a page that is there, of a search with one meaning, and of one without any.
const EXPECTED: [u16; 3] = [200, 303, 404];
const HTML: &str = "text/html";
const JSON: &str = "application/json";

/// A kind of answer, with a row of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Page,
    List,
    Search,
    Sheet,
    Barn,
}

impl Kind {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Page, "pages_worst_p50_ms", "office: pages, the slowest one's p50"),
        (Self::List, "animal_lists_worst_p50_ms", "office: lists of animals, the slowest one's p50"),
        (Self::Search, "searches_worst_p50_ms", "office: searches, the slowest one's p50"),
        (Self::Sheet, "sheets_first_row_worst_p50_ms", "office: first row of a sheet, the slowest one's p50"),
        (Self::Barn, "barn_lists_worst_p50_ms", "barn: lists, the slowest one's p50"),
    ];

    /// Kinds of the office with rows of their time in the server.
    const OF_SERVER: [(Self, &'static str, &'static str); 4] = [
        (Self::Page, "pages_server_worst_p50_ms", "  in the server, the slowest page's p50"),
        (Self::List, "animal_lists_server_worst_p50_ms", "  in the server, the slowest list's p50"),
        (Self::Search, "searches_server_worst_p50_ms", "  in the server, the slowest search's p50"),
        (Self::Sheet, "sheets_first_row_server_worst_p50_ms", "  in the server, the slowest first row's p50"),
    ];
}

/// An answer that is measured.
#[derive(Clone, Debug)]
struct Answer {
    kind: Kind,
    path: String,
}

/// Times of one request.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at_client: Duration,
    /// `None` from a barn, which does not tell it.
    in_server: Option<Duration>,
}

/// Times of an answer, for a lone client and for many.
struct Times {
    answer: Answer,
    /// Times in the server, for a lone client; empty for a barn.
    server: Samples,
    lone: Samples,
    many: Samples,
    /// Times until the end of a sheet.
    whole: Option<Samples>,
}

impl Times {
    fn to_json(&self) -> Value {
        let whole = self.whole.as_ref().map(Samples::to_json);
        json!({
            "kind": format!("{:?}", self.answer.kind).to_lowercase(),
            "path": self.answer.path,
            "in_server": self.server.to_json(),
            "one_client": self.lone.to_json(),
            "clients_at_one_time": self.many.to_json(),
            "whole_sheet": whole,
        })
    }
}

/// Measures the pages of the office and the lists of the barn.
pub async fn pages(
    programs: &Programs,
    directory: &Path,
    sizes: &Sizes,
    floor: &Floor,
    budget: Budget,
) -> Result<Figures, BenchError> {
    let mut yard = Yard::new(programs, directory)?;
    let payloads = block_in_place(|| season::fill(yard.barn.state_dir(), sizes.heads, budget.share(40)))?;
    yard.start_paired(budget.share(50)).await?;
    let (office, barn) = (yard.office.reader()?, yard.barn.reader()?);
    let built = build_catalog(&office, budget).await?;
    let after = Memory::of(yard.office.pid())?;
    let answers = answers(&office, payloads, sizes.heads).await?;
    let mut all = Vec::with_capacity(answers.len());
    for answer in answers {
        let client = if answer.kind == Kind::Barn { &barn } else { &office };
        all.push(times(client, answer, budget).await?);
        if budget.is_spent() {
            break;
        }
    }
    print_notice(table(&all));
    let catalog_bytes = catalog_bytes(&office).await?;
    let mut rows = rows(&all, floor);
    rows.extend([
        Row::new("catalog_build_s", "office: index of the herd, built", built.as_secs_f64(), "s"),
        Row::new("catalog_mib", "office: memory of the index", mib(catalog_bytes), "MiB"),
        Row::new(
            "office_with_catalog_anon_mib",
            "office: anonymous memory after the index was built",
            mib(after.anonymous_bytes),
            "MiB",
        ),
    ]);
    let details = json!({
        "payloads": payloads,
        "head": sizes.heads,
        "clients_at_one_time": CLIENTS,
        "catalog_bytes_a_head": catalog_bytes / sizes.heads.max(1) as u64,
        "answers": all.iter().map(Times::to_json).collect::<Vec<_>>(),
        "cut_short": budget.is_spent(),
    });
    Ok(Figures { rows, details })
}

/// Returns what is asked for, first and last page of each list.
async fn answers(office: &Client, payloads: usize, heads: usize) -> Result<Vec<Answer>, BenchError> {
    let (middle, head, lot) = (payloads / 2, heads / 2, heads / 2 / season::LOT_HEADS);
    let animal = first_id(office, &format!("/animals?after={middle}&limit=1")).await?;
    let batch = first_id(office, &format!("/batches?before={middle}&limit=1")).await?;
    let days = days(office).await?;
    let pages = ["/", "/status", "/batches", "/lots", "/lots?show=in", "/lots?show=out", "/pens", "/payloads", "/log"];
    let own_pages = [
        format!("/?day={}", days[0]),
        format!("/?day={}", days[1]),
        format!("/animals/{animal}"),
        "/batches?before=300".to_owned(),
        format!("/batches/by-id/{batch}"),
        format!("/lots/LOT{lot:06}"),
        "/payloads?before=60".to_owned(),
        format!("/payloads?day={}", days[1]),
        format!("/payloads?status=error&day={}", days[1]),
        format!("/payloads/{middle}"),
    ];
    let lists = [
        "",
        "?before=end",
        "?show=all&sort=eid",
        "?show=all&sort=last_seen&order=desc",
        "?show=all&sort=last_seen&order=desc&before=end",
        "?show=yard&sort=weight&order=desc",
        "?show=yard&sort=gain&before=end",
        "?show=yard&sort=lot",
        "?show=yard&sort=pen&before=end",
        "?show=tag_missing&sort=lot",
        "?show=tag_missing&sort=lot&before=end",
        "?show=all&tags=odd_weight",
        "?show=all&pen=PEN7&sort=weight&order=desc",
        "?show=all&pen=PEN7&sort=weight&before=end",
        "?show=yard&funder=Prairie%20Feedlot%20Partners&sex=Steer&sort=visual",
    ];
    let own_lists = [
        format!("?after={middle}"),
        format!("?show=all&lot=LOT{lot:06}"),
        format!("?show=all&day={}&event=weighed", days[1]),
        format!("?show=all&day={}&event=in&before=end", days[1]),
    ];
    let eid = (FIRST_EID + head - 1).to_string();
    let epc = format!("E2801160{:016X}", head - 1);
    let searches = [
        eid.clone(),
        format!("{} {} {}", &eid[..3], &eid[3..9], &eid[9..]),
        eid[eid.len() - 4..].to_owned(),
        eid[eid.len() - 6..].to_owned(),
        format!("H{head}"),
        epc[epc.len() - 6..].to_owned(),
        epc,
        format!("LOT{lot:06}"),
        "PEN7".to_owned(),
        head.to_string(),
        "nothing".to_owned(),
    ];
    let sheets = ["/animals.csv?show=yard&sort=visual", "/animals/eids.txt?show=yard"];
    let own_sheets = [format!("/animals.csv?lot=LOT{lot:06}"), "/payloads.csv".to_owned(), "/batches.csv".to_owned()];
    let barn = ["/api/remote/status", "/api/remote/batches", "/api/remote/payloads", "/api/remote/payloads?before=60"];
    let owned = |paths: &[&str]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    let with = |prefix: &str, rest: Vec<String>| rest.iter().map(|rest| format!("{prefix}{rest}")).collect::<Vec<_>>();
    let searches = searches.iter().map(|text| text.replace(' ', "%20")).collect();
    Ok([
        (Kind::Page, [owned(&pages), own_pages.into()].concat()),
        (Kind::List, with("/animals", [owned(&lists), own_lists.into()].concat())),
        (Kind::Search, with("/search?q=", searches)),
        (Kind::Sheet, [owned(&sheets), own_sheets.into()].concat()),
        (Kind::Barn, owned(&barn)),
    ]
    .into_iter()
    .flat_map(|(kind, paths)| paths.into_iter().map(move |path| Answer { kind, path }))
    .collect())
}

/// Returns the last day of the season, and one in its middle, as the office writes them.
async fn days(office: &Client) -> Result<[String; 2], BenchError> {
    let mut days = Vec::new();
    for order in ["desc&limit=1", "asc&limit=1"] {
        let list = office.get_json(&format!("/animals?sort=last_seen&order={order}")).await?;
        let at = list["data"][0]["inducted_at"].as_str().context("the herd has no head with a first sighting")?;
        days.push(at.get(..10).context("a time is no ISO 8601")?.to_owned());
    }
    days.try_into().map_err(|_| anyhow::anyhow!("two days were asked for"))
}

/// Waits until the office has its index, which the first request begins to build, and returns how long that took.
async fn build_catalog(office: &Client, budget: Budget) -> Result<Duration, BenchError> {
    let start = Instant::now();
    while office.get("/animals?limit=1", JSON).await?.status == 503 && !budget.is_spent() {
        tokio::time::sleep(CATALOG_POLL).await;
    }
    Ok(start.elapsed())
}

/// Returns the memory of the index as the office counts it, in bytes.
async fn catalog_bytes(office: &Client) -> Result<u64, BenchError> {
    let metrics = office.get("/metrics", "text/plain").await?.expect(200)?.text();
    let line = metrics.lines().find(|line| line.starts_with("herdlinx_catalog_bytes{"));
    let value = line.and_then(|line| line.rsplit(' ').next()).context("the metrics have no catalog bytes")?;
    value.parse().context("the catalog bytes are no number")
}

async fn times(client: &Client, answer: Answer, budget: Budget) -> Result<Times, BenchError> {
    if answer.kind == Kind::Sheet {
        let (lone, whole) = sheets(client.clone(), answer.path.clone(), SHEETS, budget).await?;
        let many = at_one_time(|| sheets(client.clone(), answer.path.clone(), 1, budget)).await?;
        let many: Vec<_> = many.into_iter().flat_map(|(first, _)| first).collect();
        return Ok(Times {
            server: in_server(&answer, &lone)?,
            answer,
            lone: at_client(&lone),
            many: at_client(&many),
            whole: Some(Samples::new(whole)),
        });
    }
    let lone = requests(client.clone(), answer.clone(), SAMPLES, budget).await?;
    let many = at_one_time(|| requests(client.clone(), answer.clone(), SAMPLES_EACH, budget)).await?.concat();
    let server = in_server(&answer, &lone)?;
    Ok(Times { answer, server, lone: at_client(&lone), many: at_client(&many), whole: None })
}

fn at_client(samples: &[Sample]) -> Samples {
    Samples::new(samples.iter().map(|sample| sample.at_client).collect())
}

/// Returns the times in the server. A page that does not tell its own would otherwise count as one that takes none.
fn in_server(answer: &Answer, samples: &[Sample]) -> Result<Samples, BenchError> {
    if answer.kind == Kind::Barn {
        return Ok(Samples::default());
    }
    let times: Option<Vec<_>> = samples.iter().map(|sample| sample.in_server).collect();
    Ok(Samples::new(times.with_context(|| format!("{} has no `Server-Timing`", answer.path))?))
}

/// Returns the time that an office took for an answer, as its headers tell it.
fn server_time(headers: &HeaderMap) -> Option<Duration> {
    let (_, ms) = headers.get("server-timing")?.to_str().ok()?.split_once("dur=")?;
    Duration::try_from_secs_f64(ms.parse::<f64>().ok()? / 1_000.0).ok()
}

/// Runs the work of [`CLIENTS`] clients at one time.
async fn at_one_time<T, F>(work: impl Fn() -> F) -> Result<Vec<T>, BenchError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, BenchError>> + Send + 'static,
{
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(work());
    }
    let mut done = Vec::with_capacity(CLIENTS);
    while let Some(result) = clients.join_next().await {
        done.push(result??);
    }
    Ok(done)
}

async fn requests(client: Client, answer: Answer, count: usize, budget: Budget) -> Result<Vec<Sample>, BenchError> {
    let accept = if answer.kind == Kind::Barn { JSON } else { HTML };
    let mut samples = Vec::with_capacity(count);
    for request in 0..WARM_UP + count {
        let start = Instant::now();
        let reply = client.get(&answer.path, accept).await?;
        let sample = Sample { at_client: start.elapsed(), in_server: server_time(&reply.headers) };
        if !EXPECTED.contains(&reply.status) {
            reply.expect(EXPECTED[0])?;
        }
        if request >= WARM_UP {
            samples.push(sample);
        }
        if budget.is_spent() && !samples.is_empty() {
            break;
        }
    }
    Ok(samples)
}

/// Fetches whole sheets, and returns the times until the first rows of each and until its end.
async fn sheets(
    client: Client,
    path: String,
    count: usize,
    budget: Budget,
) -> Result<(Vec<Sample>, Vec<Duration>), BenchError> {
    let (mut first, mut whole) = (Vec::new(), Vec::new());
    // The first sheet opens the connection.
    for sheet in 0..=count {
        let start = Instant::now();
        let mut reply = client.open(&path, "*/*").await?;
        reply.next().await?;
        let rows_after = Sample { at_client: start.elapsed(), in_server: server_time(reply.headers()) };
        while reply.next().await?.is_some() {}
        if sheet > 0 {
            first.push(rows_after);
            whole.push(start.elapsed());
        }
        if budget.is_spent() && !first.is_empty() {
            break;
        }
    }
    Ok((first, whole))
}

/// Returns a row for each kind: the slowest answer for a lone client, which is judged, and for many.
fn rows(all: &[Times], floor: &Floor) -> Vec<Row> {
    let tls = ms(floor.tls.percentile(50));
    let worst = |kind: Kind, time: &dyn Fn(&Times) -> Duration| {
        all.iter().filter(|times| times.answer.kind == kind).map(time).max().map_or(0.0, ms)
    };
    let mut rows: Vec<_> = Kind::ALL
        .into_iter()
        .map(|(kind, id, name)| {
            let p50 = worst(kind, &|times| times.lone.percentile(50));
            let row = Row::new(id, name, p50, "ms").over("1 TLS", tls);
            if kind == Kind::Barn { row.at_most(1.0) } else { row }
        })
        .collect();
    rows.extend(Kind::OF_SERVER.into_iter().map(|(kind, id, name)| {
        Row::new(id, name, worst(kind, &|times| times.server.percentile(50)), "ms").at_most(1.0)
    }));
    let p99 = |time: &dyn Fn(&Times) -> Duration| {
        Kind::ALL.into_iter().map(|(kind, ..)| worst(kind, time)).fold(0.0, f64::max)
    };
    rows.push(Row::new(
        "answers_worst_p99_ms",
        "the slowest answer's p99",
        p99(&|times| times.lone.percentile(99)),
        "ms",
    ));
    rows.push(Row::new(
        "answers_worst_p99_of_32_ms",
        "the slowest answer's p99, 32 clients",
        p99(&|times| times.many.percentile(99)),
        "ms",
    ));
    rows
}

/// Returns a table of all answers for people.
fn table(all: &[Times]) -> String {
    let columns = ["in server", "p50", "p99", "p50 of 32", "p99 of 32"];
    let [server, lone, worst, many, worst_of_many] = columns;
    let mut text = format!("{:<78}{server:>10}{lone:>10}{worst:>10}{many:>12}{worst_of_many:>12}\n", "ms");
    for Times { answer, server, lone, many, whole } in all {
        let at = |samples: &Samples, percent| number(ms(samples.percentile(percent)));
        let times = [at(server, 50), at(lone, 50), at(lone, 99), at(many, 50), at(many, 99)];
        let [in_server, p50, p99, of_many, p99_of_many] = times;
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "{:<78}{in_server:>10}{p50:>10}{p99:>10}{of_many:>12}{p99_of_many:>12}", answer.path);
        if let Some(whole) = whole {
            let _ = writeln!(text, "{:<88}{:>10}{:>10}", "  the whole sheet", at(whole, 50), at(whole, 99));
        }
    }
    text
}

/// Returns the id of the first entry of a list.
async fn first_id(client: &Client, path: &str) -> Result<u64, BenchError> {
    let list = client.get_json(path).await?;
    list["data"][0]["id"].as_u64().with_context(|| format!("{path} has no entry with an id: {list}"))
}
