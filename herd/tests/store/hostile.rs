//! Hostile input: a source that lies consistently, numbers at the ends of their range, and floods.
//!
//! Catches: a fold that panics on a change that no honest source makes, tables that a lie makes unreadable, and work that
//! grows with the number of rows removed before.

use crate::corrections::{accept, merge, move_batch, void};
use crate::property;
use crate::replicas::run_of;
use crate::steps::{SentPayload, Step, requested, steps};
use crate::views::all_read;
use crate::world::{STORE, World, everything};
use herd::change::{
    AnimalId, BatchId, Change, Correction, CorrectionResult, LateEvent, MoveResult, Outcome, States, TagState, TagUse,
};
use herd::decide::Rules;
use herd::digest::RowSum;
use herd::fold::{KeyRange, NoRows, Rows, StagedRows};
use herd::position::Sequence;
use herd::store::{Changes, MemoryDisk, Store};
use herd::tables::{Gap, Key, Table};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Values that replace those of a decision.
#[derive(Clone, Debug)]
struct Lie {
    animal: u64,
    absorbed: Option<u64>,
    batch: u64,
    closes: Option<u64>,
    tag_use: TagUse,
    counter: u64,
    forget_through: u64,
    boot: u32,
    at: i64,
    since_boot_ms: u64,
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0_u64..40, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn lie() -> impl Strategy<Value = Lie> {
    use TagUse as T;
    let tag_use = prop::sample::select(vec![T::Absent, T::Assigned, T::Sighted, T::Unconfirmed, T::Past]);
    let ids = (number(), option::of(number()), number(), option::of(number()));
    (ids, tag_use, number(), number(), any::<u32>(), any::<i64>(), any::<u64>()).prop_map(
        |((animal, absorbed, batch, closes), tag_use, counter, forget_through, boot, at, since_boot_ms)| Lie {
            animal,
            absorbed,
            batch,
            closes,
            tag_use,
            counter,
            forget_through,
            boot,
            at,
            since_boot_ms,
        },
    )
}

impl Lie {
    fn falsify_previous(&self, change: &mut Change) {
        let lied = |previous: &mut Vec<(AnimalId, Sequence)>| {
            for (_, before) in previous.iter_mut() {
                *before = Sequence(self.batch);
            }
            previous.push((AnimalId(self.animal), Sequence(self.counter)));
        };
        match change {
            Change::Received(received) => lied(&mut received.previous),
            Change::Reprocessed(body) => {
                lied(&mut body.previous);
                self.falsify_event(&mut body.event);
            }
            Change::Corrected(corrected) => {
                lied(&mut corrected.previous);
                match &mut corrected.result {
                    CorrectionResult::States(states) => self.falsify_states(states),
                    CorrectionResult::Accepted(event) => self.falsify_event(event),
                    CorrectionResult::ReaderEra { reader_era, .. } => *reader_era = u32::MAX,
                }
            }
            Change::EraMove(step) => {
                lied(&mut step.previous);
                (step.through, step.order) = (Sequence(self.counter), Sequence(self.batch));
                if let Some(payload) = &mut step.payload {
                    payload.of = Sequence(self.counter);
                    payload.joined.push(AnimalId(self.animal));
                    self.falsify_states(&mut payload.states);
                    if let MoveResult::Event(event) = &mut payload.result {
                        self.falsify_event(event);
                    }
                }
            }
            Change::Epoch(_) | Change::Suppressed(_) => {}
        }
    }

    fn falsify_event(&self, event: &mut LateEvent) {
        event.of = Sequence(self.counter);
        event.received.received_at_us = self.at;
        event.accepted.animal = AnimalId(self.animal);
        event.accepted.absorbed = self.absorbed.map(AnimalId);
        event.accepted.epc = self.tag_use;
    }

    fn falsify_states(&self, states: &mut States) {
        for state in &mut states.animals {
            state.animal = AnimalId(self.animal);
            state.absorbed_by = self.absorbed.map(AnimalId);
            state.barn_batch = self.closes.map(BatchId);
            state.last_seen.at_us = self.at;
            state.tags.iter_mut().for_each(|tag| tag.state = TagState::Current);
            state.memberships.iter_mut().for_each(|membership| membership.batch = BatchId(self.batch));
        }
        let twice = states.animals.clone();
        states.animals.extend(twice);
        for state in &mut states.batches {
            state.batch = BatchId(self.batch);
            (state.active, state.members) = (u32::MAX, u32::MAX);
        }
    }

    fn falsify(&self, change: &mut Change) {
        self.falsify_previous(change);
        let Change::Received(received) = change else { return };
        received.forget_through = Sequence(self.forget_through);
        received.clock.received_at_us = self.at;
        received.clock.since_boot_ms = self.since_boot_ms;
        received.clock.boot = self.boot;
        match &mut received.outcome {
            Outcome::Accepted(accepted) => {
                accepted.animal = AnimalId(self.animal);
                accepted.absorbed = self.absorbed.map(AnimalId);
                accepted.lf = self.tag_use;
                if let Some(batch) = &mut accepted.batch {
                    (batch.batch, batch.closes) = (BatchId(self.batch), self.closes.map(BatchId));
                }
                if let Some(id) = &mut accepted.event.id {
                    id.counter = self.counter;
                }
            }
            Outcome::Rejected(rejected) => {
                if let Some(id) = &mut rejected.event_id {
                    id.counter = self.counter;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(property::cases(64))]

    #[test]
    fn a_source_that_lies_consistently_is_folded_without_a_panic_and_can_be_opened_and_decided_on(
        steps in steps(40), lies in vec(option::of(lie()), 1..12), bytes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut paper = crate::paper::Paper::new();
        for step in &steps {
            paper.step(step, &Rules::default());
        }
        let mut log: Vec<Vec<u8>> = Vec::new();
        for (change, lie) in paper.changes.iter_mut().zip(lies.iter().cycle()) {
            if let Some(lie) = lie {
                lie.falsify(change);
            }
            log.push(change.to_bytes());
        }
        for (at, byte) in bytes {
            if let Some(change) = log.last_mut() {
                let at = at.index(change.len());
                change[at] = byte;
            }
        }
        let disk = MemoryDisk::default();
        let mut replica = Store::open_replica(&disk, STORE).unwrap();
        let changes: Changes = log.iter().map(Vec::as_slice).collect();
        replica.apply(run_of(replica.head().position, changes)).unwrap();
        let kept = everything(&replica);
        drop(replica);
        prop_assert_eq!(everything(&Store::open_replica(&disk.after_power_cut(), STORE).unwrap()), kept);

        let world = World::new();
        let mut source = Store::open_source(&disk, Rules::default(), world.now.in_boot(1), || STORE).unwrap();
        // StoreContent in the tables can be queried, and every query ends.
        let looked_at = all_read(&source.reader().snapshot().unwrap());
        prop_assert!(!looked_at.as_ref().is_err_and(|why| why.contains("there are more")), "{:?}", looked_at);
        if source.head().blocked.is_none() {
            for n in 1..source.head().position.sequence.0 {
                for correction in [void(n), accept(n, None), accept(n, Some(n)), merge(n, n + 1), move_batch(n, "L1")] {
                    source.correct(&requested(correction.clone(), &format!("{n} {correction:?}")), world.now).unwrap();
                }
            }
            let begun = Correction::NewReaderEra { reader_group: "main".into(), from: Some(Sequence(2)) };
            source.correct(&requested(begun, "era"), world.now).unwrap();
            while source.step_era_moves(world.now).unwrap().is_some() {}
            source.reprocess(Sequence::ZERO, 1_000, world.now).unwrap();
            let sent: Vec<_> = steps.iter().filter_map(|step| match step {
                Step::Send(sent) => Some(sent.incoming(world.now)),
                _ => None,
            }).collect();
            source.append(&sent).unwrap();
        }
    }
}

fn scan(n: usize) -> SentPayload {
    SentPayload { raw: format!("hxb:L1:LF{n}:UHF{n}").into_bytes(), channel: "radio1", reader_group: "main" }
}

/// Catches texts of a burst that stay in the window although others follow.
#[test]
fn each_change_forgets_up_to_four_texts_that_are_past_the_window() {
    const BURST: usize = 1_200;
    const AFTER: usize = 300;
    let mut paper = crate::paper::Paper::new();
    for n in 0..BURST {
        paper.send(&scan(n), &Rules::default());
    }
    paper.step(&Step::Wait { ms: 61_000 }, &Rules::default());
    for n in 0..AFTER {
        paper.send(&scan(BURST + n), &Rules::default());
    }
    assert_eq!(paper.window.len(), BURST + AFTER - 4 * AFTER);
}

#[test]
fn staged_removals_hide_rows_beneath_from_either_end_and_ranges_still_fill_the_limit() {
    let mut base = StagedRows::new(NoRows, Sequence::ZERO, RowSum::default());
    for n in 0..10_u8 {
        base.write(Key::from(&[n][..]), Gap(7)).unwrap();
    }
    let mut staged = StagedRows::new(&base, Sequence::ZERO, RowSum::default());
    for removed in [0, 1, 2, 8, 9] {
        staged.remove::<Gap>(Key::from(&[removed][..])).unwrap();
    }
    staged.write(Key::from(&[20][..]), Gap(7)).unwrap();
    let keys = |from: u8, to: Option<u8>, backwards, limit| -> Vec<u8> {
        let to = to.map(|to| [to]);
        let range = KeyRange { from: &[from], to: to.as_ref().map(<[u8; 1]>::as_slice), backwards, limit };
        staged.range(Table::Gaps, range).unwrap().into_iter().map(|(key, _)| key[0]).collect()
    };
    assert_eq!(keys(0, None, false, 2), [3, 4]);
    assert_eq!(keys(0, None, true, 3), [20, 7, 6]);
    assert_eq!(keys(0, Some(10), true, 1), [7]);
    assert_eq!(keys(8, Some(10), false, 5), Vec::<u8>::new());
    assert_eq!(keys(5, Some(5), false, 5), Vec::<u8>::new());
    assert_eq!(keys(6, Some(2), true, 5), Vec::<u8>::new());
    assert_eq!(keys(0, None, false, 100), [3, 4, 5, 6, 7, 20]);
}

#[test]
fn counters_at_the_ends_of_their_range_are_counted_and_gaps_close_again() {
    let mut world = World::new();
    for counter in ["0", "18446744073709551615", "9223372036854775808", "18446744073709551614", "1"] {
        world.keeps(&format!("event:hxbchi{counter}|lid:1"));
        world.keeps(&format!("event:hxbpai{counter}|lid:1"));
        world.keeps(&format!("event:hxbrep{counter}|lid:1|new_lf:A{counter}"));
        crate::invariants::all_hold(&world.herd()).unwrap();
    }
    assert_eq!(world.rejects("event:hxbchi18446744073709551616|lid:1"), "bad_event_id");
}

#[test]
fn a_batch_with_a_falsified_maximum_count_takes_more_animals() {
    let mut paper = crate::paper::Paper::new();
    let noted = Correction::EditBatch { batch: BatchId(1), notes: Some("full".to_owned()) };
    for step in [Step::Send(scan(1)), Step::Correct(requested(noted, "k")), Step::Send(scan(2))] {
        paper.step(&step, &Rules::default());
    }
    let Change::Corrected(corrected) = &mut paper.changes[1] else { panic!("{:?}", paper.changes) };
    let CorrectionResult::States(states) = &mut corrected.result else { panic!("{corrected:?}") };
    (states.batches[0].active, states.batches[0].members) = (u32::MAX, u32::MAX);
    assert_eq!(paper.copied().head().folded, Sequence(3));
}

#[test]
fn wrong_tags_beside_an_animal_are_bounded() {
    let mut world = World::new();
    for n in 0..40 {
        world.keeps(&format!("hxb:L1:A:U{n}"));
    }
    let herd = world.herd();
    let (animal, row) = herd.only_animal();
    assert_eq!(row.unconfirmed, herd::tables::MAX_UNCONFIRMED_TAGS);
    assert_eq!(herd.tags_of(animal).len(), 2 + usize::from(herd::tables::MAX_UNCONFIRMED_TAGS));
}
