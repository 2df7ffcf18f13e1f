use super::*;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde::Deserialize;
use tower::ServiceExt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    payload: String,
    #[serde(default)]
    counts: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u16>,
}

fn router() -> Router {
    let receive = |StrictJson(delivery): StrictJson<Delivery>| async move {
        format!("{} {}", delivery.payload, delivery.counts.len())
    };
    let list = |StrictQuery(page): StrictQuery<Page>| async move { format!("{:?}", page.limit) };
    let routes = Router::new().route("/receive", post(receive)).route("/list", get(list));
    let routes = routes.route("/plain", get(|_: NoQuery| async { "plain" }));
    with_fallbacks(routes).layer(DefaultBodyLimit::max(100))
}

async fn send(request: Request) -> (u16, String) {
    let response = router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn send_invalid(request: Request) -> (u16, String, String) {
    let (status, body) = send(request).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["success"], false);
    (status, body["error"].as_str().unwrap().to_owned(), body["message"].as_str().unwrap().to_owned())
}

fn post_body(content_type: &str, body: impl Into<Body>) -> Request {
    Request::post("/receive").header("content-type", content_type).body(body.into()).unwrap()
}

fn get_uri(uri: &str) -> Request {
    Request::get(uri).body(Body::empty()).unwrap()
}

/// Catches a read that is refused, because the program behind a reader writes a byte order mark before its JSON.
#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_ignored() {
    let marked = "\u{feff}{\"payload\":\"\u{feff}hi\",\"counts\":[]}";
    assert_eq!(send(post_body("application/json", marked)).await, (200, "\u{feff}hi 0".to_owned()));
    let (status, error, _) = send_invalid(post_body("application/json", "{\u{feff}}")).await;
    assert_eq!((status, error.as_str()), (400, "bad_request"));
}

/// Catches a content type that clients send for JSON and that is rejected.
#[tokio::test]
async fn a_valid_body_is_accepted_with_any_json_content_type() {
    for content_type in ["application/json", "Application/JSON; charset=utf-8", "application/x+json"] {
        let got = send(post_body(content_type, r#"{"payload":"hi","counts":[1]}"#)).await;
        assert_eq!(got, (200, "hi 1".to_owned()));
    }
}

/// Catches a compressed body that is read as broken JSON, and a header without effect that refuses a good one.
#[tokio::test]
async fn a_body_with_a_content_encoding_is_415_and_identity_is_none() {
    let encoded = |encoding: &str| {
        let mut request = post_body("application/json", r#"{"payload":"hi"}"#);
        request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        request
    };
    for encoding in ["gzip", "br", "identity, gzip", "x"] {
        let (status, code, message) = send_invalid(encoded(encoding)).await;
        assert_eq!((status, code.as_str()), (415, "unsupported_media_type"), "{encoding}");
        assert!(message.contains("`Content-Encoding`"), "{message}");
    }
    assert_eq!(send(encoded("Identity")).await, (200, "hi 0".to_owned()));
}

/// Catches a program of the original that looks for its events at the place of old, and is told nothing.
#[tokio::test]
async fn a_client_of_socket_io_is_told_where_the_events_are() {
    let (status, code, message) = send_invalid(get_uri("/socket.io/?EIO=4&transport=polling")).await;
    assert_eq!((status, code.as_str()), (404, "not_found"));
    assert!(message.contains("/api/events"), "{message}");
}

/// Catches a message that does not locate the error, or that reveals a type of ours.
#[tokio::test]
async fn an_invalid_body_is_rejected_with_its_place_and_without_type_names() {
    let cases = [
        (r#"{"payload":5}"#, "`payload` in the body has a value of the wrong form, at line 1 column 12"),
        (r#"{"payload":"a","counts":[1,900]}"#, "`counts[1]` in the body has a value of the wrong form"),
        (r"[]", "the body must be a JSON object, and it is an array"),
        (r#" ["hi",[1]]"#, "the body must be a JSON object, and it is an array"),
        (r"7", "the body has a value of the wrong form"),
        (r#"{"payload":"a","x":1}"#, "`x` in the body is not known: `x`, expected `payload` or `counts`"),
        (r"{}", "the body lacks `payload`"),
        (r#"{"payload":"a","payload":"b"}"#, "the body has `payload` twice"),
        (r#"{"payload":"\ud800"}"#, "the body is no valid JSON at line 1"),
        (r#"{"payload":"a"} 5"#, "the body goes on after its JSON value at line 1 column 17"),
        ("", "the body is no valid JSON at line 1 column 0"),
    ];
    for (body, expected) in cases {
        let (status, code, message) = send_invalid(post_body("application/json", body)).await;
        assert_eq!((status, code.as_str()), (400, "bad_request"), "{body}");
        assert!(message.starts_with(expected), "{body}: {message}");
        assert!(!message.contains("Delivery"), "{message}");
    }
}

/// Catches a parser that accepts other content types or bodies above the limit.
#[tokio::test]
async fn another_content_type_is_415_and_a_large_body_is_413() {
    assert_eq!(send_invalid(post_body("text/plain", "{}")).await.1, "unsupported_media_type");
    let untyped = Request::post("/receive").body(Body::from("{}")).unwrap();
    assert_eq!(send_invalid(untyped).await.0, 415);
    for content_type in ["application/xml", "text/x+json", "application/jsonp", "+json"] {
        assert_eq!(send_invalid(post_body(content_type, "{}")).await.0, 415, "{content_type}");
    }
    let (status, code, _) =
        send_invalid(post_body("application/json", format!(r#"{{"payload":"{}"}}"#, "x".repeat(200)))).await;
    assert_eq!((status, code.as_str()), (413, "payload_too_large"));
}

/// Catches a request that waits for its body without a limit.
#[tokio::test(start_paused = true)]
async fn a_body_that_never_arrives_times_out() {
    let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let (status, code, _) = send_invalid(post_body("application/json", never)).await;
    assert_eq!((status, code.as_str()), (408, "request_timeout"));
}

/// Catches a query that is partly ignored, or an error that does not name the key.
#[tokio::test]
async fn a_query_is_parsed_completely_or_rejected() {
    assert_eq!(send(get_uri("/list?limit=7")).await, (200, "Some(7)".to_owned()));
    assert_eq!(send(get_uri("/list")).await, (200, "None".to_owned()));
    for (uri, names) in [
        ("/list?limit=-1", "limit"),
        ("/list?limit=abc", "limit"),
        ("/list?limit=1&limit=2", "`limit` more than once"),
        ("/list?since=1", "since"),
    ] {
        let (status, code, message) = send_invalid(get_uri(uri)).await;
        assert_eq!((status, code.as_str()), (400, "bad_request"), "{uri}");
        assert!(message.contains(names) && !message.contains("Page"), "{uri}: {message}");
    }
}

/// Catches a query that is ignored, with a key in it or not.
#[tokio::test]
async fn a_route_without_a_query_rejects_one() {
    for uri in ["/plain", "/plain?"] {
        assert_eq!(send(get_uri(uri)).await, (200, "plain".to_owned()), "{uri}");
    }
    for uri in ["/plain?x", "/plain?api_key=hxb_1", "/plain?&"] {
        assert_eq!(send_invalid(get_uri(uri)).await.2, "this call takes no query", "{uri}");
    }
}

/// Catches an error reply of the framework, which has no JSON body.
#[tokio::test]
async fn unknown_paths_and_methods_get_the_usual_error_reply() {
    let (status, code, message) = send_invalid(get_uri("/nothing")).await;
    assert_eq!((status, code.as_str()), (404, "not_found"));
    assert_eq!(message, "there is nothing at this path");
    let (status, code, _) = send_invalid(get_uri("/receive")).await;
    assert_eq!((status, code.as_str()), (405, "method_not_allowed"));
}

/// Catches a further key that overwrites `success`, `error` or `message`.
#[test]
fn further_keys_never_replace_the_fixed_ones() {
    let error = ApiError::unavailable("disk_full", "no room", 30).with("free_bytes", 5).with("success", true);
    assert_eq!(
        error.to_json(),
        serde_json::json!({"success": false, "error": "disk_full", "message": "no room", "free_bytes": 5})
    );
    assert_eq!(error.into_response().headers()["retry-after"], "30");
}

/// Catches a client that is not told which kind of key it needs, or is asked for one that does not help.
#[test]
fn only_a_missing_or_unknown_key_is_asked_for() {
    for (error, asked) in [(ApiError::unauthorized("no"), true), (ApiError::forbidden("no"), false)] {
        let response = error.of_key("desk").into_response();
        assert_eq!(response.headers().get("www-authenticate").is_some(), asked);
        assert_eq!(response.extensions().get::<Refusal>().unwrap().key.as_deref(), Some("desk"));
    }
}

/// Catches a message that is cut below the limit, or not at it.
#[test]
fn a_message_has_300_characters_at_most() {
    for (chars, shown) in [(300, 300), (301, 300)] {
        let message = ApiError::bad_request("ä".repeat(chars)).to_json()["message"].as_str().unwrap().to_owned();
        assert_eq!(message.chars().count(), shown);
    }
}

proptest! {
    /// Catches a panic, another status or an unbounded message.
    #[test]
    fn any_body_is_accepted_or_rejected_with_a_short_message(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(error) = parse_json::<Delivery>(&bytes) {
            prop_assert_eq!(error.status, StatusCode::BAD_REQUEST);
            prop_assert!(error.to_json()["message"].as_str().unwrap().chars().count() <= MAX_MESSAGE_CHARS);
        }
    }
}
