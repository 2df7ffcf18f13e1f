//! The simulated radio keeps the contract, and the checks find a radio that violates one point each.

use super::*;
use crate::emulator::Pace;
use crate::simulated::{Script, ScriptLine};
use crate::{AnyRadio, Health, HealthReporter, Simulated};
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio::time::sleep_until;

const SEED: u64 = 7;
/// Interval between two packets of [`PerfectRadio`].
const INTERVAL: Duration = Duration::from_millis(3);

fn scripted(sent: Vec<SentPacket>) -> Simulated {
    let line = |SentPacket { payload, crc_ok }| ScriptLine { corrupted: !crc_ok, ..ScriptLine::new(3, payload) };
    Simulated::from_script(Script::new(sent.into_iter().map(line).collect()).unwrap()).with_pace(Pace::Free)
}

#[tokio::test]
async fn the_simulated_radio_keeps_the_contract() {
    for seed in 0..5 {
        println!("seed {seed}");
        check(seed, async |sent| AnyRadio::from(scripted(sent))).await.unwrap();
    }
}

/// A radio without defects that receives one packet every three milliseconds.
struct PerfectRadio {
    sent: VecDeque<SentPacket>,
    next_at: Instant,
    counters: Counters,
}

impl PerfectRadio {
    fn new(sent: Vec<SentPacket>) -> Self {
        Self { sent: sent.into(), next_at: Instant::now(), counters: Counters::default() }
    }

    async fn receive(&mut self) -> Result<Packet, RadioError> {
        loop {
            sleep_until(self.next_at).await;
            let SentPacket { payload: bytes, crc_ok } = self.sent.pop_front().ok_or(RadioError::Closed)?;
            let received_at = std::mem::replace(&mut self.next_at, Instant::now() + INTERVAL);
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

/// A defect of a radio.
#[derive(Clone, Copy)]
enum Defect {
    None,
    DeliversBadPackets,
    DeliversTwice,
    LosesOne,
    LosesWhenCancelled,
    SwapsTwo,
    ReportsTheFuture,
    CountsNothing,
}

struct DefectiveRadio {
    defect: Defect,
    radio: PerfectRadio,
    held_back: Option<Packet>,
    delivered: u32,
}

impl DefectiveRadio {
    fn new(defect: Defect, mut sent: Vec<SentPacket>) -> Self {
        if let Defect::DeliversBadPackets = defect {
            for packet in &mut sent {
                packet.crc_ok = true;
            }
        }
        Self { defect, radio: PerfectRadio::new(sent), held_back: None, delivered: 0 }
    }
}

impl Radio for DefectiveRadio {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        if let Some(packet) = self.held_back.take() {
            return Ok(packet);
        }
        let mut packet = self.radio.receive().await?;
        self.delivered += 1;
        match self.defect {
            Defect::DeliversTwice if self.delivered == 5 => self.held_back = Some(packet.clone()),
            Defect::LosesOne if self.delivered == 5 => packet = self.radio.receive().await?,
            Defect::SwapsTwo if self.delivered == 5 => {
                self.held_back = Some(std::mem::replace(&mut packet, self.radio.receive().await?));
            }
            // The packet is held by this future while it awaits, so dropping the future loses it.
            Defect::LosesWhenCancelled => tokio::time::sleep(Duration::from_millis(1)).await,
            Defect::ReportsTheFuture => packet.received_at += Duration::from_secs(60),
            _ => {}
        }
        Ok(packet)
    }

    fn counters(&self) -> Counters {
        match self.defect {
            Defect::CountsNothing => Counters::default(),
            _ => self.radio.counters.clone(),
        }
    }

    fn health(&self) -> watch::Receiver<Health> {
        HealthReporter::default().subscribe()
    }
}

async fn contract_error(defect: Defect) -> ContractError {
    println!("seed {SEED}");
    check(SEED, async |sent| DefectiveRadio::new(defect, sent)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_radio_without_defects_passes() {
    check(SEED, async |sent| DefectiveRadio::new(Defect::None, sent)).await.unwrap();
}

/// Catches a check that passes every radio.
#[tokio::test(start_paused = true)]
async fn every_violation_of_the_contract_is_found() {
    use ContractError::{Counter, Different, Failed, Time};
    assert!(matches!(contract_error(Defect::DeliversBadPackets).await, Different { .. }));
    assert!(matches!(contract_error(Defect::DeliversTwice).await, Different { .. }));
    assert!(matches!(contract_error(Defect::LosesOne).await, Different { .. }));
    assert!(matches!(contract_error(Defect::SwapsTwo).await, Different { .. }));
    assert!(matches!(contract_error(Defect::LosesWhenCancelled).await, Different { .. } | Failed { .. }));
    assert!(matches!(contract_error(Defect::ReportsTheFuture).await, Time { .. }));
    assert!(matches!(contract_error(Defect::CountsNothing).await, Counter { .. }));
}
