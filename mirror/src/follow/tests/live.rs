//! Live connections: pages, heartbeats, the health of the barn, and silence.

use super::*;
use herd::position::{Digest, StoreId};
use herd::store::Head;
use herd::wire::{Acknowledgment, BarnHealth, BlobKind, HealthFinding, Heartbeat, blob_kind, from_blob};
use service::sync::divergence::Divergence;
use service::sync::live::{HEARTBEAT_INTERVAL, SILENCE_TIMEOUT};

/// Interval of pulls that no test reaches.
const NEVER: Duration = Duration::from_secs(3_600);

impl BarnEnd {
    fn send(&self, blob: Vec<u8>) {
        self.send.send(blob.into()).unwrap();
    }

    /// Returns the next blob of this kind.
    async fn next(&mut self, kind: BlobKind) -> Bytes {
        let next = async {
            loop {
                let blob = self.received.recv().await.expect("the connection was closed");
                if blob_kind(&blob).unwrap() == kind {
                    return blob;
                }
            }
        };
        timeout(LIMIT, next).await.expect("no such blob is sent")
    }

    async fn heartbeat(&mut self) -> Heartbeat {
        from_blob(&self.next(BlobKind::Heartbeat).await).unwrap()
    }
}

fn without_pulls() -> Options {
    Options { sync_interval: NEVER, ..Options::default() }
}

/// Starts a follower that is live at the head of a barn, and is not checked by pulls.
async fn live(barn: &TestBarn) -> (Followed, BarnEnd) {
    let mut followed = Followed::with(barn, Vec::new(), without_pulls());
    let end = followed.opened().await;
    followed.until("it is live", |status| status.link == LinkState::Live).await;
    (followed, end)
}

/// Catches a page that is acknowledged before it is durable or not at all, and a time of arrival that says the wrong thing.
#[tokio::test(start_paused = true)]
async fn a_live_page_is_acknowledged_and_only_the_latest_change_has_just_been_recorded() {
    let mut barn = barn(2);
    let (mut followed, mut end) = live(&barn).await;
    for n in 5..8 {
        barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    followed.clock.pass(Duration::from_micros(9));
    for (after, changes) in [(2, 1), (3, 2)] {
        end.send(to_blob(&page(&barn, after, changes, 5)));
        let acknowledged: Acknowledgment = from_blob(&end.next(BlobKind::Acknowledgment).await).unwrap();
        assert_eq!(acknowledged.durable, position(&barn, after + changes as u64));
        assert!(followed.copy.head().position.sequence >= acknowledged.durable.sequence);
    }
    let status = followed.until("both pages are noted", |status| status.total_records_synced == 5).await;
    assert_eq!((status.successful_syncs, status.last_sync_at_us), (3, Some(START_US + 9)));
    assert_eq!(status.barn.unwrap().barn.head, Sequence(5));
    let arrivals = [2, 3, 4, 5].map(|change| status.arrivals.of(Sequence(change)));
    let seen = arrivals.map(|arrival| arrival.map(|arrival| (arrival.through.0, arrival.is_live, arrival.at_us)));
    let after_us = START_US + 9;
    assert_eq!(
        seen,
        [Some((2, false, START_US)), Some((3, false, after_us)), Some((5, true, after_us)), Some((5, true, after_us))]
    );
}

/// Catches a heartbeat that lies about the copy, or that passes on the barn's report as if it were new.
#[tokio::test(start_paused = true)]
async fn the_heartbeats_have_the_head_of_the_copy_and_the_aged_report_of_the_barn() {
    let barn = barn(3);
    let (followed, mut end) = live(&barn).await;
    let first = end.heartbeat().await;
    let age_ms = first.barn.age_ms.unwrap();
    assert_eq!(first, Heartbeat::new(&followed.copy.head(), first.barn));
    assert_eq!((first.position, first.barn.head), (position(&barn, 3), Sequence(3)));
    let second = end.heartbeat().await;
    let passed_ms = u64::try_from(HEARTBEAT_INTERVAL.as_millis()).unwrap();
    assert_eq!((second.barn.age_ms, second.barn.duplicates), (Some(age_ms + passed_ms), DUPLICATES));
}

/// Catches a follower that goes on although the barn has another history, one that leaves a barn that is a change ahead or
/// behind, and a quiet link that is no contact.
#[tokio::test(start_paused = true)]
async fn a_heartbeat_is_a_contact_if_it_agrees_and_ends_the_connection_if_it_cannot() {
    let barn = barn(4);
    let head = barn.reader().head();
    let at = |position| Head { position, ..head.clone() };
    let own = head.position;
    for (position, is_contact, goes_on) in [
        (own, true, true),
        (self::position(&barn, 3), false, true),
        (Position { sequence: Sequence(9), digest: Digest([1; 32]), ..own }, false, true),
        (Position { digest: Digest([1; 32]), ..own }, false, false),
        (Position { store: StoreId([9; 16]), sequence: Sequence(9), ..own }, false, false),
        (Position { store: StoreId([9; 16]), sequence: Sequence(1), ..own }, false, false),
    ] {
        let (mut followed, mut end) = live(&barn).await;
        end.heartbeat().await;
        followed.clock.pass(Duration::from_micros(9));
        let reported = BarnHead { head: Sequence(70), age_ms: Some(1), duplicates: 8 };
        end.send(to_blob(&Heartbeat::new(&at(position), reported)));
        if !goes_on {
            let why = followed.failed(1).await.last_error.unwrap();
            assert!(why.contains(&format!("the barn is at {position}")), "{why}");
            continue;
        }
        end.heartbeat().await;
        let status = followed.status();
        assert_eq!((status.link, status.failed_syncs), (LinkState::Live, 0), "{position}");
        assert_eq!(status.last_sync_at_us, Some(if is_contact { START_US + 9 } else { START_US }), "{position}");
        assert_eq!((status.barn.unwrap().barn, status.barn.unwrap().at_us), (reported, START_US + 9));
        assert_eq!(status.successful_syncs, 1, "a heartbeat is no sync");
    }
}

/// Catches tables that differ from the barn's and are called equal.
#[tokio::test(start_paused = true)]
async fn the_tables_are_compared_with_each_heartbeat() {
    let barn = barn(4);
    let (mut followed, end) = live(&barn).await;
    let same = Heartbeat::new(&barn.reader().head(), BarnHead::default());
    end.send(to_blob(&same));
    followed.until("they are equal", |status| status.digest_equal == Some(true)).await;
    end.send(to_blob(&Heartbeat { fold_digest: Digest([1; 32]), ..same }));
    let status = followed.until("they differ", |status| status.digest_equal == Some(false)).await;
    assert_eq!((status.link, status.failed_syncs), (LinkState::Live, 0));
}

/// Catches a connection that is held although nothing comes any more, and one that is given up while a long message arrives.
#[tokio::test(start_paused = true)]
async fn a_silent_barn_is_left_unless_bytes_arrive() {
    let barn = barn(2);
    let (mut followed, end) = live(&barn).await;
    let opened_at = Instant::now();
    for _ in 0..4 {
        tokio::time::sleep(SILENCE_TIMEOUT.saturating_sub(Duration::from_secs(1))).await;
        *end.last_byte_at.lock().unwrap() = Some(Instant::now());
    }
    assert_eq!(followed.status().failed_syncs, 0);
    let last_byte_at = Instant::now();
    let why = followed.failed(1).await.last_error;
    assert_eq!(why.as_deref(), Some("the barn was silent"));
    let (silent, late) = (last_byte_at.elapsed(), HEARTBEAT_INTERVAL);
    assert!(silent >= SILENCE_TIMEOUT && silent < SILENCE_TIMEOUT + late, "{silent:?}");

    let mut end = followed.opened().await;
    // An old time of the channel does not hide what has just been received.
    *end.last_byte_at.lock().unwrap() = Some(opened_at);
    for _ in 0..4 {
        tokio::time::sleep(SILENCE_TIMEOUT.saturating_sub(Duration::from_secs(1))).await;
        end.send(to_blob(&Heartbeat::new(&barn.reader().head(), BarnHead::default())));
    }
    end.heartbeat().await;
    assert_eq!(followed.status().failed_syncs, 1);
    let received_at = Instant::now();
    followed.failed(2).await;
    assert!(received_at.elapsed() <= SILENCE_TIMEOUT + late);
}

/// Catches a dead connection that is noticed only when it is silent for too long, pulls that are repeated all the time, and ones
/// on the connection that may be dead.
#[tokio::test(start_paused = true)]
async fn a_quiet_connection_is_checked_at_intervals_by_a_pull_on_a_new_one() {
    let mut barn = barn(2);
    let options = Options { sync_interval: Duration::from_secs(10), ..Options::default() };
    let mut followed = Followed::with(&barn, Vec::new(), options);
    let end = followed.opened().await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(12)).await;
        // A byte is no news, but no silence either.
        *end.last_byte_at.lock().unwrap() = Some(Instant::now());
    }
    let fresh: Vec<_> = followed.link.asked().into_iter().skip(1).collect();
    assert!((2..=6).contains(&fresh.len()) && fresh.iter().all(|asked| asked.fresh), "{fresh:?}");
    for pair in fresh.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_secs(10));
    }
    assert_eq!(followed.status().failed_syncs, 0);
    assert!(followed.status().successful_syncs > 1, "an empty page is a sync");

    barn.record("hxb:LOT1:LF9:UHF9");
    let why = followed.failed(1).await.last_error.unwrap();
    assert_eq!(why, "the live connection is dead: a pull on a new one found changes");
    assert_eq!(followed.copy.head().position, barn.reader().head().position);
    let asked = followed.link.asked();
    followed.opened().await;
    let again = followed.link.asked();
    assert!(asked.last().unwrap().fresh && !again[asked.len()].fresh, "the next session begins as the first one");
}

/// Catches words of a barn that a terminal obeys, a report without its age, and one that grows beyond its bounds.
#[tokio::test(start_paused = true)]
async fn the_health_of_the_barn_is_kept_within_bounds_and_its_words_are_harmless() {
    let barn = barn(2);
    let (mut followed, end) = live(&barn).await;
    let finding = |part: &str, failing| HealthFinding { part: part.into(), failing, text: "red: \u{1b}[31m".into() };
    let many = (0..40).map(|n| finding(&format!("radio{n}\u{202e}"), n == 39)).collect();
    end.send(to_blob(&BarnHealth { age_ms: Some(70), findings: many, omitted: 0 }));
    let health = followed.until("the health is told", |status| status.health.is_some()).await.health.unwrap().health;
    assert_eq!((health.age_ms, health.findings.len() as u64 + health.omitted), (Some(70), 40));
    assert!(health.findings.len() <= 16);
    let first = &health.findings[0];
    assert_eq!(
        (first.part.as_str(), first.failing, first.text.as_str()),
        (r"radio39\u{202e}", true, r"red: \u{1b}[31m")
    );
}

/// Catches a message that a follower does not understand and takes for a sign of life.
#[tokio::test(start_paused = true)]
async fn a_message_that_no_source_sends_ends_the_connection() {
    let barn = barn(2);
    let acknowledgment = to_blob(&Acknowledgment { durable: position(&barn, 2) });
    for blob in [acknowledgment, b"<html>".to_vec(), Vec::new()] {
        let (mut followed, end) = live(&barn).await;
        end.send(blob.clone());
        let status = followed.failed(1).await;
        assert_eq!(status.link, LinkState::Away, "{blob:?}");
        assert_ne!(status.last_error.as_deref(), Some("the barn was silent"), "{blob:?}");
        followed.opened().await;
    }
}

/// Catches a page that is written although the source has altered it, or is of another history.
#[tokio::test(start_paused = true)]
async fn a_live_page_that_does_not_verify_is_not_applied() {
    let mut barn = barn(2);
    let (mut followed, end) = live(&barn).await;
    barn.record("hxb:LOT1:LF9:UHF9");
    let mut altered = page(&barn, 2, 1, 3);
    altered.end.end.digest = Digest([1; 32]);
    end.send(to_blob(&altered));
    let why = followed.failed(1).await.last_error.unwrap();
    assert!(why.contains("does not lead to the digest"), "{why}");

    let end = followed.opened().await;
    assert_eq!(followed.copy.head().position, position(&barn, 3), "the pull after it brings the right one");
    let other = Position { store: StoreId([9; 16]), ..position(&barn, 3) };
    end.send(to_blob(&Page { after: other, ..page(&barn, 3, 0, 3) }));
    assert_eq!(followed.ended().await, FollowEnd::Diverged(Divergence::Other));
    assert_eq!(followed.status().refused_by, Some(other));
}

/// Catches a follower that takes a source for one that it can follow although that refuses, or that stops although it need not.
#[tokio::test(start_paused = true)]
async fn a_refused_live_connection_is_tried_again_unless_the_histories_differ() {
    let barn = barn(3);
    let (link_refuses, held) = (refusal(503, "no live connections"), position(&barn, 2));
    let store = Store::open_replica(&MemoryDisk::default(), barn.reader().store()).unwrap();
    let mut followed = Followed::into_store(store, &barn, Vec::new(), without_pulls());
    followed.link.live_refusals.lock().unwrap().extend([link_refuses, divergence(&held)]);
    let why = followed.failed(1).await.last_error.unwrap();
    assert!(why.contains("status 503: no live connections"), "{why}");
    assert_eq!(followed.ended().await, FollowEnd::Diverged(Divergence::Shorter));
    assert_eq!((followed.status().refused_by, followed.status().failed_syncs), (Some(held), 2));
}

/// Catches a follower that goes on without a writer because no page comes: its copy could not be read until one does.
#[tokio::test(start_paused = true)]
async fn a_follower_ends_with_its_writer_also_while_its_barn_is_quiet_or_away() {
    let barn = barn(2);
    let (quiet, _end) = live(&barn).await;
    let mut away = Followed::start(&barn, vec![Err(unreachable()); 9]);
    away.failed(1).await;
    for mut followed in [quiet, away] {
        let at = Instant::now();
        followed.writer.abort();
        assert_eq!(followed.ended().await, FollowEnd::WriterEnded);
        assert_eq!(at.elapsed(), Duration::ZERO, "it waited for its barn");
    }
}

/// Catches a follower that waits, fetches or listens on after a shutdown was requested.
#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_follower_wherever_it_is() {
    let barn = barn(2);
    let (mut at_work, _end) = live(&barn).await;
    let mut waiting = Followed::start(&barn, vec![Err(unreachable())]);
    waiting.failed(1).await;
    let room = Room::new(|| Err(NoRoomError::Unknown("gone".into())));
    let mut without_room = Followed::with(&barn, Vec::new(), Options { room, ..Options::default() });
    without_room.until("there is no room", |status| status.no_room.is_some()).await;
    let now = Instant::now();
    for followed in [&mut at_work, &mut waiting, &mut without_room] {
        followed.shutdown.request();
        assert_eq!(followed.ended().await, FollowEnd::Stopped);
        assert_eq!(followed.status().link, LinkState::Stopped);
    }
    assert_eq!((now.elapsed(), at_work.status().failed_syncs), (Duration::ZERO, 0));
}
