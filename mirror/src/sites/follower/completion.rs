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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::BarnReport;
    use herd::testing::TestBarn;
    use herd::wire::BarnHead;
    use tokio::time::Instant;

    /// Catches a copy that is served before it has all, and a complete one that is never served.
    #[test]
    fn a_copy_is_complete_once_it_shows_what_the_barn_and_the_shown_copy_have() {
        let barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1", "hxb:A:LF2:UHF2"]);
        let whole = barn.reader().head();
        let behind = Head { folded: Sequence(2), ..whole.clone() };
        let empty =
            Head { position: herd::position::Position { sequence: Sequence(0), ..whole.position }, ..behind.clone() };
        let empty = Head { folded: Sequence(0), ..empty };
        let status = |link, barn_head: Option<u64>, digest_equal| {
            let barn = barn_head.map(|head| BarnHead { head: Sequence(head), age_ms: Some(0), duplicates: 0 });
            let barn = barn.map(|barn| BarnReport { barn, at_us: 0, at: Instant::now() });
            FollowStatus { link, barn, digest_equal, ..FollowStatus::default() }
        };
        let (live, pulling) = (LinkState::Live, LinkState::Pulling);
        for (head, at_least, status, complete) in [
            (&whole, 0, status(pulling, Some(3), None), true),
            (&whole, 0, status(pulling, Some(2), None), true),
            (&whole, 0, status(pulling, Some(4), None), false),
            (&whole, 0, status(pulling, None, None), false),
            (&whole, 0, status(live, None, None), true),
            (&whole, 0, status(live, Some(4), None), true),
            (&behind, 0, status(live, Some(3), None), false),
            (&behind, 0, status(pulling, Some(2), None), true),
            (&whole, 3, status(live, Some(3), None), true),
            (&whole, 4, status(live, Some(3), None), false),
            (&whole, 0, status(live, Some(3), Some(true)), true),
            (&whole, 0, status(live, Some(3), Some(false)), false),
            (&empty, 0, status(live, Some(0), None), false),
        ] {
            assert_eq!(is_complete(head, Sequence(at_least), &status), complete, "{at_least} {head:?} {status:?}");
        }
    }
}
