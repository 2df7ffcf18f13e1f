//! The promises of every radio, kept by the driver on an emulated chip, over either embedded-hal.
//!
//! They stand here and not among the tests of the crate because the module of the promises is compiled for tests of
//! this crate alone, unless a feature is set.

use std::time::Duration;

use super::*;
use crate::contract::{OnAir, check};
use crate::emulator::{Air, AirOptions, Faults, LostEdges, Transmission};
use crate::lora::Bandwidth;

/// When the first transmission begins: the chip listens by then.
const BEGIN: Duration = Duration::from_secs(1);

/// A radio that is about to hear these, one after the other with 3 ms between.
fn about_to_hear<B: Board>(
    seed: u64,
    on_air: Vec<OnAir>,
    faults: Faults,
    board: impl Fn(&crate::emulator::Chip) -> B,
) -> Sx127x {
    let modulation = Modulation { bandwidth: Bandwidth::Khz500, ..Modulation::default() };
    let air = Air::new(AirOptions { seed, ..AirOptions::default() });
    let chip = air.chip("under contract");
    chip.set_faults(faults);
    let mut at = BEGIN;
    for OnAir { payload, crc_right } in on_air {
        let air_time = modulation.air_time(u8::try_from(payload.len()).unwrap());
        air.transmit(Transmission { payload, modulation, corrupted: !crc_right, ..Transmission::default() }, at)
            .unwrap();
        at += air_time + Duration::from_millis(3);
    }
    Sx127x::start("under contract", board(&chip), Settings { modulation, transmit: None }).unwrap()
}

#[tokio::test]
async fn the_chip_keeps_every_promise_over_embedded_hal_0_2() {
    for seed in 0..5 {
        println!("seed {seed}");
        let radio = async |on_air| about_to_hear(seed, on_air, Faults::default(), crate::emulator::Chip::board);
        check(seed, radio).await.unwrap();
    }
}

#[tokio::test]
async fn the_chip_keeps_every_promise_over_embedded_hal_1_0() {
    for seed in 0..5 {
        println!("seed {seed}");
        let radio = async |on_air| about_to_hear(seed, on_air, Faults::default(), crate::emulator::Chip::board10);
        check(seed, radio).await.unwrap();
    }
}

#[tokio::test]
async fn the_chip_keeps_every_promise_with_every_third_edge_lost() {
    let faults = Faults { lost_edges: Some(LostEdges::EveryNth(3)), ..Faults::default() };
    let radio = async |on_air| about_to_hear(7, on_air, faults, crate::emulator::Chip::board10);
    check(7, radio).await.unwrap();
}

#[test]
fn any_name_will_do() {
    for name in ["", "barn\0east", "a name that is longer than the kernel keeps"] {
        let chip = Air::default().chip("anonymous");
        Sx127x::start(name, chip.board(), Settings { modulation: Modulation::default(), transmit: None }).unwrap();
    }
}
