//! The life of a chip's thread: connect, set up, listen, and start over when something fails.
//!
//! A chip that has worked for a while is set up again at once after an error, so that its reset costs only about 40 ms
//! of reception. Pauses between attempts, from 100 ms to 30 s, apply only to attempts that fail in a row.

use super::bus::SharedPart;
use super::error::ChipError;
use super::link::RadioLink;
use super::receive::DrainOutcome;
use super::settings::Settings;
use super::setup::{CALIBRATION_TIMEOUT_MS, Chip, SharedWiring};
use super::transmitter::TransmitError;
use super::watch::{LineVerdict, Watch};
use crate::board::{Board, EdgeLine as _, Wake};
use embedded_hal_02::blocking::delay::DelayMs;
use std::time::Duration;

/// First pause after a failed set-up, in milliseconds of the board's clock. It doubles with each failure.
const FIRST_PAUSE_MS: u64 = 100;
/// Longest pause between two attempts, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 30_000;
/// Step of a pause, in milliseconds. The shutdown signal is checked after each.
const PAUSE_STEP_MS: u8 = 50;
/// Number of health checks in a row after which a chip counts as stable: its next error is retried at once.
const STABLE_AFTER_CHECKS: u32 = 10;

/// Pauses between attempts to set a chip up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Backoff {
    next_ms: u64,
}

impl Backoff {
    fn new() -> Self {
        Self { next_ms: FIRST_PAUSE_MS }
    }

    /// Returns the next pause and doubles the one after it.
    fn next_pause_ms(&mut self) -> u64 {
        let pause_ms = self.next_ms;
        self.next_ms = (pause_ms * 2).clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
        pause_ms
    }

    /// Drops the pause before the next attempt, because the chip has been stable.
    fn reset(&mut self) {
        self.next_ms = 0;
    }
}

/// Runs on the chip's thread until the radio is dropped.
pub(super) fn run<B: Board>(mut board: B, settings: &Settings, mut link: RadioLink) {
    let mut backoff = Backoff::new();
    let mut is_retry = false;
    while !link.shutdown.is_requested() {
        let (error, clock) = match board.connect() {
            Err(error) => (ChipError::Board(error), None),
            Ok(wiring) => {
                let wiring = SharedWiring::<B>::from(wiring);
                let clock = wiring.delay.clone();
                match attempt(wiring, settings, &mut link, &mut backoff, is_retry) {
                    Ok(()) => return,
                    Err(error) => (error, Some(clock)),
                }
            }
        };
        is_retry = true;
        let reason = error.to_string();
        link.report_failing(error);
        pause(backoff.next_pause_ms(), clock, &link, &reason);
    }
}

/// Sets the chip up and listens. Returns `Ok` only on shutdown.
fn attempt<B: Board>(
    wiring: SharedWiring<B>,
    settings: &Settings,
    link: &mut RadioLink,
    backoff: &mut Backoff,
    is_retry: bool,
) -> Result<(), ChipError> {
    let mut chip = Chip::set_up(wiring, settings)?;
    if is_retry {
        link.counters.count_rebuilt();
    }
    link.report_listening();
    if !chip.is_calibrated {
        link.report_degraded(ChipError::NotCalibrated { within_ms: CALIBRATION_TIMEOUT_MS });
    }
    listen(&mut chip, link, backoff)?;
    // A chip that stays awake does no harm, and nobody listens to the radio any more, so an error is only logged.
    if let Err(error) = chip.upstream.sleep() {
        tracing::debug!(%error, "failed to put the chip to sleep");
    }
    Ok(())
}

fn listen<B: Board>(chip: &mut Chip<B>, link: &mut RadioLink, backoff: &mut Backoff) -> Result<(), ChipError> {
    let mut watch = Watch::new(&chip.modulation);
    let mut checks = 0_u32;
    while !link.shutdown.is_requested() {
        if let Ok(request) = link.requests.try_recv() {
            chip.fulfill(request, link)?;
        }
        let wake = chip.wait(&mut watch)?;
        let DrainOutcome::Clear(found) = chip.drain(link)? else { return Ok(()) };
        let wake = if wake == Wake::TimedOut && found > 0 { chip.pending_edge()? } else { wake };
        // Without the line every packet is found by polling, which then rescues nothing.
        let wake = if found > 0 && !chip.dio0.is_wired() { Wake::Edge } else { wake };
        report(watch.record(wake, found), link);
        if found > 0 {
            link.report_listening();
        }
        if chip.check_if_due(&mut watch)? {
            checks += 1;
            if checks == STABLE_AFTER_CHECKS {
                backoff.reset();
            }
            if chip.refresh_if_silent(&mut watch, link)? == DrainOutcome::Shutdown {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Counts rescued packets and reports a DIO0 that does not work.
fn report(verdict: LineVerdict, link: &RadioLink) {
    match verdict {
        LineVerdict::Normal => {}
        LineVerdict::Rescue => link.counters.count_rescued(),
        LineVerdict::Silent(rescued) => {
            link.counters.count_rescued();
            link.report_degraded(ChipError::SilentDio0 { rescued });
        }
        LineVerdict::Chattering(edges) => link.report_degraded(ChipError::ChatteringDio0 { edges }),
    }
}

/// Pauses on the board's clock, or in real time if no board could be connected. Ends early on shutdown.
fn pause<D: DelayMs<u8>>(pause_ms: u64, mut clock: Option<SharedPart<D>>, link: &RadioLink, reason: &str) {
    let step_ms = u64::from(PAUSE_STEP_MS);
    for _ in 0..pause_ms.div_ceil(step_ms) {
        match &mut clock {
            Some(clock) => clock.delay_ms(PAUSE_STEP_MS),
            None => drop(link.shutdown.wait(Duration::from_millis(step_ms))),
        }
        link.refuse_requests(|| TransmitError::NotListening(reason.to_owned()));
        if link.shutdown.is_requested() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_100_ms_to_30_s_and_a_stable_chip_is_retried_at_once() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u64> = (0..11).map(|_| backoff.next_pause_ms()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
        backoff.reset();
        assert_eq!([backoff.next_pause_ms(), backoff.next_pause_ms(), backoff.next_pause_ms()], [0, 100, 200]);
    }
}
