//! The radio contract, kept by the driver on an emulated chip, over both versions of embedded-hal.
//!
//! These tests are here instead of in `tests/` because the module `contract` is compiled for unit tests without a
//! feature.

use std::time::Duration;
pub(super) mod array_chip;

use super::*;
use crate::contract::{SentPacket, check};
use crate::emulator::{Air, AirOptions, Faults, LostEdges, Transmission};
use crate::lora::Bandwidth;

/// Start of the first transmission. The chip listens by then.
const BEGIN: Duration = Duration::from_secs(1);

/// Returns a radio that is about to receive these packets, one after the other with gaps of 3 ms.
fn about_to_receive<B: Board>(
    seed: u64,
    on_air: Vec<SentPacket>,
    faults: Faults,
    board: impl Fn(&crate::emulator::Chip) -> B,
) -> Sx127x {
    let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
    let air = Air::new(AirOptions { seed, ..AirOptions::default() });
    let chip = air.chip("under contract");
    chip.set_faults(faults);
    let mut at = BEGIN;
    for SentPacket { payload, crc_ok } in on_air {
        let air_time = modulation.air_time(u8::try_from(payload.len()).unwrap());
        air.transmit(Transmission { payload, modulation, corrupted: !crc_ok, ..Transmission::default() }, at).unwrap();
        at += air_time + Duration::from_millis(3);
    }
    Sx127x::start("under contract", board(&chip), Settings::listening(modulation)).unwrap()
}

#[tokio::test]
async fn the_driver_keeps_the_contract_over_embedded_hal_0_2() {
    for seed in 0..5 {
        println!("seed {seed}");
        let radio = async |on_air| about_to_receive(seed, on_air, Faults::default(), crate::emulator::Chip::board);
        check(seed, radio).await.unwrap();
    }
}

#[tokio::test]
async fn the_driver_keeps_the_contract_over_embedded_hal_1_0() {
    for seed in 0..5 {
        println!("seed {seed}");
        let radio = async |on_air| about_to_receive(seed, on_air, Faults::default(), crate::emulator::Chip::board10);
        check(seed, radio).await.unwrap();
    }
}

#[tokio::test]
async fn the_driver_keeps_the_contract_with_every_third_edge_lost() {
    let faults = Faults { lost_edges: Some(LostEdges::EveryNth(3)), ..Faults::default() };
    let radio = async |on_air| about_to_receive(7, on_air, faults, crate::emulator::Chip::board10);
    check(7, radio).await.unwrap();
}

/// Catches a panic or an error of the system for an unusual thread name.
#[test]
fn any_name_is_accepted() {
    for name in ["", "barn\0east", "a name that is longer than the kernel keeps"] {
        let chip = Air::default().chip("anonymous");
        Sx127x::start(name, chip.board(), Settings::listening(Modulation::default())).unwrap();
    }
}
