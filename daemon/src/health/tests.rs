//! The open call, and the health of a world without failures for the other tests.

use super::*;
use crate::disk::DiskSpace;
use crate::ingest::PAYLOAD_PATHS;
use crate::receive::RadioState;
use crate::test_world::{World, clock};
use axum::body::Body;
use axum::http::Request;
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::testing::ManualClock;
use radio::Counters;
use serde_json::Value;
use service::backup::{BackupSettings, BackupStates, NightlyBackups, Schedule};
use service::door::certificate::{CertificateError, IdentityFiles};
use service::door::serve::observer::{AnswerObserver as _, ObservedAnswer};
use service::harness::wait_until;
use service::lifecycle::ShutdownTrigger;
use service::supervisor::probe;
use std::path::Path;
use tower::ServiceExt as _;

/// Returns the health of a world, of which nothing fails.
pub(crate) fn health(world: &World, radios: Vec<RadioHandle>) -> Health {
    Health {
        reader: world.reader.clone(),
        recorder: world.recorder.status(),
        write_clock: world.recorder.write_clock().clone(),
        disk: DiskGauge::plenty(),
        radios,
        local: None,
        listen: None,
        identity: None,
        refusals: ReadRefusals::default(),
        clock: ClockGauge::new(Arc::new(clock())),
        backup: BackupGauge::default(),
    }
}

pub(crate) fn radio_handle(name: &str, state: &watch::Receiver<RadioState>, counters: Counters) -> RadioHandle {
    let probe = Arc::new(probe().0);
    RadioHandle { name: name.into(), state: state.clone(), counters, transmitter: None, probe }
}

/// Replaces the clock by one that a time server has set or not.
pub(super) fn with_clock(health: Health, synchronized: bool) -> Health {
    let clock = ManualClock::at(RawReading { synchronized, ..RawReading::default() });
    Health { clock: ClockGauge::new(Arc::new(clock)), ..health }
}

async fn get_health(health: &Health) -> (u16, Value) {
    let request = Request::get("/api/remote/health").body(Body::empty()).unwrap();
    let response = router(health.clone()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

/// Catches a barn that calls itself healthy although it has refused every read for minutes.
#[tokio::test(start_paused = true)]
async fn a_barn_that_takes_no_read_over_https_for_minutes_is_unhealthy() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let health = health(&world, Vec::new());
    let (peer, response) =
        ([192, 168, 1, 20].into(), ApiError::unauthorized("this key is not known here").into_response());
    for _ in 0..10 {
        assert_eq!(get_health(&health).await.0, 200);
        health.refusals.observe(ObservedAnswer { peer, path: PAYLOAD_PATHS[0], response: &response });
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    health.refusals.observe(ObservedAnswer { peer, path: PAYLOAD_PATHS[0], response: &response });
    let (status, answer) = get_health(&health).await;
    assert_eq!((status, &answer["failing"], &answer["message"]), (503, &json!(["reads"]), &json!("failing: reads")));
    let text = &health.findings()[0].text;
    assert!(text.contains("192.168.1.20: this key is not known here; give the sender a key"), "{text}");
}

/// Catches a barn whose stick is away for weeks and that calls itself healthy, and one that calls the office at night for it.
#[tokio::test]
async fn backups_that_fail_are_a_note_and_after_two_days_without_one_the_open_call_says_so() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let place = tempfile::tempdir().unwrap();
    let settings = BackupSettings { directory: Some(place.path().join("stick")), ..BackupSettings::default() };
    let states = BackupStates::new(world.clock.clone());
    let health = Health { backup: states.of_site("north"), ..health(&world, Vec::new()) };
    let (schedule, reader) = (Schedule::of_machine(settings.at), world.reader.clone());
    let stores = move || vec![("north".to_owned(), reader.clone())];
    let nightly = NightlyBackups::new(&settings, place.path(), schedule, states, stores).unwrap();
    let trigger = ShutdownTrigger::default();
    let running = tokio::spawn(nightly.run(trigger.signal()));
    let is_noted = async || health.findings().into_iter().find(|finding| finding.part == "backup");
    let finding = wait_until("the backup has failed", is_noted).await.unwrap();
    assert!(!finding.failing && finding.text.contains("plug the medium in"), "{}", finding.text);
    assert_eq!(get_health(&health).await, (200, json!({"success": true, "status": "healthy"})));

    world.clock.pass(Duration::from_secs(2 * 24 * 3_600));
    let expected = json!({"success": true, "status": "healthy", "degraded": ["backup"]});
    assert_eq!(get_health(&health).await, (200, expected));
    trigger.request();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn health_is_200_while_nothing_fails_and_else_names_the_failing_parts() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    let radio_state = watch::Sender::new(RadioState::Listening);
    let radio = radio_handle("radio1", &radio_state.subscribe(), Counters::default());
    let mut health = health(&world, vec![radio]);
    assert_eq!(get_health(&health).await, (200, json!({"success": true, "status": "healthy"})));

    // A radio that receives is not failing, but somebody should look.
    radio_state.send_replace(RadioState::Degraded("the last 16 packets have no CRC".into()));
    let expected = json!({"success": true, "status": "healthy", "degraded": ["radio1"]});
    assert_eq!(get_health(&health).await, (200, expected));
    assert!(!health.is_deaf());

    radio_state.send_replace(RadioState::Ended);
    assert_eq!(get_health(&health).await.0, 200);
    assert!(!health.is_deaf());

    radio_state.send_replace(RadioState::Failing("an internal detail".into()));
    assert!(health.is_deaf());
    let expected = json!({
        "success": false, "error": "unhealthy", "status": "unhealthy", "failing": ["radio1"],
        "message": "failing: radio1",
    });
    assert_eq!(get_health(&health).await, (503, expected));

    radio_state.send_replace(RadioState::Listening);
    health.disk = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 0, needed_bytes: 1 }));
    assert_eq!(get_health(&health).await.1["failing"], json!(["disk"]));

    health.disk = DiskGauge::plenty();
    // A disk that hangs.
    let writing = world.recorder.write_clock().start();
    tokio::time::advance(STUCK_WRITE.saturating_sub(Duration::from_millis(1))).await;
    assert_eq!(get_health(&health).await.0, 200);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(get_health(&health).await.1["failing"], json!(["store"]));
    drop(writing);
    assert_eq!(get_health(&health).await.0, 200);

    health.local = Some(LocalFile::closed("local.redb", "a page is missing"));
    assert_eq!(get_health(&health).await.1["failing"], json!(["keys"]));

    health.local = None;
    let files = IdentityFiles::in_directory(Path::new("tls"));
    let missing = CertificateError::MissingKey { path: files.key.clone() };
    health.identity = Some(Identity::in_place_of(files, &missing).unwrap());
    assert_eq!(get_health(&health).await.1["failing"], json!(["certificate"]));

    health.identity = None;
    health.listen = Some("192.0.2.1:5001".parse().unwrap());
    assert_eq!(get_health(&health).await.1["failing"], json!(["listen"]));
    health.listen = Some("127.0.0.1:5001".parse().unwrap());
    assert_eq!(get_health(&health).await.0, 200);
    world.writer.abort();
    assert!(world.writer.await.unwrap_err().is_cancelled());
    assert_eq!(get_health(&health).await.1["failing"], json!(["store"]));
}
