//! A barn whose answers are the same on every run: the shipped router in this process, over a store in memory, with a
//! fixed clock and seeded keys.
#![allow(dead_code, reason = "each test program uses only a part")]

pub(crate) mod golden;
pub(crate) mod response;

use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, Response};
use daemon::disk::DiskGauge;
use daemon::health::{ClockGauge, Health};
use daemon::ingest::refusals::ReadRefusals;
use daemon::ingest::{Ingest, LineLimit};
use daemon::pairing_code::{self, CodePairing};
use daemon::recorder::{DuplicateStats, GROUP_PAYLOADS, Recorder, RecorderSeams, RecorderTotals};
use daemon::run::Routes;
use herd::change::Origin;
use herd::clock::{Clock, RawReading};
use herd::decide::Rules;
use herd::pairing::PairingCode;
use herd::position::{Position, Sequence, StoreId};
use herd::query::TotalsView;
use herd::randomness::SeededRandomness;
use herd::store::{Head, Incoming, LocalFile, MemoryDisk, Reader, Receipt, Store};
use herd::testing::ManualClock;
use http_body_util::BodyExt as _;
use service::backup::BackupGauge;
use service::door::certificate::Identity;
use service::door::keys::{KeyRing, KeyRow, Scope};
use service::door::serve::connections::Connections;
use service::door::tokens::TokenRing;
use service::lifecycle::ShutdownTrigger;
use service::sync::link::BLOB_TYPE;
use std::collections::BTreeMap;
use std::sync::Arc;
use tower::ServiceExt as _;

/// 2024-01-15T10:35:20 UTC.
const WALL_US: i64 = 1_705_314_920_000_000;
const STORE: StoreId = StoreId([7; 16]);
/// Path of the ingest door.
pub(crate) const RECEIVE: &str = "/api/lora/receive";

/// Returns a clock that stands still.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(RawReading { received_at_us: WALL_US, synchronized: true, since_boot_ms: 1_000 }))
}

/// The shipped router over a store in memory.
pub(crate) struct Barn {
    pub(crate) router: Router,
    pub(crate) reader: Reader,
    pub(crate) recorder: Recorder,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) tokens: Arc<TokenRing>,
    pub(crate) ingest_key: String,
    pub(crate) sync_key: String,
    pub(crate) read_key: String,
    pub(crate) shutdown: ShutdownTrigger,
    _directory: tempfile::TempDir,
}

/// Returns a payload as a radio delivers it.
fn incoming(payload: &str) -> Incoming {
    let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
    Incoming { raw: payload.as_bytes().to_vec(), origin, at: clock().read() }
}

/// Everything that a request can change.
#[derive(Debug, PartialEq)]
pub(crate) struct BarnState {
    head: Head,
    totals: TotalsView,
    keys: Vec<KeyRow>,
    tokens: usize,
    recorder_totals: RecorderTotals,
    duplicates: BTreeMap<String, DuplicateStats>,
}

impl Barn {
    /// Creates a barn with three keys, and with a pairing code that waits for an office.
    pub(crate) fn new(rules: Rules) -> Self {
        Self::open(rules, Some(&PairingCode::generate(&mut SeededRandomness::new(3)).unwrap()))
    }

    /// Creates a barn with three keys and without a pairing code.
    pub(crate) fn without_code(rules: Rules) -> Self {
        Self::open(rules, None)
    }

    fn open(rules: Rules, code: Option<&PairingCode>) -> Self {
        let store = Store::open_source(&MemoryDisk::default(), rules, clock().read().in_boot(1), || STORE).unwrap();
        let reader = store.reader();
        let disk = DiskGauge::plenty();
        let (recorder, writing) =
            Recorder::on_this_task(store, RecorderSeams { disk: disk.clone(), local: None }).unwrap();
        tokio::spawn(async move { writing.await.unwrap() });

        let directory = tempfile::tempdir().unwrap();
        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let keys = Arc::new(KeyRing::load(local.clone(), clock(), SeededRandomness::new(1)).unwrap());
        let key = |name, scope| keys.add(name, [scope].into()).unwrap().reveal().to_owned();
        let (ingest_key, sync_key) = (key("chute-1", Scope::Ingest), key("office", Scope::Sync));
        let read_key = key("screen", Scope::Read);

        let shutdown = ShutdownTrigger::default();
        let ingest = Ingest {
            recorder: recorder.clone(),
            reader: reader.clone(),
            clock: clock(),
            reader_group: "main".into(),
            lines: LineLimit::default(),
            shutdown: shutdown.signal(),
        };
        let (write_clock, status) = (recorder.write_clock().clone(), recorder.status());
        let health = Health {
            reader: reader.clone(),
            recorder: status,
            write_clock,
            disk,
            radios: Vec::new(),
            local: None,
            listen: None,
            identity: None,
            refusals: ReadRefusals::default(),
            clock: ClockGauge::new(clock()),
            backup: BackupGauge::default(),
        };
        let tokens = TokenRing::load(local.clone(), keys.clone(), clock(), SeededRandomness::new(2)).unwrap();
        let tokens = Arc::new(tokens);
        let identity = Identity::load_or_generate(directory.path(), &[]).unwrap();
        let facts = service::door::pair::PairingSource {
            path: String::new(),
            site: "north".to_owned(),
            listen: "127.0.0.1:5001".parse().unwrap(),
            spki_sha256: identity.spki_sha256(),
            store: STORE,
        };
        if let Some(code) = code {
            pairing_code::store(&local, code).unwrap();
        }
        let pairing = CodePairing::load(local, keys.clone(), identity, facts, clock()).unwrap();
        let pairing = Arc::new(pairing);
        let router = Routes {
            site: "north".to_owned(),
            ingest,
            health,
            tokens: tokens.clone(),
            connections: Connections::default(),
            pairing,
        }
        .router();
        Self { router, reader, recorder, keys, tokens, ingest_key, sync_key, read_key, shutdown, _directory: directory }
    }

    /// Revokes every key.
    pub(crate) fn revoke_all_keys(&self) {
        for key in self.keys.list() {
            self.keys.revoke(&key.name).unwrap();
        }
    }

    /// Records one payload as a radio would deliver it.
    pub(crate) async fn record(&self, payload: &str) -> Receipt {
        self.recorder.record(incoming(payload)).await.unwrap()
    }

    /// Records new payloads in one commit of the largest size.
    pub(crate) async fn record_group(&self) {
        let first = self.head().sequence.0;
        let group = (first..).take(GROUP_PAYLOADS).map(|n| incoming(&format!("hxb:LOT:LF{n}:UHF{n}"))).collect();
        self.recorder.record_all(group).await.unwrap();
        assert_eq!(self.head().sequence.0 - first, GROUP_PAYLOADS as u64);
    }

    /// Records `count` new payloads.
    pub(crate) async fn record_more(&self, count: u64) {
        let first = self.head().sequence.0;
        for n in first..first + count {
            let receipt = self.record(&format!("hxb:LOT:LF{n}:UHF{n}")).await;
            assert_eq!(receipt, Receipt::Kept { sequence: Sequence(n + 1) });
        }
    }

    pub(crate) fn head(&self) -> Position {
        self.reader.head().position
    }

    pub(crate) fn state(&self) -> BarnState {
        let status = self.recorder.status().borrow().clone();
        BarnState {
            head: self.reader.head(),
            totals: self.reader.snapshot().unwrap().totals().unwrap(),
            keys: self.keys.list(),
            tokens: self.tokens.count(),
            recorder_totals: status.totals,
            duplicates: status.duplicates,
        }
    }

    /// Returns the answer to a request, with its whole body.
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Vec<u8>> {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes().to_vec())
    }

    /// Returns the builder of a POST of JSON with the right key, without its body.
    pub(crate) fn post_builder(&self) -> Builder {
        self.post_to_builder(RECEIVE)
    }

    pub(crate) fn post_to_builder(&self, path: &str) -> Builder {
        Request::post(path).header("X-API-Key", &self.ingest_key).header("Content-Type", "application/json")
    }

    pub(crate) fn post(&self, body: impl Into<Body>) -> Request<Body> {
        self.post_builder().body(body.into()).unwrap()
    }

    /// Returns a GET request with the key of scope sync.
    pub(crate) fn get(&self, path_and_query: &str) -> Request<Body> {
        Request::get(path_and_query).header("X-API-Key", &self.sync_key).body(Body::empty()).unwrap()
    }

    /// Returns the GET request of a follower, which asks for blobs.
    pub(crate) fn get_blob(&self, path_and_query: &str) -> Request<Body> {
        let request = Request::get(path_and_query).header("X-API-Key", &self.sync_key);
        request.header("Accept", BLOB_TYPE).body(Body::empty()).unwrap()
    }
}
