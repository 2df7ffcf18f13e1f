//! Users, sessions and links, also over a restart.

mod disk;
mod limits;

use super::roll::SessionRow;
use super::*;
use herd::randomness::SeededRandomness;
use herd::store::MemoryDisk;
use herd::testing::ManualClock;
use std::net::{IpAddr, Ipv4Addr};

const PASSWORD: &str = "the gate is green";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 20));

/// An office's users on a disk in memory.
struct Office {
    disk: MemoryDisk,
    clock: Arc<ManualClock>,
    people: Arc<People>,
    starts: u64,
}

impl Office {
    fn new() -> Self {
        let (disk, clock) = (MemoryDisk::default(), Arc::<ManualClock>::default());
        let people = load(&disk, &clock, 0);
        Self { disk, clock, people, starts: 0 }
    }

    /// An office with one user, and the token of a session of theirs.
    async fn with(name: &str, role: Role) -> (Self, Secret) {
        let office = Self::new();
        let code = office.people.add(&self::name(name), role).unwrap();
        let token = office.choose(&code, PASSWORD).await.unwrap();
        (office, token)
    }

    fn restart(self) -> Self {
        let Self { disk, clock, people, starts } = self;
        drop(people);
        Self { people: load(&disk, &clock, starts + 1), disk, clock, starts: starts + 1 }
    }

    /// Sets the wall clock to the beginning of all time.
    fn set_clock_back(&self) {
        self.clock.change(|reading| reading.received_at_us = 0);
    }

    async fn choose(&self, code: &Secret, password: &str) -> Result<Secret, LoginError> {
        self.people.clone().choose(code.reveal(), "", password.to_owned(), PEER).await
    }

    async fn log_in(&self, name: &str, password: &str) -> Result<Secret, LoginError> {
        self.people.clone().log_in(name, password.to_owned(), PEER).await
    }

    fn role(&self, token: &Secret) -> Option<Role> {
        self.people.session(token.reveal()).map(|user| user.role)
    }
}

fn load(disk: &MemoryDisk, clock: &Arc<ManualClock>, seed: u64) -> Arc<People> {
    let file = LocalFile::open_in(disk).unwrap();
    Arc::new(People::load(file, clock.clone(), SeededRandomness::new(seed)).unwrap())
}

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

/// Catches a link that works twice, a password that nobody chose, and a session or user that a restart forgets.
#[tokio::test]
async fn a_user_chooses_a_password_once_and_logs_in_with_it_after_a_restart() {
    let office = Office::new();
    let code = office.people.add(&name("Ana"), Role::Operator).unwrap();
    assert!(office.log_in("Ana", PASSWORD).await.is_err(), "there is no password yet");
    let token = office.choose(&code, PASSWORD).await.unwrap();
    assert!(matches!(office.choose(&code, "another password").await, Err(LoginError::Link)));
    let office = office.restart();
    assert_eq!(office.role(&token), Some(Role::Operator));
    let second = office.log_in(" ANA", PASSWORD).await.unwrap();
    assert_ne!(second.reveal(), token.reveal());
    for (who, password) in [("Ana", "the gate is red!"), ("Ben", PASSWORD), ("a\u{202e}b", PASSWORD), ("", "")] {
        assert!(matches!(office.log_in(who, password).await, Err(LoginError::Wrong)), "{who}");
    }
}

/// Catches an old password that is let in because it was looked at before the new one was chosen.
#[tokio::test]
async fn a_password_that_was_replaced_while_it_was_looked_at_begins_no_session() {
    let (office, _) = Office::with("Ana", Role::Viewer).await;
    let old = office.people.roll().user(&name("ana")).unwrap().password.mark();
    let code = office.people.renew(&name("ana")).unwrap();
    office.choose(&code, "the gate is painted red").await.unwrap();
    assert!(matches!(office.people.begin_session(&name("ana"), &old, PEER), Err(LoginError::Wrong)));
    office.people.remove(&name("ana")).unwrap();
    let code = office.people.add(&name("ana"), Role::Owner).unwrap();
    office.choose(&code, PASSWORD).await.unwrap();
    assert!(matches!(office.people.begin_session(&name("ana"), &old, PEER), Err(LoginError::Wrong)));
}

/// Catches what a power cut between two commits, or a disk that failed in one of them, leaves in the file: a used link, an
/// old session, the link of a user who was removed.
#[tokio::test]
async fn rows_that_stay_in_the_file_are_void() {
    let (office, session) = Office::with("Ana", Role::Viewer).await;
    let used = office.people.renew(&name("ana")).unwrap();
    let invitation = office.people.add(&name("Ben"), Role::Owner).unwrap();
    let (sessions, links) = (rows::<SessionRow>(&office, SESSIONS), rows::<LinkRow>(&office, LINKS));
    office.choose(&used, "the gate is painted red").await.unwrap();
    office.choose(&invitation, "the gate is not painted").await.unwrap();
    for (key, row) in &sessions {
        office.people.file.put(SESSIONS, key, row).unwrap();
    }
    for (key, row) in &links {
        office.people.file.put(LINKS, key, row).unwrap();
    }
    let office = office.restart();
    assert_eq!(office.role(&session), None);
    for link in [&used, &invitation] {
        assert!(office.people.invited(link.reveal()).is_none());
    }
    office.people.remove(&name("ana")).unwrap();
    assert!(office.people.invited(used.reveal()).is_none(), "without the user it is void, too");
}

fn rows<T: serde::de::DeserializeOwned>(office: &Office, space: &str) -> Vec<(String, T)> {
    office.people.file.list(space).unwrap()
}

/// Catches a session that goes on after its user logged out, was removed, or has a new password, now or after a restart.
#[tokio::test]
async fn a_session_ends_with_its_log_out_its_user_and_its_password() {
    let (office, first) = Office::with("Ana", Role::Viewer).await;
    let second = office.log_in("ana", PASSWORD).await.unwrap();
    office.people.log_out(first.reveal()).unwrap();
    let office = office.restart();
    assert_eq!([&first, &second].map(|token| office.role(token)), [None, Some(Role::Viewer)]);

    let code = office.people.renew(&name("ana")).unwrap();
    assert_eq!(office.role(&second), Some(Role::Viewer), "the old password is valid until the new one is chosen");
    let third = office.choose(&code, "the gate is painted red").await.unwrap();
    assert_eq!([&second, &third].map(|token| office.role(token)), [None, Some(Role::Viewer)]);
    assert!(office.log_in("ana", PASSWORD).await.is_err());

    office.people.log_out_everywhere(&name("ANA")).unwrap();
    assert_eq!(office.role(&third), None);
    let fourth = office.log_in("ana", "the gate is painted red").await.unwrap();
    office.people.remove(&name("ana")).unwrap();
    let office = office.restart();
    assert_eq!(office.role(&fourth), None);
    assert!(office.people.list().is_empty());
}

#[tokio::test]
async fn sessions_and_links_end_after_their_time() {
    let (office, token) = Office::with("Ana", Role::Viewer).await;
    let code = office.people.add(&name("Ben"), Role::Viewer).unwrap();
    office.clock.pass(LINK_LIFETIME);
    assert!(matches!(office.choose(&code, PASSWORD).await, Err(LoginError::Link)));
    assert_eq!(office.role(&token), Some(Role::Viewer));
    office.clock.pass(SESSION_LIFETIME);
    assert_eq!(office.role(&token), None);
}

/// Catches a session or link that is valid again after its end, and one that never ends while the clock is in the past.
#[tokio::test]
async fn a_clock_that_steps_back_revives_nothing_and_delays_no_end() {
    let (office, first) = Office::with("Ana", Role::Viewer).await;
    let link = office.people.add(&name("Ben"), Role::Viewer).unwrap();
    office.clock.pass(SESSION_LIFETIME);
    assert_eq!((office.role(&first), office.people.invited(link.reveal())), (None, None));
    office.set_clock_back();
    assert_eq!((office.role(&first), office.people.invited(link.reveal())), (None, None));
    let second = office.log_in("ana", PASSWORD).await.unwrap();
    office.clock.pass(SESSION_LIFETIME / 2);
    assert_eq!(office.role(&second), Some(Role::Viewer));
    office.clock.pass(SESSION_LIFETIME / 2);
    assert_eq!(office.role(&second), None);
}

/// Catches what a process finds valid that starts with a clock in the past: with and without a sweep before.
#[tokio::test]
async fn a_restart_with_a_clock_in_the_past_revives_nothing() {
    let (office, first) = Office::with("Ana", Role::Viewer).await;
    let link = office.people.add(&name("Ben"), Role::Viewer).unwrap();
    office.clock.pass(SESSION_LIFETIME);
    office.people.sweep().unwrap();
    assert_eq!((rows::<SessionRow>(&office, SESSIONS).len(), rows::<LinkRow>(&office, LINKS).len()), (0, 0));
    let second = office.log_in("ana", PASSWORD).await.unwrap();
    office.set_clock_back();
    let office = office.restart();
    assert_eq!((office.role(&first), office.people.invited(link.reveal())), (None, None));
    assert_eq!(office.role(&second), Some(Role::Viewer));
    office.clock.pass(SESSION_LIFETIME);
    assert_eq!(office.role(&second), None);
}

/// Catches an office that anybody can take over once it has an owner.
#[tokio::test]
async fn the_first_owner_chooses_a_name_and_there_is_only_one_such_link() {
    let office = Office::new();
    let code = office.people.first_owner().unwrap().unwrap();
    assert!(
        matches!(office.choose(&code, PASSWORD).await, Err(LoginError::Name(_))),
        "the first owner has no name yet"
    );
    let token = office.people.clone().choose(code.reveal(), "Ana", PASSWORD.to_owned(), PEER).await.unwrap();
    assert_eq!(office.role(&token), Some(Role::Owner));
    assert!(office.people.first_owner().unwrap().is_none());
    assert!(matches!(office.choose(&code, PASSWORD).await, Err(LoginError::Link)));
}

/// Catches an owner whose password an earlier invitation of the same name can replace.
#[tokio::test]
async fn the_first_owner_voids_an_invitation_of_the_same_name() {
    let office = Office::new();
    let code = office.people.first_owner().unwrap().unwrap();
    let invitation = office.people.add(&name("Ana"), Role::Viewer).unwrap();
    office.people.clone().choose(code.reveal(), "ana", PASSWORD.to_owned(), PEER).await.unwrap();
    assert!(matches!(office.choose(&invitation, "another password").await, Err(LoginError::Link)));
}

/// Catches an office that nobody can enter because an invitation was never used.
#[tokio::test]
async fn an_invitation_that_is_over_does_not_keep_the_first_owner_out() {
    let office = Office::new();
    office.people.add(&name("Ana"), Role::Owner).unwrap();
    assert!(office.people.first_owner().unwrap().is_none());
    office.clock.pass(LINK_LIFETIME);
    assert!(office.people.first_owner().unwrap().is_some());
}

#[tokio::test]
async fn a_further_session_ends_the_oldest_of_its_user() {
    let (office, first) = Office::with("Ana", Role::Viewer).await;
    let mark = office.people.roll().user(&name("ana")).unwrap().password.mark();
    let mut tokens = vec![first];
    for _ in 0..MAX_SESSIONS_OF_USER {
        office.clock.pass(Duration::from_secs(1));
        tokens.push(office.people.begin_session(&name("ana"), &mark, PEER).unwrap());
    }
    let valid: Vec<_> = tokens.iter().map(|token| office.role(token).is_some()).collect();
    assert_eq!((valid[0], valid.iter().filter(|valid| **valid).count()), (false, MAX_SESSIONS_OF_USER));
    assert_eq!(rows::<SessionRow>(&office, SESSIONS).len(), MAX_SESSIONS_OF_USER);
}

#[tokio::test]
async fn of_two_who_use_a_link_at_the_same_time_one_gets_in() {
    let office = Office::new();
    let code = office.people.add(&name("Ana"), Role::Viewer).unwrap();
    let [one, two] = [office.choose(&code, PASSWORD), office.choose(&code, "the other password")];
    let (one, two) = tokio::join!(one, two);
    assert!(one.is_ok() != two.is_ok(), "{:?}", [one.is_ok(), two.is_ok()]);
}

#[tokio::test]
async fn names_are_unique_and_only_a_renewal_voids_the_link_of_before() {
    let (office, _) = Office::with("Ana", Role::Viewer).await;
    assert!(matches!(office.people.add(&name("ANA"), Role::Owner), Err(PeopleError::Exists(_))));
    assert!(matches!(office.people.renew(&name("Ben")), Err(PeopleError::Unknown(_))));
    assert!(matches!(office.people.remove(&name("Ben")), Err(PeopleError::Unknown(_))));
    let old = office.people.add(&name("Ben"), Role::Viewer).unwrap();
    assert!(matches!(office.people.add(&name("ben"), Role::Owner), Err(PeopleError::Invited(_))));
    assert!(office.people.invited(old.reveal()).is_some());
    let new = office.people.renew(&name("ben")).unwrap();
    assert!(office.people.invited(old.reveal()).is_none());
    let listed: Vec<_> =
        office.people.list().into_iter().map(|user| (user.name.to_string(), user.is_invited)).collect();
    assert_eq!(listed, [("Ana".to_owned(), false), ("Ben".to_owned(), true)]);
    assert_eq!(office.choose(&new, PASSWORD).await.map(|token| office.role(&token)).unwrap(), Some(Role::Viewer));
    let late = office.people.add(&name("Cleo"), Role::Viewer).unwrap();
    office.clock.pass(LINK_LIFETIME);
    office.people.add(&name("Cleo"), Role::Viewer).unwrap();
    assert!(office.people.invited(late.reveal()).is_none());
}

/// Catches a stranger who tries passwords as fast as the office can hash them, or who locks a user out where they work.
#[tokio::test(start_paused = true)]
async fn tries_are_limited_and_a_user_gets_in_where_they_are_logged_in() {
    let (office, _) = Office::with("Ana", Role::Viewer).await;
    let stranger = |n: u8| IpAddr::from([10, 0, 0, n]);
    let mut refused = 0;
    for n in 0..=u8::try_from(NAME_TRIES).unwrap() {
        let tried = office.people.clone().log_in("ana", "a wrong password".to_owned(), stranger(n)).await;
        refused += u32::from(matches!(tried, Err(LoginError::TooManyTries { .. })));
    }
    assert_eq!(refused, 1);
    office.log_in("ana", PASSWORD).await.unwrap();
}

/// Catches somebody who loses the tries of an address while nobody looks at what they typed.
#[tokio::test(start_paused = true)]
async fn a_choice_that_the_office_has_no_time_for_uses_up_no_try() {
    let office = Office::new();
    let code = office.people.add(&name("Ana"), Role::Viewer).unwrap();
    let busy = office.people.hashing.occupy();
    for _ in 0..2 * ADDRESS_TRIES {
        let chosen = office.choose(&code, PASSWORD).await;
        assert!(matches!(chosen, Err(LoginError::People(PeopleError::Hash(HashError::Busy)))));
    }
    drop(busy);
    office.choose(&code, PASSWORD).await.unwrap();
}

/// Catches an office whose last owner can be removed or demoted, also by two at the same time.
#[tokio::test]
async fn the_last_owner_stays_an_owner() {
    let (office, _) = Office::with("Ana", Role::Owner).await;
    let invited = office.people.add(&name("Ben"), Role::Owner).unwrap();
    let is_refused = |result| matches!(result, Err(PeopleError::LastOwner(_)));
    assert!(is_refused(office.people.remove(&name("ANA"))), "the invited one may never come");
    assert!(is_refused(office.people.change_role(&name("ana"), Role::Operator)));
    office.people.change_role(&name("ana"), Role::Owner).unwrap();
    office.choose(&invited, PASSWORD).await.unwrap();
    std::thread::scope(|scope| {
        for (one, role) in [("ana", Role::Viewer), ("ben", Role::Operator)] {
            let people = &office.people;
            scope.spawn(move || people.change_role(&name(one), role));
        }
    });
    let owners = office.people.list().into_iter().filter(|user| user.role == Role::Owner);
    assert_eq!(owners.count(), 1);
}

/// Catches a role that an older link or a restart brings back, and a session that keeps the old one.
#[tokio::test]
async fn a_new_role_holds_at_once_and_a_link_from_before_does_not_change_it() {
    let (office, session) = Office::with("Ana", Role::Owner).await;
    let (_, code) = (office.people.add(&name("Ben"), Role::Owner).unwrap(), office.people.renew(&name("ana")).unwrap());
    let ben = office.people.renew(&name("ben")).unwrap();
    office.choose(&ben, PASSWORD).await.unwrap();
    office.people.change_role(&name("ana"), Role::Viewer).unwrap();
    assert_eq!(office.role(&session), Some(Role::Viewer));
    let office = office.restart();
    assert_eq!(office.role(&session), Some(Role::Viewer));
    let session = office.choose(&code, "the gate is painted red").await.unwrap();
    assert_eq!(office.role(&session), Some(Role::Viewer));
    assert!(matches!(office.people.change_role(&name("Cleo"), Role::Viewer), Err(PeopleError::Unknown(_))));
}

/// Catches a disk that is synced as often as somebody with a password likes, and another user who pays for it.
#[tokio::test(start_paused = true)]
async fn the_sessions_that_a_user_begins_are_limited() {
    let (office, _) = Office::with("Ana", Role::Viewer).await;
    let code = office.people.add(&name("Ben"), Role::Viewer).unwrap();
    office.choose(&code, PASSWORD).await.unwrap();
    for _ in 0..SESSIONS_AT_ONCE {
        office.log_in("Ana", PASSWORD).await.unwrap();
    }
    let before = rows::<SessionRow>(&office, SESSIONS).len();
    let refused = office.log_in("ana", PASSWORD).await;
    assert!(matches!(refused, Err(LoginError::TooManySessions { wait }) if wait <= SESSION_PERIOD));
    assert_eq!(rows::<SessionRow>(&office, SESSIONS).len(), before);
    office.log_in("ben", PASSWORD).await.unwrap();
    tokio::time::advance(SESSION_PERIOD).await;
    office.log_in("ana", PASSWORD).await.unwrap();
}

/// Catches secrets in the file.
#[tokio::test]
async fn the_file_has_hashes_only() {
    let (office, token) = Office::with("Ana", Role::Viewer).await;
    let code = office.people.add(&name("Ben"), Role::Viewer).unwrap();
    let users = rows::<UserRow>(&office, USERS);
    assert!(!format!("{users:?}").contains(PASSWORD));
    for (space, secret) in [(SESSIONS, &token), (LINKS, &code)] {
        let stored = hex::encode(secret.hash());
        let names: Vec<String> = match space {
            SESSIONS => rows::<SessionRow>(&office, space).into_iter().map(|row| row.0).collect(),
            _ => rows::<LinkRow>(&office, space).into_iter().map(|row| row.0).collect(),
        };
        assert_eq!(names, [stored]);
    }
}

/// Catches a form token by which the session's own token could be found, or that two sessions share.
#[tokio::test]
async fn each_session_has_a_form_token_of_its_own() {
    let (office, one) = Office::with("Ana", Role::Viewer).await;
    let two = office.log_in("ana", PASSWORD).await.unwrap();
    let tokens = [&one, &two].map(|token| office.people.session(token.reveal()).unwrap().form_token);
    assert_ne!(tokens[0], tokens[1]);
    assert!(!one.reveal().contains(&tokens[0]) && tokens[0].len() == 32);
}
