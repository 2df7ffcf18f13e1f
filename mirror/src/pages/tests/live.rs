//! The live line, and the stream by which an open page follows it.

use super::{BROWSER, TestOffice, at, conventions, get, html_of, now_us, office_from, pages_of};
use crate::pages::live::StillAllowed;
use crate::pages::streams::MAX_STREAMS_OF_USER;
use crate::sites::{Arrival, Arrivals, DivergedHistories};
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, header};
use axum::{Extension, Router};
use futures::StreamExt as _;
use herd::change::Origin;
use herd::payload::WeightUnit;
use herd::position::Sequence;
use herd::store::Incoming;
use service::sync::divergence::Divergence;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tower::ServiceExt as _;

fn arrived(at_us: i64, is_live: bool) -> Arrivals {
    let mut arrivals = Arrivals::default();
    arrivals.add(Arrival { through: Sequence(14), at_us, is_live }, 1);
    arrivals
}

/// Returns the live line of a page.
async fn line_of(office: TestOffice) -> String {
    let page = html_of(&office_from(office), "/animals").await;
    let (_, rest) = page.split_once("id=\"live\"").unwrap();
    rest.split_once("</div>").unwrap().0.to_owned()
}

/// Catches an age by the barn's clock, which may be wrong by days, and a wrong clock that nobody sees.
#[tokio::test]
async fn the_age_of_the_last_read_counts_from_its_arrival() {
    let shown = async |arrivals| line_of(TestOffice { arrivals, ..TestOffice::new(&["barn"]) }).await;
    let live = shown(arrived(now_us() - 14_000_000, true)).await;
    assert!(live.contains("last read <b data-age=\"14\">14 s ago</b>"), "{live}");
    assert!(live.contains("the barn’s clock is 46 min slow"), "{live}");
    let late = shown(arrived(now_us() - 14_000_000, false)).await;
    assert!(late.contains("arrived <b data-age=\"14\">14 s ago</b>") && !late.contains("slow"), "{late}");
    let unknown = shown(Arrivals::default()).await;
    assert!(unknown.contains("46 min ago</b> by the barn’s clock"), "{unknown}");
}

#[tokio::test]
async fn the_line_names_the_reader_and_leads_to_its_reads() {
    let line = line_of(TestOffice::new(&["barn"])).await;
    assert!(line.contains("<a href=\"/payloads?reader=radio1\"><bdi>radio1</bdi></a>"), "{line}");
    let copying = office_from(TestOffice { has_copy: false, ..TestOffice::new(&["barn"]) });
    let page = html_of(&copying, "/status").await;
    assert!(page.contains("no read yet") && page.contains("class=\"mark copying\""), "{page}");
}

/// Catches a site whose histories differ that shows one side only, or no way out.
#[tokio::test]
async fn a_divergence_shows_both_sides_and_the_choice() {
    let own = TestOffice::new(&["barn"]).store.lock().unwrap().head().position;
    let theirs = herd::position::Position { sequence: Sequence(9), ..own };
    let both = DivergedHistories { divergence: Divergence::Shorter, own: Some(own), theirs: Some(theirs) };
    let office = office_from(TestOffice { diverged: Some(both), ..TestOffice::new(&["barn"]) });
    let page = html_of(&office, "/status").await;
    for text in [">14</td>", ">9</td>", "5 changes are in this office’s copy only", "herdlinx-mirror resync barn"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(page.contains("herdlinx-&#60;north&#62;.local:5001") && page.contains("12.3 GB free of 64.0 GB"), "{page}");
}

/// An open stream of events.
struct Stream(BodyDataStream);

impl Stream {
    async fn open(office: &Router) -> Self {
        let request = Request::get("/office/live").header(header::ACCEPT, "text/event-stream");
        let response = office.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["content-type"]),
            (StatusCode::OK, &"text/event-stream".parse().unwrap())
        );
        Self(response.into_body().into_data_stream())
    }

    /// Returns name and data of the next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, String)> {
        let chunk = self.0.next().await?.unwrap();
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or_default().to_owned()
        };
        Some((field("event"), field("data")))
    }
}

/// Catches a page that does not hear of a read, or of nothing at all while the barn is quiet.
#[tokio::test(start_paused = true)]
async fn a_read_is_in_the_stream_and_a_quiet_barn_has_heartbeats() {
    let office = Arc::new(TestOffice::new(&["barn"]));
    let router = pages_of(office.clone(), conventions(WeightUnit::Kg));
    let mut stream = Stream::open(&router).await;
    let (event, line) = stream.next().await.unwrap();
    assert!(event == "line" && line.starts_with("<span class=\"mark live\">Live</span>"), "{event}: {line}");
    assert_eq!(stream.next().await.unwrap(), ("heartbeat".to_owned(), "14".to_owned()));

    let origin =
        Origin { channel: "chute <1>".into(), rssi_dbm: None, reader_group: "main".into(), ..Origin::default() };
    let incoming = Incoming { raw: b"hxb:LOT1:LF77:UHF77".to_vec(), origin, at: at(20) };
    office.store.lock().unwrap().append(&[incoming]).unwrap();
    let (event, line) = stream.next().await.unwrap();
    assert_eq!(event, "line");
    assert!(line.contains("<bdi>chute &#60;1&#62;</bdi>"), "{line}");
}

/// Catches a stream that outlives the process, or the session of whoever opened it.
#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_process_and_with_the_session() {
    let office = Arc::new(TestOffice::new(&["barn"]));
    let router = pages_of(office.clone(), conventions(WeightUnit::Kg));
    let is_logged_in = Arc::new(AtomicBool::new(true));
    let session = is_logged_in.clone();
    let allowed = StillAllowed::new(move || session.load(Ordering::Relaxed));
    let (mut of_session, mut other) =
        (Stream::open(&router.clone().layer(Extension(allowed))).await, Stream::open(&router).await);
    for stream in [&mut of_session, &mut other] {
        assert_eq!(stream.next().await.unwrap().0, "line");
    }
    is_logged_in.store(false, Ordering::Relaxed);
    assert_eq!(of_session.next().await.unwrap(), ("end".to_owned(), "logged_out".to_owned()));
    assert_eq!(of_session.next().await, None);
    assert_eq!(other.next().await.unwrap().0, "heartbeat");
    office.shutdown.request();
    assert_eq!(other.next().await.unwrap(), ("end".to_owned(), "shutdown".to_owned()));
    assert_eq!(other.next().await, None);
}

/// Catches open pages without a bound, and one that is refused for ever.
#[tokio::test]
async fn too_many_streams_are_refused_until_one_is_closed() {
    let router = office_from(TestOffice::new(&["barn"]));
    let mut open = Vec::new();
    for _ in 0..MAX_STREAMS_OF_USER {
        open.push(Stream::open(&router).await);
    }
    let refused = get(&router, "/office/live", BROWSER).await;
    assert_eq!((refused.status, refused.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "30"));
    open.pop();
    Stream::open(&router).await;
    assert_eq!(get(&router, "/office/live?x=1", BROWSER).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&router, "/sites/else/office/live", BROWSER).await.status, StatusCode::NOT_FOUND);
}

/// Catches an open page that says "being prepared" until the next read, one that shows yesterday after midnight, and one of a
/// past day that is fetched for nothing.
#[tokio::test]
async fn today_is_fetched_again_until_its_figures_are_there_and_each_minute_after() {
    let every = async |office: &Router, path: &str| {
        let page = html_of(office, path).await;
        let main = page.split("<main id=\"main\"").nth(1).unwrap().split('>').next().unwrap().to_owned();
        (main, page.contains("being prepared"))
    };
    let building = TestOffice::new(&["barn"]);
    building.catalogs.hold("barn");
    let building = office_from(building);
    for path in ["/", "/sites/barn", "/?day=2026-01-14"] {
        assert_eq!(every(&building, path).await, (" data-live data-every=\"2\"".to_owned(), true), "{path}");
    }
    let ready = office_from(TestOffice::new(&["barn"]));
    for path in ["/", "/sites/barn", "/?day=2026-01-15"] {
        assert_eq!(every(&ready, path).await, (" data-live data-every=\"60\"".to_owned(), false), "{path}");
    }
    assert_eq!(every(&ready, "/?day=2026-01-14").await, (" data-live".to_owned(), false));
}
