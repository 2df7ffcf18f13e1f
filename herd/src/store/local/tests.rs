use super::*;
use proptest::prelude::*;

/// Catches a file that is of no use until a restart after one failed write, and a failure that nobody is told of.
#[test]
fn after_a_failed_write_the_file_opens_again_and_says_so_until_a_write_succeeds() {
    let disk = MemoryDisk::default();
    let file = LocalFile::open_in(&disk).unwrap();
    file.put("s", "before", &1_u8).unwrap();
    assert_eq!(file.failure(), None);

    assert!(disk.fail_after("local.redb", 0));
    assert!(matches!(file.put("s", "lost", &2_u8), Err(LocalError::Disk { .. })));
    assert!(file.failure().is_some());
    assert!(file.put("s", "lost", &2_u8).is_err());

    assert!(disk.fail_after("local.redb", u64::MAX));
    assert_eq!(file.get("s", "before").unwrap(), Some(1_u8));
    assert!(file.failure().is_some(), "a read proves nothing about writing");
    file.put("s", "after", &3_u8).unwrap();
    assert_eq!((file.failure(), file.get("s", "after").unwrap()), (None, Some(3_u8)));
}

fn fresh() -> (tempfile::TempDir, LocalFile) {
    let dir = tempfile::tempdir().unwrap();
    let file = LocalFile::open(dir.path().join("local.redb")).unwrap();
    (dir, file)
}

#[test]
fn puts_and_removals_survive_reopening() {
    let (dir, file) = fresh();
    assert_eq!(file.get::<u32>("sites", "a").unwrap(), None);
    file.put("sites", "a", &(7_u32, "seven")).unwrap();
    file.put("sites", "b", &(8_u32, "eight")).unwrap();
    assert!(file.remove("sites", "b").unwrap());
    assert!(!file.remove("sites", "b").unwrap());
    drop(file);
    let file = LocalFile::open(dir.path().join("local.redb")).unwrap();
    assert_eq!(file.get("sites", "a").unwrap(), Some((7_u32, "seven".to_owned())));
    assert_eq!(file.get::<(u32, String)>("sites", "b").unwrap(), None);
}

#[test]
fn a_list_holds_only_its_namespace_in_the_order_of_keys() {
    let (_dir, file) = fresh();
    for (space, key, value) in [("key", "x", 1_u8), ("keys", "b", 2), ("keys", "a", 3), ("keys2", "c", 4)] {
        file.put(space, key, &value).unwrap();
    }
    assert_eq!(file.list::<u8>("keys").unwrap(), [("a".to_owned(), 3), ("b".to_owned(), 2)]);
    assert!(matches!(file.list::<u8>("a\0b"), Err(LocalError::Space(_))));
}

#[test]
fn rows_can_be_replaced_by_another_in_one_commit() {
    let (_dir, file) = fresh();
    for key in ["a", "b", "c"] {
        file.put("s", key, &1_u8).unwrap();
    }
    file.put("t", "a", &9_u8).unwrap();
    file.replace("s", &["a".into(), "c".into(), "never there".into()], Some(("d", &4_u8))).unwrap();
    assert_eq!(file.list::<u8>("s").unwrap(), [("b".to_owned(), 1), ("d".to_owned(), 4)]);
    assert_eq!(file.get::<u8>("t", "a").unwrap(), Some(9));
}

#[test]
fn only_the_owner_can_read_the_file_whoever_created_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("local.redb");
    std::fs::write(&path, b"").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let _file = LocalFile::open(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_open_file_is_locked_for_others() {
    let (dir, file) = fresh();
    let again = LocalFile::open(dir.path().join("local.redb"));
    assert!(matches!(again, Err(LocalError::Locked { .. })), "{again:?}");
    drop(file);
    LocalFile::open(dir.path().join("local.redb")).unwrap();
}

#[test]
fn a_file_that_is_not_a_database_is_damaged_and_a_missing_directory_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("local.redb");
    std::fs::write(&path, [0x5a; 9000]).unwrap();
    assert!(matches!(LocalFile::open(&path), Err(LocalError::Damaged { .. })));
    assert!(matches!(LocalFile::open(dir.path().join("none/local.redb")), Err(LocalError::Open { .. })));
}

/// Catches a damaged file that is overwritten, and keys that are made in memory and lost.
#[test]
fn a_closed_file_holds_nothing_and_refuses_every_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("local.redb");
    let file = LocalFile::closed(&path, "a page is missing");
    assert_eq!((file.get::<u8>("s", "k").unwrap(), file.list::<u8>("s").unwrap()), (None, Vec::new()));
    assert!(matches!(file.put("s", "k", &1_u8), Err(LocalError::Damaged { .. })));
    assert!(matches!(file.remove("s", "k"), Err(LocalError::Damaged { .. })));
    assert_eq!((file.damage(), path.exists()), (Some("a page is missing"), false));
}

#[test]
fn a_value_of_another_type_is_an_error() {
    let (_dir, file) = fresh();
    file.put("s", "k", &(1_u8, 2_u8)).unwrap();
    assert!(matches!(file.get::<u8>("s", "k"), Err(LocalError::Value { .. })));
    assert!(matches!(file.get::<(u8, u8, u8)>("s", "k"), Err(LocalError::Value { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damage_anywhere_in_the_file_is_harmless_or_an_error_and_never_a_panic(
        at in 0_usize..20_000, flip in 1_u8.., length in 1_usize..600,
    ) {
        let (dir, file) = fresh();
        for key in 0..20 {
            file.put("s", &key.to_string(), &"some text").unwrap();
        }
        drop(file);
        let path = dir.path().join("local.redb");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte ^= flip);
        std::fs::write(&path, bytes).unwrap();
        if let Ok(file) = LocalFile::open(&path) {
            let _ = file.list::<String>("s");
        }
    }
}

/// Catches a panic, where a key is asked for, at a page that is damaged while the file is open.
#[test]
fn damage_below_an_open_file_is_harmless_or_an_error_and_never_a_panic() {
    const PAGE_BYTES: usize = 4_096;
    let damages: [fn(&mut [u8]); 5] =
        [|page| page[0] = 40, |page| page[3] ^= 1, |page| page[6] ^= 1, |page| page[7] ^= 0x80, |page| page.fill(0xa5)];
    let mut failed = 0;
    for (page, damage) in (0..20).flat_map(|page| damages.map(|damage| (page, damage))) {
        let disk = MemoryDisk::default().uncached();
        let file = LocalFile::open_in(&disk).unwrap();
        for key in 0..40 {
            file.put("s", &key.to_string(), &"some text".repeat(20)).unwrap();
        }
        let sound = disk.content(LOCAL_FILE).unwrap();
        let mut content = sound.clone();
        let Some(bytes) = content.get_mut(page * PAGE_BYTES..(page + 1) * PAGE_BYTES) else { break };
        damage(bytes);
        assert!(disk.overwrite(LOCAL_FILE, &content));
        failed += usize::from(file.list::<String>("s").is_err());
        failed += usize::from(file.get::<String>("s", "7").is_err());
        // At a damaged count of free pages, a write of redb panics once more while it cleans up. That ends any process.
        assert!(disk.overwrite(LOCAL_FILE, &sound));
    }
    assert!(failed > 10, "only {failed} damages were met");
}

proptest! {
    #[test]
    fn decoding_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<(String, Vec<u64>)>(&bytes);
    }
}

#[test]
fn a_file_is_empty_until_something_was_written_into_it() {
    let (_dir, file) = fresh();
    assert!(file.is_empty().unwrap());
    file.put("s", "k", &1_u8).unwrap();
    assert!(!file.is_empty().unwrap());
    assert!(matches!(file.put("", "k", &1_u8), Err(LocalError::Space(_))));
}

/// Catches a disk that fails and is told as damage, which sends a person to a backup; and damage that is told as a disk.
#[test]
fn each_failure_of_the_file_is_of_its_kind() {
    let io = |kind: ErrorKind| StorageError::Io(kind.into());
    let opened = |error| open_error(Path::new("f"), error);
    assert!(matches!(opened(DatabaseError::DatabaseAlreadyOpen), LocalError::Locked { .. }));
    assert!(matches!(opened(DatabaseError::Storage(io(ErrorKind::PermissionDenied))), LocalError::Open { .. }));
    assert!(matches!(opened(DatabaseError::Storage(io(ErrorKind::InvalidData))), LocalError::Damaged { .. }));
    let (_dir, file) = fresh();
    assert!(
        matches!(file.storage(&StorageError::Corrupted("a page".into())), LocalError::Damaged { reason, .. } if reason == "a page")
    );
    assert!(matches!(file.storage(&io(ErrorKind::Other)), LocalError::Disk { .. }));
}

#[test]
fn a_value_is_decoded_whole_and_in_its_version_only() {
    assert_eq!(decode::<u8>(&encode(&7_u8).unwrap()), Ok(7));
    for (bytes, why) in [
        (&[][..], "it is empty"),
        (&[2, 7], "its version is 2, this program knows 1"),
        (&[1, 7, 8, 9], "2 bytes too many"),
        (&[1], "Hit the end of buffer, expected more data"),
    ] {
        assert_eq!(decode::<u8>(bytes), Err(why.to_owned()));
    }
}
