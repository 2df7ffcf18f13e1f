//! Removals that a failing disk refuses.

use super::*;

impl Office {
    /// Makes the disk refuse every write, until it heals.
    fn fail_disk(&self) {
        assert!(self.disk.fail_after("local.redb", 0));
    }

    fn heal_disk(&self) {
        assert!(self.disk.fail_after("local.redb", u64::MAX));
    }

    /// Heals the disk, sweeps once, and starts again.
    fn healed_swept_and_restarted(self) -> Self {
        self.heal_disk();
        self.people.sweep().unwrap();
        self.restart()
    }
}

type Removal = fn(&People, &Secret) -> Result<(), PeopleError>;

/// Catches a session of somebody who has logged out, or a removed user, that a restart brings back because the removal was tried
/// only once.
#[tokio::test]
async fn what_the_disk_refused_to_remove_is_removed_by_the_next_sweep() {
    let removals: [(&str, Removal); 3] = [
        ("log_out", |people, token| people.log_out(token.reveal())),
        ("log_out_everywhere", |people, _| people.log_out_everywhere(&name("Ana"))),
        ("remove", |people, _| people.remove(&name("Ana"))),
    ];
    for (what, removal) in removals {
        let (office, token) = Office::with("Ana", Role::Viewer).await;
        office.fail_disk();
        assert!(removal(&office.people, &token).is_err(), "{what}");
        assert!(office.people.sweep().is_err(), "{what}: there is something to sweep");
        let office = office.healed_swept_and_restarted();
        assert_eq!(office.role(&token), None, "{what}");
        assert_eq!(office.people.is_empty(), what == "remove", "{what}");
        assert_eq!(rows::<SessionRow>(&office, SESSIONS).len(), 0, "{what}");
    }
}

/// Catches ended sessions and links that stay on disk for good because the disk failed during one sweep.
#[tokio::test]
async fn what_one_sweep_could_not_remove_is_removed_by_the_next() {
    let (office, _) = Office::with("Ana", Role::Viewer).await;
    office.people.add(&name("Ben"), Role::Viewer).unwrap();
    office.clock.pass(SESSION_LIFETIME);
    office.fail_disk();
    assert!(office.people.sweep().is_err());
    office.heal_disk();
    office.people.sweep().unwrap();
    assert_eq!((rows::<SessionRow>(&office, SESSIONS).len(), rows::<LinkRow>(&office, LINKS).len()), (0, 0));
}

/// Catches the oldest session of a user, or the link of before, that a restart brings back after the disk refused the one that
/// was to replace it.
#[tokio::test]
async fn what_a_failed_successor_replaced_stays_replaced() {
    let (office, oldest) = Office::with("Ana", Role::Viewer).await;
    let mark = office.people.roll().user(&name("ana")).unwrap().password.mark();
    for _ in 1..MAX_SESSIONS_OF_USER {
        office.clock.pass(Duration::from_secs(1));
        office.people.begin_session(&name("ana"), &mark, PEER).unwrap();
    }
    let link = office.people.add(&name("Ben"), Role::Viewer).unwrap();
    office.fail_disk();
    assert!(office.people.begin_session(&name("ana"), &mark, PEER).is_err());
    assert!(office.people.renew(&name("Ben")).is_err());
    assert_eq!((office.role(&oldest), office.people.invited(link.reveal())), (None, None));
    let office = office.healed_swept_and_restarted();
    assert_eq!((office.role(&oldest), office.people.invited(link.reveal())), (None, None));
}

/// Catches a removal that takes away the user who got the name since, and a repeated one that is told of no user.
#[tokio::test]
async fn a_removal_that_failed_can_be_repeated_and_leaves_a_later_user_alone() {
    let (office, _) = Office::with("Ana", Role::Viewer).await;
    let invitation = office.people.add(&name("Ben"), Role::Viewer).unwrap();
    office.fail_disk();
    for removed in ["Ana", "Ben"] {
        assert!(matches!(office.people.remove(&name(removed)), Err(PeopleError::Local(_))), "{removed}");
    }
    office.heal_disk();
    office.people.remove(&name("Ben")).unwrap();
    assert!(matches!(office.people.remove(&name("Ben")), Err(PeopleError::Unknown(_))));

    let code = office.people.add(&name("Ana"), Role::Owner).unwrap();
    let token = office.choose(&code, PASSWORD).await.unwrap();
    let office = office.healed_swept_and_restarted();
    assert_eq!((office.role(&token), office.people.invited(invitation.reveal())), (Some(Role::Owner), None));
}

/// Catches an office that holds on to a removal that is done, and one that waits for a log-out to try again.
#[tokio::test(start_paused = true)]
async fn a_log_out_that_failed_is_tried_again_at_intervals() {
    let (office, _) = Office::with("Ana", Role::Viewer).await;
    let token = office.log_in("ana", PASSWORD).await.unwrap();
    let trigger = service::lifecycle::ShutdownTrigger::default();
    let keeper = tokio::spawn(office.people.clone().keep_swept(trigger.signal()));
    office.fail_disk();
    assert!(office.people.log_out(token.reveal()).is_err());
    tokio::time::sleep(2 * super::super::sweep::SWEEP_INTERVAL).await;
    office.heal_disk();
    service::harness::wait_until("the session is removed from the disk", async || {
        (rows::<SessionRow>(&office, SESSIONS).len() == 1).then_some(())
    })
    .await
    .unwrap();
    assert!(!keeper.is_finished());
    trigger.request();
    keeper.await.unwrap();
}
