//! Incidents, in an order that a seed decides.

use super::pair::Place;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha12Rng;
use std::fmt::{self, Display, Formatter};

/// Something that disturbs a barn, an office or the link between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Incident {
    /// All connections of the office to the barn are cut.
    Cut,
    /// The barn cannot be reached.
    Down,
    /// Connections stay open, and nothing passes.
    Silence,
    /// The link is slow.
    Slowness,
    /// The link is cut every 20 kB.
    Flapping,
    /// A process gets SIGTERM and is started again.
    Stop(Place),
    /// A process gets SIGKILL and is started again.
    Kill(Place),
    /// The office copies the barn again. Some are canceled.
    Resync,
    /// A running process verifies its store.
    Verification(Place),
    /// A program reads the whole log slowly, while other things happen.
    Export(Place),
    /// The key of a sender is revoked, and made anew.
    SenderKey,
    /// The key of the office is revoked, and the office is paired again.
    OfficeKey,
}

use Incident::{
    Cut, Down, Export, Flapping, Kill, OfficeKey, Resync, SenderKey, Silence, Slowness, Stop, Verification,
};
use Place::{Barn, Office};

/// The cards of a deck. Restarts are there twice, because half of the time has none.
const CARDS: [Incident; 21] = [
    Cut,
    Down,
    Silence,
    Slowness,
    Flapping,
    Resync,
    Resync,
    Verification(Barn),
    Verification(Office),
    Export(Barn),
    Export(Office),
    SenderKey,
    OfficeKey,
    Stop(Barn),
    Stop(Barn),
    Stop(Office),
    Stop(Office),
    Kill(Barn),
    Kill(Barn),
    Kill(Office),
    Kill(Office),
];

impl Incident {
    pub(super) fn is_restart(self) -> bool {
        matches!(self, Stop(_) | Kill(_))
    }
}

impl Display for Incident {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Cut => f.write_str("link cut"),
            Down => f.write_str("link down"),
            Silence => f.write_str("link silent"),
            Slowness => f.write_str("link slow"),
            Flapping => f.write_str("link cut every 20 kB"),
            Stop(place) => write!(f, "SIGTERM, {}", place.name()),
            Kill(place) => write!(f, "SIGKILL, {}", place.name()),
            Resync => f.write_str("resync"),
            Verification(place) => write!(f, "verify, {}", place.name()),
            Export(place) => write!(f, "export with a slow reader, {}", place.name()),
            SenderKey => f.write_str("a sender's key revoked and made anew"),
            OfficeKey => f.write_str("the office's key revoked and made anew"),
        }
    }
}

/// Cards that are drawn until none is left, and shuffled again then. So each kind comes up about equally often.
#[derive(Clone, Debug, Default)]
pub(super) struct Deck(Vec<Incident>);

impl Deck {
    /// Draws a card. Without restarts, those that come up are laid aside.
    pub(super) fn draw(&mut self, rng: &mut ChaCha12Rng, with_restarts: bool) -> Incident {
        loop {
            match self.0.pop() {
                Some(card) if with_restarts || !card.is_restart() => return card,
                Some(_) => {}
                None => {
                    self.0 = CARDS.to_vec();
                    self.0.shuffle(rng);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use std::collections::BTreeMap;

    #[test]
    fn a_deck_holds_each_kind_and_a_seed_repeats_its_order() {
        let draws = |seed, with_restarts, count| -> Vec<_> {
            let (mut deck, mut rng) = (Deck::default(), ChaCha12Rng::seed_from_u64(seed));
            (0..count).map(|_| deck.draw(&mut rng, with_restarts)).collect()
        };
        let mut counts = BTreeMap::new();
        for card in draws(1, true, CARDS.len()) {
            *counts.entry(card).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 16);
        assert_eq!(counts[&Kill(Barn)], 2);
        assert_eq!(draws(7, true, 100), draws(7, true, 100));
        assert_ne!(draws(7, true, 100), draws(8, true, 100));
        assert!(draws(1, false, 100).into_iter().all(|card| !card.is_restart()));
    }
}
