//! The page of a site and the alarm on Today: what they say of a link that is not as it should be.

use super::{BROWSER, TestOffice, get, html_of, office_from};
use crate::sites::{DivergedHistories, LinkState, SiteStatus};
use axum::Router;
use herd::fold::FOLD_VERSION;
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::wire::HealthFinding;
use service::sync::divergence::Divergence;

/// A change of the status of each site.
type Adjust = fn(&mut SiteStatus);

fn office(adjust: Adjust) -> Router {
    office_from(TestOffice { adjust, ..TestOffice::new(&["barn"]) })
}

fn position(sequence: u64) -> Position {
    Position { store: StoreId([7; 16]), epoch: Epoch(1), sequence: Sequence(sequence), digest: Digest([2; 32]) }
}

fn finding(failing: bool) -> Vec<HealthFinding> {
    vec![HealthFinding { part: "disk".into(), failing, text: "it fills up".into() }]
}

/// Catches a fact that the page leaves out, and one that it tells of a site to which it does not apply.
#[tokio::test]
async fn the_page_of_a_site_tells_what_is_known_of_it() {
    let facts: [(Adjust, &str); 16] = [
        (|_| {}, "<dd>equal</dd>"),
        (|status| status.digest_equal = Some(false), "<dd>different</dd>"),
        (|status| status.digest_equal = None, "<dd>unknown: not compared yet</dd>"),
        (
            |status| (status.digest_equal, status.barn_fold_version) = (None, Some(FOLD_VERSION + 1)),
            "<dd>unknown: the barn has fold version",
        ),
        (|status| status.barn_findings = None, "<dd>unknown: no current report</dd>"),
        (|status| status.barn_findings = Some(Vec::new()), "<dd>it reports no failure</dd>"),
        (|status| status.barn_findings = Some(finding(true)), "<dd>it reports a failure, see above</dd>"),
        (|status| status.barn_findings = Some(finding(false)), "<dd>it reports no failure, but see above</dd>"),
        (|status| status.unfolded_changes = Some(1_200), "<dd>1,200 changes</dd>"),
        (|status| status.lag_changes = None, "<dt>Behind the barn</dt><dd>unknown</dd>"),
        (|status| status.last_sync_at_us = None, "<dt>Last sync</dt><dd>none yet</dd>"),
        (|status| status.barn_heard_at_us = None, "<dd>none since this office started</dd>"),
        (|status| status.only_here = Some(1), "1 change is in kept copies of this office"),
        (|status| status.copied = Some((5, 9)), "the old copy is shown."),
        (
            |status| {
                let (own, theirs) = (Some(position(9)), Some(position(7)));
                status.diverged = Some(DivergedHistories { divergence: Divergence::Shorter, own, theirs });
            },
            "2 changes are in this office’s copy only.",
        ),
        (|_| {}, "12.3 GB free of 64.0 GB"),
    ];
    for (index, (adjust, fact)) in facts.into_iter().enumerate() {
        let page = html_of(&office(adjust), "/status").await;
        assert!(page.contains(fact), "{fact}: {page}");
        let plain = html_of(&office(|_| {}), "/status").await;
        assert_eq!(plain.contains(fact), [0, 5, 15].contains(&index), "{fact}");
    }
    let forked = office(|status| {
        let (own, theirs) = (Some(position(9)), Some(position(7)));
        status.diverged = Some(DivergedHistories { divergence: Divergence::Forked, own, theirs });
    });
    assert!(!html_of(&forked, "/status").await.contains("copy only."), "the barn holds no part of it");
    let contact = html_of(&office(|_| {}), "/status").await;
    assert!(contact.contains("<dd>3 s ago</dd>") && contact.contains("2024-01-15 10:35:20, "), "{contact}");
    let program = concat!("<p>herdlinx-mirror ", env!("CARGO_PKG_VERSION"), ", fold version ");
    assert!(contact.contains(program), "{contact}");
}

/// Catches a page that stands still while a copy is made, and one that is fetched all the time without need.
#[tokio::test]
async fn the_page_of_a_site_is_fetched_again_sooner_while_a_copy_is_on_its_way() {
    let links: [(Adjust, u32); 5] = [
        (|status| status.link = LinkState::Copying, 2),
        (|status| status.link = LinkState::Opening, 2),
        (|status| status.link = LinkState::Pulling, 2),
        (|status| status.link = LinkState::Live, 10),
        (|status| status.link = LinkState::Away, 10),
    ];
    for (adjust, seconds) in links {
        let page = html_of(&office(adjust), "/status").await;
        assert!(page.contains(&format!("data-every=\"{seconds}\"")), "{seconds}: {page}");
    }
    assert!(!html_of(&office(|_| {}), "/animals").await.contains("data-every"));
}

/// Catches a first page that looks current although the barn is away, or that calls an office away for nothing.
#[tokio::test]
async fn the_first_page_says_why_its_figures_may_not_be_current() {
    let alarms: [(Adjust, Option<&str>); 6] = [
        (|_| {}, None),
        (|status| status.link = LinkState::Pulling, None),
        (|status| status.link = LinkState::Away, Some("the barn cannot be reached; what it records")),
        (|status| status.blocked = Some("the tables differ".into()), Some("the tables differ")),
        (
            |status| (status.blocked, status.stopped_because) = (Some("no".into()), Some("another history".into())),
            Some("another history"),
        ),
        (|status| status.barn_findings = Some(finding(true)), Some("the barn reports: disk: it fills up")),
    ];
    for (adjust, alarm) in alarms {
        let page = html_of(&office(adjust), "/").await;
        assert_eq!(page.contains("class=\"alarm\""), alarm.is_some(), "{alarm:?}: {page}");
        assert!(alarm.is_none_or(|alarm| page.contains(alarm)), "{alarm:?}: {page}");
    }
}

/// Catches sums that hide a site that is not followed, or that add what does not add up.
#[tokio::test]
async fn the_sums_of_the_sites_are_as_bad_as_the_worst() {
    let sums = async |adjust: Adjust| {
        let office = office_from(TestOffice { adjust, ..TestOffice::new(&["north", "south"]) });
        get(&office, "/office/api/sync-status", BROWSER).await.json()
    };
    let all = sums(|status| status.sync_interval_s = if status.name == "south" { 30 } else { 10 }).await;
    assert_eq!((&all["running"], &all["sync_interval"]), (&true.into(), &30.into()));
    assert_eq!((&all["successful_syncs"], &all["failed_syncs"]), (&198.into(), &2.into()));
    assert_eq!(all["total_records_synced"], 3_000);
    let one = sums(|status| status.running = status.name == "north").await;
    assert_eq!(one["running"], false);
    let none = get(&office_from(TestOffice::new(&[])), "/office/api/sync-status", BROWSER).await.json();
    assert_eq!((&none["running"], &none["sync_interval"]), (&false.into(), &0.into()));
}

/// Catches changes that wait unseen, and a number where none is known.
#[tokio::test]
async fn the_live_line_counts_what_is_not_shown_yet() {
    let lines: [(Adjust, &str); 5] = [
        (|_| {}, "nothing waiting"),
        (|status| status.lag_changes = Some(1), "1 change waiting"),
        (|status| (status.lag_changes, status.unfolded_changes) = (Some(1_000), Some(234)), "1,234 changes waiting"),
        (|status| (status.lag_changes, status.unfolded_changes) = (Some(0), None), "nothing waiting"),
        (|status| status.lag_changes = None, "what waits there is unknown"),
    ];
    for (adjust, text) in lines {
        let page = html_of(&office(adjust), "/animals").await;
        assert!(page.contains(&format!("<span>{text}</span>")), "{text}: {page}");
    }
}
