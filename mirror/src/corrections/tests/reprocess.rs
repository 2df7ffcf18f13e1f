//! Payloads that are reprocessed through the office: for programs, and for an office that follows this one.

use super::*;
use crate::doors;
use axum::Extension;
use service::door::pair::OFFICE_SCOPES;

const NAMED_REPROCESS: &str = "/sites/barn/api/lora/process";
const JUDGED: &str = r#"{"success":true,"judged":1,"processed":1,"accepted":[5],"next":null,"message":"..."}"#;

/// Starts a barn that reprocesses, and records path and body of each request.
fn reprocessing(path: &'static str) -> FakeBarn {
    let (identity, log) = (Identity::self_signed(KeyPair::generate().unwrap()), RequestLog::default());
    let seen = log.clone();
    let answer = async move |request: Request| {
        let path = request.uri().to_string();
        let body = to_bytes(request.into_body(), MAX_ORDER_BYTES).await.unwrap();
        seen.lock().unwrap().push((path, body));
        JUDGED
    };
    let barn = Barn::start_with(&identity, Router::new().route(path, post(answer)));
    FakeBarn { barn, pin: identity.pin(), sent: log }
}

/// Catches an office that passes corrections on, and not what its own form sends: behind it, "Reprocess" never worked, and blamed
/// the barn for it.
#[tokio::test]
async fn an_office_behind_an_office_has_the_barn_reprocess() {
    let barn = reprocessing(REPROCESS_PATH);
    let between = Office::new(vec![barn.line("north", 1)]).await;
    // The read interface has a route for all of `/api/lora/`, as in the process.
    let here = ConnectInfo::<SocketAddr>("127.0.0.1:9".parse().unwrap());
    let routes = between.router.clone().merge(doors::remote(between.sites.clone(), between.keys.clone()));
    let identity = Identity::self_signed(KeyPair::generate().unwrap());
    let served = Barn::start_with(&identity, routes.layer(Extension(here)));
    let key = between.keys.add("office-2", OFFICE_SCOPES.into()).unwrap();
    let line = Pairing {
        addresses: vec![format!("{}/sites/north", served.at)],
        spki_sha256: identity.pin(),
        key: key.reveal().to_owned(),
        ..barn.line("north", 1)
    };
    let behind = Office::new(vec![line]).await;
    let user: UserName = "Ana".parse().unwrap();
    let answer = Forwarder::new(behind.sites.clone()).reprocess("north", &user, Sequence(7)).await.unwrap();
    assert_eq!((answer.status, answer.body), (StatusCode::OK, Bytes::from_static(JUDGED.as_bytes())));
    assert_eq!(barn.sent(), [("/api/lora/process?after=7".to_owned(), Bytes::new())]);
}

/// Catches a range that the barn does not get, or a request that it gets although it can only refuse it.
#[tokio::test]
async fn programs_have_the_barn_reprocess_through_the_office() {
    let barn = reprocessing(REPROCESS_PATH);
    let office = Office::new(vec![barn.line("barn", 1)]).await;
    let read = office.keys.add("reader", [Scope::Read].into()).unwrap();
    for path in [REPROCESS_PATH, NAMED_REPROCESS] {
        for (query, sent) in [("", "?after=0"), ("?after=9", "?after=9"), ("?limit=1000", "?after=0&limit=1000")] {
            let answer = office.send(&format!("{path}{query}"), "").await;
            assert_eq!((answer.status, answer.text.as_str()), (200, JUDGED), "{path}{query}");
            assert_eq!(barn.sent().pop(), Some((format!("{REPROCESS_PATH}{sent}"), Bytes::new())), "{path}{query}");
        }
        for wrong in ["?limit=0", "?limit=1001", "?after=x", "?before=9", "?after=1&after=2"] {
            let answer = office.send(&format!("{path}{wrong}"), "").await;
            assert_eq!((answer.status, answer.error().as_str()), (400, "bad_request"), "{path}{wrong}");
        }
        let refused = office.request(Request::post(path).header("X-API-Key", read.reveal()), "").await;
        assert_eq!((refused.status, refused.error().as_str()), (403, "forbidden"), "{path}");
    }
    assert_eq!(office.send("/sites/east/api/lora/process", "").await.status, 404);
    assert_eq!(barn.sent().len(), 6);
}

/// Catches a message that sends people to the barn, although it is the office between that has no such call or site.
#[tokio::test]
async fn a_call_that_leads_nowhere_blames_no_barn_alone() {
    let barn = responding(404, r#"{"success":false,"error":"not_found","message":"no site \"north\" is paired"}"#);
    let answer = Office::new(vec![barn.line("barn", 1)]).await.send(PATH, ORDER).await;
    assert_eq!((answer.status, answer.error().as_str()), (502, "barn_too_old"));
    assert!(answer.text.contains("office between") && answer.text.contains("Upgrade it"), "{}", answer.text);
}
