//! Both processes are killed over and over while payloads come, and nothing that was answered as stored is lost,
//! doubled, or different at the office.
//!
//! Would catch: an answer before the commit is durable, a file that a kill leaves unreadable, a retry that is kept
//! twice, a follower that resumes at the wrong place, tables that are told to stand where they do not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]
#![expect(clippy::print_stdout, reason = "what was drawn and what was seen is shown where a test fails")]

mod senders;
mod yard;

use demo::processes::BarnSettings;
use senders::{Senders, Yields};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use tokio::sync::watch;
use yard::{Yard, own_programs, until};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// Each of the two is killed so often, where every change is tested ...
const KILLS: u32 = 30;
/// ... and where there is time.
const MANY_KILLS: u32 = 600;
/// Half of the kills come so soon after a payload was answered as stored.
const SOON: Duration = Duration::from_millis(50);
/// The others come at any time up to this.
const LATER: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_as_stored_is_kept_once_and_equal_at_the_office_through_thirty_kills_of_each() {
    survives(KILLS).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn what_was_answered_as_stored_is_kept_once_and_equal_at_the_office_through_six_hundred_kills_of_each() {
    survives(MANY_KILLS).await;
}

async fn survives(kills: u32) {
    let seed = seed();
    println!("seed {seed}; HERDLINX_SEED={seed} draws the same moments again");
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let senders = Senders::start(&yard.device);

    let (barn, office, stored) = (&mut yard.barn, &mut yard.office, senders.stored());
    let kill_barn = async {
        let mut moments = Moments::new(seed, stored.clone());
        for kill in 0..kills {
            moments.wait(kill).await;
            barn.kill();
            barn.start().await.unwrap();
        }
    };
    let kill_office = async {
        let mut moments = Moments::new(seed.wrapping_add(1), stored.clone());
        for kill in 0..kills {
            moments.wait(kill).await;
            office.kill();
            office.start().await.unwrap();
        }
    };
    tokio::join!(kill_barn, kill_office);

    let yields = senders.finish().await;
    println!(
        "{} answered as stored, {} found again after a lost answer",
        yields.stored.len(),
        yields.found_again.len()
    );
    agrees(&mut yard, &yields).await;
}

/// The log at the office holds each payload once and nothing else, and both sides prove their files.
async fn agrees(yard: &mut Yard, yields: &Yields) {
    let counted = yard.copied().await.counted();
    for text in yields.all() {
        assert_eq!(counted.get(text), Some(&1), "{text}");
    }
    assert_eq!(counted.len(), yields.all().count(), "nothing is there that was not sent");

    yard.verify().await;
}

/// When to kill.
struct Moments {
    chance: ChaCha12Rng,
    stored: watch::Receiver<u64>,
}

impl Moments {
    fn new(seed: u64, stored: watch::Receiver<u64>) -> Self {
        Self { chance: ChaCha12Rng::seed_from_u64(seed), stored }
    }

    /// Waits until a payload is answered as stored, so that every kill meets load, and then a moment.
    async fn wait(&mut self, kill: u32) {
        self.stored.mark_unchanged();
        until("a payload to be answered as stored", async || self.stored.has_changed().unwrap().then_some(())).await;
        let within = if kill.is_multiple_of(2) { SOON } else { LATER };
        let moment_us = self.chance.next_u64() % u64::try_from(within.as_micros()).unwrap();
        tokio::time::sleep(Duration::from_micros(moment_us)).await;
    }
}

/// From the environment, else drawn.
fn seed() -> u64 {
    match std::env::var("HERDLINX_SEED") {
        Ok(given) => given.parse().unwrap(),
        Err(_) => RandomState::new().build_hasher().finish(),
    }
}
