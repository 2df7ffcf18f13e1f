//! Sessions and links that have ended by their age, at a running office.

use crate::user::{PASSWORD, User, cookie_of};
use crate::yard::own_programs;
use demo::processes::{Office, OfficeSettings};
use herd::clock::{Clock, RawReading, SystemClock};
use herd::randomness::SystemRandomness;
use herd::store::LocalFile;
use mirror::people::{LINK_LIFETIME, People, Role, SESSION_LIFETIME};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// The machine's clock, behind by a duration.
struct ClockBehind(SystemClock, Duration);

impl Clock for ClockBehind {
    fn read(&self) -> RawReading {
        let now = self.0.read();
        let behind_us = i64::try_from(self.1.as_micros()).unwrap();
        RawReading { received_at_us: now.received_at_us - behind_us, ..now }
    }

    fn boot_id(&self) -> String {
        self.0.boot_id()
    }
}

/// Opens the people of an office that does not run, as of a time in the past.
fn people(directory: &Path, ago: Duration) -> Arc<People> {
    let local = LocalFile::open(directory.join("local.redb")).unwrap();
    let clock = Arc::new(ClockBehind(SystemClock::default(), ago));
    Arc::new(People::load(local, clock, SystemRandomness).unwrap())
}

/// Adds a user whose log-in is `ago` old, and returns the token of the session.
async fn logged_in(directory: &Path, name: &str, ago: Duration) -> String {
    let people = people(directory, ago);
    let code = people.add(&name.parse().unwrap(), Role::Operator).unwrap();
    let peer = [127, 0, 0, 1].into();
    people.choose(code.reveal(), "", PASSWORD.to_owned(), peer).await.unwrap().reveal().to_owned()
}

/// Catches a session or a link of which only the browser knows the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_and_a_link_are_good_for_nothing_once_they_are_too_old() {
    let directory = tempfile::tempdir().unwrap();
    let mut office = Office::new(&own_programs(), directory.path(), &OfficeSettings::default()).unwrap();
    let expired = logged_in(directory.path(), "Otto", SESSION_LIFETIME + HOUR).await;
    let link = people(directory.path(), LINK_LIFETIME + HOUR).add(&"Lena".parse().unwrap(), Role::Viewer).unwrap();
    let valid = logged_in(directory.path(), "Olga", HOUR).await;
    office.start().await.unwrap();
    let nobody = User::nobody(&office);
    let entered = nobody.send("/login", &[("name", "otto"), ("password", PASSWORD)]).await;
    let cookie = cookie_of(&entered).unwrap();
    let (name, _) = cookie.split_once('=').unwrap();
    for (token, is_let_in) in [(&valid, true), (&expired, false)] {
        let user = User { cookie: format!("{name}={token}"), ..nobody.clone() };
        assert_eq!(user.get("/").await.status().as_u16(), if is_let_in { 200 } else { 303 });
    }
    let fields = [("code", link.reveal()), ("password", PASSWORD), ("again", PASSWORD)];
    let welcomed = nobody.send("/welcome", &fields).await;
    assert_eq!((welcomed.status().as_u16(), cookie_of(&welcomed)), (410, None));
}
