//! The moment when a new copy may be served.

use super::stores::OpenCopy;
use crate::follow::{FollowStatus, LinkState};
use herd::position::Sequence;
use herd::store::{Head, Reader};
use tokio::sync::watch;

/// Returns once the new copy is complete, and shows at least what `shown` shows.
pub(super) async fn until_complete(
    copy: &OpenCopy,
    shown: Option<&Reader>,
    updates: &mut watch::Receiver<FollowStatus>,
) {
    let mut head = copy.handle.reader().subscribe();
    loop {
        // A mirror behind this one would take a shorter copy for a restored barn.
        let at_least = shown.map_or(Sequence::ZERO, |shown| shown.head().position.sequence);
        if is_complete(&head.borrow_and_update(), at_least, &updates.borrow_and_update()) {
            return;
        }
        // The tables may catch up with the log after the last news from the barn.
        let changed = tokio::select! {
            changed = updates.changed() => changed,
            changed = head.changed() => changed,
        };
        if changed.is_err() {
            // The follower or the writer has ended, which `follow` sees by itself.
            std::future::pending::<()>().await;
        }
    }
}

/// Returns true if a copy may be served: it has caught up with the barn and with the copy that is shown, its tables are
/// folded as far as this program can fold, and they are not known to differ from the barn's. Applying the changes has
/// already verified their chain.
fn is_complete(head: &Head, at_least: Sequence, status: &FollowStatus) -> bool {
    let visible = head.visible();
    let shows_all_reported = status.barn.is_some_and(|report| visible >= report.barn.head);
    let shows_all_followed = status.link == LinkState::Live && visible == head.position.sequence;
    visible.0 > 0
        && visible >= at_least
        && (shows_all_reported || shows_all_followed)
        && status.digest_equal != Some(false)
}
