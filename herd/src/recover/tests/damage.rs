//! Claims about any damage, and about any given file.

use super::*;
use proptest::prelude::*;

/// A way in which a medium damages a file.
#[derive(Clone, Debug)]
enum Damage {
    Flip { at: u32, bit: u8 },
    Zero { at: u32, length: u16 },
    Cut { at: u32 },
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        4 => (any::<u32>(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        2 => (any::<u32>(), any::<u16>()).prop_map(|(at, length)| Damage::Zero { at, length: length % 9_000 }),
        1 => any::<u32>().prop_map(|at| Damage::Cut { at }),
    ];
    prop::collection::vec(one, 1..6)
}

fn damaged(mut file: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let place = |at: u32| at as usize % file.len().max(1);
        match *damage {
            Damage::Flip { at, bit } => {
                let place = place(at);
                file.get_mut(place).into_iter().for_each(|byte| *byte ^= 1 << bit);
            }
            Damage::Zero { at, length } => {
                let (from, to) = (place(at), (place(at) + usize::from(length)).min(file.len()));
                file[from..to].fill(0);
            }
            Damage::Cut { at } => {
                let place = place(at);
                file.truncate(place);
            }
        }
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Catches a panic, an invented payload, and a whole row that is given up, whatever happened to the files.
    #[test]
    fn any_damage_leaves_every_whole_row_and_no_other_payload(
        in_log in damages(), in_journal in prop::option::of(damages()),
    ) {
        let yard = Yard::with(70);
        let rows = yard.rows();
        let before = yard.content(LOG_FILE);
        let log = damaged(before.clone(), &in_log);
        yard.disk.overwrite(LOG_FILE, &log);
        if let Some(damages) = in_journal {
            yard.disk.overwrite(JOURNAL_FILE, &damaged(yard.content(JOURNAL_FILE), &damages));
        }
        let recovered = recover(own(&yard)).unwrap();
        recovered.invents_nothing(&yard);
        recovered.is_sound(&yard);
        let payloads: BTreeMap<_, _> = recovered.payloads().into_iter().collect();
        for (first, count, place, length) in rows {
            let (end, page) = (place + length, place / PAGE * PAGE);
            // A short row that nothing announces may be the bytes of a payload, if no other row follows it.
            let is_announced = length > PAGE || log.get(page..place) == before.get(page..place);
            if is_announced && log.get(place..end) == before.get(place..end) {
                for n in (first..first + count).filter(|n| yard.stored.contains_key(n)) {
                    prop_assert!(payloads.contains_key(&n), "change {n} of the row at {place}");
                }
            }
        }
    }

    /// Catches a panic on a file from anywhere.
    #[test]
    fn any_given_file_is_used_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..9_000), damages in damages()) {
        let yard = Yard::with(20);
        let backup = backup_of(&recover(own(&yard)).unwrap().store.reader());
        for given in [bytes, damaged(backup, &damages), damaged(yard.content(LOG_FILE), &damages)] {
            let before = yard.head;
            if let Ok(recovered) = recover(Places { given: Some(&given), ..own(&yard) }) {
                prop_assert!(recovered.end.sequence >= before.sequence);
            }
        }
    }
}
