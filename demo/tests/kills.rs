//! Both processes are killed again and again while payloads arrive. No payload that was answered as stored is lost,
//! doubled, or different at the office.
//!
//! Catches: an answer before the commit is durable, a file that is unreadable after a kill, a retry that is recorded
//! twice, a follower that resumes at the wrong position, and tables that claim a sequence they have not reached.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]
#![expect(clippy::print_stdout, reason = "a failing test shows what was drawn and what it saw")]

mod senders;
mod yard;

use demo::processes::BarnSettings;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use senders::{Deliveries, Senders};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use tokio::sync::watch;
use yard::{Yard, own_programs, until};

/// Kills of each process in the test that runs for every change.
const KILLS: u32 = 30;
/// Kills of each process in the long test.
const MANY_KILLS: u32 = 600;
/// Longest delay between an acknowledged payload and a kill, for every other kill.
const SOON: Duration = Duration::from_millis(50);
/// The same for the other kills.
const LATER: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn stored_payloads_survive_thirty_kills_of_each_process_once_and_equal_at_the_office() {
    run_kills(KILLS).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: part of .ci/long"]
async fn stored_payloads_survive_six_hundred_kills_of_each_process_once_and_equal_at_the_office() {
    run_kills(MANY_KILLS).await;
}

async fn run_kills(kills: u32) {
    let seed = seed();
    println!("seed {seed}; HERDLINX_SEED={seed} draws the same delays again");
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let senders = Senders::start(&yard.device);

    let (barn, office, stored) = (&mut yard.barn, &mut yard.office, senders.stored());
    let kill_barn = async {
        let mut timer = KillTimer::new(seed, stored.clone());
        for kill in 0..kills {
            timer.wait(kill).await;
            barn.kill();
            barn.start().await.unwrap();
        }
    };
    let kill_office = async {
        let mut timer = KillTimer::new(seed.wrapping_add(1), stored.clone());
        for kill in 0..kills {
            timer.wait(kill).await;
            office.kill();
            office.start().await.unwrap();
        }
    };
    tokio::join!(kill_barn, kill_office);

    let deliveries = senders.finish().await;
    println!(
        "{} answered as stored, {} answered as duplicates after a lost answer",
        deliveries.stored.len(),
        deliveries.duplicates.len()
    );
    assert_kept_once(&mut yard, &deliveries).await;
}

/// Checks that the office's log holds each payload once and nothing else, and that both sides verify their files.
async fn assert_kept_once(yard: &mut Yard, deliveries: &Deliveries) {
    let text_counts = yard.wait_until_equal().await.text_counts();
    for text in deliveries.all() {
        assert_eq!(text_counts.get(text), Some(&1), "{text}");
    }
    assert_eq!(text_counts.len(), deliveries.all().count(), "the log holds a payload that was not sent");

    yard.verify().await;
}

/// Random delays between the kills of one process.
struct KillTimer {
    rng: ChaCha12Rng,
    stored: watch::Receiver<u64>,
}

impl KillTimer {
    fn new(seed: u64, stored: watch::Receiver<u64>) -> Self {
        Self { rng: ChaCha12Rng::seed_from_u64(seed), stored }
    }

    /// Waits until a payload is answered as stored, so that every kill happens under load, and then for a random delay.
    async fn wait(&mut self, kill: u32) {
        self.stored.mark_unchanged();
        until("a payload is answered as stored", async || self.stored.has_changed().unwrap().then_some(())).await;
        let longest = if kill.is_multiple_of(2) { SOON } else { LATER };
        let delay_us = self.rng.next_u64() % u64::try_from(longest.as_micros()).unwrap();
        tokio::time::sleep(Duration::from_micros(delay_us)).await;
    }
}

/// Returns the seed from the environment, or a random one.
fn seed() -> u64 {
    match std::env::var("HERDLINX_SEED") {
        Ok(given) => given.parse().unwrap(),
        Err(_) => RandomState::new().build_hasher().finish(),
    }
}
