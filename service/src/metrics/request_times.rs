//! Durations of requests, by route, method and class of status.
//!
//! A request is timed until the head of its reply is ready. A stream that follows, and an upgraded connection, last for
//! as long as the client wants.
//!
//! Routes are the program's patterns, methods are GET, POST and other, and statuses are grouped by class. Paths and
//! methods as sent were rejected as labels, because clients could then grow a scrape without limit.

use super::families::{Families, Family};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::family;
use prometheus_client::metrics::histogram::Histogram;
use std::fmt;
use tokio::time::Instant;

/// Route label of a request that matches no route.
const NO_ROUTE: &str = "none";
/// Upper bounds of the histogram's buckets, in seconds.
const BOUNDS_S: [f64; 12] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

const REQUESTS: Family =
    Family::new("http_request_duration", "Time from a request to the head of its reply.").in_unit("seconds");

/// The labels of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    /// Pattern of the route, never the path that the client sent.
    route: String,
    method: &'static str,
    status: &'static str,
}

/// The durations of all requests to a router. Clones share them.
#[derive(Clone, Debug)]
pub struct RequestTimes(family::Family<RequestLabels, Histogram, fn() -> Histogram>);

impl Default for RequestTimes {
    fn default() -> Self {
        Self(family::Family::new_with_constructor(|| Histogram::new(BOUNDS_S)))
    }
}

impl RequestTimes {
    /// Times every request to the routes and fallbacks that `router` has so far.
    pub fn measure(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), time_request))
    }
}

impl Collector for RequestTimes {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        Families::new(encoder).metric(REQUESTS, &self.0)
    }
}

async fn time_request(State(times): State<RequestTimes>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
    let started = Instant::now();
    let reply = next.run(request).await;
    let labels = RequestLabels { route, method, status: status_class(reply.status()) };
    times.0.get_or_create(&labels).observe(started.elapsed().as_secs_f64());
    reply
}

/// Returns the label of a method. A client may send any word as a method, so there is one label for the rest.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    }
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::reply::with_fallbacks;
    use crate::metrics;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    /// Catches a failure that is counted as a success, and a method that a client makes up as a label.
    #[test]
    fn methods_and_statuses_have_few_labels() {
        for (status, label) in [
            (100, "1xx"),
            (101, "1xx"),
            (200, "2xx"),
            (204, "2xx"),
            (304, "3xx"),
            (404, "4xx"),
            (499, "4xx"),
            (503, "5xx"),
        ] {
            assert_eq!(status_class(StatusCode::from_u16(status).unwrap()), label);
        }
        for (method, label) in [("GET", "GET"), ("POST", "POST"), ("PUT", "other"), ("get", "other"), ("BREW", "other")]
        {
            assert_eq!(method_label(&method.parse().unwrap()), label);
        }
    }

    async fn scrape(times: &RequestTimes) -> String {
        let metrics = metrics::router(vec![Box::new(times.clone())]);
        let reply = metrics.oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
        let body = axum::body::to_bytes(reply.into_body(), 1_000_000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// Catches labels that a client chooses, which would let it grow every scrape.
    #[tokio::test]
    async fn requests_are_counted_by_route_pattern_and_unknown_ones_together() {
        let times = RequestTimes::default();
        let animals = Router::new().route("/animals/{id}", get(async || "one"));
        let router = times.measure(with_fallbacks(animals));
        let requests = [
            ("GET", "/animals/1"),
            ("GET", "/animals/2"),
            ("BREW", "/animals/3"),
            ("GET", "/etc/passwd"),
            ("GET", "/etc/shadow"),
        ];
        for (method, path) in requests {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap();
        }
        let page = scrape(&times).await;
        let mut counts: Vec<_> = page.lines().filter(|line| line.contains("_count")).collect();
        counts.sort_unstable();
        let name = "herdlinx_http_request_duration_seconds_count";
        let expected = [
            format!(r#"{name}{{route="/animals/{{id}}",method="GET",status="2xx"}} 2"#),
            format!(r#"{name}{{route="/animals/{{id}}",method="other",status="4xx"}} 1"#),
            format!(r#"{name}{{route="none",method="GET",status="4xx"}} 2"#),
        ];
        assert_eq!(counts, expected);
    }
}
