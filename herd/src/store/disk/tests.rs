//! Claims about directories, their room and the errors of opening what is in them.

use super::*;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::io::IoSliceMut;

/// Returns whether the kernel caches the start of a file, or `None` if the file system does not say.
fn is_cached(path: &Path) -> Option<bool> {
    let (file, mut byte) = (File::open(path).unwrap(), [0]);
    match preadv2(&file, &mut [IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT) {
        Ok(_) => Some(true),
        Err(Errno::AGAIN) => Some(false),
        Err(_) => None,
    }
}

/// Catches a start that reads the kernel's cache instead of the disk. Pages that only the cache has cannot be made
/// without a disk that fails, so the test shows that nothing is cached any more.
#[test]
fn what_the_kernel_caches_of_a_file_is_dropped_and_its_content_stays() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let path = directory.path().join("file");
    let content = vec![7; 64 * 1024];
    std::fs::write(&path, &content).unwrap();
    let disk = Directory::new(directory.path()).unwrap();
    match is_cached(&path) {
        // The kernel keeps a page that it works on at this moment, so one attempt may fail.
        Some(true) => assert!((0..100).any(|_| {
            disk.drop_cached("file");
            is_cached(&path) == Some(false)
        })),
        // Such as a file system in memory, which has nothing below its cache.
        other => println!("SKIPPED: this file system does not say what it caches ({other:?})"),
    }
    assert_eq!(std::fs::read(&path).unwrap(), content);
    disk.drop_cached("a file that is missing");
    assert!(!disk.holds("a file that is missing"));
}

/// Catches a recorder that goes on where nothing that it records can be folded, or stops on a disk with room.
#[test]
fn what_can_wait_leaves_an_eightieth_of_a_disk_and_at_most_128_mib() {
    const MOST: u64 = 128 * 1024 * 1024;
    for (total, expected) in [(0, 0), (79, 0), (80, 1), (8_000, 100), (80 * MOST, MOST), (u64::MAX, MOST)] {
        assert_eq!(min_room_bytes(total), expected, "{total}");
    }
    // Of no block at all none is free, and none is needed. A disk that does not tell is asked by a write.
    for place in ["/proc", "/a directory that is missing"] {
        assert!(Directory::without_progress(place.into()).has_room(), "{place}");
    }
}

/// Catches a copy that folds each change before the next one, or a barn that flushes its tables with each payload.
#[test]
fn a_directory_has_the_limits_of_a_yard() {
    let disk = Directory::without_progress("/a directory that is missing".into());
    assert_eq!((disk.segment_bytes(), disk.flush_bytes(), disk.max_unfolded()), (1 << 20, 8 << 20, 20_000));
}

fn storage_failure<T: Debug>(outcome: Result<T, StoreError>) -> &'static str {
    match outcome {
        Err(StoreError::Storage { doing, .. }) => doing,
        other => panic!("{other:?}"),
    }
}

/// Catches an empty file that is taken for a log, and a failure that passes for success.
#[test]
fn the_files_of_a_directory_are_those_of_the_file_system() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a/b");
    let disk = Directory::new(&path).unwrap();
    assert_eq!(disk.place(), path);
    std::fs::create_dir(path.join("folder")).unwrap();
    for (file, content) in [("empty", ""), ("full", "old"), ("new", "new")] {
        std::fs::write(path.join(file), content).unwrap();
    }
    // One that cannot be asked is opened, which tells why.
    for (file, holds, has_content) in
        [("missing", false, false), ("empty", true, false), ("full", true, true), ("full/inside", false, true)]
    {
        assert_eq!((disk.holds(file), disk.has_content(file)), (holds, has_content), "{file}");
    }
    disk.rename("new", "full").unwrap();
    assert_eq!((disk.holds("new"), std::fs::read(path.join("full")).unwrap()), (false, b"new".to_vec()));
    assert_eq!(storage_failure(disk.rename("missing", "full")), "swap in");
    disk.remove("full").unwrap();
    disk.remove("missing").unwrap();
    assert!(!disk.holds("full"));
    assert_eq!(storage_failure(disk.remove("folder")), "remove");
    assert_eq!(storage_failure(Directory::new(path.join("empty"))), "make the directory");
    assert_eq!(storage_failure(sync_directory(&path.join("missing"))), "open the directory");
}

/// Catches an error that sends a person to the wrong remedy.
#[test]
fn each_failure_to_open_a_file_says_what_can_be_done() {
    let io = |kind: ErrorKind| DatabaseError::Storage(StorageError::Io(kind.into()));
    for (error, expected) in [
        (DatabaseError::DatabaseAlreadyOpen, "log.redb is in use by another process"),
        (DatabaseError::RepairAborted, "opening log.redb was canceled"),
        (io(ErrorKind::PermissionDenied), "cannot open log.redb: permission denied"),
        (DatabaseError::Storage(StorageError::PreviousIo), "cannot open log.redb: "),
        (io(ErrorKind::InvalidData), "log.redb is damaged: "),
        (DatabaseError::Storage(StorageError::Corrupted("a page".to_owned())), "log.redb is damaged: "),
    ] {
        let told = open_error(error, "log.redb".to_owned()).to_string();
        assert!(told.starts_with(expected), "{told}");
    }
}

/// Catches a recovery or a verification that reads a file while a barn writes it, and takes what it finds for damage.
#[test]
fn a_file_is_open_once_as_a_database_or_as_bytes() {
    let place = tempfile::tempdir().unwrap();
    let disk = Directory::new(place.path()).unwrap();
    let is_locked = || {
        let (database, bytes) = (disk.open("file", 0).map(drop), disk.open_bytes("file").map(drop));
        [database, bytes].map(|opened| matches!(opened, Err(StoreError::Locked { .. })))
    };
    let database = disk.open("file", 0).unwrap();
    assert_eq!(is_locked(), [true; 2]);
    drop(database);
    let bytes = disk.open_bytes("file").unwrap();
    assert_eq!(is_locked(), [true; 2]);
    drop(bytes);
    assert_eq!(is_locked(), [false; 2]);
}
