//! Floods of wrong log-ins from many addresses, with many names.
//!
//! The throttle refuses most of them before a password is hashed. Those that it lets through are counted: at most the tries of
//! each address, and one more for each [`ADDRESS_PERIOD`] that has passed.

use super::yard_with;
use crate::user::{PASSWORD, User, browser};
use demo::bench::memory::Memory;
use futures::future::join_all;
use mirror::people::{ADDRESS_PERIOD, ADDRESS_TRIES, NAME_PERIOD, NAME_TRIES};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Bound of the memory that a flood may take: two hashes, and the tables of the throttle.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Number of attackers that try at one time.
const AT_ONCE: usize = 20;

/// Statuses of wrong log-ins.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    /// The password was hashed, and is wrong.
    wrong: u32,
    /// Refused without a look at the password.
    throttled: u32,
    /// Too many wait for a hash.
    busy: u32,
    /// Of the wrong ones, those with the name of a user.
    wrong_for_user: u32,
}

/// Tries to log in with wrong passwords from one address, every second time with the name of a user.
async fn attack(user: User, tries: usize, first: usize) -> Answers {
    let mut answers = Answers::default();
    for n in first..first + tries {
        let name = if n.is_multiple_of(2) { "ana".to_owned() } else { format!("nobody {n}") };
        let password = format!("wrong password {n}");
        let status = user.send("/login", &[("name", &name), ("password", &password)]).await.status().as_u16();
        match status {
            403 => {
                answers.wrong += 1;
                answers.wrong_for_user += u32::from(n.is_multiple_of(2));
            }
            429 => answers.throttled += 1,
            503 => answers.busy += 1,
            other => panic!("status {other} for a wrong password"),
        }
    }
    answers
}

/// Returns the tries that a limit grants in this time.
fn granted(tries: u32, period: Duration, elapsed: Duration) -> u32 {
    tries + u32::try_from(elapsed.as_secs() / period.as_secs()).unwrap() + 1
}

async fn flood(addresses: usize, tries_each: usize) {
    let yard = yard_with(&[]).await;
    let office = &yard.office;
    User::add(office, "Ana", "operator").await;
    User::add(office, "Ben", "viewer").await;
    let at = |[c, d]: [u8; 2]| User { browser: browser(office, Ipv4Addr::new(127, 0, c, d)), ..User::nobody(office) };
    let log_in = async |user: &User, name: &str| user.send("/login", &[("name", name), ("password", PASSWORD)]).await;
    let home = at([9, 1]);
    assert_eq!(log_in(&home, "ana").await.status(), 303);

    let (before, start) = (Memory::of(office.pid()).unwrap().anonymous_bytes, Instant::now());
    let mut all = Answers::default();
    let numbers: Vec<_> = (0..addresses).collect();
    for some in numbers.chunks(AT_ONCE) {
        let attackers = some.iter().map(|n| {
            let [high, low] = u16::try_from(*n).unwrap().to_be_bytes();
            attack(at([20 + high, low]), tries_each, n * tries_each)
        });
        for one in join_all(attackers).await {
            all.wrong += one.wrong;
            all.throttled += one.throttled;
            all.busy += one.busy;
            all.wrong_for_user += one.wrong_for_user;
        }
    }
    let elapsed = start.elapsed();
    assert_eq!((all.wrong + all.throttled + all.busy) as usize, addresses * tries_each, "{all:?}");
    let of_addresses = u32::try_from(addresses).unwrap() * granted(ADDRESS_TRIES, ADDRESS_PERIOD, elapsed);
    assert!(all.wrong <= of_addresses, "{all:?}: at most {of_addresses}");
    let of_name = granted(NAME_TRIES, NAME_PERIOD, elapsed);
    assert!(all.wrong_for_user <= of_name, "{all:?}: at most {of_name}");
    let after = Memory::of(office.pid()).unwrap().anonymous_bytes;
    assert!(after < before + MAX_BYTES, "{before} bytes before, {after} after");

    // The user who is logged in there, and another one anywhere else, come in at once.
    assert_eq!(log_in(&home, "ana").await.status(), 303);
    assert_eq!(log_in(&at([9, 2]), "ben").await.status(), 303);
    // At the address of the last attacker, after the time that the answer states.
    let [high, low] = u16::try_from(addresses - 1).unwrap().to_be_bytes();
    let beside = at([20 + high, low]);
    let mut answer = log_in(&beside, "ben").await;
    if answer.status() == 429 {
        let wait_s: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(wait_s <= ADDRESS_PERIOD.as_secs() + 1, "{wait_s} s");
        tokio::time::sleep(Duration::from_secs(wait_s)).await;
        answer = log_in(&beside, "ben").await;
    }
    assert_eq!(answer.status(), 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_log_ins_lets_nobody_in_and_keeps_nobody_out() {
    flood(6, 50).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: part of .ci/long"]
async fn ten_thousand_wrong_log_ins_let_nobody_in_and_keep_nobody_out() {
    flood(400, 25).await;
}
