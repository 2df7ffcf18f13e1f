//! A barn whose program folds in another version than the office's, as between two upgrades.
//!
//! Catches: an office that does not follow such a barn, that still calls its tables equal or already calls them different,
//! and syncs whose counts do not add up.

use super::pair::Pair;
use super::source::Lie;
use herd::fold::FOLD_VERSION;
use herd::wire::Heartbeat;
use mirror::follow::LinkState;

#[tokio::test(start_paused = true)]
async fn a_barn_of_another_fold_version_is_followed_and_its_tables_are_not_compared() {
    let pair = Pair::new().await;
    pair.wait_until("equal versions", |status| status.digest_equal == Some(true)).await;

    pair.lie.send_replace(Lie::Heartbeat(|theirs| Heartbeat { fold_version: FOLD_VERSION + 1, ..theirs }));
    pair.wait_until("the barn is upgraded", |status| status.barn_fold_version == Some(FOLD_VERSION + 1)).await;
    pair.barn.record_more(3).await;
    pair.wait_until_equal("the office is not").await;
    assert_eq!(pair.status().digest_equal, None);

    pair.lie.send_replace(Lie::None);
    pair.wait_until("equal versions again", |status| status.digest_equal == Some(true)).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_one_failed_sync_and_every_sync_succeeds_or_fails() {
    let pair = Pair::new().await;
    let before = pair.status();
    pair.lie.send_replace(Lie::Heartbeat(|honest| honest));
    let is_back = |status: &mirror::follow::FollowStatus| {
        status.link == LinkState::Live && status.failed_syncs > before.failed_syncs
    };
    pair.wait_until("the connection is lost and back", is_back).await;
    pair.barn.record_more(1).await;
    pair.wait_until_equal("a page").await;
    let after = pair.status();
    assert_eq!(after.failed_syncs - before.failed_syncs, 1);
    assert_eq!(after.successful_syncs - before.successful_syncs, 2, "a pull without changes, and a live page");
    assert_eq!(after.total_syncs(), after.successful_syncs + after.failed_syncs);
}
