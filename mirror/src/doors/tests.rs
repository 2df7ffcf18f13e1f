use super::*;
use crate::follow::FollowSettings;
use crate::link::Trust;
use crate::people::{LoggedIn, People, Role};
use crate::sites::{AddOptions, SiteFiles};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::routing::get;
use futures::stream::poll_fn;
use herd::clock::SystemClock;
use herd::pairing::Pairing;
use herd::position::StoreId;
use herd::randomness::SeededRandomness;
use herd::store::{LocalFile, MemoryDisk};
use service::door::certificate::Identity;
use service::door::serve::{bind, serve};
use service::harness::TIMEOUT;
use service::lifecycle::ShutdownTrigger;
use std::convert::Infallible;
use std::future::ready;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Pages behind their guard, with a program's key and a user's session.
struct Door {
    directory: tempfile::TempDir,
    pages: Router,
    /// Sends the parts of the file.
    parts: mpsc::UnboundedSender<Result<Bytes, Infallible>>,
    /// The checks that came with requests for a stream.
    streams: Arc<Mutex<Vec<StillAllowed>>>,
    people: Arc<People>,
    keys: Arc<KeyRing>,
    key: String,
    session: String,
}

/// Secret that is sent with a request for a page.
#[derive(Clone, Copy)]
enum With<'a> {
    Nothing,
    Key(&'a str),
    Session(&'a str),
}

async fn door() -> Door {
    let directory = tempfile::tempdir().unwrap();
    let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
    let clock = Arc::new(SystemClock::default());
    let keys = Arc::new(KeyRing::load(local.clone(), clock.clone(), SeededRandomness::new(1)).unwrap());
    let key = keys.add("program", [Scope::Read].into()).unwrap().reveal().to_owned();
    let people = Arc::new(People::load(local, clock, SeededRandomness::new(2)).unwrap());
    let code = people.add(&"Ana".parse().unwrap(), Role::Viewer).unwrap();
    let peer = [192, 168, 1, 5].into();
    let session = people.clone().choose(code.reveal(), "", "the gate is green".to_owned(), peer).await.unwrap();
    let shown =
        async |user: Option<Extension<LoggedIn>>| user.map_or("page".to_owned(), |user| user.0.name.to_string());
    let streams = Arc::new(Mutex::new(Vec::new()));
    let opened = streams.clone();
    let stream = async move |allowed: Extension<StillAllowed>| opened.lock().unwrap().push(allowed.0);
    let (parts, received) = mpsc::unbounded_channel();
    let received = Arc::new(Mutex::new(Some(received)));
    let file = move || {
        let mut received = received.lock().unwrap().take().expect("the file is asked for once");
        ready(Body::from_stream(poll_fn(move |cx| received.poll_recv(cx))))
    };
    let pages = Router::new().route("/", get(shown).post(async || "written")).route(STREAM, get(stream));
    let pages = pages.route(FILE, get(file)).fallback(async || "nothing here");
    let pages = guarded_pages(pages, keys.clone(), Browsers::new(people.clone(), 5000));
    Door { directory, pages, parts, streams, people, keys, key, session: session.reveal().to_owned() }
}

async fn get_page(pages: &Router, peer: &str, path: &str, with: With<'_>) -> (u16, String) {
    let request = Request::get(path).extension(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
    let request = match with {
        With::Nothing => request,
        With::Key(key) => request.header("X-API-Key", key),
        With::Session(token) => {
            let others = [b"a=\xff\xfe; ".as_slice(), format!("__Host-herdlinx-5000={token}; c=d").as_bytes()].concat();
            request.header("Cookie", others)
        }
    };
    let response = pages.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

const ELSEWHERE: &str = "192.168.1.5:9";
/// Path of a stream.
const STREAM: &str = "/sites/north/office/live";
/// Path of a file that is sent in parts.
const FILE: &str = "/animals.csv";

#[tokio::test]
async fn pages_need_a_key_or_a_session_also_on_this_machine_and_without_users() {
    let Door { pages, people, key, session, .. } = &door().await;
    assert_eq!(get_page(pages, "127.0.0.1:9", "/", With::Nothing).await.0, 401);
    assert_eq!(get_page(pages, ELSEWHERE, "/", With::Key(key)).await, (200, "page".to_owned()));
    assert_eq!(get_page(pages, ELSEWHERE, "/", With::Session(session)).await, (200, "Ana".to_owned()));
    let (status, body) = get_page(pages, ELSEWHERE, "/", With::Nothing).await;
    assert!(status == 401 && body.contains("/login"), "{body}");
    let (status, body) = get_page(pages, ELSEWHERE, "/", With::Key("hxb_wrong")).await;
    assert!(status == 401 && body.contains("not known"), "{body}");
    people.remove(&"Ana".parse().unwrap()).unwrap();
    for peer in ["127.0.0.1:9", "[::1]:9", ELSEWHERE] {
        assert_eq!(get_page(pages, peer, "/", With::Nothing).await.0, 401, "{peer}, and no users");
    }
}

/// Catches a session that is let in after its end, or a token of another kind that is taken for one.
#[tokio::test]
async fn a_session_is_refused_once_it_has_ended() {
    let Door { pages, people, key, session, .. } = &door().await;
    people.log_out(session).unwrap();
    for token in [session.as_str(), key, "", "x"] {
        assert_eq!(get_page(pages, ELSEWHERE, "/", With::Session(token)).await.0, 401);
    }
}

/// Catches a page that goes on live for whoever was shut out, and one that ends for whoever was not.
#[tokio::test]
async fn a_stream_is_allowed_until_its_key_or_session_ends() {
    let Door { pages, streams, people, keys, key, session, .. } = &door().await;
    for with in [With::Key(key), With::Session(session)] {
        assert_eq!(get_page(pages, ELSEWHERE, STREAM, with).await.0, 200);
    }
    let allowed = || streams.lock().unwrap().iter().map(StillAllowed::holds).collect::<Vec<_>>();
    assert_eq!(allowed(), [true, true]);
    keys.revoke("program").unwrap();
    assert_eq!(allowed(), [false, true]);
    people.log_out(session).unwrap();
    assert_eq!(allowed(), [false, false]);
}

/// Returns whether the answer to a request with this key ends with the key.
async fn ends_with_its_key(pages: &Router, method: &str, path: &str, key: &str) -> bool {
    let request = Request::builder().method(method).uri(path).header("X-API-Key", key).body(Body::empty()).unwrap();
    pages.clone().oneshot(request).await.unwrap().extensions().get::<Permission>().is_some()
}

/// Catches an answer about a write that is cut, a stream that ends without its event, and a refusal that is not sent.
#[tokio::test]
async fn an_answer_ends_with_its_key_unless_it_tells_of_a_write_or_ends_itself() {
    let Door { pages, key, .. } = &door().await;
    for (method, path, ends) in
        [("GET", "/", true), ("HEAD", "/", true), ("GET", FILE, true), ("POST", "/", false), ("GET", STREAM, false)]
    {
        assert_eq!(ends_with_its_key(pages, method, path, key).await, ends, "{method} {path}");
        assert!(!ends_with_its_key(pages, method, path, "hxb_wrong").await, "{method} {path}");
    }
}

/// Ends the access of the key or of the user.
type ShutOut = fn(&Door);

/// Serves the pages over HTTPS, and shuts somebody out between two parts of the file that they read. Returns what they get
/// after the first part.
async fn rest_of_a_file(door: Door, header: (&str, &str), shut_out: ShutOut) -> reqwest::Result<Option<Bytes>> {
    let identity = Identity::load_or_generate(door.directory.path(), &[]).unwrap();
    let (trigger, listener) = (ShutdownTrigger::default(), bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap());
    let served = serve(listener, door.pages.clone(), &identity, &Connections::default(), trigger.signal()).unwrap();
    let client = crate::link::client(&Trust::Pin(identity.spki_sha256())).unwrap();
    door.parts.send(Ok("first part".into())).unwrap();
    let request = client.get(format!("https://127.0.0.1:{}{FILE}", served.addr.port())).header(header.0, header.1);
    let mut answer = timeout(TIMEOUT, request.send()).await.unwrap().unwrap();
    assert_eq!(timeout(TIMEOUT, answer.chunk()).await.unwrap().unwrap().unwrap(), "first part");
    shut_out(&door);
    door.parts.send(Ok("second part".into())).unwrap();
    timeout(TIMEOUT, answer.chunk()).await.unwrap()
}

/// Catches a list of animals that is sent on to whoever was shut out while it is being sent.
#[tokio::test]
async fn a_file_ends_with_the_key_the_session_or_the_user_that_it_was_given_to() {
    let endings: [(bool, ShutOut); 3] = [
        (true, |door| door.keys.revoke("program").unwrap()),
        (false, |door| door.people.log_out(&door.session).unwrap()),
        (false, |door| door.people.remove(&"Ana".parse().unwrap()).unwrap()),
    ];
    for (number, (has_key, shut_out)) in endings.into_iter().enumerate() {
        let door = door().await;
        let (key, cookie) = (door.key.clone(), format!("__Host-herdlinx-5000={}", door.session));
        let header = if has_key { ("X-API-Key", key.as_str()) } else { ("Cookie", cookie.as_str()) };
        let rest = rest_of_a_file(door, header, shut_out).await;
        assert!(rest.is_err(), "ending {number}: {rest:?}");
    }
    let door = door().await;
    let key = door.key.clone();
    let rest = rest_of_a_file(door, ("X-API-Key", &key), |_| ()).await;
    assert_eq!(rest.unwrap().unwrap(), "second part", "nobody was shut out");
}

#[tokio::test]
async fn a_browser_is_sent_to_the_log_in_page_and_back() {
    let Door { pages, .. } = &door().await;
    let request = Request::get("/batches?limit=5").header("Accept", "text/html").body(Body::empty()).unwrap();
    let response = pages.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["location"], "/login?next=%2Fbatches%3Flimit%3D5");
    let request = Request::post("/batches").header("Accept", "text/html").body(Body::empty()).unwrap();
    assert_eq!(pages.clone().oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn callers_elsewhere_cannot_tell_which_pages_exist() {
    let Door { pages, .. } = &door().await;
    assert_eq!(get_page(pages, ELSEWHERE, "/nowhere", With::Nothing).await.0, 401);
}

#[test]
fn the_site_prefix_is_stripped_and_the_query_is_kept() {
    let uri: Uri = "/sites/north%2Dbarn/api/sync/changes?after=1".parse().unwrap();
    assert_eq!(without_site(&uri).unwrap().to_string(), "/api/sync/changes?after=1");
    for other in ["/sites/north", "/api/sites/north/x", "*"] {
        assert_eq!(without_site(&other.parse().unwrap()), None, "{other}");
    }
}

/// Catches an office that is called healthy although it no longer follows a barn, or unhealthy because a barn is away.
#[tokio::test]
async fn an_office_is_unhealthy_once_it_has_stopped_following_a_barn() {
    let directory = tempfile::tempdir().unwrap();
    let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
    let clock = Arc::new(SystemClock::default());
    let keys = Arc::new(KeyRing::load(local.clone(), clock.clone(), SeededRandomness::new(1)).unwrap());
    let files = SiteFiles::new(local, directory.path());
    for (site, store) in [("away", 1), ("misled", 2)] {
        let line = Pairing {
            site: site.to_owned(),
            addresses: vec!["127.0.0.1:9".to_owned()],
            spki_sha256: [1; 32],
            store: StoreId([store; 16]),
            key: "hxb_1".to_owned(),
        };
        files.add(&line, &AddOptions::default(), 9 - i64::from(store)).unwrap();
    }
    let settings = FollowSettings { sync_interval: std::time::Duration::from_secs(10), seed: 1 };
    let (sites, _failures) = Sites::start(files.clone(), settings, clock.clone()).await.unwrap();
    assert_eq!(sites.first_site().as_deref(), Some("misled"), "it was paired first");
    let router = health(sites, keys.clone());
    let (status, body) = get_page(&router, ELSEWHERE, HEALTH_PATH, With::Nothing).await;
    assert_eq!((status, body.as_str()), (200, r#"{"status":"healthy","success":true}"#));
    let (status, _) = get_page(&router, ELSEWHERE, "/api/remote/health?x=1", With::Nothing).await;
    assert_eq!(status, 400);

    let copy = files.begin_copy("misled").unwrap();
    let path = files.copies(&"misled".parse().unwrap()).unwrap().path(copy);
    std::os::unix::fs::symlink("nowhere", path.with_file_name("current")).unwrap();
    let (sites, _failures) = Sites::start(files, settings, clock).await.unwrap();
    let is_stopped = async || sites.status("misled").unwrap().stopped_because.map(|_| ());
    service::harness::wait_until("the office does not know which copy is the current one", is_stopped).await.unwrap();
    let (status, body) = get_page(&health(sites, keys), ELSEWHERE, HEALTH_PATH, With::Nothing).await;
    assert!(status == 503 && body.contains(r#""failing":["replication"]"#), "{status} {body}");
    assert!(!body.contains("misled"), "it needs no key, so it names no site: {body}");
}

/// Catches an office that is called healthy although no key can be added or revoked, or unhealthy for ever after that.
#[tokio::test]
async fn an_office_names_its_keys_after_a_failed_write_until_one_succeeds() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::default());
    let local = LocalFile::open_in(&disk).unwrap();
    let clock = Arc::new(SystemClock::default());
    let keys = Arc::new(KeyRing::load(local.clone(), clock.clone(), SeededRandomness::new(1)).unwrap());
    let settings = FollowSettings { sync_interval: std::time::Duration::from_secs(10), seed: 1 };
    let (sites, _failures) = Sites::start(SiteFiles::new(local, directory.path()), settings, clock).await.unwrap();
    let router = health(sites, keys.clone());
    let answer = async || get_page(&router, ELSEWHERE, HEALTH_PATH, With::Nothing).await;
    assert_eq!(answer().await.0, 200);
    assert!(disk.fail_after("local.redb", 0));
    assert!(keys.add("lost", [Scope::Read].into()).is_err());
    let (status, body) = answer().await;
    assert!(status == 503 && body.contains(r#""failing":["keys"]"#), "{status} {body}");
    assert!(disk.fail_after("local.redb", u64::MAX));
    keys.add("kept", [Scope::Read].into()).unwrap();
    assert_eq!(answer().await.0, 200);
}
