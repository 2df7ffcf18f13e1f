//! Claims about the tables after payloads came back: later sightings count, and a replica has the same rows.

use super::*;
use crate::change::{AnimalId, AnimalStatus, Origin};
use crate::clock::RawReading;
use crate::decide::CorrectionRequest;
use crate::fold::Rows as _;
use crate::store::{Incoming, Reader, Receipt};
use crate::tables::{Animal, number_key};
use proptest::prelude::*;

const DAY_MS: u64 = 24 * 3_600_000;

/// A store whose payloads arrive at given days.
struct Barn {
    store: Store,
    corrections: usize,
}

impl Barn {
    fn new(id: u8, boot: u32) -> Self {
        let clock = ClockReading { boot, ..ClockReading::default() };
        let store = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([id; 16])).unwrap();
        Self { store, corrections: 0 }
    }

    fn record_at(&mut self, text: &str, at: RawReading) -> Receipt {
        let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
        self.store.append(&[Incoming { raw: text.as_bytes().to_vec(), origin, at }]).unwrap().remove(0)
    }

    fn record(&mut self, text: &str, day: u64) -> Receipt {
        self.record_at(text, reading(day))
    }

    fn run(&self) -> crate::store::ChangeRun {
        self.store.reader().run_after(log_start(self.store.reader().store()), 1_000, 1_000_000).unwrap()
    }

    fn void(&mut self, sequence: u64) -> bool {
        self.corrections += 1;
        let request = CorrectionRequest {
            author: "J. Doe".to_owned(),
            reason: "seen in the pen".to_owned(),
            idempotency_key: self.corrections.to_string(),
            channel: "office-1".to_owned(),
            correction: Correction::Void { sequence: Sequence(sequence) },
        };
        self.store
            .correct(&request, reading(30))
            .is_ok_and(|receipt| matches!(receipt, crate::store::CorrectionReceipt::Kept { .. }))
    }

    fn animal(&self, id: u64) -> std::sync::Arc<Animal> {
        self.store.reader().snapshot().unwrap().shared(&number_key(AnimalId(id).0)).unwrap().unwrap()
    }
}

fn reading(day: u64) -> RawReading {
    let at = i64::try_from(day * DAY_MS * 1_000).unwrap();
    RawReading { received_at_us: 1_768_471_200_000_000 + at, synchronized: true, since_boot_ms: day * DAY_MS }
}

/// Checks that a replica of the log folds it to the same rows.
fn replica_equals(reader: &Reader) {
    let head = reader.head();
    let mut replica = Store::open_replica(&MemoryDisk::default(), reader.store()).unwrap();
    replica.apply(reader.run_after(log_start(reader.store()), 10_000, 10_000_000).unwrap()).unwrap();
    replica.settle().unwrap();
    let copy = replica.head();
    assert_eq!((copy.folded, copy.fold_digest), (head.folded, head.fold_digest));
}

/// Catches an animal that was exported, and is back on the yard because an older sighting of it came back.
#[test]
fn a_sighting_that_comes_back_leaves_an_animal_that_was_seen_later() {
    let (mut barn, mut lost) = (Barn::new(1, 1), Barn::new(2, 1));
    barn.record("hxb:LOT1:LF1:UHF1", 1);
    barn.record("hxe:OUT1:LF1:UHF1", 5);
    lost.record("hxb:LOT7:LF1:UHF1", 3);
    lost.record("hxb:LOT8:LF2:UHF2", 3);
    lost.record("hxe:OUT2:LF2:UHF2", 2);
    let before = barn.animal(2);
    assert_eq!(barn.store.readmit(&lost.run(), &acceptance()).unwrap().kept, 3);
    let after = barn.animal(2);
    assert_eq!(after.state.status, AnimalStatus::Exported);
    assert_eq!((after.state.returned, after.state.barn_batch), (None, None));
    assert_eq!((&after.state.memberships, after.state.last_seen), (&before.state.memberships, before.state.last_seen));
    // An export that comes back does not take the animal off the yard again, either.
    assert_eq!(barn.animal(5).state.status, AnimalStatus::Active);
    assert!(barn.animal(5).state.barn_batch.is_some());
    replica_equals(&barn.store.reader());
    // Without the export, the sighting that came back is the last one.
    assert!(barn.void(3));
    assert_eq!(barn.animal(2).state.status, AnimalStatus::Active);
    replica_equals(&barn.store.reader());
    assert!(barn.void(4));
    replica_equals(&barn.store.reader());
}

/// Catches a clock that nobody set, and that decides which of two sightings counts.
#[test]
fn a_sighting_without_a_synchronized_clock_counts_as_any_other() {
    let (mut barn, mut lost) = (Barn::new(1, 1), Barn::new(2, 1));
    barn.record("hxe:OUT1:LF1:UHF1", 5);
    lost.record_at("hxb:LOT7:LF1:UHF1", RawReading { synchronized: false, ..reading(3) });
    barn.store.readmit(&lost.run(), &acceptance()).unwrap();
    assert_eq!(barn.animal(2).state.status, AnimalStatus::Active);
    replica_equals(&barn.store.reader());
}

/// Catches times since boot of two machines that are compared, and close a batch that has not rested.
#[test]
fn a_batch_has_not_rested_by_the_boot_of_another_machine() {
    let (mut barn, mut lost) = (Barn::new(1, 1), Barn::new(2, 1));
    let unset = |day| RawReading { synchronized: false, ..reading(day) };
    barn.record_at("hxe:OUT1:LF1:UHF1", unset(0));
    lost.record_at("hxe:OUT1:LF2:UHF2", unset(9));
    barn.store.readmit(&lost.run(), &acceptance()).unwrap();
    assert_eq!(barn.animal(3).state.export_batch, barn.animal(2).state.export_batch);
}

/// Catches a batch that a payload of another machine has opened, and whose time since boot is compared with those of this one.
#[test]
fn a_batch_that_came_back_has_not_rested_by_the_boot_of_any_machine() {
    let (mut barn, mut lost, mut other) = (Barn::new(1, 1), Barn::new(2, 1), Barn::new(3, 1));
    let unset = |day| RawReading { synchronized: false, ..reading(day) };
    lost.record_at("hxe:OUT1:LF1:UHF1", unset(0));
    other.record_at("hxe:OUT1:LF2:UHF2", unset(9));
    barn.store.readmit(&lost.run(), &acceptance()).unwrap();
    barn.store.readmit(&other.run(), &acceptance()).unwrap();
    barn.record_at("hxe:OUT1:LF3:UHF3", unset(18));
    let batches = [2, 3, 4].map(|id| barn.animal(id).state.export_batch);
    assert_eq!(batches, [batches[0]; 3]);
    replica_equals(&barn.store.reader());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Catches a row that the barn and a replica fold otherwise once payloads came back, and some events were voided.
    #[test]
    fn a_replica_has_the_rows_of_the_barn_whatever_came_back(
        events in prop::collection::vec((0_u8..5, 0_u8..4, 0_u64..9, any::<bool>(), any::<bool>()), 1..24),
        voids in prop::collection::vec(2_u64..30, 0..5),
        later in prop::collection::vec((0_u8..5, 0_u8..4, 0_u64..9), 0..6),
    ) {
        let (mut barn, mut lost) = (Barn::new(1, 1), Barn::new(2, 1));
        let text = |kind, tag, n: usize| match kind {
            0 => format!("hxb:LOT{}:LF{tag}:UHF{tag}", n % 2),
            1 => format!("hxe:OUT{}:LF{tag}:UHF{tag}", n % 2),
            2 => format!("event:hxbpai{n:06}|lid:{tag}|lf:LF{tag}|weight:{n}"),
            3 => format!("event:hxbpai{n:06}|lid:{tag}|epc:UHF{}", tag + 1),
            _ => format!("no event {n}"),
        };
        for (n, (kind, tag, day, is_lost, synchronized)) in events.into_iter().enumerate() {
            let at = RawReading { synchronized, ..reading(day) };
            if is_lost { &mut lost } else { &mut barn }.record_at(&text(kind, tag, n), at);
        }
        barn.store.readmit(&lost.run(), &acceptance()).unwrap();
        replica_equals(&barn.store.reader());
        for sequence in voids {
            barn.void(sequence);
        }
        for (n, (kind, tag, day)) in later.into_iter().enumerate() {
            barn.record(&text(kind, tag, n + 100), day);
        }
        replica_equals(&barn.store.reader());
        let again = barn.store.readmit(&lost.run(), &acceptance()).unwrap();
        prop_assert_eq!(again.kept, 0);
    }
}
