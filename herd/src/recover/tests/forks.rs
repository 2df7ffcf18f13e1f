//! Claims about histories that part: a chain follows that of the machine, and takes what fits from where it is whole.

use super::made::*;
use super::*;

fn found<'a>(own: &'a MemoryDisk, given: Option<&'a Vec<u8>>, remembered: Option<Position>) -> FoundLog<'a> {
    let given = given.map(|given| given as &dyn Bytes);
    find_log(Places { own: Some(own), given, remembered, history: None }, &mut |_| {}).unwrap()
}

/// Catches a chain that leaves the history of the barn for an old branch, because that has the damaged row whole.
#[test]
fn a_page_of_an_old_branch_fills_a_gap_and_the_barns_own_history_goes_on() {
    let (old, own) = (Branch::new("old", 50, 100), Branch::new("own", 50, 500));
    let log = log_of(&[own.leaf(1, 34), own.leaf(45, 300), own.leaf(301, 500)]);
    let (disk, given) = (disk_with(&log), old.page(1, 100, 1));
    for remembered in [Some(own.position(500, 2)), Some(own.position(60, 2)), None] {
        let found = found(&disk, Some(&given), remembered);
        assert_eq!(found.end().sequence, Sequence(500));
        assert!(chain_of(&found) == own.through(500));
        assert_eq!(found.gaps(found.end(), remembered.as_ref()).changes, 0);
    }
}

/// Catches a chain that prefers the longest branch to the one that the machine remembers.
#[test]
fn a_chain_leads_to_what_the_machine_remembers_even_in_the_middle_of_a_row() {
    let (other, own) = (Branch::new("other", 50, 900), Branch::new("own", 50, 80));
    let remembered = own.position(70, 2);
    // Rows of both are in the log, as after a card that went back to an old state and was recovered.
    let disk = disk_with(&log_of(&[own.leaf(1, 50), other.leaf(51, 900), own.leaf(51, 80)]));
    let found = found(&disk, None, Some(remembered));
    assert!(chain_of(&found) == own.through(80));
    assert_eq!(found.gaps(found.end(), Some(&remembered)).last_known, Sequence(80));
}

/// Catches a chain that follows a branch of a given file although the own files lead on.
#[test]
fn the_own_files_come_before_a_longer_branch_of_a_given_file() {
    let (other, own) = (Branch::new("other", 50, 900), Branch::new("own", 50, 80));
    let disk = disk_with(&log_of(&[own.leaf(1, 50), own.leaf(51, 80)]));
    let given = other.page(1, 900, 1);
    let found = found(&disk, Some(&given), None);
    assert!(chain_of(&found) == own.through(80));
}

/// Catches a copy of the own log that is refused because none of its rows begins or ends where one of the log does.
#[test]
fn a_copy_whose_rows_were_laid_otherwise_is_recognized() {
    let branch = Branch::new("a", 100, 100).lengthen(15).lengthen(35);
    let copy = log_of(&[branch.leaf(8, 33), branch.leaf(34, 72)]);
    let disk = disk_with(&log_of(&[branch.leaf(1, 5), branch.leaf(6, 20), branch.leaf(51, 100)]));
    let by_row = found(&disk, Some(&copy), Some(branch.position(100, 1)));
    assert!(chain_of(&by_row) == branch.through(100));
    // Nothing but the remembered position, which lies within a row.
    let empty = MemoryDisk::default();
    let by_memory = find_log(
        Places { own: Some(&empty), given: Some(&copy), remembered: Some(branch.position(40, 1)), history: None },
        &mut |_| {},
    );
    assert_eq!(by_memory.unwrap().pieces.len(), 2);
    let stranger = Branch::new("b", 0, 100);
    let refused = find_log(
        Places { own: Some(&empty), given: Some(&copy), remembered: Some(stranger.position(40, 1)), history: None },
        &mut |_| {},
    );
    assert!(matches!(refused.err(), Some(RecoverError::Unproven)));
}

/// Catches changes of the machine's own branch that are lost without a word, because those of an old branch have their numbers.
#[test]
fn changes_that_only_an_old_branch_has_are_doubtful() {
    let (old, own) = (Branch::new("old", 31, 172), Branch::new("own", 31, 319));
    let given = old.page(1, 172, 1);
    for (leaves, first) in [
        (vec![], 1),
        (vec![own.leaf(290, 319)], 1),
        (vec![own.leaf(1, 20), own.leaf(290, 319)], 21),
        // The own branch goes on past the end of the old one, and nothing leads there.
        (vec![own.leaf(1, 20), own.leaf(60, 319)], 21),
    ] {
        let disk = disk_with(&log_of(&leaves));
        for remembered in [own.position(319, 4), own.position(60, 4), own.position(60, 1)] {
            let found = found(&disk, Some(&given), Some(remembered));
            let end = Position { epoch: Epoch(1), ..found.end() };
            let doubtful = Some(DamagedRow { first: Sequence(first), last: Sequence(172) });
            assert_eq!((end.sequence, found.gaps(end, Some(&remembered)).doubtful), (Sequence(172), doubtful));
        }
    }
}

/// Catches a doubt about each copy that fills a gap, which nobody would heed for long, and none where nothing is remembered.
#[test]
fn changes_of_a_copy_are_doubtful_only_if_the_machine_may_have_left_its_branch() {
    let own = Branch::new("own", 0, 319);
    let (given, whole) = (own.page(1, 172, 1), disk_with(&log_of(&[own.leaf(1, 172)])));
    let damaged = disk_with(&log_of(&[own.leaf(1, 20), own.leaf(290, 319)]));
    let doubtful = Some(DamagedRow { first: Sequence(21), last: Sequence(172) });
    for (disk, remembered, expected) in [
        (&damaged, Some(own.position(319, 1)), None),
        (&damaged, Some(own.position(100, 1)), None),
        (&damaged, Some(own.position(172, 2)), None),
        (&damaged, Some(own.position(319, 2)), doubtful),
        (&damaged, None, doubtful),
        (&whole, Some(own.position(319, 2)), None),
        (&whole, None, None),
        (&MemoryDisk::default(), Some(own.position(319, 1)), None),
    ] {
        let found = found(disk, Some(&given), remembered);
        let end = Position { epoch: Epoch(1), ..found.end() };
        assert_eq!(found.gaps(end, remembered.as_ref()).doubtful, expected, "{remembered:?}");
    }
}
