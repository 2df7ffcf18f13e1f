//! Memory that a barn and an office take for a verification and for a new copy, and give back.
//!
//! Catches: a process that keeps what a burst of work took until it ends, which a machine with 512 MiB has no room for.
//!
//! Memory is the anonymous memory that the kernel counts (`RssAnon`): heap and stacks. The test prints it.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]
#![expect(clippy::print_stderr, reason = "the figures are the result")]

mod yard;

use demo::bench::memory::{Memory, mib};
use demo::processes::{BarnSettings, Process, Side};
use serde_json::json;
use service::harness::wait_until_within;
use std::time::Duration;
use yard::{Yard, deliver, own_programs};

/// Payloads of the log: their tables fill the page caches of a process.
const PAYLOADS: usize = 100_000;
/// Payloads of an array.
const ARRAY: usize = 1_000;
/// Memory that a process may have after verifications: the page caches of log and tables are full then (10 MiB), rows of the
/// log and of the tables are kept (6 MiB), and there is what it had at rest. It has 14 MiB, or 18 with debug assertions, and 22
/// or more if it gives nothing back.
const AFTER_VERIFICATION_BYTES: u64 = 20 * 1024 * 1024;
/// Memory that an office may have after a new copy: the same, with as much again for what lies between the rows that stay. It
/// has 17 MiB, or 21 with debug assertions, and 53 if it gives nothing back.
const AFTER_COPY_BYTES: u64 = 32 * 1024 * 1024;
/// Verifications, one after the other: the first one may find room in what the start has left.
const VERIFICATIONS: usize = 3;
/// Maximum time from the end of a burst until its memory is given back. The process looks every second, and needs two looks
/// without a change.
const RETURN_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum time of a new copy.
const COPY_TIMEOUT: Duration = Duration::from_secs(60);

fn memory<S: Side>(process: &Process<S>) -> u64 {
    Memory::of(process.pid()).unwrap().anonymous_bytes
}

/// Waits until a process has at most this memory.
async fn wait_until_returned<S: Side>(burst: &str, process: &Process<S>, most: u64) {
    let after = memory(process);
    let returned = wait_until_within(RETURN_TIMEOUT, burst, async || {
        let now = memory(process);
        (now <= most).then_some(now)
    });
    let kept = returned.await.map_err(|_| memory(process));
    let now = kept.unwrap_or_else(|kept| kept);
    let [after, now, most] = [after, now, most].map(mib);
    let row = format!("{burst}: {after} MiB right after, {now} then; at most {most}");
    eprintln!("{row}");
    assert!(kept.is_ok(), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a log of 100,000 payloads: part of .ci/long"]
async fn barn_and_office_give_back_within_a_minute_what_a_verification_and_a_new_copy_took() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    for first in (0..PAYLOADS).step_by(ARRAY) {
        let array: Vec<_> = (first..first + ARRAY).map(|n| format!("hxb:B{}:LF{n:07}:UHF{n:07}", n / 50)).collect();
        assert_eq!(deliver(&yard.device, &json!({ "payloads": array })).await.unwrap().0, 200);
    }
    yard.wait_until_equal().await;
    yard.restart().await;
    yard.wait_until_equal().await;
    eprintln!("at rest: barn {} MiB, office {}", mib(memory(&yard.barn)), mib(memory(&yard.office)));

    for _ in 0..VERIFICATIONS {
        yard.barn.run(&["verify"]).unwrap();
        yard.office.run(&["verify", "barn"]).unwrap();
    }
    wait_until_returned("barn, verifications", &yard.barn, AFTER_VERIFICATION_BYTES).await;
    wait_until_returned("office, verifications", &yard.office, AFTER_VERIFICATION_BYTES).await;

    yard.office.run(&["resync", "barn"]).unwrap();
    let shown = yard.office.state_dir().join("sites/barn/current");
    let copied = wait_until_within(COPY_TIMEOUT, "the new copy is shown", async || {
        std::fs::read_link(&shown).unwrap().ends_with("copy-2").then_some(())
    });
    copied.await.unwrap();
    wait_until_returned("office, new copy", &yard.office, AFTER_COPY_BYTES).await;
    yard.wait_until_equal().await;
}
