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

async fn answer(request: Request) -> (u16, String) {
    let response = router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn refusal(request: Request) -> (u16, String, String) {
    let (status, body) = answer(request).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["success"], false);
    (status, body["error"].as_str().unwrap().to_owned(), body["message"].as_str().unwrap().to_owned())
}

fn sent(content_type: &str, body: impl Into<Body>) -> Request {
    Request::post("/receive").header("content-type", content_type).body(body.into()).unwrap()
}

fn asked(uri: &str) -> Request {
    Request::get(uri).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_body_of_the_right_form_passes_with_any_of_the_types_of_json() {
    for content_type in ["application/json", "Application/JSON; charset=utf-8", "application/x+json"] {
        let got = answer(sent(content_type, r#"{"payload":"hi","counts":[1]}"#)).await;
        assert_eq!(got, (200, "hi 1".to_owned()));
    }
}

#[tokio::test]
async fn a_wrong_body_is_refused_with_its_place_and_no_name_of_a_type() {
    let cases = [
        (r#"{"payload":5}"#, "`payload` in the body has a value of the wrong form, at line 1 column 12"),
        (r#"{"payload":"a","counts":[1,900]}"#, "`counts[1]` in the body has a value of the wrong form"),
        (r"[]", "the body must be a JSON object, and it is an array"),
        (r#" ["hi",[1]]"#, "the body must be a JSON object, and it is an array"),
        (r"7", "the body has a value of the wrong form"),
        (r#"{"payload":"a","x":1}"#, "`x` in the body is not known: `x`, expected `payload` or `counts`"),
        (r"{}", "the body lacks `payload`"),
        (r#"{"payload":"\ud800"}"#, "the body is no valid JSON at line 1"),
        (r#"{"payload":"a"} 5"#, "the body goes on after its JSON value at line 1 column 17"),
        ("", "the body is no valid JSON at line 1 column 0"),
    ];
    for (body, expected) in cases {
        let (status, code, message) = refusal(sent("application/json", body)).await;
        assert_eq!((status, code.as_str()), (400, "bad_request"), "{body}");
        assert!(message.starts_with(expected), "{body}: {message}");
        assert!(!message.contains("Delivery"), "{message}");
    }
}

#[tokio::test]
async fn another_content_type_is_415_and_too_much_is_413() {
    assert_eq!(refusal(sent("text/plain", "{}")).await.1, "unsupported_media_type");
    let untyped = Request::post("/receive").body(Body::from("{}")).unwrap();
    assert_eq!(refusal(untyped).await.0, 415);
    let (status, code, _) = refusal(sent("application/json", format!(r#"{{"payload":"{}"}}"#, "x".repeat(200)))).await;
    assert_eq!((status, code.as_str()), (413, "payload_too_large"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_given_up() {
    let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let (status, code, _) = refusal(sent("application/json", never)).await;
    assert_eq!((status, code.as_str()), (408, "request_timeout"));
}

#[tokio::test]
async fn a_query_is_read_whole_or_refused() {
    assert_eq!(answer(asked("/list?limit=7")).await, (200, "Some(7)".to_owned()));
    assert_eq!(answer(asked("/list")).await, (200, "None".to_owned()));
    for (uri, names) in [
        ("/list?limit=-1", "limit"),
        ("/list?limit=abc", "limit"),
        ("/list?limit=1&limit=2", "`limit` more than once"),
        ("/list?since=1", "since"),
    ] {
        let (status, code, message) = refusal(asked(uri)).await;
        assert_eq!((status, code.as_str()), (400, "bad_request"), "{uri}");
        assert!(message.contains(names) && !message.contains("Page"), "{uri}: {message}");
    }
}

#[tokio::test]
async fn a_call_without_a_query_refuses_one() {
    for uri in ["/plain", "/plain?"] {
        assert_eq!(answer(asked(uri)).await, (200, "plain".to_owned()), "{uri}");
    }
    for uri in ["/plain?x", "/plain?api_key=hxb_1", "/plain?&"] {
        assert_eq!(refusal(asked(uri)).await.2, "this call takes no query", "{uri}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_same_form() {
    let (status, code, _) = refusal(asked("/nothing")).await;
    assert_eq!((status, code.as_str()), (404, "not_found"));
    let (status, code, _) = refusal(asked("/receive")).await;
    assert_eq!((status, code.as_str()), (405, "method_not_allowed"));
}

#[test]
fn further_keys_stand_beside_the_three_and_never_over_them() {
    let error = ApiError::unavailable("disk_full", "no room", 30).with("free_bytes", 5).with("success", true);
    assert_eq!(
        error.to_json(),
        serde_json::json!({"success": false, "error": "disk_full", "message": "no room", "free_bytes": 5})
    );
    assert_eq!(error.into_response().headers()["retry-after"], "30");
}

proptest! {
    #[test]
    fn any_body_is_taken_or_refused_with_a_short_message(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(error) = parse_json::<Delivery>(&bytes) {
            prop_assert_eq!(error.status, StatusCode::BAD_REQUEST);
            prop_assert!(error.to_json()["message"].as_str().unwrap().chars().count() <= MAX_MESSAGE_CHARS);
        }
    }
}
