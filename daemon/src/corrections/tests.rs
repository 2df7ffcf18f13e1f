//! The responses of the correction routes; a refused order leaves no change.

use super::*;
use crate::disk::{DiskGauge, DiskSpace};
use crate::test_world::World;
use axum::body::Body;
use axum::http::{Request, header};
use herd::change::{Change, Origin};
use herd::decide::Rules;
use herd::randomness::SeededRandomness;
use herd::store::{Incoming, LocalFile};
use service::door::keys::KeyRing;
use service::lifecycle::ShutdownTrigger;
use tower::ServiceExt as _;

struct Door {
    world: World,
    router: Router,
    correct_key: String,
    admin_key: String,
    read_key: String,
    shutdown: ShutdownTrigger,
    _directory: tempfile::TempDir,
}

fn door_with(disk: DiskGauge) -> Door {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new(Rules::default(), disk);
    let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
    let keys = Arc::new(KeyRing::load(local, world.clock.clone(), SeededRandomness::new(1)).unwrap());
    let add = |name, scope| keys.add(name, [scope].into()).unwrap().reveal().to_owned();
    let (correct_key, admin_key, read_key) =
        (add("office-1", Scope::Correct), add("boss", Scope::Admin), add("screen", Scope::Read));
    let shutdown = ShutdownTrigger::default();
    let corrections =
        Corrections { recorder: world.recorder.clone(), clock: world.clock.clone(), shutdown: shutdown.signal() };
    let authenticator: Arc<dyn Authenticator> = keys;
    Door {
        router: router(corrections, &authenticator),
        world,
        correct_key,
        admin_key,
        read_key,
        shutdown,
        _directory: directory,
    }
}

fn order(key: &str, correction: &Value) -> Value {
    json!({"author": "J. Doe", "reason": "seen", "idempotency_key": key, "correction": correction})
}

impl Door {
    async fn record(&self, text: &str) -> u64 {
        let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
        let incoming = Incoming { raw: text.as_bytes().to_vec(), origin, at: self.world.clock.read() };
        self.world.recorder.record(incoming).await.unwrap();
        self.head()
    }

    fn head(&self) -> u64 {
        self.world.reader.head().position.sequence.0
    }

    async fn send(&self, path: &str, key: &str, body: String) -> (u16, Option<String>, Value) {
        let request = Request::post(path).header("X-API-Key", key).header("Content-Type", "application/json");
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let retry_after = response.headers().get(header::RETRY_AFTER).map(|s| s.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        (status, retry_after, serde_json::from_slice(&bytes).unwrap())
    }

    async fn correct(&self, order: &Value) -> (u16, Value) {
        let (status, _, answer) = self.send("/api/corrections", &self.correct_key, order.to_string()).await;
        (status, answer)
    }

    async fn reprocess(&self, query: &str) -> (u16, Value) {
        let (status, _, answer) = self.send(&format!("/api/lora/process{query}"), &self.admin_key, String::new()).await;
        (status, answer)
    }
}

#[tokio::test]
async fn a_correction_gets_201_and_its_change_names_author_reason_and_channel() {
    let door = door_with(DiskGauge::plenty());
    let animal = door.record("hxb:L1:A:U1").await;
    let (status, answer) = door.correct(&order("k1", &json!({"kind": "died", "animal": animal}))).await;
    assert_eq!((status, &answer["status"], &answer["sequence"]), (201, &json!("corrected"), &json!(animal + 1)));
    let bytes = door.world.reader.change(Sequence(animal + 1)).unwrap().unwrap();
    let Change::Corrected(corrected) = Change::from_bytes(&bytes).unwrap() else { panic!("{bytes:?}") };
    let recorded = (corrected.author.as_str(), corrected.reason.as_str(), corrected.channel.as_str());
    assert_eq!(recorded, ("J. Doe", "seen", "office-1"));
}

#[tokio::test]
async fn an_order_is_applied_once_and_another_under_its_key_gets_409() {
    let door = door_with(DiskGauge::plenty());
    let animal = door.record("hxb:L1:A:U1").await;
    let pen = |pen| order("k1", &json!({"kind": "move_pen", "animal": animal, "pen": pen}));
    assert_eq!(door.correct(&pen("P1")).await.0, 201);
    let head = door.head();
    let (status, answer) = door.correct(&pen("P1")).await;
    assert_eq!((status, &answer["status"], &answer["sequence"]), (200, &json!("already_corrected"), &json!(head)));
    let (status, answer) = door.correct(&pen("P2")).await;
    assert_eq!((status, &answer["error"], &answer["sequence"]), (409, &json!("key_reused"), &json!(head)));
    assert_eq!(door.head(), head);
}

#[tokio::test]
async fn each_invalid_order_gets_a_typed_error_and_leaves_no_change() {
    let door = door_with(DiskGauge::plenty());
    let animal = door.record("hxb:L1:A:U1").await;
    let exported = door.record("hxe:OUT:B:U2").await;
    let rejected = door.record("invalid:data").await;
    let head = door.head();
    for (correction, status, code) in [
        (json!({"kind": "died", "animal": 99}), 404, "unknown_animal"),
        (json!({"kind": "merge", "animal": animal, "absorbed": animal}), 409, "merge_with_itself"),
        (json!({"kind": "merge", "animal": animal, "absorbed": 99}), 404, "unknown_animal"),
        (json!({"kind": "move_pen", "animal": exported, "pen": "P1"}), 409, "not_on_yard"),
        (json!({"kind": "weigh", "animal": exported, "weight_kg": 200}), 409, "not_on_yard"),
        (json!({"kind": "retag", "animal": animal, "tag_kind": "lf", "tag": "B"}), 409, "tag_of_another"),
        (json!({"kind": "close_batch", "batch": 99}), 404, "unknown_batch"),
        (json!({"kind": "void", "payload": rejected}), 409, "not_an_event"),
        (json!({"kind": "void", "payload": 99}), 404, "unknown_payload"),
        (json!({"kind": "accept_rejected", "payload": rejected}), 422, "still_rejected"),
        (json!({"kind": "accept_rejected", "payload": animal}), 409, "not_rejected"),
        (json!({"kind": "new_reader_era", "reader_group": "nobody"}), 404, "unknown_reader_group"),
        (json!({"kind": "weigh", "animal": animal, "weight_kg": -1}), 400, "bad_request"),
        (json!({"kind": "fly", "animal": animal}), 400, "bad_request"),
        (json!({"kind": "died", "animal": animal, "pen": "P1"}), 400, "bad_request"),
        (json!({"kind": "died", "animal": "2"}), 400, "bad_request"),
        (json!([]), 400, "bad_request"),
    ] {
        let (found, answer) = door.correct(&order("k1", &correction)).await;
        assert_eq!((found, &answer["error"]), (status, &json!(code)), "{correction}: {answer}");
        assert_eq!((&answer["success"], door.head()), (&json!(false), head), "{correction}");
    }
    for missing in ["author", "reason", "idempotency_key", "correction"] {
        let mut order = order("k1", &json!({"kind": "died", "animal": animal}));
        order.as_object_mut().unwrap().remove(missing);
        let (status, answer) = door.correct(&order).await;
        assert_eq!((status, door.head()), (400, head), "{missing}");
        assert!(answer["message"].as_str().unwrap().contains(missing), "{answer}");
        order[missing] = json!(" ");
        assert_eq!((door.correct(&order).await.0, door.head()), (400, head), "{missing}");
    }
}

#[tokio::test]
async fn a_body_over_its_limit_gets_413_and_a_query_gets_400() {
    let door = door_with(DiskGauge::plenty());
    let long = order("k1", &json!({"kind": "edit_batch", "batch": 2, "notes": "x".repeat(MAX_ORDER_BYTES)}));
    assert_eq!(door.correct(&long).await.0, 413);
    let (status, ..) = door.send("/api/corrections?dry=1", &door.correct_key, "{}".into()).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn corrections_and_reprocessing_need_correct_or_admin() {
    let door = door_with(DiskGauge::plenty());
    let animal = door.record("hxb:L1:A:U1").await;
    let order = order("k1", &json!({"kind": "died", "animal": animal})).to_string();
    assert_eq!(door.send("/api/corrections", &door.read_key, order.clone()).await.0, 403);
    assert_eq!(door.send("/api/corrections", &door.admin_key, order).await.0, 201);
    assert_eq!(door.send("/api/lora/process", &door.read_key, String::new()).await.0, 403);
    assert_eq!(door.send("/api/lora/process", &door.correct_key, String::new()).await.0, 200);
    assert_eq!(door.reprocess("").await.0, 200);
}

#[tokio::test]
async fn rejected_payloads_are_reprocessed_in_pages_and_new_events_are_listed() {
    let door = door_with(DiskGauge::plenty());
    let one = door.record("hxb:L1:A:U1").await;
    let two = door.record("hxb:L1:B:U2").await;
    let garbage = door.record("invalid:data").await;
    let both = door.record("hxb:L2:A:U2").await;
    let (_, answer) = door.reprocess("").await;
    assert_eq!((&answer["judged"], &answer["processed"]), (&json!(2), &json!(0)));
    assert_eq!(door.head(), both, "no outcome changed, so nothing is written");
    door.correct(&order("k1", &json!({"kind": "merge", "animal": one, "absorbed": two}))).await;
    let (_, first) = door.reprocess("?limit=1").await;
    assert_eq!((&first["accepted"], &first["next"]), (&json!([]), &json!(garbage)));
    let (_, second) = door.reprocess(&format!("?limit=1&after={garbage}")).await;
    assert_eq!((&second["accepted"], &second["next"]), (&json!([both]), &Value::Null));
    for bad in ["?limit=0", "?limit=1001", "?limit=x", "?since=1", "?after=-1"] {
        assert_eq!(door.reprocess(bad).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_full_disk_and_a_shutdown_get_503_and_the_writer_goes_on() {
    let door = door_with(DiskGauge::new(|| Ok(DiskSpace { free_bytes: 1, needed_bytes: 2 })));
    let died = order("k1", &json!({"kind": "died", "animal": 2})).to_string();
    let (status, retry_after, answer) = door.send("/api/corrections", &door.correct_key, died.clone()).await;
    assert_eq!((status, retry_after.as_deref(), &answer["error"]), (503, Some("60"), &json!("disk_full")));
    door.shutdown.request();
    let (status, _, answer) = door.send("/api/corrections", &door.correct_key, died).await;
    assert_eq!((status, &answer["error"]), (503, &json!("stopping")));
    assert!(!door.world.writer.is_finished());
}

#[tokio::test]
async fn corrections_take_their_turn_among_queued_payloads() {
    let door = door_with(DiskGauge::plenty());
    let animal = door.record("hxb:L1:A:U1").await;
    let pen = |n: u64| order(&n.to_string(), &json!({"kind": "move_pen", "animal": animal, "pen": format!("P{n}")}));
    let orders: Vec<_> = (0..20).map(pen).collect();
    let corrections = futures::future::join_all(orders.iter().map(|order| door.correct(order)));
    let texts: Vec<_> = (0..20).map(|n| format!("hxb:L2:LF{n}:UHF{n}")).collect();
    let payloads = futures::future::join_all(texts.iter().map(|text| door.record(text)));
    let (corrected, _) = futures::join!(corrections, payloads);
    assert!(corrected.iter().all(|(status, _)| *status == 201), "{corrected:?}");
    assert_eq!(door.head(), animal + 40);
}
