//! Orders that give payloads back, over HTTP.

use super::*;
use crate::disk::DiskGauge;
use crate::test_world::{World, scan};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures::FutureExt as _;
use herd::change::Received;
use herd::decide::Rules;
use herd::position::{Position, Sequence};
use herd::randomness::SeededRandomness;
use herd::store::LocalFile;
use herd::testing::TestBarn;
use serde_json::{Value, json};
use service::backup::EncodedRun;
use service::door::keys::KeyRing;
use service::lifecycle::ShutdownTrigger;
use tower::ServiceExt as _;

fn run_of(barn: &TestBarn) -> ChangeRun {
    let reader = barn.reader();
    let start = reader.position_at(Sequence::ZERO).unwrap().unwrap();
    reader.run_after(start, 100, 1_000_000).unwrap()
}

/// Catches changes of another barn, or altered ones, that come into the log.
#[test]
fn only_changes_of_this_history_that_lead_to_their_end_are_taken() {
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2"]);
    let (run, own) = (run_of(&barn), barn.reader().store());
    assert!(check(&run, own).is_ok());
    assert_eq!(check(&run, StoreId([9; 16])).unwrap_err().status, StatusCode::CONFLICT);
    let altered = Position { digest: run.after.digest, ..run.end };
    assert_eq!(check(&ChangeRun { end: altered, ..run.clone() }, own).unwrap_err().status, StatusCode::BAD_REQUEST);
}

/// Catches a payload that no commit can hold, and that would end the writer.
#[test]
fn a_payload_that_no_door_lets_in_is_refused() {
    for (bytes, is_taken) in [(MAX_RAW_BYTES, true), (MAX_RAW_BYTES + 1, false)] {
        let mut barn = TestBarn::default();
        barn.record_bytes(&vec![b'x'; bytes]);
        assert_eq!(
            check(&run_of(&barn), barn.reader().store()).map_err(|error| error.status).is_ok(),
            is_taken,
            "{bytes}"
        );
    }
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]);
    let (run, own) = (run_of(&barn), barn.reader().store());
    let Change::Received(received) = Change::from_bytes(run.changes.get(1).unwrap()).unwrap() else {
        panic!("{run:?}")
    };
    for length in [MAX_ORIGIN_BYTES, MAX_ORIGIN_BYTES + 1] {
        let name = "n".repeat(length);
        for is_channel in [true, false] {
            let mut long = received.clone();
            let Received { origin, .. } = &mut *long;
            *(if is_channel { &mut origin.channel } else { &mut origin.reader_group }) = name.as_str().into();
            let changes = [Change::Received(long).to_bytes().as_slice()].into_iter().collect();
            let checked = check(&ChangeRun::following(run.after, changes), own);
            assert_eq!(checked.map_err(|error| error.status).is_ok(), length == MAX_ORIGIN_BYTES, "{length}");
        }
    }
}

/// Catches an order that no single commit holds.
#[test]
fn an_order_has_a_thousand_changes_at_most() {
    let barn = TestBarn::default();
    let (after, own) = (run_of(&barn).after, barn.reader().store());
    for (count, is_taken) in [(MAX_GIVEN_CHANGES, true), (MAX_GIVEN_CHANGES + 1, false)] {
        let changes = (0..count).map(|_| &b"\x63\x01later"[..]).collect();
        assert_eq!(check(&ChangeRun::following(after, changes), own).is_ok(), is_taken, "{count}");
    }
}

/// A barn that an office gives payloads back to.
struct Door {
    world: World,
    router: Router,
    key: String,
    _shutdown: ShutdownTrigger,
    _directory: tempfile::TempDir,
}

/// Returns a barn that holds the first `payloads`.
async fn door(payloads: usize) -> Door {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new(Rules::default(), DiskGauge::plenty());
    for n in 0..payloads {
        world.recorder.record(scan(n)).await.unwrap();
    }
    let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
    let keys = Arc::new(KeyRing::load(local, world.clock.clone(), SeededRandomness::new(1)).unwrap());
    let key = keys.add("office-1", [Scope::Correct].into()).unwrap().reveal().to_owned();
    let (shutdown, authenticator) = (ShutdownTrigger::default(), keys as Arc<dyn Authenticator>);
    let router = router(&world.ingest(shutdown.signal()), &authenticator);
    Door { router, world, key, _shutdown: shutdown, _directory: directory }
}

impl Door {
    /// Returns what this barn holds after a change.
    fn run_after(&self, sequence: u64) -> ChangeRun {
        let start = self.world.reader.position_at(Sequence(sequence)).unwrap().unwrap();
        self.world.reader.run_after(start, 100, 1_000_000).unwrap()
    }

    async fn give(&self, author: &str, run: &ChangeRun, in_place: bool) -> (u16, Value) {
        let changes = EncodedRun::new(run.clone());
        let order = GiveBackOrder { author: author.to_owned(), reason: "card died".to_owned(), changes, in_place };
        let request = Request::post(GIVE_BACK_PATH).header("X-API-Key", &self.key);
        let request = request.header("Content-Type", "application/json");
        let request = request.body(Body::from(serde_json::to_string(&order).unwrap())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap())
    }
}

/// Catches payloads that come back twice, or that an order without a person or a damaged row brings into the log.
#[tokio::test]
async fn lost_payloads_come_back_once_and_other_orders_are_refused_by_their_code() {
    let (whole, door) = (door(5).await, door(2).await);
    let lost = whole.run_after(3);
    let head = || door.world.reader.head().position.sequence;
    let foreign = ChangeRun { after: Position { store: StoreId([9; 16]), ..lost.after }, ..lost.clone() };
    for (author, run, in_place, status, code) in [
        (" ", &lost, false, 400, "bad_request"),
        ("J. Doe", &foreign, false, 409, "other_history"),
        ("J. Doe", &door.run_after(1), true, 409, "not_damaged"),
    ] {
        let (found, refusal) = door.give(author, run, in_place).await;
        assert_eq!((found, &refusal["error"], head()), (status, &json!(code), Sequence(3)), "{refusal}");
    }
    for (kept, duplicates) in [(3, 0), (0, 3)] {
        let (status, reply) = door.give("J. Doe", &lost, false).await;
        assert_eq!((status, &reply["success"]), (200, &json!(true)), "{reply}");
        assert_eq!((&reply["kept"], &reply["duplicates"]), (&json!(kept), &json!(duplicates)), "{reply}");
        assert_eq!(head(), Sequence(6));
    }
}

/// Catches a barn whose writer ends with an order that it cannot carry out, and with it the radios.
#[tokio::test]
async fn changes_of_a_later_program_are_refused_and_the_writer_goes_on() {
    let (whole, door) = (door(5).await, door(2).await);
    let lost = whole.run_after(3);
    let later = lost.changes.iter().chain([&b"\x63\x01later"[..]]).collect();
    let (status, refusal) = door.give("J. Doe", &ChangeRun::following(lost.after, later), false).await;
    assert_eq!((status, &refusal["error"]), (409, &json!("unknown_change")), "{refusal}");
    let (status, reply) = door.give("J. Doe", &lost, false).await;
    assert_eq!((status, &reply["kept"]), (200, &json!(3)), "{reply}");
}

/// Catches orders that pile up in the memory of the barn.
#[tokio::test]
async fn a_second_order_at_the_same_time_is_refused() {
    let (whole, door) = (door(5).await, door(2).await);
    let lost = whole.run_after(3);
    let room = door.world.recorder.take_all_room().await;
    let mut first = door.give("J. Doe", &lost, false).boxed_local();
    assert!((&mut first).now_or_never().is_none());
    let (status, refusal) = door.give("J. Doe", &lost, false).await;
    assert_eq!((status, &refusal["error"]), (503, &json!("busy")));
    drop(room);
    assert_eq!(first.await.0, 200);
    assert_eq!(door.give("J. Doe", &lost, false).await.0, 200);
}
