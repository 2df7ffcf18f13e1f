//! Pairing by the one-time code of a prepared card: a real barn and a real office, with strangers around and between them.
//!
//! Catches: a barn and an office that do not find each other without a person, a restart that is needed, a stranger that
//! is trusted or let in, a lost answer that strands the office, and a code that outlives its use.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use daemon::pairing_code::{PAIR_PATH, PairingStatus, StoreOutcome, store};
use demo::processes::{Barn, BarnSettings, Client, Office, OfficeSettings};
use herd::pairing::{BarnFacts, Fingerprint, Fingerprints, PairAnswer, PairRequest, PairingCode};
use herd::position::StoreId;
use herd::store::LocalFile;
use serde_json::{Value, json};
use service::door::certificate::Identity;
use service::door::serve::connections::Connections;
use service::door::serve::{RunningServer, bind, serve};
use service::lifecycle::ShutdownTrigger;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use tempfile::TempDir;
use yard::{own_programs, pages, until};

const OTHER_OFFICE: Fingerprint = Fingerprint([0x0e; 32]);

/// A barn and an office that know nothing of each other, and the card in between.
struct Prepared {
    barn: Barn,
    office: Office,
    card: PathBuf,
    _directory: TempDir,
}

impl Prepared {
    /// Starts the office. The barn has an address, and does not run.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut barn = Barn::new(&own_programs(), &directory.path().join("barn"), &BarnSettings::default()).unwrap();
        barn.start().await.unwrap();
        barn.terminate().await.unwrap();
        let settings = OfficeSettings::default();
        let mut office = Office::new(&own_programs(), &directory.path().join("office"), &settings).unwrap();
        office.start().await.unwrap();
        let card = directory.path().join("herdlinx.toml");
        Self { barn, office, card, _directory: directory }
    }

    /// Prepares the card at the office, which looks for the barn at these addresses.
    fn prepare(&self, addresses: &[SocketAddr]) -> PairingCode {
        let mut args: Vec<String> =
            ["prepare", "--site", "north", "--time-zone", "America/Denver"].map(str::to_owned).into();
        args.extend(["--out".to_owned(), self.card.to_str().unwrap().to_owned(), "--overwrite".to_owned()]);
        args.extend(addresses.iter().flat_map(|address| ["--address".to_owned(), address.to_string()]));
        let printed = self.office.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        let code = self.code();
        assert!(!printed.contains(&code.to_string()), "the code stands on the card alone");
        code
    }

    /// Reads the code from the card.
    fn code(&self) -> PairingCode {
        let table: toml::Table = fs::read_to_string(&self.card).unwrap().parse().unwrap();
        table["office"]["pairing_code"].as_str().unwrap().parse().unwrap()
    }

    /// Puts the code where the barn finds it at its next start, as the card's first boot does.
    fn insert_card(&self, code: &PairingCode) {
        let local = LocalFile::open(self.barn.state_dir().join("local.redb")).unwrap();
        assert_eq!(store(&local, code).unwrap(), StoreOutcome::Stored);
    }

    fn barn_ends(&self, office: Fingerprint) -> Fingerprints {
        Fingerprints { barn: Fingerprint(self.barn.spki_sha256().unwrap()), office }
    }

    /// Waits until the office says why it has not paired.
    async fn waits_because(&self, reason: &str) {
        let waits = async || {
            let error = self.office.status().ok()?.prepared.first()?.last_error.clone()?;
            error.contains(reason).then_some(())
        };
        until(&format!("the office waits because of `{reason}`"), waits).await;
    }

    /// Waits until a payload of the barn is shown at the office, whose code is then dead at the barn.
    async fn payload_arrives(&self) {
        let device = self.barn.client(&self.barn.key("chute", &["ingest"]).unwrap()).unwrap();
        let reply = device.post_json("/api/lora/receive", &json!({ "payload": "hxb:PAIRED:LF1:UHF1" })).await.unwrap();
        assert_eq!(reply.status, 201);
        let shown = self.office.reader().unwrap();
        until("the payload arrives", async || pages::json(&shown, "/sites/north/batches/PAIRED").await.ok()).await;
        assert!(matches!(self.barn.status().unwrap().pairing, PairingStatus::Used { .. }));
        let status = self.office.status().unwrap();
        assert_eq!((status.prepared.len(), status.sites[0].name.as_str()), (0, "north"));
    }
}

async fn ask(barn: &Client, request: &PairRequest) -> (u16, Value) {
    let reply = barn.post_json(PAIR_PATH, &serde_json::to_value(request).unwrap()).await.unwrap();
    (reply.status, reply.json().unwrap())
}

/// A server with a TLS key of its own that answers in a barn's place.
struct Stranger {
    address: SocketAddr,
    _server: RunningServer,
    _shutdown: ShutdownTrigger,
    _directory: TempDir,
}

impl Stranger {
    fn new(router: Router) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_generate(directory.path(), &[]).unwrap();
        let shutdown = ShutdownTrigger::default();
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let server = serve(listener, router, &identity, &Connections::default(), shutdown.signal()).unwrap();
        Self { address: server.addr, _server: server, _shutdown: shutdown, _directory: directory }
    }

    /// Stands between office and barn: passes each request on and each answer back.
    fn between(barn: Client) -> Self {
        let pass_on = move |body: Bytes| {
            let barn = barn.clone();
            async move {
                let reply = barn.post_json(PAIR_PATH, &serde_json::from_slice(&body).unwrap()).await.unwrap();
                (StatusCode::from_u16(reply.status).unwrap(), [(header::CONTENT_TYPE, "application/json")], reply.body)
                    .into_response()
            }
        };
        Self::new(Router::new().route(PAIR_PATH, post(pass_on)))
    }

    /// Answers every request with a proof of its own, under a code that it made up.
    fn forger(code: &PairingCode) -> Self {
        let key = code.key();
        let forge = move |body: Bytes| {
            let request: PairRequest = serde_json::from_slice(&body).unwrap();
            let ends = Fingerprints { barn: Fingerprint([1; 32]), office: request.office };
            let facts = BarnFacts { site: "north".into(), store: StoreId([1; 16]), addresses: vec!["evil:1".into()] };
            let answer = PairAnswer::new(&key, &ends, facts);
            async move { axum::Json(answer).into_response() }
        };
        Self::new(Router::new().route(PAIR_PATH, post(forge)))
    }
}

/// Catches a path on which a person, or a restart, is needed after the card was inserted.
#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_barn_pairs_by_itself_and_its_code_dies() {
    let mut yard = Prepared::new().await;
    let code = yard.prepare(&[yard.barn.address()]);
    assert_eq!(fs::metadata(&yard.card).unwrap().permissions().mode() & 0o777, 0o600);
    yard.waits_because("cannot reach").await;
    let page = pages::html(&yard.office.reader().unwrap(), "/").await.unwrap();
    assert!(page.contains("waiting for the barn of north"), "{page}");

    yard.insert_card(&code);
    yard.barn.start().await.unwrap();
    yard.payload_arrives().await;
    let office = Fingerprint(yard.office.spki_sha256().unwrap());
    let PairingStatus::Used { office: paired, key_name } = yard.barn.status().unwrap().pairing else { panic!() };
    assert_eq!(paired, office);
    assert!(yard.barn.run(&["key", "list"]).unwrap().contains(&key_name));

    // A recorded request is worth nothing, now and after a restart with the same card.
    let request = PairRequest::new(&code.key(), &yard.barn_ends(office), &key_name);
    assert_eq!(ask(&yard.barn.visitor().unwrap(), &request).await.0, 404);
    yard.barn.terminate().await.unwrap();
    let local = LocalFile::open(yard.barn.state_dir().join("local.redb")).unwrap();
    assert_eq!(store(&local, &code).unwrap(), StoreOutcome::AlreadyUsed);
    drop(local);
    yard.barn.start().await.unwrap();
    assert_eq!(ask(&yard.barn.visitor().unwrap(), &request).await.0, 404);
}

/// Catches an office that trusts who is in between, or one that gives up because of it.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_not_trusted_and_do_not_keep_the_office_from_its_barn() {
    let mut yard = Prepared::new().await;
    let between = Stranger::between(yard.barn.visitor().unwrap());
    let forger = Stranger::forger(&yard.prepare(&[yard.barn.address()]));
    // The forger cannot know this code.
    let code = yard.prepare(&[between.address, forger.address]);
    yard.insert_card(&code);
    yard.barn.start().await.unwrap();
    yard.waits_because("is not believed").await;
    until("the barn has refused the stranger in between", async || {
        matches!(yard.barn.status().unwrap().pairing, PairingStatus::Waiting { wrong_proofs: 1.. }).then_some(())
    })
    .await;
    assert!(!yard.barn.run(&["key", "list"]).unwrap().contains("sync"), "nobody has a key");
    assert!(yard.office.status().unwrap().sites.is_empty());

    // The same barn, with the strangers in front of it.
    assert!(yard.office.run(&["remove", "north"]).unwrap().contains("waits no more"));
    yard.barn.terminate().await.unwrap();
    let code = yard.prepare(&[between.address, forger.address, yard.barn.address()]);
    let local = LocalFile::open(yard.barn.state_dir().join("local.redb")).unwrap();
    assert_eq!(store(&local, &code).unwrap(), StoreOutcome::Replaced);
    drop(local);
    yard.barn.start().await.unwrap();
    yard.payload_arrives().await;
}

/// Catches an office that is stranded because the answer got lost, and a flood that keeps it out.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_given_again_after_a_restart_and_in_a_flood_of_wrong_proofs() {
    let mut yard = Prepared::new().await;
    let code = yard.prepare(&[yard.barn.address()]);
    yard.insert_card(&code);
    // Kept away from the barn until its first answer has been lost.
    yard.office.kill();
    yard.barn.start().await.unwrap();
    let (visitor, office) = (yard.barn.visitor().unwrap(), Fingerprint(yard.office.spki_sha256().unwrap()));
    let lost = PairRequest::new(&code.key(), &yard.barn_ends(office), "desk");
    assert_eq!(ask(&visitor, &lost).await.0, 200);
    yard.barn.kill();
    yard.barn.start().await.unwrap();

    let second = PairRequest::new(&code.key(), &yard.barn_ends(OTHER_OFFICE), "thief");
    assert_eq!(ask(&visitor, &second).await.0, 409);
    let wrong = PairRequest { office_name: "guess".into(), ..lost };
    let mut refused = Vec::new();
    while refused.last() != Some(&429) {
        refused.push(ask(&visitor, &wrong).await.0);
        assert!(refused.len() < 10_000, "wrong proofs are never limited");
    }
    assert!(refused[..20].iter().all(|status| *status == 403), "{refused:?}");

    yard.office.start().await.unwrap();
    yard.payload_arrives().await;
    let keys = yard.barn.run(&["key", "list"]).unwrap();
    assert!(keys.contains("desk") && !keys.contains("thief") && !keys.contains("guess"), "{keys}");
}

/// Catches a second office that gets in by a copy of the card, and one that is told nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_comes_second_is_told_so() {
    let mut yard = Prepared::new().await;
    let code = yard.prepare(&[yard.barn.address()]);
    yard.insert_card(&code);
    yard.office.kill();
    yard.barn.start().await.unwrap();
    let first = PairRequest::new(&code.key(), &yard.barn_ends(OTHER_OFFICE), "first");
    assert_eq!(ask(&yard.barn.visitor().unwrap(), &first).await.0, 200);
    yard.office.start().await.unwrap();
    yard.waits_because("another office has paired").await;
    assert!(yard.office.status().unwrap().sites.is_empty());
    assert_eq!(yard.barn.status().unwrap().pairing, PairingStatus::Claimed { office: OTHER_OFFICE });
}
