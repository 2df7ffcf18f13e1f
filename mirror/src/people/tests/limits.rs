//! The sweep of what has ended, the number of users, and their list.

use super::super::sweep::SWEEP_INTERVAL;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Catches ended sessions that stay on the disk of an office without links, links of one without sessions, and a process that is
/// not swept at its end.
#[tokio::test(start_paused = true)]
async fn what_has_ended_is_swept_at_intervals_and_at_the_end() {
    let (office, _) = Office::with("Ana", Role::Viewer).await;
    let trigger = service::lifecycle::ShutdownTrigger::default();
    let keeper = tokio::spawn(office.people.clone().keep_swept(trigger.signal()));
    office.clock.pass(SESSION_LIFETIME);
    tokio::time::sleep(SWEEP_INTERVAL.saturating_sub(SECOND)).await;
    assert_eq!(rows::<SessionRow>(&office, SESSIONS).len(), 1);
    tokio::time::sleep(2 * SECOND).await;
    service::harness::wait_until("the session is swept", async || {
        rows::<SessionRow>(&office, SESSIONS).is_empty().then_some(())
    })
    .await
    .unwrap();
    office.people.add(&name("Ben"), Role::Viewer).unwrap();
    office.clock.pass(LINK_LIFETIME);
    trigger.request();
    keeper.await.unwrap();
    assert_eq!(rows::<LinkRow>(&office, LINKS).len(), 0);
}

/// Catches an office that has room for one user too few or too many, or in which nobody gets a new password once it is full.
#[tokio::test]
async fn the_number_of_users_is_limited_with_those_who_are_invited() {
    let (office, _) = Office::with("Ana", Role::Owner).await;
    for n in 0..MAX_USERS - 2 {
        let user = Some(name(&format!("user {n}")));
        let row = LinkRow { user, role: Role::Viewer, password: None, ends_at_us: i64::MAX };
        office.people.roll_mut().links.insert(*blake3::hash(&n.to_le_bytes()).as_bytes(), row);
    }
    office.people.add(&name("Ben"), Role::Viewer).unwrap();
    assert_eq!(office.people.list().len(), MAX_USERS);
    assert!(matches!(office.people.add(&name("Cleo"), Role::Viewer), Err(PeopleError::TooMany)));
    office.people.renew(&name("Ben")).unwrap();
    office.people.renew(&name("Ana")).unwrap();
    assert_eq!(office.people.list().len(), MAX_USERS);
}

/// Catches a list in which a name is looked for in vain, and a user who counts before they have a password.
#[tokio::test]
async fn users_are_listed_by_name_whatever_its_case() {
    let (office, _) = Office::with("ben", Role::Viewer).await;
    office.people.add(&name("Cleo"), Role::Owner).unwrap();
    office.people.add(&name("Ana"), Role::Operator).unwrap();
    let listed: Vec<_> = office.people.list().into_iter().map(|user| (user.name.to_string(), user.role)).collect();
    let expected = [("Ana", Role::Operator), ("ben", Role::Viewer), ("Cleo", Role::Owner)];
    assert_eq!(listed, expected.map(|(name, role)| (name.to_owned(), role)));
    assert!(office.people.has(&name("BEN")) && !office.people.has(&name("Ana")) && !office.people.is_empty());
    assert!(Office::new().people.is_empty());
}
