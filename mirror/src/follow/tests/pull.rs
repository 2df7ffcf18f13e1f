//! Pulls: what is asked for, what an answer leads to, and when they end.

use super::*;
use service::sync::divergence::Divergence;
use std::sync::atomic::{AtomicBool, Ordering};

/// Returns an answer of which only a part arrived.
#[expect(clippy::unnecessary_wraps, reason = "a link answers with errors, too")]
fn cut(status: u16, body: impl Into<Bytes>) -> Result<LinkResponse, LinkError> {
    Ok(LinkResponse { cut: Some(broken()), ..LinkResponse::whole(status, body) })
}

/// Returns the beginning of a page, without its last change.
fn cut_page(page: &Page) -> Result<LinkResponse, LinkError> {
    let blob = to_blob(page);
    cut(200, blob[..blob.len() - 40].to_vec())
}

/// Catches a pull that stops before the head or asks once more at it, a page of one size for every link, and counts, times and
/// reports that the status loses.
#[tokio::test(start_paused = true)]
async fn pulls_end_with_the_page_that_reaches_the_head() {
    let barn = barn(5);
    let mut followed = Followed::start(&barn, vec![whole(&page(&barn, 0, 2, 5))]);
    assert_eq!(followed.status().link, LinkState::Pulling);
    let live = followed.opened().await;
    assert_eq!(followed.link.pulls(), [(0, 256), (2, 512)]);
    assert!(followed.link.asked().iter().all(|asked| !asked.fresh && asked.query.wait_s == 0));
    assert!(live.path.starts_with("/api/sync/live?store=") && live.path.contains("&after=5&"), "{}", live.path);
    assert_eq!(followed.copy.head().position, barn.reader().head().position);
    let status = followed.until("it is live", |status| status.link == LinkState::Live).await;
    assert_eq!((status.successful_syncs, status.failed_syncs, status.total_records_synced), (2, 0, 5));
    assert_eq!((status.last_sync_at_us, status.last_error), (Some(START_US), None));
    let report = status.barn.unwrap();
    assert_eq!((report.barn.head, report.barn.duplicates, report.at_us), (Sequence(5), DUPLICATES, START_US));
    let arrival = |through| Some(Arrival { through: Sequence(through), at_us: START_US, is_live: false });
    assert_eq!([1, 3, 5].map(|change| status.arrivals.of(Sequence(change))), [arrival(2), arrival(5), arrival(5)]);
}

/// Catches a follower that asks a source again and again which has nothing for it.
#[tokio::test(start_paused = true)]
async fn an_empty_page_ends_the_pulls_and_is_a_success() {
    let barn = barn(3);
    let mut followed = Followed::start(&barn, vec![whole(&page(&barn, 0, 0, 9))]);
    followed.opened().await;
    assert_eq!(followed.link.pulls(), [(0, 256)]);
    let status = followed.until("it is live", |status| status.link == LinkState::Live).await;
    assert_eq!((status.successful_syncs, status.total_records_synced), (1, 0));
    assert_eq!((status.last_sync_at_us, status.arrivals), (Some(START_US), Arrivals::default()));
}

/// Catches a failure that is hidden, told in other words or counted twice, a link that lets only short pages through and is asked
/// for long ones, and a page that becomes short although the link is not to blame.
#[tokio::test(start_paused = true)]
async fn a_failed_pull_is_told_and_repeated_with_a_page_that_the_link_may_carry() {
    let barn = barn(3);
    let timed_out = LinkError::TimedOut { peer: "the barn".into(), doing: "reading", after_ms: 7 };
    let untrusted = LinkError::NotTrusted { peer: "the barn".into(), why: "another key".into() };
    let too_long = LinkError::TooLong { peer: "the barn".into(), limit_bytes: 7 };
    let elsewhere = page(&barn, 1, 1, 3);
    let leads_away = Page { end: elsewhere.end, ..page(&barn, 0, 0, 3) };
    for (answer, why, changes) in [
        (Err(broken()), "the test ended it", 128),
        (Err(timed_out), "within 7 ms", 128),
        (Err(unreachable()), "it is off", 256),
        (Err(untrusted), "another key", 256),
        (Err(too_long), "more than 7 bytes", 256),
        (cut(200, ""), "the test ended it", 128),
        (cut(500, to_blob(&page(&barn, 0, 2, 3))), "the test ended it", 128),
        (cut_page(&page(&barn, 1, 2, 3)), "the test ended it", 128),
        (Ok(refusal(503, "later")), "refused the request with status 503: later", 256),
        (Ok(LinkResponse { status: 503, ..divergence(&position(&barn, 2)) }), "status 503: not here", 256),
        (Ok(refusal(409, "no head")), "status 409: no head", 256),
        (whole(&elsewhere), "asked for the changes after", 256),
        (whole(&leads_away), "a page without changes that leads from", 256),
        (Ok(LinkResponse::whole(200, "<html>")), "", 256),
    ] {
        let mut followed = Followed::start(&barn, vec![answer]);
        let status = followed.failed(1).await;
        assert_eq!((status.link, status.successful_syncs), (LinkState::Away, 0), "{why}");
        assert!(status.last_error.as_ref().is_some_and(|error| error.contains(why)), "{why}: {:?}", status.last_error);
        followed.opened().await;
        assert_eq!(followed.link.pulls(), [(0, 256), (0, changes)], "{why}");
        let status = followed.status();
        assert_eq!((status.failed_syncs, status.last_error), (1, None), "{why}");
        assert_eq!(followed.copy.head().position, barn.reader().head().position, "{why}");
    }
}

/// Catches a page that is fetched again although most of it arrived, and changes that are applied before the source has agreed.
#[tokio::test(start_paused = true)]
async fn what_arrived_of_a_cut_page_is_applied_once_the_source_has_agreed_with_it() {
    let barn = barn(6);
    let mut followed = Followed::start(&barn, vec![cut_page(&page(&barn, 0, 6, 6))]);
    followed.failed(1).await;
    assert_eq!(followed.copy.head().position.sequence, Sequence::ZERO, "nothing proves it yet");
    followed.opened().await;
    let [_, (after, limit)] = followed.link.pulls()[..] else { panic!("{:?}", followed.link.pulls()) };
    assert!((1..6).contains(&after) && limit == 128, "{after} {limit}");
    assert_eq!(followed.copy.head().position, barn.reader().head().position);
    let status = followed.status();
    assert_eq!((status.successful_syncs, status.total_records_synced), (2, 6));
}

/// Catches a follower that stops because of what a cut page seemed to hold, and one that asks for it for ever.
#[tokio::test(start_paused = true)]
async fn what_arrived_of_a_cut_page_is_fetched_again_if_the_source_does_not_know_it() {
    let barn = barn(6);
    let refused = Ok(divergence(&position(&barn, 6)));
    let mut followed = Followed::start(&barn, vec![cut_page(&page(&barn, 0, 6, 6)), refused]);
    let status = followed.failed(2).await;
    assert!(status.last_error.unwrap().contains("it is fetched again"));
    followed.opened().await;
    let pulls = followed.link.pulls();
    assert_eq!((pulls.len(), pulls[2]), (3, (0, 128)));
    assert_eq!((followed.status().diverged, followed.status().is_refused), (None, false));
    assert_eq!(followed.copy.head().position, barn.reader().head().position);
}

/// Catches a follower that goes on with a source of another history, and a status that does not say which one and why.
#[tokio::test(start_paused = true)]
async fn a_refused_position_ends_the_follower_and_names_the_head_of_the_source() {
    let barn = barn(3);
    let store = Store::open_replica(&MemoryDisk::default(), barn.reader().store()).unwrap();
    let theirs = position(&barn, 0);
    let other = Position { store: herd::position::StoreId([9; 16]), ..theirs };
    let mut followed = Followed::into_store(store, &barn, vec![Ok(divergence(&other))], Options::default());
    assert_eq!(followed.ended().await, FollowEnd::Diverged(Divergence::Other));
    let status = followed.status();
    assert_eq!((status.link, status.failed_syncs), (LinkState::Stopped, 1));
    assert_eq!((status.diverged, status.refused_by), (Some(Divergence::Other), Some(other)));
    assert_eq!(status.last_error, Some(Divergence::Other.to_string()));
    assert_eq!((status.is_refused, followed.link.asked().len()), (true, 1));
}

/// Catches a copy that is trusted again before the barn has agreed with it, and one that never is.
#[tokio::test(start_paused = true)]
async fn a_refusal_holds_until_the_source_agrees_with_the_copy() {
    let barn = barn(3);
    let options = Options { is_refused: true, ..Options::default() };
    let mut followed = Followed::with(&barn, vec![Err(unreachable())], options);
    assert!(followed.failed(1).await.is_refused, "a source that is away agrees with nothing");
    followed.until("the source agrees", |status| !status.is_refused).await;
    assert!(followed.status().successful_syncs > 0);
}

/// Catches a source that is asked all the time while it is away, one that is asked too rarely once it is back, and one whose
/// pages prove nothing and that is asked as often as one that works.
#[tokio::test(start_paused = true)]
async fn the_waits_grow_with_each_failure_and_start_again_after_progress_alone() {
    let mut barn = barn(2);
    let mut answers: Vec<_> = (0..7).map(|_| Err(unreachable())).collect();
    answers.push(whole(&page(&barn, 0, 0, 2)));
    let mut followed = Followed::start(&barn, answers);
    // Without progress: the empty page is agreement, and the connection closes at once.
    drop(followed.opened().await);
    // With progress: the barn itself answers.
    drop(followed.opened().await);
    barn.record("hxb:LOT1:LF9:UHF9");
    followed.opened().await;
    let asked: Vec<_> = followed.link.asked().into_iter().map(|asked| asked.at).collect();
    let waits: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let most = [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 250].map(Duration::from_millis);
    assert_eq!(waits.len(), most.len());
    for (wait, most) in waits.into_iter().zip(most) {
        // Tokio rounds a wait up to whole milliseconds.
        assert!(wait >= most / 2 && wait <= most + Duration::from_millis(1), "{wait:?} of {most:?}");
    }
}

/// Catches a full disk that counts as a failure of the barn, or from which nothing is copied any more, and a file system that is
/// filled to its end.
#[tokio::test(start_paused = true)]
async fn without_room_nothing_is_asked_for_until_there_is_room_again() {
    let (barn, has_room) = (barn(3), Arc::new(AtomicBool::new(false)));
    let (room, is_there) = (NoRoomError::Full { free_bytes: 5, needed_bytes: 7 }, has_room.clone());
    let room = Room::new(move || if is_there.load(Ordering::SeqCst) { Ok(()) } else { Err(room.clone()) });
    let mut followed = Followed::with(&barn, Vec::new(), Options { room, ..Options::default() });
    let status = followed.until("there is no room", |status| status.no_room.is_some()).await;
    assert!(status.no_room.unwrap().contains("5 bytes free"));
    assert_eq!((status.link, status.failed_syncs, status.last_error), (LinkState::Pulling, 0, None));
    assert_eq!(followed.link.asked(), []);
    has_room.store(true, Ordering::SeqCst);
    let before = Instant::now();
    let mut live = followed.opened().await;
    assert_eq!((before.elapsed(), followed.status().no_room), (ROOM_INTERVAL, None));
    assert_eq!(followed.copy.head().position, barn.reader().head().position);

    has_room.store(false, Ordering::SeqCst);
    let mut barn = barn;
    barn.record("hxb:LOT1:LF9:UHF9");
    live.send.send(to_blob(&page(&barn, 3, 1, 4)).into()).unwrap();
    followed.until("there is no room", |status| status.no_room.is_some()).await;
    assert!(timeout(ROOM_INTERVAL, async { while live.received.recv().await.is_some() {} }).await.is_ok());
    assert_eq!(followed.copy.head().position.sequence, Sequence(3));
}
