//! The deadlines of one connection, by its own clock.

use super::super::cap::Cap;
use super::super::connection::Permission;
use super::super::connections::AdmittedConnection;
use super::*;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::Instant;

fn admitted() -> AdmittedConnection {
    Connections::default().admit(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7))).unwrap()
}

fn after_ms(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

/// Catches a peer that is cut off during a request, or that keeps a connection without a key by one now and then.
#[tokio::test(start_paused = true)]
async fn a_connection_without_a_key_has_fifteen_seconds_from_its_last_request_on() {
    let AdmittedConnection { connection, .. } = &admitted();
    let has_fifteen_seconds = || {
        assert_eq!(connection.overdue(after_ms(14_999)), None);
        assert_eq!(connection.overdue(after_ms(15_000)), Some(Cap::Idle));
    };
    has_fifteen_seconds();
    let (first, second) = (connection.begin_request(), connection.begin_request());
    drop(first);
    assert_eq!(connection.overdue(after_ms(3_600_000)), None, "a request is in progress");
    tokio::time::advance(Duration::from_secs(10)).await;
    drop(second);
    has_fifteen_seconds();
    connection.authenticate();
    assert_eq!(connection.overdue(after_ms(3_600_000)), None);
}

/// Catches a slow peer that is cut off although it takes part after part, and one that pays for a slow server.
#[tokio::test(start_paused = true)]
async fn a_peer_has_a_minute_for_each_part_of_an_answer_and_the_server_has_no_limit() {
    let AdmittedConnection { connection, .. } = &admitted();
    let (progress, _other) = (connection.begin_request(), connection.begin_request());
    for _ in 0..2 {
        progress.wait_for_peer();
        assert_eq!(connection.overdue(after_ms(59_999)), None);
        assert_eq!(connection.overdue(after_ms(60_000)), Some(Cap::AnswerTime));
        tokio::time::advance(Duration::from_secs(59)).await;
    }
    progress.wait_for_server();
    assert_eq!(connection.overdue(after_ms(3_600_000)), None);
    progress.wait_for_peer();
    drop(progress);
    assert_eq!(connection.overdue(after_ms(3_600_000)), None, "the answer was taken");
}

/// Catches an export that runs on with a revoked key because its peer is slow.
#[tokio::test(start_paused = true)]
async fn a_connection_ends_with_the_permission_of_its_answer() {
    let AdmittedConnection { connection, .. } = &admitted();
    let permitted = Arc::new(AtomicBool::new(true));
    let is_valid = permitted.clone();
    let mut progress = connection.begin_request();
    assert!(progress.is_permitted(), "no answer so far");
    progress.require(Permission::new(move || is_valid.load(Ordering::Relaxed)));
    assert!(progress.is_permitted());
    assert_eq!(connection.overdue(Instant::now()), None);
    permitted.store(false, Ordering::Relaxed);
    assert!(!progress.is_permitted());
    assert_eq!(connection.overdue(Instant::now()), Some(Cap::Keys));
    drop(progress);
    assert_eq!(connection.overdue(Instant::now()), None);
}
