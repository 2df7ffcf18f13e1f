//! How long requests take, by route, method and class of status.
//!
//! A request is timed until the head of its answer is there: a stream that follows, and a connection that was
//! upgraded, last as long as whoever asked wants them to.

use crate::metrics::{Collector, DescriptorEncoder, Families, Family};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family;
use prometheus_client::metrics::histogram::Histogram;
use std::fmt;
use tokio::time::Instant;

/// What a route that does not exist is told as.
const NO_ROUTE: &str = "none";
/// Up to so many seconds.
const BOUNDS_S: [f64; 12] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

const REQUESTS: Family =
    Family::new("http_request_duration", "From a request to the head of its answer.").in_unit("seconds");

/// The labels of a request. Routes are patterns of the program and never paths of a caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    route: String,
    method: &'static str,
    status: &'static str,
}

/// The times of all requests to a router. Clones are of the same one.
#[derive(Clone, Debug)]
pub struct RequestTimes(family::Family<Asked, Histogram, fn() -> Histogram>);

impl Default for RequestTimes {
    fn default() -> Self {
        Self(family::Family::new_with_constructor(|| Histogram::new(BOUNDS_S)))
    }
}

impl RequestTimes {
    /// Times every request to the routes and fallbacks that `router` has by now.
    pub fn watch(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), time))
    }
}

impl Collector for RequestTimes {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        Families::new(encoder).kept(REQUESTS, &self.0)
    }
}

async fn time(State(times): State<RequestTimes>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let method = method(request.method());
    let began = Instant::now();
    let answer = next.run(request).await;
    let asked = Asked { route, method, status: class(answer.status()) };
    times.0.get_or_create(&asked).observe(began.elapsed().as_secs_f64());
    answer
}

/// Methods are the caller's words, and there may be any number of them.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
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
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    async fn told(times: &RequestTimes) -> String {
        let metrics = crate::metrics::router(vec![Box::new(times.clone())]);
        let answer = metrics.oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 1_000_000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn requests_are_counted_by_the_pattern_of_their_route_and_strange_ones_together() {
        let times = RequestTimes::default();
        let animals = Router::new().route("/animals/{id}", get(async || "one"));
        let router = times.watch(crate::door::reply::with_fallbacks(animals));
        let asked = [
            ("GET", "/animals/1"),
            ("GET", "/animals/2"),
            ("BREW", "/animals/3"),
            ("GET", "/etc/passwd"),
            ("GET", "/etc/shadow"),
        ];
        for (method, path) in asked {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap();
        }
        let told = told(&times).await;
        let mut counts: Vec<_> = told.lines().filter(|line| line.contains("_count")).collect();
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
