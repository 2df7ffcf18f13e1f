//! The life of a chip's thread: connect, set up, listen, and from the start again when something is wrong.

use std::time::Duration;

use embedded_hal_02::blocking::delay::DelayMs;

use super::Settings;
use super::bus::Shared;
use super::fault::Fault;
use super::owner::Owner;
use super::receive::Drained;
use super::setup::{Chip, Wired};
use super::transmit::TransmitError;
use super::watch::{Noticed, Watch};
use crate::board::{Board, Wake};

/// The first pause after a set-up that failed, in milliseconds of the board's clock; it doubles.
const FIRST_PAUSE_MS: u64 = 100;
/// The longest pause.
const LONGEST_PAUSE_MS: u64 = 30_000;
/// A pause is made of pieces of this, in milliseconds, so that a wish to stop is seen.
const PIECE_MS: u8 = 50;
/// A chip that passed so many health checks in a row is steady: its next fault is met at once.
const STEADY_AFTER_CHECKS: u32 = 10;

/// How long to wait before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    next_ms: u64,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next_ms: FIRST_PAUSE_MS }
    }

    /// The pause that is due; the one after it is twice as long.
    pub(super) fn next_pause_ms(&mut self) -> u64 {
        let pause_ms = self.next_ms;
        self.next_ms = (pause_ms * 2).clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
        pause_ms
    }

    /// The chip has been well for a while: the first attempt after its next fault is made at once.
    pub(super) fn forgive(&mut self) {
        self.next_ms = 0;
    }
}

/// What runs on the chip's thread, from the start of the radio until it is dropped.
pub(super) fn live<B: Board>(mut board: B, settings: &Settings, mut owner: Owner) {
    let mut backoff = Backoff::new();
    let mut is_again = false;
    while !owner.stop.is_wished() {
        let (fault, clock) = match board.connect() {
            Err(error) => (Fault::Board(error), None),
            Ok(wiring) => {
                let wired = Wired::<B>::from(wiring);
                let clock = wired.delay.clone();
                match attempt(wired, settings, &mut owner, &mut backoff, is_again) {
                    Ok(()) => return,
                    Err(fault) => (fault, Some(clock)),
                }
            }
        };
        is_again = true;
        let why = fault.to_string();
        owner.report_failing(fault);
        pause(backoff.next_pause_ms(), clock, &owner, &why);
    }
}

/// One set-up, and the listening after it. Ends well only when the owner wants no more.
fn attempt<B: Board>(
    wired: Wired<B>,
    settings: &Settings,
    owner: &mut Owner,
    backoff: &mut Backoff,
    is_again: bool,
) -> Result<(), Fault> {
    let mut chip = Chip::set_up(wired, settings)?;
    if is_again {
        owner.counters.count_rebuilt();
    }
    owner.report_listening();
    listen(&mut chip, owner, backoff)?;
    // Nobody hears what it would still say; a chip that cannot sleep is no worse than one that was not asked to.
    if let Err(fault) = chip.named.sleep() {
        tracing::debug!(error = %fault, "the chip was not put to sleep");
    }
    Ok(())
}

fn listen<B: Board>(chip: &mut Chip<B>, owner: &mut Owner, backoff: &mut Backoff) -> Result<(), Fault> {
    let mut watch = Watch::new(&chip.modulation);
    let mut checks = 0_u32;
    while !owner.stop.is_wished() {
        if let Ok(order) = owner.orders.try_recv() {
            chip.fulfil(order, owner)?;
        }
        let wake = chip.wait(&mut watch)?;
        let Drained::Clear(found) = chip.drain(owner)? else { return Ok(()) };
        let told = if wake == Wake::TimedOut && found > 0 { chip.has_pending_edge()? } else { wake };
        tell(watch.note(told, found), owner);
        if chip.check_when_due(&mut watch)? {
            checks += 1;
            if checks == STEADY_AFTER_CHECKS {
                backoff.forgive();
            }
        }
    }
    Ok(())
}

/// Counts and says what was noticed of DIO0.
fn tell(noticed: Noticed, owner: &Owner) {
    match noticed {
        Noticed::Nothing => {}
        Noticed::Rescue => owner.counters.count_rescued(),
        Noticed::Silence(rescued) => {
            owner.counters.count_rescued();
            owner.report_nuisance(Fault::SilentDio0 { rescued });
        }
        Noticed::Chatter(edges) => owner.report_nuisance(Fault::ChatteringDio0 { edges }),
    }
}

/// Waits on the board's clock; on the real one where no board could be connected. Ends early when that is wished.
fn pause<D: DelayMs<u8>>(pause_ms: u64, mut clock: Option<Shared<D>>, owner: &Owner, why: &str) {
    let piece_ms = u64::from(PIECE_MS);
    for _ in 0..pause_ms.div_ceil(piece_ms) {
        match &mut clock {
            Some(clock) => clock.delay_ms(PIECE_MS),
            None => drop(owner.stop.wait(Duration::from_millis(piece_ms))),
        }
        owner.refuse_orders(|| TransmitError::NotListening(why.to_owned()));
        if owner.stop.is_wished() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
