//! The contract kept by the simulated radio, and broken by radios that are wrong in one way each: a check that
//! passes them all would be none.

use super::*;
use tokio::sync::watch;

use crate::simulated::{Script, ScriptLine};
use crate::{AnyRadio, Health, Simulated};

const SEED: u64 = 7;

fn scripted(on_air: Vec<OnAir>) -> Simulated {
    let line = |OnAir { payload, crc_right }| ScriptLine { corrupted: !crc_right, ..ScriptLine::new(3, payload) };
    Simulated::of_script(Script::new(on_air.into_iter().map(line).collect()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_simulated_radio_keeps_every_promise() {
    for seed in 0..50 {
        println!("seed {seed}");
        check(seed, async |on_air| AnyRadio::from(scripted(on_air))).await.unwrap();
    }
}

/// What a radio may do wrong.
#[derive(Clone, Copy)]
enum Fault {
    DeliversBadOnes,
    DeliversTwice,
    LosesOne,
    LosesWhenCancelled,
    SwapsTwo,
    ReportsTheFuture,
    CountsNothing,
}

struct Faulty {
    fault: Fault,
    radio: Simulated,
    kept: Option<Packet>,
    delivered: u32,
}

impl Faulty {
    fn new(fault: Fault, mut on_air: Vec<OnAir>) -> Self {
        if let Fault::DeliversBadOnes = fault {
            for sent in &mut on_air {
                sent.crc_right = true;
            }
        }
        Self { fault, radio: scripted(on_air), kept: None, delivered: 0 }
    }
}

impl Radio for Faulty {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        if let Some(packet) = self.kept.take() {
            return Ok(packet);
        }
        let mut packet = self.radio.receive().await?;
        self.delivered += 1;
        match self.fault {
            Fault::DeliversTwice if self.delivered == 5 => self.kept = Some(packet.clone()),
            Fault::LosesOne if self.delivered == 5 => packet = self.radio.receive().await?,
            Fault::SwapsTwo if self.delivered == 5 => {
                self.kept = Some(std::mem::replace(&mut packet, self.radio.receive().await?));
            }
            // Taken already, and awaiting again: what a dropped future holds is gone.
            Fault::LosesWhenCancelled => tokio::time::sleep(Duration::from_millis(1)).await,
            Fault::ReportsTheFuture => packet.received_at += Duration::from_secs(60),
            _ => {}
        }
        Ok(packet)
    }

    fn counters(&self) -> Counters {
        match self.fault {
            Fault::CountsNothing => Counters::default(),
            _ => self.radio.counters(),
        }
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.radio.health()
    }
}

async fn breach(fault: Fault) -> Breach {
    println!("seed {SEED}");
    check(SEED, async |on_air| Faulty::new(fault, on_air)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn every_broken_promise_is_found() {
    assert!(matches!(breach(Fault::DeliversBadOnes).await, Breach::Different { .. }));
    assert!(matches!(breach(Fault::DeliversTwice).await, Breach::Different { .. }));
    assert!(matches!(breach(Fault::LosesOne).await, Breach::Different { .. }));
    assert!(matches!(breach(Fault::SwapsTwo).await, Breach::Different { .. }));
    assert!(matches!(breach(Fault::LosesWhenCancelled).await, Breach::Different { .. } | Breach::Failed { .. }));
    assert!(matches!(breach(Fault::ReportsTheFuture).await, Breach::Time { .. }));
    assert!(matches!(breach(Fault::CountsNothing).await, Breach::Counted { .. }));
}
