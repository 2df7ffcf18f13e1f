//! One type for radios of every kind.

use crate::simulated::Simulated;
use crate::sx127x::Sx127x;
use crate::{Counters, Health, Packet, Radio, RadioError, Serial};
use tokio::sync::watch;

/// A radio of any kind, for programs that keep several kinds in one list.
#[derive(Debug)]
#[non_exhaustive]
pub enum AnyRadio {
    /// An emulated chip on an air driven by a seed or a script.
    Simulated(Simulated),
    /// A chip on a board.
    Sx127x(Sx127x),
    /// A modem on a serial port.
    Serial(Serial),
}

impl Radio for AnyRadio {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        match self {
            Self::Simulated(radio) => radio.receive().await,
            Self::Sx127x(radio) => radio.receive().await,
            Self::Serial(radio) => radio.receive().await,
        }
    }

    fn counters(&self) -> Counters {
        match self {
            Self::Simulated(radio) => radio.counters(),
            Self::Sx127x(radio) => radio.counters(),
            Self::Serial(radio) => radio.counters(),
        }
    }

    fn health(&self) -> watch::Receiver<Health> {
        match self {
            Self::Simulated(radio) => radio.health(),
            Self::Sx127x(radio) => radio.health(),
            Self::Serial(radio) => radio.health(),
        }
    }
}

impl From<Simulated> for AnyRadio {
    fn from(radio: Simulated) -> Self {
        Self::Simulated(radio)
    }
}

impl From<Sx127x> for AnyRadio {
    fn from(radio: Sx127x) -> Self {
        Self::Sx127x(radio)
    }
}

impl From<Serial> for AnyRadio {
    fn from(radio: Serial) -> Self {
        Self::Serial(radio)
    }
}
