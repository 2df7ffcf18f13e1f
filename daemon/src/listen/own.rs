//! Listening with radios that are opened for it.

use super::{Ended, FIRST_LOOK, ListenError, Printer};
use crate::receive::{Channel, stamp};
use crate::settings::RadioSettings;
use crate::tap::Heard;
use futures::future::select_all;
use herd::clock::SystemClock;
use radio::{AnyRadio, Health, Packet, Radio, RadioCounters, RadioError};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// What a radio tells next.
pub(super) enum News {
    Packet(Packet),
    Health(Health),
    Failed(RadioError),
    /// It says no more.
    Closed,
}

/// What comes after news.
enum Told {
    /// More may come.
    More,
    /// No more from this radio.
    Ended,
    /// No more is asked for.
    All,
}

/// A radio of our own.
pub(super) struct Own<R = AnyRadio> {
    channel: Channel,
    radio: R,
    health: watch::Receiver<Health>,
    /// Whether changes of its health still come.
    health_open: bool,
}

impl<R: Radio> Own<R> {
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

    /// A packet of its own as one that was heard.
    pub(super) fn heard(&self, packet: Packet) -> Heard {
        Heard::from(&stamp(&self.channel, &SystemClock::default(), packet))
    }

    /// What is wrong with it.
    pub(super) fn why(&self) -> String {
        match &*self.health.borrow() {
            Health::Listening => "listening".to_owned(),
            Health::Failing(why) => why.clone(),
        }
    }

    /// Waits until it hears. For ever where that never comes.
    pub(super) async fn listens(&self) {
        let mut health = self.health.clone();
        if health.wait_for(|health| *health == Health::Listening).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Prints a packet, and says all else.
    fn tell(&self, news: News, to: &mut Printer<'_>) -> Result<Told, ListenError> {
        let name = self.name();
        match news {
            News::Packet(packet) => {
                return Ok(if to.packet(&self.heard(packet))? == Ended::Yes { Told::All } else { Told::More });
            }
            News::Health(Health::Listening) => eprintln!("{name}: listening"),
            News::Health(Health::Failing(why)) => eprintln!("{name}: failing: {why}"),
            News::Failed(error) => return Err(ListenError::Failed { radio: name.to_owned(), error }),
            News::Closed => {
                eprintln!("{name}: ended");
                return Ok(Told::Ended);
            }
        }
        Ok(Told::More)
    }

    fn is_failing(&self) -> bool {
        *self.health.borrow() != Health::Listening
    }

    /// Cancel-safe, as both that it waits for are.
    pub(super) async fn next(&mut self) -> News {
        loop {
            tokio::select! {
                biased;
                changed = self.health.changed(), if self.health_open => match changed {
                    Ok(()) => return News::Health(self.health.borrow_and_update().clone()),
                    Err(_) => self.health_open = false,
                },
                packet = self.radio.receive() => return match packet {
                    Ok(packet) => News::Packet(packet),
                    Err(RadioError::Closed) => News::Closed,
                    Err(error) => News::Failed(error),
                },
            }
        }
    }
}

/// Prints what the radios hear until the printer has enough, or all radios have ended.
pub(super) async fn listen(radios: &[(Channel, &RadioSettings)], to: &mut Printer<'_>) -> Result<(), ListenError> {
    let mut own = Vec::new();
    for (channel, settings) in radios {
        let opened = settings.open(&channel.name);
        let opened = opened.map_err(|source| ListenError::Open { radio: channel.name.clone(), source })?;
        own.extend(opened.map(|radio| Own::new(channel.clone(), radio)));
    }
    listen_to(own, to).await
}

/// The same with radios that are open. None that hears [`FIRST_LOOK`] after the start is an error; later it is not, as
/// radios mend themselves.
pub(super) async fn listen_to<R: Radio>(mut radios: Vec<Own<R>>, to: &mut Printer<'_>) -> Result<(), ListenError> {
    let first_look = Instant::now() + FIRST_LOOK;
    let mut looked = false;
    while !radios.is_empty() {
        let next = next_of(&mut radios);
        let next = if looked { Ok(next.await) } else { timeout_at(first_look, next).await };
        let Ok((news, which)) = next else {
            looked = true;
            if radios.iter().all(Own::is_failing) {
                return Err(ListenError::NoneHears);
            }
            continue;
        };
        match radios[which].tell(news, to)? {
            Told::All => return Ok(()),
            Told::Ended => drop(radios.remove(which)),
            // The next look begins behind it, so that one that always has news holds up nobody.
            Told::More => radios.rotate_left(which + 1),
        }
    }
    Ok(())
}

/// What the first of them tells that has something to tell, and which it is. Cancel-safe.
async fn next_of<R: Radio>(radios: &mut [Own<R>]) -> (News, usize) {
    let (news, which, _) = select_all(radios.iter_mut().map(|own| Box::pin(own.next()))).await;
    (news, which)
}
