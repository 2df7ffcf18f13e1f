//! When a follower acknowledges, waits, gives a connection up, and stops for want of room.

use super::pair::Pair;
use super::source::{HeartbeatLie, Lie};
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;
use herd::position::{Digest, Position, Sequence, StoreId};
use herd::store::ChangeRun;
use herd::wire::{Heartbeat, Page, to_blob};
use mirror::follow::{FollowEnd, FollowStatus, LinkState};
use service::sync::divergence::Divergence;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Time for the follower to notice what does not happen: longer than any of its waits.
const LONG: Duration = Duration::from_secs(60);

/// Catches an acknowledgment that is sent when a page has arrived, and not when it is durable.
#[tokio::test(start_paused = true)]
async fn an_acknowledged_position_survives_a_power_cut() {
    let pair = Pair::new().await;
    for _ in 0..10 {
        pair.barn.record_more(1).await;
        pair.wait_until_equal("a page").await;
        sleep(Duration::from_millis(1)).await;
    }
    let acknowledged = pair.acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() >= 10, "{acknowledged:?}");
    for (position, survivor) in acknowledged {
        assert!(survivor.sequence >= position.sequence, "acknowledged {position}, and {survivor} would survive");
    }
}

/// Catches waits that stay long after the barn was back.
#[tokio::test(start_paused = true)]
async fn the_waits_between_retries_start_anew_after_a_success() {
    let refused = Lie::Pulled(|_| Response::builder().status(500).body("".into()).unwrap());
    let pair = Pair::new().await;
    pair.start_lying("refused", refused).await;
    sleep(LONG).await;
    pair.lie.send_replace(Lie::None);
    pair.wait_until_equal("accepted").await;
    let before = pair.status().failed_syncs;
    pair.start_lying("refused again", refused).await;
    sleep(Duration::from_secs(1)).await;
    let tries = pair.status().failed_syncs - before;
    assert!(tries >= 3, "{tries} tries in a second: the first waits are 250 ms and 500 ms at most");
}

/// Catches a dead connection that is trusted for minutes, and a living one that is given up early.
#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up_after_three_heartbeats() {
    let pair = Pair::new().await;
    pair.start_lying("silent", Lie::Silent).await;
    pair.wait_until("silent", |status| status.link == LinkState::Live).await;
    let was_lost = |status: &FollowStatus| status.last_error.as_ref().is_some_and(|error| error.contains("silent"));
    assert!(timeout(Duration::from_secs(14), pair.wait_until("early", was_lost)).await.is_err(), "not before 15 s");
    timeout(Duration::from_secs(7), pair.wait_until("silent", was_lost)).await.expect("15 s, at the next heartbeat");
    pair.lie.send_replace(Lie::None);
    pair.wait_until_equal("afterwards").await;
}

/// Returns an answer that breaks off after these bytes.
fn broken_off(bytes: &[u8]) -> Response {
    let parts = [Ok(Bytes::copy_from_slice(bytes)), Err(std::io::Error::other("reset"))];
    Response::builder().status(200).body(Body::from_stream(stream::iter(parts))).unwrap()
}

/// Catches a page that is fetched from its beginning again after each cut.
#[tokio::test(start_paused = true)]
async fn what_arrived_of_a_cut_page_is_kept_once_the_source_agrees_with_it() {
    let pair = Pair::new().await;
    let cut = Lie::Pulled(|honest| broken_off(&honest.blob[..honest.blob.len() * 3 / 4]));
    pair.start_lying("cut", cut).await;
    let before = pair.office.head().position.sequence;
    pair.barn.record_more(20).await;
    let mut heads = pair.office.subscribe();
    let reached = heads.wait_for(|head| head.position.sequence.0 >= before.0 + 15);
    timeout(LONG, reached).await.expect("pages that are all cut bring most of their changes").unwrap();
    let own = pair.office.head().position;
    assert_eq!(pair.barn.reader.position_at(own.sequence).unwrap(), Some(own));
    pair.lie.send_replace(Lie::None);
    pair.wait_until_equal("whole pages").await;
}

/// Catches the beginning of a page that is applied before the source has agreed with it, and one that stops the follower.
#[tokio::test(start_paused = true)]
async fn a_falsified_beginning_of_a_page_is_dropped_and_is_no_divergence() {
    let pair = Pair::new().await;
    let falsified = Lie::Pulled(|honest| {
        let mut page = honest.page.clone();
        let first = page.changes.get(0).unwrap_or_default().iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
        page.changes = std::iter::once(first.as_slice()).chain(honest.page.changes.iter().skip(1)).collect();
        let blob = to_blob(&page);
        broken_off(&blob[..blob.len() - 1])
    });
    pair.assert_survives("falsified", falsified, "does not know the part of a page").await;
}

/// Returns the page with its changes on another history, consistent in itself.
fn on_another_history(page: &Page) -> Page {
    let after = Position { digest: Digest([9; 32]), ..page.after };
    Page::new(ChangeRun::following(after, page.changes.clone()), page.end.head, page.end.barn)
}

/// Catches a page that is applied because its digests agree with each other.
#[tokio::test(start_paused = true)]
async fn pages_that_are_consistent_in_themselves_must_continue_the_copy() {
    let mut pair = Pair::new().await;
    let pulled = Lie::Pulled(|honest| {
        Response::builder().status(200).body(to_blob(&on_another_history(&honest.page)).into()).unwrap()
    });
    pair.assert_survives("pulled", pulled, "but got those after").await;
    let before = pair.copy_state();
    pair.start_lying("live", Lie::Live(|page| to_blob(&on_another_history(page)))).await;
    pair.barn.record_more(1).await;
    assert_eq!(pair.end().await, FollowEnd::Diverged(Divergence::Forked));
    assert_eq!(pair.copy_state(), before);
}

/// Catches a source whose identity changes in mid-stream, and one that claims another digest where both are.
#[tokio::test(start_paused = true)]
async fn a_heartbeat_of_another_history_ends_the_connection() {
    let pair = Pair::new().await;
    let cases: [(&str, HeartbeatLie); 2] = [
        ("another store", |honest| Heartbeat {
            position: Position { store: StoreId([9; 16]), ..honest.position },
            ..honest
        }),
        ("another digest", |honest| Heartbeat {
            position: Position { digest: Digest([9; 32]), ..honest.position },
            ..honest
        }),
    ];
    for (case, lie) in cases {
        let before = pair.copy_state();
        pair.lie.send_replace(Lie::Heartbeat(lie));
        pair.wait_until(case, |status| {
            status.last_error.as_ref().is_some_and(|error| error.contains("not on the history"))
        })
        .await;
        let failed = pair.status().failed_syncs;
        sleep(LONG).await;
        let tries = pair.status().failed_syncs - failed;
        assert!((2..400).contains(&tries), "`{case}`: {tries} tries");
        assert_eq!(pair.copy_state(), before, "`{case}`");
        pair.lie.send_replace(Lie::None);
        pair.wait_until_equal(case).await;
    }
}

/// Catches an office that trusts a head that never comes: it must go on, and say how far it is behind.
#[tokio::test(start_paused = true)]
async fn a_head_that_never_comes_is_a_lag_and_stops_nothing() {
    let pair = Pair::new().await;
    pair.lie.send_replace(Lie::Heartbeat(|mut honest| {
        honest.barn.head = Sequence(honest.barn.head.0 + 1_000);
        honest
    }));
    let lag = |status: &FollowStatus| status.lag_changes(pair.office.head().position.sequence);
    pair.wait_until("the claim", |status| lag(status) == Some(1_000)).await;
    let failed = pair.status().failed_syncs;
    sleep(LONG).await;
    pair.barn.record_more(3).await;
    pair.wait_until_equal("real changes").await;
    assert_eq!(pair.status().failed_syncs, failed, "the connection held");
}

/// Catches an office that fills its disk to the last byte, loses what it shows, or needs a person when there is room.
#[tokio::test(start_paused = true)]
async fn without_room_the_copy_stays_as_it_is_and_goes_on_within_half_a_minute_of_room() {
    let pair = Pair::new().await;
    let (before, failed) = (pair.copy_state(), pair.status().failed_syncs);
    pair.full.store(true, Ordering::Relaxed);
    pair.barn.record_more(3).await;
    let why = "make room, and it continues by itself";
    pair.wait_until("full", |status| status.no_room.as_ref().is_some_and(|text| text.contains(why))).await;
    sleep(LONG).await;
    assert_eq!(pair.copy_state(), before);
    assert_eq!(pair.status().failed_syncs, failed, "the barn is not to blame");
    pair.full.store(false, Ordering::Relaxed);
    timeout(Duration::from_secs(30), pair.wait_until_equal("room")).await.expect("within half a minute");
    assert_eq!(pair.status().no_room, None);
}
