//! Peers that open many connections to a barn and its office, and send little or read nothing.
//!
//! Catches: a kind of connection whose number is the memory of the process, a request whose head the process reads without
//! an end, and peers that keep an honest client out. The connections come from several addresses of loopback, which is the
//! worst case: one address alone may hold fewer. Memory is measured while a least number of them is open. The tests print a
//! table of memory above the idle process and of an honest client's longest wait. No time is asserted.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]
#![allow(clippy::print_stderr, reason = "the table is the result")]

mod attack;
mod http2;
#[path = "../yard/mod.rs"]
mod yard;

use attack::{Attack, Kind, Target};
use demo::bench::memory::{Memory, mib};
use demo::processes::{BarnSettings, Client};
use serde_json::json;
use service::door::serve::connections::MAX_UNAUTHENTICATED;
use std::time::{Duration, Instant};
use yard::{Yard, deliver, own_programs};

/// Bound of the memory above the idle process.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Least number of connections that must be open, if so many were opened: half of what strangers may hold.
const MIN_OPEN: usize = MAX_UNAUTHENTICATED / 2;
/// Least number of exports that must run: as many as the interface runs at the same time. The others are answered 503.
const MIN_EXPORTS: usize = 8;
/// Number of connections of an honest client during an attack, one after the other.
const HONEST_CALLS: usize = 10;
/// Number of payloads in the log, so that an export does not fit into the buffers of the network.
const PAYLOADS: usize = 20_000;
/// Number of exports that one key asks for.
const EXPORTS: usize = 32;

/// A call that every key of scope read may make.
const HONEST_PATH: &str = "/api/remote/status";

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_connections_of_each_kind_cost_little_and_keep_nobody_out() {
    attack_both(100, PAYLOADS / 10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a thousand connections, ten times"]
async fn a_thousand_connections_of_each_kind_cost_less_than_64_mib_and_keep_nobody_out() {
    attack_both(1_000, PAYLOADS).await;
}

async fn attack_both(count: usize, payloads: usize) {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    fill(&yard.device, payloads).await;
    yard.wait_until_equal().await;
    let (barn_key, office_key) =
        (yard.barn.key("reader", &["read", "sync"]).unwrap(), yard.office.key("reader", &["read", "sync"]).unwrap());
    let barn = Target {
        name: "barn",
        pid: yard.barn.pid(),
        address: yard.barn.address(),
        spki_sha256: yard.barn.spki_sha256().unwrap(),
        key: barn_key,
    };
    let office = Target {
        name: "office",
        pid: yard.office.pid(),
        address: yard.office.address(),
        spki_sha256: yard.office.spki_sha256().unwrap(),
        key: office_key,
    };
    eprintln!("{:<8}{:<30}{:>10}{:>8}{:>14}{:>12}", "process", "connections", "accepted", "open", "above idle", "wait");
    for target in [&barn, &office] {
        for kind in Kind::ALL {
            let count = if kind == Kind::Exports { EXPORTS } else { count };
            attack(target, kind, count).await;
        }
    }
}

/// Delivers payloads in arrays.
async fn fill(device: &Client, payloads: usize) {
    let payload = |n: usize| format!("hxb:B{:04}:LF{n:07}:UHF{n:07}", n / 50);
    for first in (0..payloads).step_by(1_000) {
        let array: Vec<_> = (first..(first + 1_000).min(payloads)).map(payload).collect();
        assert_eq!(deliver(device, &json!({ "payloads": array })).await.unwrap().0, 200);
    }
}

/// Attacks a process, and prints and checks what it costs.
async fn attack(target: &Target, kind: Kind, count: usize) {
    honest_wait(target).await;
    let idle = Memory::of(target.pid).unwrap().resident_bytes;
    let mut attack = Attack::begin(target, kind, count).await;
    // The answer comes after whatever the process did with the connections before.
    let mut longest = honest_wait(target).await;
    let mut highest = Memory::of(target.pid).unwrap().resident_bytes;
    let open = attack.live().await;
    for _ in 1..HONEST_CALLS {
        longest = longest.max(honest_wait(target).await);
        highest = highest.max(Memory::of(target.pid).unwrap().resident_bytes);
    }
    let (above, accepted) = (highest.saturating_sub(idle), attack.accepted());
    let row = format!(
        "{:<8}{:<30}{:>10}{:>8}{:>10.1} MiB{:>9} ms",
        target.name,
        format!("{count} {}", kind.name()),
        accepted,
        open,
        mib(above),
        longest.as_millis()
    );
    eprintln!("{row}");
    let least = if kind == Kind::Exports { MIN_EXPORTS } else { count.min(MIN_OPEN) };
    // One whose head is too long is answered, and then closed.
    assert!(accepted >= least && (open >= least || kind == Kind::LongHeader), "at least {least}: {row}");
    assert!(above < MAX_BYTES, "{row}");
}

/// Makes a call over a new connection, and returns its duration. Panics if there is no answer within the client's limit.
async fn honest_wait(target: &Target) -> Duration {
    let client = Client::new(target.address, target.spki_sha256, Some(&target.key)).unwrap();
    let start = Instant::now();
    let answer = client.get(HONEST_PATH, "application/json").await.expect("an honest client got no answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    start.elapsed()
}
