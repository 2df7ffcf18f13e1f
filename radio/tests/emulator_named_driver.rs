//! The published crate `sx127x_lora` on emulated chips.
//!
//! It sends and receives on real chips. If it could not do so here, the emulator would be wrong.

use embedded_hal_02::digital::v2::OutputPin;
use radio::board::{EdgeLine, Wake};
use radio::emulator::{Air, Chip, EmulatedDelay, Fate, Reset, Spi02, Transmission};
use std::convert::Infallible;
use std::time::Duration;
use sx127x_lora::{LoRa, RadioMode};

/// A chip-select pin without effect, because the kernel drives the real one.
struct NoPin;

impl OutputPin for NoPin {
    type Error = Infallible;

    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

type NamedDriver = LoRa<Spi02, NoPin, Reset, EmulatedDelay>;

fn named_driver(chip: &Chip) -> NamedDriver {
    let Ok(mut driver) = LoRa::new(chip.spi02(), NoPin, chip.reset(), 915, chip.delay()) else {
        panic!("the chip was not found")
    };
    assert!(driver.set_signal_bandwidth(125_000).is_ok());
    assert!(driver.set_spreading_factor(7).is_ok());
    assert!(driver.set_crc(true).is_ok());
    driver
}

fn buffer(text: &[u8]) -> [u8; 255] {
    let mut buffer = [0; 255];
    buffer[..text.len()].copy_from_slice(text);
    buffer
}

#[test]
fn named_driver_sends_from_one_chip_to_another() {
    let air = Air::default();
    let (from, to) = (air.chip("reader"), air.chip("barn"));
    let (mut sender, mut receiver) = (named_driver(&from), named_driver(&to));
    assert!(receiver.set_mode(RadioMode::RxContinuous).is_ok());
    assert!(sender.transmit_payload(buffer(b"hxb:LOT7:1:2"), 12).is_ok());
    assert_eq!(to.dio0().wait(Duration::from_millis(100)).unwrap(), Wake::Edge);
    assert_eq!(receiver.poll_irq(Some(10)).ok(), Some(12));
    assert_eq!(receiver.read_packet().ok().map(|bytes| bytes[..12].to_vec()), Some(b"hxb:LOT7:1:2".to_vec()));
    assert_eq!(to.tally().of(Fate::Read), 1);
    assert_eq!(sender.transmitting().ok(), Some(false));
}

#[test]
fn named_driver_receives_an_external_transmission() {
    let air = Air::default();
    let chip = air.chip("barn");
    let mut driver = named_driver(&chip);
    let at = air.now() + Duration::from_millis(20);
    air.transmit(Transmission::of(*b"event:hxbind000001"), at).unwrap();
    assert_eq!(driver.poll_irq(Some(200)).ok(), Some(18));
    // -80 dBm is 77 dB above the zero of the register, which grows by 15 for every 16 dB.
    assert_eq!(driver.get_packet_rssi().ok(), Some(-157 + 72));
}
