//! Listening on radios that the command opens itself, while no daemon runs.
//!
//! # Decisions
//!
//! - **If all radios are failing 2 s after the start, the command fails.** Waiting for them instead would make a missing
//!   device look like a silent barn.
//! - **A radio that fails later is waited for,** so that a module that is plugged in again is heard again.

use super::{INITIAL_TIMEOUT, ListenError, PrintStatus, Printer};
use crate::receive::{Channel, RadioState, stamp};
use crate::settings::RadioSettings;
use crate::tap::ReceivedPacket;
use futures::future::select_all;
use herd::clock::SystemClock;
use radio::{AnyRadio, Health, Packet, Radio, RadioCounters, RadioError};
use service::lifecycle::print_notice;
use service::sheet::visible;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// A packet of a radio, or a change of its state.
pub(super) enum RadioEvent {
    Packet(Packet),
    Health(Health),
    Failed(RadioError),
    /// The radio delivers no more events.
    Closed,
}

/// Tells the listening loop what to do after an event.
enum NextStep {
    Continue,
    /// The radio is done.
    DropRadio,
    /// All requested packets are printed.
    Finish,
}

/// A radio that this process has opened.
pub(super) struct LocalRadio<R = AnyRadio> {
    channel: Channel,
    radio: R,
    health: watch::Receiver<Health>,
    /// True while the health may still change.
    health_open: bool,
}

impl<R: Radio> LocalRadio<R> {
    pub(super) fn new(channel: Channel, radio: R) -> Self {
        let mut health = radio.health();
        health.mark_changed();
        Self { channel, radio, health, health_open: true }
    }

    pub(super) fn name(&self) -> &str {
        &self.channel.name
    }

    pub(super) fn counters(&self) -> RadioCounters {
        self.radio.counters().read()
    }

    /// Adds the channel and the time of reception.
    pub(super) fn stamp(&self, packet: Packet) -> ReceivedPacket {
        ReceivedPacket::from(&stamp(&self.channel, &SystemClock::default(), packet))
    }

    /// Returns the error of the radio, or `listening`.
    pub(super) fn health_text(&self) -> String {
        match &*self.health.borrow() {
            Health::Listening => "listening".to_owned(),
            Health::Degraded(why) | Health::Starting(why) | Health::Failing(why) => why.clone(),
        }
    }

    /// Waits until the radio receives; forever if it never does.
    pub(super) async fn wait_until_listening(&self) {
        let mut health = self.health.clone();
        if health.wait_for(Health::is_receiving).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Prints a packet to `printer`, and any other event to stderr.
    fn print(&self, event: RadioEvent, printer: &mut Printer<'_>) -> Result<NextStep, ListenError> {
        let name = self.name();
        match event {
            RadioEvent::Packet(packet) => {
                return Ok(match printer.print(&self.stamp(packet))? {
                    PrintStatus::Done => NextStep::Finish,
                    PrintStatus::More => NextStep::Continue,
                });
            }
            RadioEvent::Health(health) => {
                let state = RadioState::from(&health);
                // A modem's own words may be among them.
                let why = state.why().map(|why| format!(": {}", visible(why))).unwrap_or_default();
                print_notice(format_args!("{name}: {}{why}", state.word()));
            }
            RadioEvent::Failed(error) => return Err(ListenError::Radio { radio: name.to_owned(), error }),
            RadioEvent::Closed => {
                print_notice(format_args!("{name}: ended"));
                return Ok(NextStep::DropRadio);
            }
        }
        Ok(NextStep::Continue)
    }

    fn is_failing(&self) -> bool {
        !self.health.borrow().is_receiving()
    }

    /// Returns the next event. Cancel-safe, because both of its sources are.
    pub(super) async fn next(&mut self) -> RadioEvent {
        loop {
            tokio::select! {
                biased;
                changed = self.health.changed(), if self.health_open => match changed {
                    Ok(()) => return RadioEvent::Health(self.health.borrow_and_update().clone()),
                    Err(_) => self.health_open = false,
                },
                packet = self.radio.receive() => return match packet {
                    Ok(packet) => RadioEvent::Packet(packet),
                    Err(RadioError::Closed) => RadioEvent::Closed,
                    Err(error) => RadioEvent::Failed(error),
                },
            }
        }
    }
}

/// Opens the radios and prints their packets until the printer is done or all radios have ended.
pub(super) async fn listen(radios: &[(Channel, &RadioSettings)], printer: &mut Printer<'_>) -> Result<(), ListenError> {
    let mut open_radios = Vec::new();
    for (channel, settings) in radios {
        let opened = settings.open(&channel.name);
        let opened = opened.map_err(|source| ListenError::Open { radio: channel.name.clone(), source })?;
        open_radios.extend(opened.map(|radio| LocalRadio::new(channel.clone(), radio)));
    }
    listen_to(open_radios, printer).await
}

/// Prints the packets of open radios.
///
/// Fails if all radios are failing [`INITIAL_TIMEOUT`] after the start. Later it waits for them.
pub(super) async fn listen_to<R: Radio>(
    mut radios: Vec<LocalRadio<R>>,
    printer: &mut Printer<'_>,
) -> Result<(), ListenError> {
    let initial_deadline = Instant::now() + INITIAL_TIMEOUT;
    let mut checked = false;
    while !radios.is_empty() {
        let next = next_event(&mut radios);
        let next = if checked { Ok(next.await) } else { timeout_at(initial_deadline, next).await };
        let Ok((event, index)) = next else {
            checked = true;
            if radios.iter().all(LocalRadio::is_failing) {
                return Err(ListenError::AllFailing);
            }
            continue;
        };
        match radios[index].print(event, printer)? {
            NextStep::Finish => return Ok(()),
            NextStep::DropRadio => drop(radios.remove(index)),
            // The next round starts behind this radio, so that a busy one does not starve the others.
            NextStep::Continue => radios.rotate_left(index + 1),
        }
    }
    Ok(())
}

/// Returns the next event of any radio, and the index of that radio. Cancel-safe.
async fn next_event<R: Radio>(radios: &mut [LocalRadio<R>]) -> (RadioEvent, usize) {
    let (event, index, _) = select_all(radios.iter_mut().map(|radio| Box::pin(radio.next()))).await;
    (event, index)
}
