//! The fixture of these tests: a chip on an air of its own, with our driver. Tests wait for conditions, for at most ten
//! seconds.

use radio::board::Board;
use radio::emulator::{Air, AirOptions, Chip, Transmission};
use radio::lora::Modulation;
use radio::sx127x::{Settings, Sx127x, TransmitSettings};
use radio::{Health, Packet, Radio};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Timeout of every wait, in real time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Start of the first transmission on a fresh air. The chip listens by then.
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

    /// Starts our driver on this chip.
    pub(crate) fn radio(&self, modulation: Modulation) -> Sx127x {
        start(self.chip.board(), modulation, None)
    }

    /// Starts our driver on this chip, with permission to transmit.
    pub(crate) fn transmitting_radio(&self) -> Sx127x {
        start(self.chip.board(), Modulation::default(), Some(TransmitSettings { power_dbm: 14 }))
    }

    /// Schedules a payload at the default modulation, `wait` from now.
    pub(crate) fn send_in(&self, wait: Duration, payload: &[u8]) {
        self.air.transmit(Transmission::of(payload), self.air.now() + wait).unwrap();
    }
}

pub(crate) fn start(board: impl Board, modulation: Modulation, transmit: Option<TransmitSettings>) -> Sx127x {
    start_with(board, Settings { transmit, ..Settings::listening(modulation) })
}

pub(crate) fn start_with(board: impl Board, settings: Settings) -> Sx127x {
    Sx127x::start("under test", board, settings).unwrap()
}

/// Waits until the radio listens.
pub(crate) async fn listening(radio: &Sx127x) {
    let mut health = radio.health();
    let outcome = timeout(PATIENCE, health.wait_for(|health| *health == Health::Listening)).await;
    outcome.expect("the radio listens in time").unwrap();
}

/// Waits until the radio reports a failure, and returns its message.
pub(crate) async fn failing(radio: &Sx127x) -> String {
    let mut health = radio.health();
    let failing = timeout(PATIENCE, health.wait_for(|health| matches!(health, Health::Failing(_)))).await;
    match failing.expect("the radio fails in time").unwrap().clone() {
        Health::Failing(sentence) => sentence,
        Health::Listening | Health::Degraded(_) | Health::Starting(_) => unreachable!("the wait excludes these states"),
    }
}

/// Returns the next packet.
pub(crate) async fn packet(radio: &mut Sx127x) -> Packet {
    timeout(PATIENCE, radio.receive()).await.expect("a packet arrives in time").unwrap()
}

/// Waits for a condition that another thread fulfills. `what` completes the sentence "timed out waiting until".
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(waited.await.is_ok(), "timed out waiting until {what}");
}
