//! A chip on an air of its own with our driver on it, and how tests wait: on conditions, for ten seconds at most.

use radio::board::Board;
use radio::emulator::{Air, AirOptions, Chip, Transmission};
use radio::lora::Modulation;
use radio::sx127x::{Settings, Sx127x, TransmitSettings};
use radio::{Health, Packet, Radio};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The longest real time that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// When the first transmission begins on a fresh air: the chip listens by then.
pub(crate) const BEGIN: Duration = Duration::from_secs(1);

/// An air with one chip on it.
pub(crate) struct Barn {
    pub(crate) air: Air,
    pub(crate) chip: Chip,
}

impl Barn {
    pub(crate) fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let air = Air::new(AirOptions { seed, ..AirOptions::default() });
        let chip = air.chip("barn");
        Self { air, chip }
    }

    /// Our driver on this chip.
    pub(crate) fn radio(&self, modulation: Modulation) -> Sx127x {
        start(self.chip.board(), modulation, None)
    }

    /// The same, allowed to transmit.
    pub(crate) fn transmitting_radio(&self) -> Sx127x {
        start(self.chip.board(), Modulation::default(), Some(TransmitSettings { power_dbm: 14 }))
    }

    /// Plans a payload at the default modulation so long after now.
    pub(crate) fn send_in(&self, wait: Duration, payload: &[u8]) {
        self.air.transmit(Transmission::of(payload), self.air.now() + wait).unwrap();
    }
}

pub(crate) fn start(board: impl Board, modulation: Modulation, transmit: Option<TransmitSettings>) -> Sx127x {
    Sx127x::start("under test", board, Settings { modulation, transmit }).unwrap()
}

/// Waits until the radio hears.
pub(crate) async fn listening(radio: &Sx127x) {
    let mut health = radio.health();
    let heard = timeout(PATIENCE, health.wait_for(|health| *health == Health::Listening)).await;
    heard.expect("the radio hears before long").unwrap();
}

/// Waits until the radio says that it does not hear, and gives its words.
pub(crate) async fn failing(radio: &Sx127x) -> String {
    let mut health = radio.health();
    let failing = timeout(PATIENCE, health.wait_for(|health| *health != Health::Listening)).await;
    match failing.expect("the radio fails before long").unwrap().clone() {
        Health::Failing(sentence) => sentence,
        Health::Listening => unreachable!("it was waited for something else"),
    }
}

/// The next packet.
pub(crate) async fn packet(radio: &mut Sx127x) -> Packet {
    timeout(PATIENCE, radio.receive()).await.expect("a packet comes before long").unwrap()
}

/// Waits for something that another thread brings about.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(waited.await.is_ok(), "it was waited in vain until {what}");
}
