use super::*;
use proptest::prelude::*;

/// Rows in plain order, as the base and as the model.
#[derive(Clone, Debug, Default)]
struct Plain(BTreeMap<Key, Vec<u8>>);

impl Plain {
    fn sum(&self, table: Table) -> RowSum {
        let (mut sum, mut hasher) = (RowSum::default(), RowHasher::default());
        self.0.iter().for_each(|(key, value)| sum.add(&hasher.hash(table.number(), key, value)));
        sum
    }
}

impl Rows for Plain {
    fn get(&self, _: Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
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

#[derive(Clone, Debug)]
enum Step {
    Write(u8, u8),
    Remove(u8),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..8_u8, any::<u8>()).prop_map(|(key, value)| Step::Write(key, value)),
        3 => (0..8_u8).prop_map(Step::Remove),
        2 => Just(Step::Close),
    ]
}

proptest! {
    /// Whatever the change under way has written stands above what closed changes have, and that above the base; of a
    /// table that is kept in order and of one that is not.
    #[test]
    fn reads_see_the_rows_as_if_they_were_written_at_once(
        base in prop::collection::btree_map(0..8_u8, any::<u8>(), 0..8),
        steps in prop::collection::vec(step(), 0..24),
        ordered in any::<bool>(),
        (from, to, backwards, limit) in (0..9_u8, prop::option::of(0..9_u8), any::<bool>(), 0..6_usize),
    ) {
        let table = if ordered { Table::Gaps } else { Table::Lids };
        let mut model = Plain(base.into_iter().map(|(key, value)| (vec![key], vec![value])).collect());
        let below = model.clone();
        let mut staged = StagedRows::new(&below, Sequence::ZERO, below.sum(table));
        let to = to.map(|to| [to]);
        let range = KeyRange { from: &[from], to: to.as_ref().map(<[u8; 1]>::as_slice), backwards, limit };
        for step in steps {
            match step {
                Step::Write(key, value) => {
                    staged.write(table, vec![key], &value);
                    model.0.insert(vec![key], vec![value]);
                }
                Step::Remove(key) => {
                    staged.remove(table, vec![key]);
                    model.0.remove([key].as_slice());
                }
                Step::Close => staged.end_change(staged.folded().next()).unwrap(),
            }
            prop_assert_eq!(staged.range(table, range).unwrap(), model.range(table, range).unwrap());
            for key in 0..8_u8 {
                prop_assert_eq!(staged.get(table, &[key]).unwrap(), model.get(table, &[key]).unwrap());
                prop_assert_eq!(staged.read::<u8>(table, &[key]).unwrap(), model.read::<u8>(table, &[key]).unwrap());
            }
        }
        staged.end_change(staged.folded().next()).unwrap();
        prop_assert_eq!(staged.sum(), model.sum(table));
        let mut written = below.clone();
        for (key, value) in staged.rows().find(|(of, _)| *of == table).map(|(_, rows)| rows).unwrap_or_default() {
            match value {
                Some(value) => written.0.insert(key.clone(), value.clone()),
                None => written.0.remove(key),
            };
        }
        prop_assert_eq!(written.0, model.0);
    }
}
