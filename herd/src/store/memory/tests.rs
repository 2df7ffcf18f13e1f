//! Claims about the disk itself. Each catches a fault that does not happen, or not as a real disk has it: the tests of stores
//! would then show nothing.

use super::*;

const PAGE: usize = 4_096;

/// Returns a disk with a durable file of zeros.
fn disk_with(bytes: usize) -> (MemoryDisk, Box<dyn StorageBackend>) {
    let disk = MemoryDisk::default();
    let file = disk.open_bytes("file").unwrap();
    file.set_len(bytes as u64).unwrap();
    file.sync_data().unwrap();
    (disk, file)
}

fn content(disk: &MemoryDisk) -> Vec<u8> {
    disk.content("file").unwrap()
}

#[test]
fn a_power_cut_leaves_what_was_synced_and_a_kill_what_was_written() {
    let (disk, file) = disk_with(1_000);
    file.write(100, &[2; 10]).unwrap();
    file.set_len(1_200).unwrap();
    let (zeros, written) = (vec![0; 1_000], [vec![0; 100], vec![2; 10], vec![0; 1_090]].concat());
    assert_eq!((content(&disk), content(&disk.after_power_cut())), (written.clone(), zeros.clone()));
    let killed = disk.after_kill();
    assert_eq!((content(&killed), content(&killed.after_power_cut())), (written.clone(), zeros));
    // The kernel goes on writing after a kill.
    killed.open_bytes("file").unwrap().sync_data().unwrap();
    assert_eq!(content(&killed.after_power_cut()), written);
    let mut past_the_end = [0; 2];
    assert!(file.read(1_199, &mut past_the_end).is_err() && file.write(1_199, &past_the_end).is_err());
    assert_eq!((disk.place(), disk.operations()), (PathBuf::from("memory"), 0));
}

#[test]
fn a_torn_write_leaves_each_sector_whole_or_not_at_all() {
    let (disk, file) = disk_with(2_048);
    file.write(300, &[1; 1_000]).unwrap();
    let sectors = [300..512, 512..1_024, 1_024..1_300];
    let mut seen = [[false; 2]; 3];
    for seed in 0..60 {
        let torn = content(&disk.after_torn_power_cut(seed));
        assert_eq!(torn, content(&disk.after_torn_power_cut(seed)), "seed {seed}");
        for (sector, seen) in sectors.clone().into_iter().zip(&mut seen) {
            let first = torn[sector.start];
            assert!(torn[sector].iter().all(|byte| *byte == first), "seed {seed}");
            seen[usize::from(first)] = true;
        }
        assert!(torn[..300].iter().chain(&torn[1_300..]).all(|byte| *byte == 0), "seed {seed}");
    }
    assert_eq!(seen, [[true; 2]; 3]);
}

#[test]
fn writes_and_syncs_fail_after_as_many_as_a_test_wants() {
    for succeed in 0..3 {
        let (disk, file) = disk_with(3);
        assert!(disk.fail_after("file", succeed) && !disk.fail_after("missing", succeed));
        let written = [0, 1, 2].map(|offset| file.write(offset, &[9]).is_ok());
        assert_eq!(written, [0, 1, 2].map(|n| n < succeed));
        assert_eq!(content(&disk), [0, 1, 2].map(|n| if n < succeed { 9 } else { 0 }));
        assert!(file.sync_data().is_err() && disk.after_kill().open_bytes("file").unwrap().sync_data().is_ok());
    }
}

#[test]
fn a_sync_that_fails_leaves_a_cache_that_lies_until_it_is_dropped() {
    let (disk, file) = disk_with(3 * PAGE);
    assert!(disk.fail_sync("file", 1));
    assert!(file.sync_data().is_ok() && disk.has_sync_to_fail("file"));
    // In the first two pages.
    file.write(PAGE as u64 - 6, &[1; 12]).unwrap();
    assert!(file.sync_data().is_err() && !disk.has_sync_to_fail("file"));
    let (zeros, cached) = (vec![0; 3 * PAGE], content(&disk));
    assert_eq!(cached[PAGE - 6..PAGE + 6], [1; 12]);
    file.sync_data().unwrap();
    assert!(content(&disk.after_power_cut()) == zeros, "the next sync has nothing to write");
    let dropped = disk.after_kill();
    dropped.drop_cached("file");
    assert!(content(&dropped) == zeros);
    disk.clone().keeping_cache().drop_cached("file");
    assert!(content(&disk) == cached);
    // A write makes the whole page dirty, with what the disk never got of it.
    file.write(2 * PAGE as u64 - 1, &[2]).unwrap();
    file.sync_data().unwrap();
    let (mut expected, mut second) = (zeros, cached[PAGE..2 * PAGE].to_vec());
    second[PAGE - 1] = 2;
    expected[PAGE..2 * PAGE].copy_from_slice(&second);
    assert!(content(&disk.after_power_cut()) == expected);
}

#[test]
fn other_faults_end_when_their_file_is_closed() {
    let (disk, file) = disk_with(10);
    assert!(disk.keep_length("file"));
    assert_eq!(file.set_len(11).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.set_len(10).unwrap();
    file.write(0, &[1; 10]).unwrap();
    assert!(disk.ignore_syncs("file"));
    file.sync_data().unwrap();
    assert_eq!(content(&disk.after_power_cut()), [0; 10]);
    assert!(disk.fail_reads("file"));
    assert!(
        file.read(0, &mut [0; 10]).is_err() && disk.after_kill().open_bytes("file").unwrap().read(0, &mut [0]).is_ok()
    );
    assert!(disk.panic_once("file") && disk.hold_syncs("missing").is_none());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| file.sync_data()));
    assert!(panicked.is_err() && file.sync_data().is_ok(), "once");
    assert!(!disk.has_sync_to_fail("missing") && disk.overwrite("file", b"new") && !disk.overwrite("missing", b"new"));
    assert_eq!(content(&disk.after_power_cut()), b"new");
}

#[test]
fn a_replay_has_the_files_after_each_operation() {
    let disk = MemoryDisk::default().recording();
    let file = disk.open_bytes("file").unwrap();
    file.set_len(4).unwrap();
    file.write(1, b"ab").unwrap();
    file.sync_data().unwrap();
    disk.rename("file", "other").unwrap();
    disk.rename("missing", "other").unwrap();
    disk.remove("other").unwrap();
    let (mut replay, mut seen) = (disk.replay(), Vec::new());
    loop {
        let fails = replay.after_failed_sync().map(|failed| failed.after_power_cut().content("file"));
        seen.push((replay.disk().content("file"), replay.disk().holds("other"), fails));
        if !replay.step().unwrap() {
            break;
        }
    }
    let at = |content: &[u8]| (Some(content.to_vec()), false, None);
    let before_sync = (Some(b"\0ab\0".to_vec()), false, Some(Some(Vec::new())));
    let gone = |is_renamed| (None, is_renamed, None);
    assert_eq!(seen, [gone(false), at(b""), at(b"\0\0\0\0"), before_sync, at(b"\0ab\0"), gone(true), gone(false)]);
    assert_eq!(disk.operations(), 6);
}
