use super::*;
use crate::door::secret::{SECRET_BYTES, SecretError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herd::clock::SystemClock;
use herd::randomness::SeededRandomness;
use herd::store::MemoryDisk;
use proptest::prelude::*;
use std::path::Path;

fn ring(dir: &Path, seed: u64) -> KeyRing {
    let file = LocalFile::open(dir.join("local.redb")).unwrap();
    KeyRing::load(file, Arc::new(SystemClock::default()), SeededRandomness::new(seed)).unwrap()
}

fn scopes(scopes: &[Scope]) -> BTreeSet<Scope> {
    scopes.iter().copied().collect()
}

/// Catches a stolen key that a broken or full disk keeps valid, and one that comes back after the disk has recovered.
#[test]
fn a_revoked_key_is_rejected_although_the_disk_fails_and_removed_once_it_does_not() {
    let disk = MemoryDisk::default();
    let load = || {
        let file = LocalFile::open_in(&disk).unwrap();
        KeyRing::load(file, Arc::new(SystemClock::default()), SeededRandomness::new(1)).unwrap()
    };
    let keys = load();
    let (stolen, other) =
        (keys.add("a", scopes(&[Scope::Read])).unwrap(), keys.add("b", scopes(&[Scope::Read])).unwrap());
    let access = keys.check(stolen.reveal()).unwrap();
    assert!(disk.fail_after("local.redb", 0));
    let error = keys.revoke("a").unwrap_err();
    assert!(matches!(&error, KeyError::NotSaved { name, .. } if name == "a"), "{error}");
    assert!(keys.check(stolen.reveal()).is_none() && !keys.contains(&access) && keys.failure().is_some());
    assert!(keys.check(other.reveal()).is_some());
    assert!(keys.save_revocations().is_err());

    assert!(disk.fail_after("local.redb", u64::MAX));
    keys.save_revocations().unwrap();
    assert_eq!(keys.failure(), None);
    drop(keys);
    let keys = load();
    assert!(keys.check(stolen.reveal()).is_none() && keys.check(other.reveal()).is_some());
}

/// Catches a new key that is lost because an old one of its name was revoked while the disk failed.
#[test]
fn a_new_key_survives_the_pending_revocation_of_its_name() {
    let disk = MemoryDisk::default();
    let file = LocalFile::open_in(&disk).unwrap();
    let keys = KeyRing::load(file, Arc::new(SystemClock::default()), SeededRandomness::new(1)).unwrap();
    keys.add("a", scopes(&[Scope::Read])).unwrap();
    assert!(disk.fail_after("local.redb", 0));
    assert!(keys.revoke("a").is_err());
    assert!(disk.fail_after("local.redb", u64::MAX));
    let new = keys.add("a", scopes(&[Scope::Read])).unwrap();
    keys.save_revocations().unwrap();
    drop(keys);
    let file = LocalFile::open_in(&disk).unwrap();
    let keys = KeyRing::load(file, Arc::new(SystemClock::default()), SeededRandomness::new(1)).unwrap();
    assert!(keys.check(new.reveal()).is_some());
}

/// Catches a key that is accepted only after a restart, or lost by one.
#[test]
fn a_new_key_is_accepted_with_its_scopes_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ring(dir.path(), 1);
    let secret = keys.add("chute-1", scopes(&[Scope::Ingest])).unwrap();
    let found = keys.check(secret.reveal()).unwrap();
    assert_eq!((found.name.as_str(), found.has(Scope::Ingest), found.has(Scope::Read)), ("chute-1", true, false));
    drop(keys);
    assert_eq!(ring(dir.path(), 2).check(secret.reveal()), Some(found));
}

/// Catches a key of a card that is added at every boot, one that is weak or cut, and a replaced one that still opens.
#[test]
fn a_key_from_outside_is_stored_once_and_replaced_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ring(dir.path(), 7);
    let text = |seed: u8| {
        let bytes: [u8; SECRET_BYTES] = std::array::from_fn(|at| u8::try_from(at * 7).unwrap() ^ seed);
        format!("hxb_{}", URL_SAFE_NO_PAD.encode(bytes))
    };
    let (first, second) = (text(1), text(2));
    let adopt = |name: &str, text: &str, taken| {
        keys.adopt(name, scopes(&[Scope::Read]), text.parse::<Secret>().unwrap().hash(), taken)
    };
    for _ in 0..2 {
        adopt("card", &first, TakenName::Replace).unwrap();
        adopt("elsewhere", &first, TakenName::Refuse).unwrap();
    }
    assert_eq!((keys.check(&first).unwrap().name.as_str(), keys.list().len()), ("card", 1));
    assert!(matches!(adopt("card", &second, TakenName::Refuse), Err(KeyError::Exists(_))));
    adopt("card", &second, TakenName::Replace).unwrap();
    assert_eq!((keys.check(&first), keys.list().len()), (None, 1));
    drop(keys);
    let keys = ring(dir.path(), 8);
    assert!(keys.check(&second).is_some() && keys.check(&first).is_none());

    let refused = |text: &str| text.parse::<Secret>().err();
    assert!(first.parse::<Secret>().is_ok_and(|secret| secret.reveal() == first));
    assert_eq!(refused("secret"), Some(SecretError::Prefix));
    assert_eq!(refused(&first[..40]), Some(SecretError::Length(40)));
    assert_eq!(refused(&format!("hxb_{}", "A".repeat(43))), Some(SecretError::Guessable));
    assert_eq!(refused(&format!("{}!", &first[..46])), Some(SecretError::Character));
}

/// Catches a key that somebody typed, and a random one that is refused because a few of its bytes are alike.
#[test]
fn a_key_from_outside_needs_sixteen_different_bytes() {
    let text = |distinct: usize| {
        let bytes: [u8; SECRET_BYTES] = std::array::from_fn(|at| u8::try_from(at.min(distinct - 1)).unwrap());
        format!("hxb_{}", URL_SAFE_NO_PAD.encode(bytes))
    };
    assert!(text(16).parse::<Secret>().is_ok());
    assert_eq!(text(15).parse::<Secret>().err(), Some(SecretError::Guessable));
}

/// Catches keys without a limit, and one that cannot be replaced because there are as many as may be.
#[test]
fn there_are_a_thousand_keys_at_most_and_one_can_be_replaced_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ring(dir.path(), 9);
    let row = |n: u16| {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&n.to_be_bytes());
        KeyRow { name: format!("k{n}"), scopes: scopes(&[Scope::Read]), hash, made_at_us: 0 }
    };
    keys.change(|by_hash| by_hash.extend((0..999).map(|n| (row(n).hash, row(n)))));
    keys.add("last", scopes(&[Scope::Read])).unwrap();
    assert!(matches!(keys.add("more", scopes(&[Scope::Read])), Err(KeyError::TooMany)));
    keys.adopt("last", scopes(&[Scope::Read]), [7; 32], TakenName::Replace).unwrap();
    assert_eq!(keys.list().len(), 1000);
}

/// Catches a stolen key that a restart brings back, because its removal was tried only once.
#[tokio::test(start_paused = true)]
async fn a_revocation_that_failed_is_saved_before_the_shutdown() {
    let disk = MemoryDisk::default();
    let load = || {
        let file = LocalFile::open_in(&disk).unwrap();
        KeyRing::load(file, Arc::new(SystemClock::default()), SeededRandomness::new(1)).unwrap()
    };
    let keys = Arc::new(load());
    let stolen = keys.add("a", scopes(&[Scope::Read])).unwrap();
    let trigger = crate::lifecycle::ShutdownTrigger::default();
    let keeping = tokio::spawn(keys.clone().keep_saved(trigger.signal()));
    assert!(disk.fail_after("local.redb", 0));
    assert!(keys.revoke("a").is_err());
    tokio::time::sleep(SAVE_INTERVAL * 2).await;
    assert_eq!(keys.unsaved().len(), 1);
    assert!(disk.fail_after("local.redb", u64::MAX));
    tokio::time::sleep(SAVE_INTERVAL * 2).await;
    assert!(keys.unsaved().is_empty() && !keeping.is_finished());
    trigger.request();
    keeping.await.unwrap();
    drop(keys);
    assert!(load().check(stolen.reveal()).is_none());
}

/// Catches a scope that silently includes another.
#[test]
fn the_admin_scope_does_not_include_the_ingest_scope() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ring(dir.path(), 3);
    let secret = keys.add("boss", scopes(&[Scope::Admin])).unwrap();
    assert!(!keys.check(secret.reveal()).unwrap().has(Scope::Ingest));
}

/// Catches a revocation that a restart undoes, or that long connections do not notice.
#[test]
fn a_revoked_key_is_rejected_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ring(dir.path(), 4);
    let secret = keys.add("office", scopes(&[Scope::Sync])).unwrap();
    let (accepted, changes) = (keys.check(secret.reveal()).unwrap(), keys.changes());
    keys.revoke("office").unwrap();
    assert_eq!(keys.check(secret.reveal()), None);
    assert!(!keys.contains(&accepted) && changes.has_changed().unwrap());
    assert!(matches!(keys.revoke("office"), Err(KeyError::Unknown(_))));
    drop(keys);
    assert_eq!(ring(dir.path(), 5).check(secret.reveal()), None);
}

/// Catches names that occur twice, or that logs, origins and URLs cannot show.
#[test]
fn key_names_are_unique_and_of_safe_characters() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ring(dir.path(), 6);
    keys.add("a.b_c-9", scopes(&[Scope::Read])).unwrap();
    assert!(matches!(keys.add("a.b_c-9", scopes(&[Scope::Read])), Err(KeyError::Exists(_))));
    assert!(matches!(keys.add("x", BTreeSet::new()), Err(KeyError::NoScope)));
    for bad in ["", "a b", "ä", "a/b", "a\n", &"x".repeat(65)] {
        assert!(matches!(keys.add(bad, scopes(&[Scope::Read])), Err(KeyError::Name(_))), "{bad:?}");
    }
    assert_eq!(keys.list().len(), 1);
    keys.add(&"x".repeat(64), scopes(&[Scope::Read])).unwrap();
    for (length, quoted) in [(65, 65), (66, 65)] {
        let long = "x".repeat(length);
        let invalid = keys.add(&long, scopes(&[Scope::Read])).map(drop);
        assert!(matches!(&invalid, Err(KeyError::Name(name)) if name.len() == quoted), "{length}: {invalid:?}");
        let unknown = keys.revoke(&long);
        assert!(matches!(&unknown, Err(KeyError::Unknown(name)) if name.len() == quoted), "{length}: {unknown:?}");
    }
}

/// Catches a secret that is too short, or that is stored in plain text.
#[test]
fn a_secret_has_256_bits_and_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ring(dir.path(), 7);
    let secret = keys.add("a", scopes(&[Scope::Read])).unwrap();
    let text = secret.reveal();
    assert_eq!(text.len(), SECRET_CHARS);
    assert_eq!(URL_SAFE_NO_PAD.decode(&text["hxb_".len()..]).unwrap().len(), SECRET_BYTES);
    drop(keys);
    let bytes = std::fs::read(dir.path().join("local.redb")).unwrap();
    assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()));
}

/// Catches a change of `KeyRow` or `Scope` that makes existing files unreadable.
#[test]
fn the_stored_bytes_of_a_row_do_not_change() {
    let all = [Scope::Ingest, Scope::Read, Scope::Sync, Scope::Correct, Scope::Admin];
    let row = KeyRow { name: "k".into(), scopes: scopes(&all), hash: [7; 32], made_at_us: 1 };
    let golden = [&[1, b'k', 5, 0, 1, 2, 3, 4][..], &[7; 32], &[2]].concat();
    assert_eq!(postcard::to_stdvec(&row).unwrap(), golden);
}

/// Catches a scope that JSON and the command line spell differently.
#[test]
fn scopes_have_the_same_name_in_json_and_on_the_command_line() {
    for scope in <Scope as clap::ValueEnum>::value_variants() {
        assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
        assert_eq!(scope.to_string(), scope.name());
        assert_eq!(clap::ValueEnum::to_possible_value(scope).unwrap().get_name(), scope.name());
    }
}

proptest! {
    // Few cases, because each creates a file and syncs it.
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Catches a comparison that accepts a prefix of a secret or a near miss.
    #[test]
    fn other_texts_are_never_accepted_as_a_key(text in ".{0,60}", flipped in 0_usize..SECRET_CHARS) {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(dir.path(), 8);
        let secret = keys.add("a", scopes(&[Scope::Read])).unwrap();
        prop_assert!(keys.check(&text).is_none());
        let mut near = secret.reveal().as_bytes().to_vec();
        near[flipped] ^= 1;
        prop_assert!(keys.check(&String::from_utf8_lossy(&near)).is_none());
    }
}
