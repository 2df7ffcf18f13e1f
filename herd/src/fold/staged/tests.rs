use super::*;
use crate::tables::{Gap, RejectedRow};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Rows of one table in plain order, as the base and as the model.
#[derive(Clone, Debug, Default, PartialEq)]
struct Plain(BTreeMap<Key, Vec<u8>>);

impl Plain {
    fn sum(&self, table: Table) -> RowSum {
        let (mut sum, mut hasher) = (RowSum::default(), RowHasher::default());
        for (key, value) in &self.0 {
            sum.add(&hasher.hash(table.number(), key, value));
        }
        sum
    }
}

impl Rows for Plain {
    fn get(&self, _: Table, key: &Key) -> Result<Option<Vec<u8>>, RowsError> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, _: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        let mut rows: Vec<_> = self.0.iter().filter(|(key, _)| range.holds(key)).collect();
        if range.backwards {
            rows.reverse();
        }
        Ok(rows.into_iter().take(range.limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

fn key_of(key: u8) -> Key {
    Key::from(&[key][..])
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8, u8),
    Edit(u8, u8),
    TakeAndWrite(u8, u8),
    Remove(u8),
    Seal,
    Shrink,
    Discard,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..8_u8, any::<u8>()).prop_map(|(key, value)| Step::Write(key, value)),
        2 => (0..8_u8, any::<u8>()).prop_map(|(key, value)| Step::Edit(key, value)),
        2 => (0..8_u8, any::<u8>()).prop_map(|(key, value)| Step::TakeAndWrite(key, value)),
        3 => (0..8_u8).prop_map(Step::Remove),
        2 => Just(Step::Seal),
        1 => Just(Step::Shrink),
        1 => Just(Step::Discard),
    ]
}

fn apply(sealed: Vec<SealedRow>, to: &mut Plain) {
    for SealedRow { key, value, .. } in sealed {
        match value {
            Some(value) => to.0.insert(key, value.to_vec()),
            None => to.0.remove(&key),
        };
    }
}

/// Whatever is in memory stands above the base; of a table that is kept in order and of one that is not.
fn check<T: Row>(make: fn(u8) -> T, base: Plain, steps: Vec<Step>, range: KeyRange<'_>) -> Result<(), TestCaseError> {
    let (mut model, mut below) = (base.clone(), base);
    let mut staged = StagedRows::new(below.clone(), Sequence::ZERO, below.sum(T::TABLE));
    let encoded = |value| postcard::to_stdvec(&make(value)).unwrap();
    for step in steps {
        match step {
            Step::Write(key, value) => {
                staged.write(key_of(key), make(value)).unwrap();
                model.0.insert(key_of(key), encoded(value));
            }
            Step::Edit(key, value) => {
                let found = staged.edit(key_of(key), |row: &mut T| *row = make(value)).unwrap();
                prop_assert_eq!(found.is_some(), model.0.contains_key([key].as_slice()));
                model.0.entry(key_of(key)).and_modify(|row| *row = encoded(value));
            }
            Step::TakeAndWrite(key, value) => {
                let taken = staged.take::<T>(key_of(key)).unwrap().map(|row| postcard::to_stdvec(&*row).unwrap());
                prop_assert_eq!(taken.as_ref(), model.0.get([key].as_slice()));
                staged.write(key_of(key), make(value)).unwrap();
                model.0.insert(key_of(key), encoded(value));
            }
            Step::Remove(key) => {
                staged.remove::<T>(key_of(key)).unwrap();
                model.0.remove([key].as_slice());
            }
            Step::Seal | Step::Shrink => {
                apply(staged.seal(), &mut below);
                staged.rebase(below.clone());
                prop_assert_eq!(staged.sum(), below.sum(T::TABLE));
                if matches!(step, Step::Shrink) {
                    staged.shrink(0);
                }
            }
            Step::Discard => {
                staged.discard();
                model = below.clone();
            }
        }
        prop_assert_eq!(staged.range(T::TABLE, range).unwrap(), model.range(T::TABLE, range).unwrap());
        for key in 0..8_u8 {
            prop_assert_eq!(staged.get(T::TABLE, &key_of(key)).unwrap(), model.get(T::TABLE, &key_of(key)).unwrap());
            prop_assert_eq!(staged.read::<T>(&key_of(key)).unwrap(), model.read::<T>(&key_of(key)).unwrap());
        }
    }
    apply(staged.seal(), &mut below);
    prop_assert_eq!(staged.sum(), model.sum(T::TABLE));
    prop_assert_eq!(below, model);
    Ok(())
}

proptest! {
    /// Catches a row that hides a newer one, a removed row that shows through, and a sum that misses a row.
    #[test]
    fn reads_see_the_rows_as_if_they_were_written_at_once(
        base in prop::collection::btree_map(0..8_u8, any::<u8>(), 0..8),
        steps in prop::collection::vec(step(), 0..24),
        ordered in any::<bool>(),
        (from, to, backwards, limit) in (0..9_u8, prop::option::of(0..9_u8), any::<bool>(), 0..6_usize),
    ) {
        let to = to.map(|to| [to]);
        let range = KeyRange { from: &[from], to: to.as_ref().map(<[u8; 1]>::as_slice), backwards, limit };
        if ordered {
            let make = |value| Gap(u64::from(value) << 20);
            let base = base.into_iter().map(|(key, value)| (key_of(key), postcard::to_stdvec(&make(value)).unwrap()));
            check(make, Plain(base.collect()), steps, range)?;
        } else {
            let base = base.into_iter().map(|(key, value)| (key_of(key), vec![value]));
            check(RejectedRow, Plain(base.collect()), steps, range)?;
        }
    }
}
