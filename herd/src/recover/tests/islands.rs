//! Claims about what lies behind the chain, and about what a recovery reports meanwhile.

use super::made::*;
use super::*;

/// Returns what is found in a log of these leaves, whose machine remembers the start of the history.
fn found<'a>(own: &'a MemoryDisk, given: Option<&'a Vec<u8>>, branch: &Branch) -> FoundLog<'a> {
    let (given, remembered) = (given.map(|given| given as &dyn Bytes), Some(log_start(branch.store)));
    find_log(Places { own: Some(own), given, remembered, history: None }, &mut |_| {}).unwrap()
}

/// Catches a log that passes for whole although its end lies behind a gap, and a branch that was left and passes for its end.
#[test]
fn a_log_leads_further_only_if_it_holds_more_of_the_same_history() {
    let (own, other) = (Branch::new("own", 5, 40), Branch::new("other", 5, 40));
    for (what, leaves, leads_further) in [
        ("a gap", [own.leaf(1, 10), own.leaf(21, 30)], true),
        ("a gap of one change", [own.leaf(1, 10), own.leaf(12, 30)], true),
        ("no gap", [own.leaf(1, 10), own.leaf(11, 30)], false),
        ("another branch", [own.leaf(1, 10), other.leaf(11, 30)], false),
    ] {
        let disk = disk_with(&log_of(&leaves));
        let found = found(&disk, None, &own);
        assert_eq!(found.leads_further(), leads_further, "{what}");
        assert_eq!(found.gaps(found.end(), None).changes > 0, leads_further, "{what}");
    }
}

/// Catches payloads of the own log that are appended once more, or a chain whose end is forgotten, where only a copy counts.
#[test]
fn what_a_given_file_adds_is_left_once_the_own_files_are_left_out() {
    let branch = Branch::new("a", 60, 60);
    let (disk, given) = (disk_with(&log_of(&[branch.leaf(1, 10), branch.leaf(21, 30)])), branch.page(41, 50, 1));
    let found = found(&disk, Some(&given), &branch);
    assert!(found.leads_further());
    let end = found.end();
    let given = found.into_given();
    let firsts: Vec<_> = given.pieces.iter().map(|piece| piece.first).collect();
    assert_eq!((firsts, given.end(), given.leads_further()), (vec![41], end, false));
    assert!(given.files.log.is_none() && given.files.changes(&given.pieces[0]).is_ok());
}

/// Catches a log that is read although its files were let go, and one whose journal is not opened again.
#[test]
fn a_log_that_was_closed_is_read_again_once_it_is_open() {
    let yard = Yard::with(60);
    let mut found = find_log(own(&yard), &mut |_| {}).unwrap();
    found.close_log();
    let closed = found.write(&MemoryDisk::default(), &mut |_| {});
    assert!(matches!(closed, Err(RecoverError::Unsteady { first: Sequence(1), .. })), "{closed:?}");
    found.reopen_log(&yard.disk).unwrap();
    assert_eq!(found.write(&MemoryDisk::default(), &mut |_| {}).unwrap().sequence, yard.head.sequence);
}

/// Catches a progress that stands still, or that goes past its end.
#[test]
fn each_step_reports_how_far_it_is() {
    const MIB: u64 = 1024 * 1024;
    let (mut seen, nothing) = (Vec::new(), vec![0; 1_310_720]);
    let places = Places { given: Some(&nothing), history: Some(StoreId([7; 16])), ..Places::default() };
    assert!(find_log(places, &mut |at| seen.push(at)).is_err());
    // Once for pages, and once for rows.
    let expected = [MIB, 1_310_720, MIB, 1_310_720].map(|done| RecoverProgress::Reading { done, of: 1_310_720 });
    assert_eq!(seen, expected);

    let (yard, mut seen) = (Yard::with(60), Vec::new());
    let end =
        find_log(own(&yard), &mut |_| {}).unwrap().write(&MemoryDisk::default(), &mut |at| seen.push(at)).unwrap();
    assert_eq!(seen, [RecoverProgress::Writing { done: end.sequence.0, of: end.sequence.0 }]);
    yard.damage_rows(10..=10);
    let Recovered { store, end, readmitted, .. } = recover(own(&yard)).unwrap();
    let found = find_log(own(&yard), &mut |_| {}).unwrap();
    let clock = ClockReading { boot: 3, ..ClockReading::default() };
    let fresh = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([50; 16])).unwrap();
    for (mut store, kept) in [(fresh, readmitted.kept), (store, 0)] {
        let mut last = None;
        let done = found.readmit(&mut store, end, &acceptance(), &mut |at| last = Some(at)).unwrap();
        assert_eq!((done.kept, done.kept + done.duplicates), (kept, readmitted.kept));
        assert_eq!(last, Some(RecoverProgress::Appending { done: readmitted.kept }));
    }
}

/// A medium that does not return its last page.
struct Scratched(Vec<u8>);

impl Bytes for Scratched {
    fn length(&self) -> std::io::Result<u64> {
        self.0.length()
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> std::io::Result<()> {
        let is_bad = offset + to.len() as u64 > (self.0.len() - PAGE) as u64;
        if is_bad { Err(std::io::Error::other("a bad block")) } else { self.0.read(offset, to) }
    }
}

#[test]
fn unreadable_bytes_of_both_files_add_up() {
    let yard = Yard::with(60);
    let copy = Scratched(yard.content(LOG_FILE));
    assert!(yard.disk.fail_reads(LOG_FILE));
    let found = find_log(Places { given: Some(&copy), ..own(&yard) }, &mut |_| {}).unwrap();
    assert_eq!(found.unreadable(), (copy.0.len() + PAGE) as u64);
}
