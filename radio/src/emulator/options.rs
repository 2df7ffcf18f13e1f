//! Options of an air: seed, pace and propagation.

/// Speed of an air's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// No limit: the clock runs as fast as the machine allows.
    Free,
    /// Never ahead of real time multiplied by `speed`.
    RealTime {
        /// Emulated seconds per real second, above 0; 1 is real time.
        speed: f64,
    },
}

/// Options of an air.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AirOptions {
    /// Seed of everything random on the air: equal seeds replay exactly.
    pub seed: u64,
    /// Speed of the clock.
    pub pace: Pace,
    /// Noise that each receiver adds to thermal noise.
    pub noise_figure_db: f64,
    /// Path loss between two chips for which no other value was set.
    pub path_loss_db: f64,
    /// Standard deviation of the received power, drawn for each packet and receiver.
    pub fading_db: f64,
    /// Probability, 0..=1, that a packet fades below the sensitivity of a receiver that could have heard it.
    pub loss: f64,
    /// Probability, 0..=1, that a packet is corrupted at a receiver that hears it.
    pub corruption: f64,
}

impl Default for AirOptions {
    /// A noise figure of 6 dB (Semtech AN1200.13), 90 dB of path loss, no randomness, and a free-running clock.
    fn default() -> Self {
        Self {
            seed: 1,
            pace: Pace::Free,
            noise_figure_db: 6.0,
            path_loss_db: 90.0,
            fading_db: 0.0,
            loss: 0.0,
            corruption: 0.0,
        }
    }
}
