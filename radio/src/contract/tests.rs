//! The contract kept by the simulated radio, and broken by radios that are wrong in one way each: a check that
//! passes them all would be none.

use super::*;
use crate::emulator::Pace;
use crate::simulated::{Script, ScriptLine};
use crate::{AnyRadio, Health, HealthReporter, Simulated};
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio::time::sleep_until;

const SEED: u64 = 7;
/// Between two packets of [`Told`].
const EVERY: Duration = Duration::from_millis(3);

fn scripted(on_air: Vec<SentPacket>) -> Simulated {
    let line = |SentPacket { payload, crc_ok }| ScriptLine { corrupted: !crc_ok, ..ScriptLine::new(3, payload) };
    Simulated::from_script(Script::new(on_air.into_iter().map(line).collect()).unwrap()).with_pace(Pace::Free)
}

#[tokio::test]
async fn the_simulated_radio_keeps_every_promise() {
    for seed in 0..5 {
        println!("seed {seed}");
        check(seed, async |on_air| AnyRadio::from(scripted(on_air))).await.unwrap();
    }
}

/// A radio that hears what it was told, one packet every three milliseconds, and does nothing wrong.
struct Told {
    on_air: VecDeque<SentPacket>,
    due: Instant,
    counters: Counters,
}

impl Told {
    fn new(on_air: Vec<SentPacket>) -> Self {
        Self { on_air: on_air.into(), due: Instant::now(), counters: Counters::default() }
    }

    async fn receive(&mut self) -> Result<Packet, RadioError> {
        loop {
            sleep_until(self.due).await;
            let SentPacket { payload: bytes, crc_ok } = self.on_air.pop_front().ok_or(RadioError::Closed)?;
            let received_at = std::mem::replace(&mut self.due, Instant::now() + EVERY);
            if crc_ok {
                self.counters.count_received();
                return Ok(Packet {
                    bytes,
                    rssi_dbm: None,
                    snr_quarter_db: None,
                    frequency_error_hz: None,
                    received_at,
                });
            }
            self.counters.count_crc_error();
        }
    }
}

/// What a radio may do wrong.
#[derive(Clone, Copy)]
enum Fault {
    None,
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
    radio: Told,
    kept: Option<Packet>,
    delivered: u32,
}

impl Faulty {
    fn new(fault: Fault, mut on_air: Vec<SentPacket>) -> Self {
        if let Fault::DeliversBadOnes = fault {
            for sent in &mut on_air {
                sent.crc_ok = true;
            }
        }
        Self { fault, radio: Told::new(on_air), kept: None, delivered: 0 }
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
            _ => self.radio.counters.clone(),
        }
    }

    fn health(&self) -> watch::Receiver<Health> {
        HealthReporter::default().subscribe()
    }
}

async fn breach(fault: Fault) -> ContractError {
    println!("seed {SEED}");
    check(SEED, async |on_air| Faulty::new(fault, on_air)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_radio_that_does_nothing_wrong_passes() {
    check(SEED, async |on_air| Faulty::new(Fault::None, on_air)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_broken_promise_is_found() {
    assert!(matches!(breach(Fault::DeliversBadOnes).await, ContractError::Different { .. }));
    assert!(matches!(breach(Fault::DeliversTwice).await, ContractError::Different { .. }));
    assert!(matches!(breach(Fault::LosesOne).await, ContractError::Different { .. }));
    assert!(matches!(breach(Fault::SwapsTwo).await, ContractError::Different { .. }));
    assert!(matches!(
        breach(Fault::LosesWhenCancelled).await,
        ContractError::Different { .. } | ContractError::Failed { .. }
    ));
    assert!(matches!(breach(Fault::ReportsTheFuture).await, ContractError::Time { .. }));
    assert!(matches!(breach(Fault::CountsNothing).await, ContractError::Counted { .. }));
}
