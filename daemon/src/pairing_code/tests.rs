use super::code_pairing::CodePairing;
use super::code_row::{CodeRow, CodeState, StoreOutcome, load, save, store};
use super::history::{CodeEnd, EndedCode, MAX_ENDED_CODES, PairedOffice, respond_about_keys};
use super::{PAIR_PATH, PairingStatus, WrongProofLimits, end_code_on_sync, router, store_dead};
use crate::test_world;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use herd::pairing::{Fingerprint, Fingerprints, PairAnswer, PairRequest, PairingCode};
use herd::position::StoreId;
use herd::randomness::SeededRandomness;
use herd::store::LocalFile;
use herd::testing::ManualClock;
use serde_json::{Value, json};
use service::door::auth::require;
use service::door::certificate::Identity;
use service::door::key_command::{KeyRequest, KeyResponse};
use service::door::keys::{KeyError, KeyRing, Scope, TakenName};
use service::door::pair::{OFFICE_SCOPES, PairingSource};
use service::door::secret::Secret;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt as _;

const OFFICE: Fingerprint = Fingerprint([0x0f; 32]);
const OTHER_OFFICE: Fingerprint = Fingerprint([0x0e; 32]);
const LIMITS: WrongProofLimits = WrongProofLimits { per_s: 2, burst: 3, total: 8, save_every: 5 };

fn code(seed: u64) -> PairingCode {
    PairingCode::generate(&mut SeededRandomness::new(seed)).unwrap()
}

/// A barn that has opened its files.
struct OpenBarn {
    local: LocalFile,
    keys: Arc<KeyRing>,
    identity: Identity,
    pairing: Arc<CodePairing>,
    clock: Arc<ManualClock>,
}

impl OpenBarn {
    fn new(directory: &Path) -> Self {
        let local = LocalFile::open(directory.join("local.redb")).unwrap();
        let clock = Arc::new(test_world::clock());
        let keys = Arc::new(KeyRing::load(local.clone(), clock.clone(), SeededRandomness::new(1)).unwrap());
        let identity = Identity::load_or_generate(directory, &[]).unwrap();
        let barn = PairingSource {
            path: String::new(),
            site: "north".into(),
            listen: "192.168.1.20:5001".parse().unwrap(),
            spki_sha256: identity.spki_sha256(),
            store: StoreId([7; 16]),
        };
        let loaded = CodePairing::load(local.clone(), keys.clone(), identity.clone(), barn, clock.clone()).unwrap();
        Self { local, keys, identity, pairing: Arc::new(loaded.with_limits(LIMITS)), clock }
    }

    fn ends(&self, office: Fingerprint) -> Fingerprints {
        Fingerprints { barn: Fingerprint(self.identity.spki_sha256()), office }
    }

    fn request(&self, code: &PairingCode, office: Fingerprint) -> PairRequest {
        PairRequest::new(&code.key(), &self.ends(office), "desk")
    }

    async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let sync = Router::new().route("/sync", get(async || "synced"));
        let sync = sync.route_layer(from_fn_with_state(self.pairing.clone(), end_code_on_sync));
        let sync = require(self.keys.clone(), Scope::Sync).protect(sync);
        let reply = router(self.pairing.clone()).merge(sync).oneshot(request).await.unwrap();
        let status = reply.status().as_u16();
        let bytes = to_bytes(reply.into_body(), 100_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn post(&self, body: &Value) -> (u16, Value) {
        let request = Request::post(PAIR_PATH).header("Content-Type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn pair(&self, code: &PairingCode, office: Fingerprint) -> (u16, Value) {
        self.post(&serde_json::to_value(self.request(code, office)).unwrap()).await
    }

    /// Syncs with the key that the office derives.
    async fn sync(&self, code: &PairingCode, office: Fingerprint) -> u16 {
        let secret = Secret::of_key(code.key().api_key(&self.ends(office)));
        let request = Request::get("/sync").header("X-API-Key", secret.reveal());
        self.send(request.body(Body::empty()).unwrap()).await.0
    }

    fn key_names(&self) -> Vec<String> {
        self.keys.list().into_iter().map(|row| row.name).collect()
    }
}

/// A barn whose card brought the code of seed 1.
fn prepared() -> (tempfile::TempDir, OpenBarn) {
    let directory = tempfile::tempdir().unwrap();
    let barn = OpenBarn::new(directory.path());
    assert_eq!(store(&barn.local, &code(1)).unwrap(), StoreOutcome::Stored);
    let barn = reopened(&directory, barn);
    (directory, barn)
}

fn reopened(directory: &tempfile::TempDir, before: OpenBarn) -> OpenBarn {
    drop(before);
    OpenBarn::new(directory.path())
}

/// Catches an office without its scopes, an answer that does not prove the barn, and a code that outlives its use.
#[tokio::test]
async fn an_office_pairs_repeats_and_syncs_and_then_the_code_is_dead() {
    let (_directory, barn) = prepared();
    assert!(barn.pairing.is_live());
    let (status, answer) = barn.pair(&code(1), OFFICE).await;
    assert_eq!(status, 200, "{answer}");
    let parsed: PairAnswer = serde_json::from_value(answer.clone()).unwrap();
    let secret = Secret::of_key(code(1).key().api_key(&barn.ends(OFFICE)));
    let pairing = parsed.verify(&code(1).key(), &barn.ends(OFFICE), secret.reveal().into()).unwrap();
    assert_eq!((pairing.site.as_str(), pairing.store), ("north", StoreId([7; 16])));
    assert_eq!(pairing.addresses, ["192.168.1.20:5001"]);
    let key = barn.keys.check(&pairing.key).unwrap();
    assert_eq!((key.name.as_str(), key.scopes), ("desk", OFFICE_SCOPES.into()));

    assert_eq!(barn.pair(&code(1), OFFICE).await, (200, answer), "a lost answer is given again");
    assert_eq!(barn.pairing.status(), PairingStatus::Claimed { office: OFFICE });
    assert_eq!(barn.sync(&code(1), OFFICE).await, 200);
    assert_eq!(barn.pairing.status(), PairingStatus::Used { office: OFFICE, key_name: "desk".into() });
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 404);
    assert_eq!(barn.sync(&code(1), OFFICE).await, 200);
    assert_eq!(barn.key_names(), ["desk"]);
}

/// Catches a list of keys that does not tell which office came by the code, or that takes another key for it.
#[tokio::test]
async fn the_list_of_keys_names_the_office_that_paired_by_the_code() {
    let offices_of = |barn: &OpenBarn| {
        let response = respond_about_keys(&barn.local, &barn.keys, &KeyRequest::List).unwrap();
        let KeyResponse::Keys(keys) = response else { panic!("{response:?}") };
        keys.into_iter().map(|key| (key.name, key.office)).collect::<Vec<_>>()
    };
    let (directory, barn) = prepared();
    barn.keys.add("handheld", [Scope::Ingest].into()).unwrap();
    let offices = || offices_of(&barn);
    assert_eq!(offices(), [("handheld".to_owned(), None)]);
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 200);
    let expected = [("desk".to_owned(), Some(OFFICE)), ("handheld".to_owned(), None)];
    assert_eq!(offices(), expected);
    assert_eq!(barn.sync(&code(1), OFFICE).await, 200);
    assert_eq!(offices(), expected);
    // Another code lets another office in.
    assert_eq!(store(&barn.local, &code(2)).unwrap(), StoreOutcome::Stored);
    let barn = reopened(&directory, barn);
    let offices = || offices_of(&barn);
    assert_eq!(barn.pair(&code(2), OTHER_OFFICE).await.0, 200);
    let second = ("desk-2".to_owned(), Some(OTHER_OFFICE));
    assert_eq!(offices(), [expected[0].clone(), second.clone(), expected[1].clone()]);
    barn.keys.revoke("desk").unwrap();
    barn.keys.adopt("desk", OFFICE_SCOPES.into(), [7; 32], TakenName::Refuse).unwrap();
    assert_eq!(offices(), [("desk".to_owned(), None), second, expected[1].clone()]);
}

/// Catches a code that lets a second office in, even after a restart.
#[tokio::test]
async fn a_second_office_is_refused_from_the_first_right_proof_on() {
    let (directory, barn) = prepared();
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 200);
    let barn = reopened(&directory, barn);
    let (status, body) = barn.pair(&code(1), OTHER_OFFICE).await;
    assert_eq!((status, &body["error"]), (409, &json!("other_office")));
    assert_eq!(barn.sync(&code(1), OTHER_OFFICE).await, 401);
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 200);
    assert_eq!(barn.key_names(), ["desk"]);
}

/// Catches a state that a restart forgets: each step of a pairing is continued where it was.
#[tokio::test]
async fn a_restart_at_any_step_continues() {
    let (directory, barn) = prepared();
    // Power failed after the claim, before the key.
    let mut row = load(&barn.local).unwrap().unwrap();
    row.state = CodeState::Claimed { key: code(1).key(), ends: barn.ends(OFFICE) };
    save(&barn.local, &row).unwrap();
    let barn = reopened(&directory, barn);
    assert_eq!(barn.pair(&code(1), OTHER_OFFICE).await.0, 409);
    // Power failed after the key, before the row.
    let secret = Secret::of_key(code(1).key().api_key(&barn.ends(OFFICE)));
    barn.keys.adopt("elsewhere", OFFICE_SCOPES.into(), secret.hash(), TakenName::Refuse).unwrap();
    let barn = reopened(&directory, barn);
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 200);
    assert_eq!(barn.key_names(), ["elsewhere"]);
    let barn = reopened(&directory, barn);
    assert_eq!(barn.sync(&code(1), OFFICE).await, 200);
    let barn = reopened(&directory, barn);
    assert_eq!((barn.pairing.is_live(), barn.pair(&code(1), OFFICE).await.0), (false, 404));
}

/// Catches a barn that accepts a proof over the key of somebody in between, or a replay of one.
#[tokio::test]
async fn a_proof_over_another_key_of_the_barn_is_wrong() {
    let (_directory, barn) = prepared();
    let in_between = Fingerprints { barn: Fingerprint([0x66; 32]), office: OFFICE };
    let forwarded = PairRequest::new(&code(1).key(), &in_between, "desk");
    let (status, body) = barn.post(&serde_json::to_value(forwarded).unwrap()).await;
    assert_eq!((status, &body["error"]), (403, &json!("wrong_proof")));
    let renamed = PairRequest { office_name: "evil".into(), ..barn.request(&code(1), OFFICE) };
    assert_eq!(barn.post(&serde_json::to_value(renamed).unwrap()).await.0, 403);
    let other = PairRequest { office: OTHER_OFFICE, ..barn.request(&code(1), OFFICE) };
    assert_eq!(barn.post(&serde_json::to_value(other).unwrap()).await.0, 403);
    assert_eq!(barn.pair(&code(2), OFFICE).await.0, 429, "the fourth wrong proof at once");
    assert_eq!((barn.keys.list().len(), barn.pairing.status()), (0, PairingStatus::Waiting { wrong_proofs: 3 }));
}

/// Catches a flood that locks the right office out, or that ends the code too early or never.
#[tokio::test]
async fn wrong_proofs_are_limited_and_in_the_end_disable_the_code() {
    let (directory, barn) = prepared();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(barn.pair(&code(2), OFFICE).await.0);
    }
    assert_eq!(statuses, [403, 403, 403, 429, 429]);
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 200, "the right office in the middle of a flood");
    barn.clock.pass(Duration::from_secs(1));
    assert_eq!([barn.pair(&code(2), OFFICE).await.0, barn.pair(&code(2), OFFICE).await.0], [403, 403]);
    // Five were written; a restart goes on from there.
    let barn = reopened(&directory, barn);
    for _ in 0..3 {
        assert_eq!(barn.pair(&code(2), OFFICE).await.0, 403);
    }
    assert_eq!(barn.pairing.status(), PairingStatus::Disabled { wrong_proofs: 8 });
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 404);
    let barn = reopened(&directory, barn);
    assert!(!barn.pairing.is_live());
    assert_eq!(store(&barn.local, &code(1)).unwrap(), StoreOutcome::Disabled);
    assert_eq!(store(&barn.local, &code(2)).unwrap(), StoreOutcome::Stored);
    assert_eq!(reopened(&directory, barn).pairing.status(), PairingStatus::Waiting { wrong_proofs: 0 });
}

/// Catches a card that could not be blanked and revives a used code, and a card that loses its unused one.
#[tokio::test]
async fn storing_a_code_again_never_revives_a_used_one() {
    let (directory, barn) = prepared();
    assert_eq!(store(&barn.local, &code(1)).unwrap(), StoreOutcome::Unchanged);
    assert_eq!(store(&barn.local, &code(2)).unwrap(), StoreOutcome::Replaced);
    let barn = reopened(&directory, barn);
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 403);
    assert_eq!(barn.pair(&code(2), OFFICE).await.0, 200);
    assert_eq!(store(&barn.local, &code(2)).unwrap(), StoreOutcome::Unchanged);
    assert_eq!(barn.sync(&code(2), OFFICE).await, 200);
    assert_eq!(store(&barn.local, &code(2)).unwrap(), StoreOutcome::AlreadyUsed);
    let barn = reopened(&directory, barn);
    assert_eq!(barn.pair(&code(2), OFFICE).await.0, 404);
    // A new code for another office leaves the key of the first one alone.
    assert_eq!(store(&barn.local, &code(3)).unwrap(), StoreOutcome::Stored);
    let barn = reopened(&directory, barn);
    assert_eq!(barn.pair(&code(3), OTHER_OFFICE).await.0, 200);
    assert_eq!(barn.key_names(), ["desk", "desk-2"]);
    assert_eq!(barn.sync(&code(2), OFFICE).await, 200);
    assert!(barn.pairing.is_live(), "the sync of another office ends no code");
    // The file of the first office comes back.
    assert_eq!(store(&barn.local, &code(2)).unwrap(), StoreOutcome::AlreadyUsed);
    assert!(reopened(&directory, barn).pairing.is_live(), "and leaves the code that waits alone");
}

/// Catches a memory of codes that grows without end, or that forgets the latest ones.
#[test]
fn the_latest_codes_that_ended_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
    let last = MAX_ENDED_CODES as u64 + 1;
    for seed in 0..=last {
        assert_eq!(store(&local, &code(seed)).unwrap(), StoreOutcome::Stored);
        store_dead(&local, &code(seed), seed % 2 == 0).unwrap();
    }
    // The last one is in the row of the code itself.
    for seed in 1..=last {
        let expected = if seed % 2 == 0 { StoreOutcome::AlreadyUsed } else { StoreOutcome::Disabled };
        assert_eq!(store(&local, &code(seed)).unwrap(), expected, "{seed}");
    }
    assert_eq!(store(&local, &code(0)).unwrap(), StoreOutcome::Stored, "forgotten");
}

/// Catches a code by which an office gets the key back that an operator has just revoked.
#[tokio::test]
async fn a_revoked_key_ends_the_code() {
    let (_directory, barn) = prepared();
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 200);
    barn.keys.revoke("desk").unwrap();
    assert_eq!((barn.pair(&code(1), OFFICE).await.0, barn.sync(&code(1), OFFICE).await), (404, 401));
    assert!(!barn.pairing.is_live());
}

/// Catches a barn whose certificate was replaced before the first sync, and that then never pairs.
#[tokio::test]
async fn a_replaced_certificate_gives_the_same_office_a_new_key() {
    let (directory, barn) = prepared();
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 200);
    let old = barn.ends(OFFICE);
    let elsewhere = tempfile::tempdir().unwrap();
    let new = Identity::load_or_generate(elsewhere.path(), &[]).unwrap();
    for file in ["certificate.pem", "key.pem"] {
        std::fs::copy(elsewhere.path().join(file), directory.path().join(file)).unwrap();
    }
    barn.identity.reload().unwrap();
    assert_eq!(barn.identity.spki_sha256(), new.spki_sha256());
    assert_eq!(barn.pair(&code(1), OTHER_OFFICE).await.0, 409);
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 200);
    let old_secret = Secret::of_key(code(1).key().api_key(&old));
    assert_eq!(barn.keys.check(old_secret.reveal()), None);
    assert_eq!((barn.key_names(), barn.sync(&code(1), OFFICE).await), (vec!["desk".to_owned()], 200));
}

/// Catches a request that is only half checked, and a route that answers although there is no code.
#[tokio::test]
async fn malformed_requests_are_refused_and_without_a_code_there_is_nothing() {
    let (directory, barn) = prepared();
    let good = serde_json::to_value(barn.request(&code(1), OFFICE)).unwrap();
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    for body in [
        with("version", json!(2)),
        with("office", json!("0f")),
        with("proof", json!("zz".repeat(32))),
        with("office_name", json!("")),
        with("office_name", json!("a b")),
        with("office_name", json!("x".repeat(49))),
        with("scopes", json!(["admin"])),
        json!([]),
    ] {
        let (status, reply) = barn.post(&body).await;
        assert_eq!((status, &reply["error"]), (400, &json!("bad_request")), "{body}");
    }
    assert_eq!(barn.post(&with("office_name", json!("x".repeat(2_000)))).await.0, 413);
    assert_eq!(barn.pairing.status(), PairingStatus::Waiting { wrong_proofs: 0 });
    let without = tempfile::tempdir().unwrap();
    let (status, reply) = OpenBarn::new(without.path()).post(&good).await;
    assert_eq!((status, &reply["error"]), (404, &json!("not_found")));
    drop(directory);
}

/// Catches a card that waits for its office while nobody is told, and words about a code that needs nothing.
#[test]
fn only_a_code_that_waits_or_died_is_worth_a_notice() {
    let waits = "waits for an office by its one-time code";
    for (status, expected) in [
        (PairingStatus::None, None),
        (PairingStatus::Waiting { wrong_proofs: 0 }, Some(waits.to_owned())),
        (PairingStatus::Waiting { wrong_proofs: 7 }, Some(format!("{waits}, after 7 wrong proofs"))),
        (PairingStatus::Claimed { office: OFFICE }, None),
        (PairingStatus::Used { office: OFFICE, key_name: "desk".into() }, None),
        (
            PairingStatus::Disabled { wrong_proofs: 8 },
            Some("has a one-time code that is dead after too many wrong proofs".to_owned()),
        ),
    ] {
        assert_eq!(status.notice(), expected, "{status:?}");
    }
}

/// Catches two keys of one name, and an office name that no key can have.
#[tokio::test]
async fn an_office_whose_name_is_taken_gets_a_number() {
    let (_directory, barn) = prepared();
    barn.keys.add("desk", [Scope::Read].into()).unwrap();
    assert_eq!(barn.pair(&code(1), OFFICE).await.0, 200);
    assert_eq!(barn.key_names(), ["desk", "desk-2"]);
    let other = barn.keys.adopt("desk", OFFICE_SCOPES.into(), [1; 32], TakenName::Refuse);
    assert!(matches!(other, Err(KeyError::Exists(_))));
}

/// Catches a change of the stored form, after which a barn could not read the code of its card.
#[test]
fn the_stored_rows_are_frozen() {
    let key = "pair-0c51-260z-4rpk-8et2-9585-eqk5-dhsq-n0c8-vtb2".parse::<PairingCode>().unwrap().key();
    let ends = Fingerprints { barn: Fingerprint([0xb0; 32]), office: OFFICE };
    let (barn, office) =
        ([&[64][..], "b0".repeat(32).as_bytes()].concat(), [&[64][..], "0f".repeat(32).as_bytes()].concat());
    // Computed with the golden bytes of `herd::pairing`.
    let key_bytes = hex::decode("607fd8100dcab9d09b27ca95e1fd870d006fb5ce3fdb5d7a9fb9ebdea5f17ab2").unwrap();
    let name = b"\x04desk".to_vec();
    let state_bytes = [
        (CodeState::Waiting { key: key.clone() }, vec![vec![0], key_bytes.clone()]),
        (CodeState::Claimed { key: key.clone(), ends }, vec![vec![1], key_bytes.clone(), barn.clone(), office.clone()]),
        (
            CodeState::Paired { key: key.clone(), ends, key_name: "desk".into() },
            vec![vec![2], key_bytes, barn, office.clone(), name.clone()],
        ),
        (CodeState::Used { office: OFFICE, key_name: "desk".into() }, vec![vec![3], office, name]),
        (CodeState::Disabled, vec![vec![4]]),
    ];
    for (state, bytes) in state_bytes {
        let row = CodeRow { id: [9; 32], wrong_proofs: 300, state };
        let golden = [vec![9; 32], vec![0xac, 0x02], bytes.concat()].concat();
        assert_eq!(postcard::to_stdvec(&row).unwrap(), golden, "{row:?}");
    }
    let ended = [EndedCode { number: 300, end: CodeEnd::Used }, EndedCode { number: 0, end: CodeEnd::Disabled }];
    assert_eq!(ended.map(|row| postcard::to_stdvec(&row).unwrap()), [vec![0xac, 0x02, 0], vec![0, 1]]);
    let paired = PairedOffice { office: OFFICE, key_hash: [9; 32] };
    let golden = [&[64][..], "0f".repeat(32).as_bytes(), &[9; 32]].concat();
    assert_eq!(postcard::to_stdvec(&paired).unwrap(), golden);
}

/// Catches a code or its key in a log.
#[test]
fn debug_outputs_hide_the_code() {
    let (_directory, barn) = prepared();
    let shown = format!("{:?}", barn.pairing);
    assert!(shown.contains("hidden"), "{shown}");
}
