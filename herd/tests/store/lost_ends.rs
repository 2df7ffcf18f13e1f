//! A log without its end, as a follower shows it.
//!
//! Catches: a card of before that gives numbers a second time in the same epoch, an epoch that begins although nothing is
//! lost, a follower without the changes that makes one begin, and one that makes the number of the epoch overflow.

use crate::world::{World, all_changes};
use herd::change::{Acceptance, Change};
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::store::{EpochReceipt, LostEnd, LostEndError, MAX_LOST_EPOCHS, MemoryDisk, Store};

const WRITER: StoreId = StoreId([7; 16]);

/// A barn whose whole card was put back, and the replica that has what it lost.
struct Yard {
    store: Store,
    replica: Store,
}

impl Yard {
    fn with_old_card() -> Self {
        let mut world = World::new();
        world.keeps("hxb:L1:A0:U0");
        world.store.settle().unwrap();
        let old_card = world.disk.after_kill();
        world.keeps("hxb:L1:A1:U1");
        world.keeps("hxb:L1:A2:U2");
        let mut replica = Store::open_replica(&MemoryDisk::default(), world.store.head().position.store).unwrap();
        follow(&world.store, &mut replica);
        let clock = RawReading::default().in_boot(2);
        let store = Store::open_source(&old_card, Rules::default(), clock, || StoreId([9; 16])).unwrap();
        Self { store, replica }
    }

    /// Returns what the replica can show the barn.
    fn shown(&self) -> LostEnd {
        let shared = self.replica.reader().position_at(self.store.head().position.sequence).unwrap().unwrap();
        LostEnd { shared, copy: self.replica.head().position }
    }

    fn show(&mut self, shown: &LostEnd) -> EpochReceipt {
        let acceptance = Acceptance { author: "office".to_owned(), reason: "its copy goes on".to_owned() };
        self.store.begin_epoch_after(shown, acceptance, RawReading::default(), WRITER).unwrap()
    }
}

/// Applies what the source has after the replica's head.
fn follow(source: &Store, replica: &mut Store) {
    let run = source.reader().run_after(replica.head().position, 100, 1_000_000).unwrap();
    replica.apply(run).unwrap();
}

#[test]
fn a_follower_with_the_lost_end_makes_the_barn_begin_the_next_epoch_durably() {
    let mut yard = Yard::with_old_card();
    let (shown, before) = (yard.shown(), yard.store.head().position);
    let receipt = yard.show(&shown);
    let head = yard.store.head().position;
    assert_eq!(receipt, EpochReceipt::Began { head });
    assert_eq!((head.epoch, head.sequence), (Epoch(2), before.sequence.next()));
    let changes = all_changes(&yard.store);
    let Ok(Change::Epoch(began)) = Change::from_bytes(changes.last().unwrap()) else { panic!("no epoch") };
    assert_eq!((began.epoch, began.writer, began.clock.boot), (Epoch(2), WRITER, 2));
    assert_eq!(began.acceptance.unwrap().author, "office");
    // Its number belongs to another change in the replica, which tells the two apart by the epoch.
    let replaced = yard.replica.reader().position_at(head.sequence).unwrap().unwrap();
    assert!(replaced.epoch < head.epoch && replaced.digest != head.digest);
    // A second follower shows the same: there is another end now.
    assert_eq!(yard.show(&shown), EpochReceipt::Refused(LostEndError::NotTheEnd { head }));
}

#[test]
fn a_copy_that_ends_where_the_log_ends_follows_into_the_epoch() {
    let mut yard = Yard::with_old_card();
    let mut other = Store::open_replica(&MemoryDisk::default(), yard.store.head().position.store).unwrap();
    follow(&yard.store, &mut other);
    let shown = yard.shown();
    yard.show(&shown);
    follow(&yard.store, &mut other);
    assert_eq!(other.head(), yard.store.head());
}

#[test]
fn whoever_lacks_the_changes_begins_no_epoch_and_nothing_is_written() {
    let mut yard = Yard::with_old_card();
    let LostEnd { shared, copy } = yard.shown();
    let head = yard.store.head().position;
    let other = Digest([5; 32]);
    let ends = [
        Position { digest: other, ..shared },
        Position { sequence: Sequence(shared.sequence.0 - 1), ..shared },
        Position { epoch: Epoch(2), ..shared },
        Position { store: StoreId([1; 16]), ..shared },
        copy,
    ];
    for shared in ends {
        let refused = EpochReceipt::Refused(LostEndError::NotTheEnd { head });
        assert_eq!(yard.show(&LostEnd { shared, copy }), refused, "{shared}");
    }
    let copies = [
        shared,
        Position { sequence: Sequence::ZERO, ..copy },
        Position { store: StoreId([1; 16]), ..copy },
        Position { epoch: Epoch(0), ..copy },
        Position { epoch: Epoch(head.epoch.0 + MAX_LOST_EPOCHS + 1), ..copy },
        Position { epoch: Epoch(u32::MAX), ..copy },
    ];
    for copy in copies {
        let refused = EpochReceipt::Refused(LostEndError::NotLonger { head });
        assert_eq!(yard.show(&LostEnd { shared, copy }), refused, "{copy}");
    }
    assert_eq!(yard.store.head().position, head);
}

/// Catches an epoch with a number that was given before, by a card that was lost since.
#[test]
fn the_epoch_is_later_than_any_that_the_copy_knows() {
    let mut yard = Yard::with_old_card();
    let LostEnd { shared, copy } = yard.shown();
    let copy = Position { epoch: Epoch(41), ..copy };
    yard.show(&LostEnd { shared, copy });
    assert_eq!(yard.store.head().position.epoch, Epoch(42));
}
