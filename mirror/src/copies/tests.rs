//! Copies that come, are swapped, set aside and removed, and the files that say so.

use super::*;

fn fresh() -> (tempfile::TempDir, Copies) {
    let directory = tempfile::tempdir().unwrap();
    let copies = Copies::open(directory.path().join("sites/barn")).unwrap();
    (directory, copies)
}

#[test]
fn the_first_copy_becomes_current_only_once_it_is_finished() {
    let (_directory, copies) = fresh();
    assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (None, None));
    let first = copies.begin(|_| true).unwrap();
    assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (None, Some(first)));
    assert_eq!(copies.finish(first, |_| true).unwrap(), None);
    assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (Some(first), None));
}

#[test]
fn the_previous_copy_is_kept_until_the_next_swap() {
    let (_directory, copies) = fresh();
    let mut finished = Vec::new();
    for _ in 0..3 {
        let copy = copies.begin(|_| true).unwrap();
        fs::write(copies.path(copy).join("log.redb"), b"x").unwrap();
        copies.finish(copy, |_| true).unwrap();
        finished.push(copy);
    }
    assert_eq!(copies.current().unwrap(), Some(finished[2]));
    assert!(copies.path(finished[1]).is_dir() && !copies.path(finished[0]).exists());
}

/// Catches the third resync that removes what only the office holds, and a note that outlives its copy.
#[test]
fn a_copy_that_nobody_else_holds_survives_any_number_of_swaps_until_it_is_given_back() {
    let (_directory, copies) = fresh();
    let first = copies.begin(|_| true).unwrap();
    copies.finish(first, |_| true).unwrap();
    let is_spent = |copies: &Copies| {
        let copies = copies.clone();
        move |copy| copy != first || copies.given_back(copy).unwrap().is_some()
    };
    for _ in 0..4 {
        let copy = copies.begin(|_| true).unwrap();
        copies.finish(copy, is_spent(&copies)).unwrap();
        assert!(copies.path(first).is_dir());
    }
    let kept = copies.kept().unwrap();
    assert_eq!((kept.len(), kept[0]), (3, first));
    let end = herd::testing::TestBarn::default().reader().head().position;
    let given = GivenBack { end, barn: end };
    copies.mark_given_back(first, &given).unwrap();
    assert_eq!(copies.given_back(first).unwrap(), Some(given));
    let copy = copies.begin(|_| true).unwrap();
    copies.finish(copy, is_spent(&copies)).unwrap();
    assert!(!copies.path(first).exists());
}

#[test]
fn a_new_copy_removes_unfinished_ones_that_nobody_needs_and_never_the_current_one() {
    let (_directory, copies) = fresh();
    let first = copies.begin(|_| true).unwrap();
    copies.finish(first, |_| true).unwrap();
    let needed = copies.begin(|_| true).unwrap();
    let unfinished = copies.begin(|copy| copy != needed).unwrap();
    let next = copies.begin(|copy| copy != needed).unwrap();
    assert!(copies.path(needed).is_dir());
    assert!(next > unfinished && !copies.path(unfinished).exists() && copies.path(first).is_dir());
    assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (Some(first), Some(next)));
}

/// Catches reads of a lost barn that go with the only copy which holds them, when it is canceled or another one is begun.
#[test]
fn an_unfinished_copy_that_somebody_needs_is_set_aside_until_the_next_swap() {
    let (_directory, copies) = fresh();
    let first = copies.begin(|_| true).unwrap();
    copies.finish(first, |_| true).unwrap();
    let canceled = copies.begin(|_| true).unwrap();
    assert_eq!(copies.cancel(|_| false).unwrap(), canceled);
    assert!(matches!(copies.cancel(|_| true), Err(CopiesError::NothingUnfinished)), "it is not canceled again");
    let replaced = copies.begin(|_| false).unwrap();
    let next = copies.begin(|_| false).unwrap();
    assert_eq!(copies.unfinished().unwrap(), Some(next), "neither is continued");
    assert_eq!(copies.kept().unwrap(), [first, canceled, replaced]);
    copies.finish(next, |copy| copy != canceled).unwrap();
    assert_eq!(copies.kept().unwrap(), [first, canceled, next]);
}

/// Catches a decision that a restart forgets, and one that counts for another copy.
#[test]
fn a_person_decides_for_one_copy() {
    let (_directory, copies) = fresh();
    let [one, other] = [(); 2].map(|()| copies.begin(|_| false).unwrap());
    copies.mark_decided(one).unwrap();
    assert!(copies.is_decided(one) && !copies.is_decided(other));
}

/// Catches a canceled resync that removes a complete copy, or the only one.
#[test]
fn only_an_unfinished_copy_beside_a_complete_one_is_canceled() {
    let (_directory, copies) = fresh();
    assert!(matches!(copies.cancel(|_| true), Err(CopiesError::NothingUnfinished)));
    let first = copies.begin(|_| true).unwrap();
    assert!(matches!(copies.cancel(|_| true), Err(CopiesError::OnlyCopy(copy)) if copy == first));
    copies.finish(first, |_| true).unwrap();
    assert!(matches!(copies.cancel(|_| true), Err(CopiesError::NothingUnfinished)));
    let second = copies.begin(|_| true).unwrap();
    assert_eq!(copies.cancel(|_| true).unwrap(), second);
    assert!(copies.path(first).is_dir() && !copies.path(second).exists());
    assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (Some(first), None));
}

/// Catches a refusal of the files that passes for a copy without a note, and a note that nobody can read that protects a copy
/// from a second gift.
#[test]
fn a_note_that_does_not_read_is_none_and_one_that_cannot_be_read_is_an_error() {
    let (_directory, copies) = fresh();
    let copy = copies.begin(|_| true).unwrap();
    assert_eq!(copies.given_back(copy).unwrap(), None);
    let note = copies.path(copy).join(GIVEN_BACK);
    fs::write(&note, b"{").unwrap();
    assert_eq!(copies.given_back(copy).unwrap(), None);
    fs::remove_file(&note).unwrap();
    fs::create_dir(&note).unwrap();
    let failed = copies.given_back(copy).unwrap_err();
    assert!(failed.to_string().starts_with("cannot read ") && !failed.is_refusal(), "{failed}");
}

/// Catches weights and owners that every user of the machine can read.
#[test]
fn only_the_owner_can_open_the_directories() {
    use std::os::unix::fs::PermissionsExt as _;
    let (directory, copies) = fresh();
    let copy = copies.path(copies.begin(|_| true).unwrap());
    for path in [&directory.path().join("sites"), &copies.directory, &copy] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
}

/// Catches an operator's mistake that is told as a failure of the disk, and the other way round.
#[test]
fn a_refusal_is_no_failure_of_the_files() {
    let (_directory, copies) = fresh();
    assert!(copies.cancel(|_| true).unwrap_err().is_refusal());
    copies.begin(|_| true).unwrap();
    assert!(copies.cancel(|_| true).unwrap_err().is_refusal());
    let invalid = CopiesError::InvalidCurrent { path: "current".into(), target: "x".into() };
    assert!(!invalid.is_refusal() && !file_error("read", Path::new("x"))(io::ErrorKind::Other.into()).is_refusal());
}

#[test]
fn a_swap_interrupted_before_the_rename_can_be_repeated() {
    let (_directory, copies) = fresh();
    let first = copies.begin(|_| true).unwrap();
    symlink("copy-1", copies.directory.join(NEXT_CURRENT)).unwrap();
    copies.finish(first, |_| true).unwrap();
    assert_eq!(copies.current().unwrap(), Some(first));
}

#[test]
fn a_current_link_that_names_no_copy_is_an_error() {
    let (_directory, copies) = fresh();
    let copy = copies.begin(|_| true).unwrap();
    fs::create_dir(copies.directory.join("copy-0")).unwrap();
    fs::create_dir(copies.directory.join("copy-01")).unwrap();
    let link = copies.directory.join(CURRENT);
    for target in ["copy-9", "../other/copy-1", "copy-01", "copy-0", "copy-+1", "/"] {
        symlink(target, &link).unwrap();
        assert!(matches!(copies.current(), Err(CopiesError::InvalidCurrent { .. })), "{target}");
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(copies.all().unwrap(), [copy], "other directories are no copies");
    fs::write(&link, "copy-1").unwrap();
    let failed = copies.current().unwrap_err();
    assert!(failed.to_string().starts_with("cannot read the link "), "{failed}");
    assert!(copies.kept().is_err() && copies.finish(copy, |_| true).is_err());
}
