//! Followers that show a lost end, over HTTP.

use super::*;
use crate::disk::DiskGauge;
use crate::test_world::{World, scan};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use herd::change::Change;
use herd::decide::Rules;
use herd::position::{Digest, Sequence};
use herd::randomness::SeededRandomness;
use herd::store::LocalFile;
use serde_json::Value;
use service::door::auth::require;
use service::door::keys::{KeyRing, Scope};
use service::lifecycle::ShutdownTrigger;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt as _;

/// Time for a commit in memory, beyond all doubt.
const PATIENCE: Duration = Duration::from_secs(20);

struct Door {
    world: World,
    router: Router,
    key: String,
    _shutdown: ShutdownTrigger,
    _directory: tempfile::TempDir,
}

/// Returns a barn with some payloads, which has just started.
async fn door() -> Door {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new(Rules::default(), DiskGauge::plenty());
    for n in 0..5 {
        world.recorder.record(scan(n)).await.unwrap();
    }
    let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
    let keys = Arc::new(KeyRing::load(local, world.clock.clone(), SeededRandomness::new(1)).unwrap());
    let key = keys.add("office-1", [Scope::Sync].into()).unwrap().reveal().to_owned();
    let shutdown = ShutdownTrigger::default();
    let router = require(keys, Scope::Sync).protect(router(&world.ingest(shutdown.signal())));
    Door { router, world, key, _shutdown: shutdown, _directory: directory }
}

impl Door {
    fn head(&self) -> Position {
        self.world.reader.head().position
    }

    /// Returns what a follower shows whose copy has ten changes more than the log.
    fn lost_end(&self) -> LostEnd {
        let shared = self.head();
        LostEnd {
            shared,
            copy: Position { sequence: Sequence(shared.sequence.0 + 10), digest: Digest([9; 32]), ..shared },
        }
    }

    async fn show(&self, shown: LostEnd) -> (u16, Value) {
        let request =
            Request::post(LOST_END_PATH).header("X-API-Key", &self.key).header("Content-Type", "application/json");
        let request = request.body(Body::from(serde_json::to_string(&shown).unwrap())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap())
    }
}

/// Catches an epoch for each attempt of a follower, which fills the log.
#[tokio::test]
async fn one_epoch_begins_between_two_starts() {
    let door = door().await;
    assert_eq!(door.show(door.lost_end()).await.0, 200);
    let head = door.head();
    assert_eq!(head.epoch, Epoch(2));
    let change = door.world.reader.change(head.sequence).unwrap().unwrap();
    let Change::Epoch(began) = Change::from_bytes(&change).unwrap() else { panic!("{change:?}") };
    let Acceptance { author, reason } = began.acceptance.unwrap();
    let expected = ("office-1", "its copy goes on to change 16, and this log ended at change 6");
    assert_eq!((author.as_str(), reason.as_str()), expected);
    let (status, refusal) = door.show(door.lost_end()).await;
    assert_eq!((status, &refusal["error"], door.head()), (409, &json!("epoch_began"), head));
}

/// Catches an epoch for a log that lost nothing, and a refusal that does not tell where the log ends.
#[tokio::test]
async fn a_log_that_ends_elsewhere_or_lost_nothing_begins_no_epoch() {
    let door = door().await;
    let (head, shown) = (door.head(), door.lost_end());
    let elsewhere = LostEnd { shared: Position { sequence: Sequence(3), ..shown.shared }, ..shown };
    let equal = LostEnd { copy: shown.shared, ..shown };
    for (shown, code) in [(elsewhere, "not_the_end"), (equal, "nothing_lost")] {
        let (status, refusal) = door.show(shown).await;
        assert_eq!((status, &refusal["error"]), (409, &json!(code)));
        assert_eq!((&refusal["held"], door.head()), (&json!(head), head), "{code}");
    }
}

/// Catches a caller that leaves before its answer, whose epoch nobody remembers: each such caller would begin another one.
#[tokio::test]
async fn an_epoch_of_a_caller_that_left_counts() {
    let door = door().await;
    let shown = door.lost_end();
    tokio::select! {
        biased;
        answer = door.show(shown) => panic!("answered at once: {answer:?}"),
        () = std::future::ready(()) => {}
    }
    let began = async {
        while door.head() == shown.shared {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, began).await.unwrap();
    let head = door.head();
    assert_eq!(head.epoch, Epoch(2));
    assert_eq!((door.show(door.lost_end()).await.0, door.head()), (409, head));
}
