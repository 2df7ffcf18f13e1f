use super::*;
use crate::door::auth::{Access, Guard, require, require_any};
use crate::door::keys::Scope;
use axum::http::{Extensions, HeaderMap};
use herd::randomness::SeededRandomness;
use herd::store::MemoryDisk;
use herd::testing::ManualClock;
use std::path::Path;

const MILLISECOND: Duration = Duration::from_millis(1);
const NEARLY_LIFETIME: Duration = TOKEN_LIFETIME.saturating_sub(MILLISECOND);

/// A token ring in a directory of its own, with two keys.
pub(in crate::door) struct Yard {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    pub(in crate::door) tokens: Arc<TokenRing>,
    /// Secret of the key `chute`, which has the scope `ingest`.
    pub(in crate::door) ingest: String,
    /// Secret of the key `screen`, which has the scope `read`.
    pub(in crate::door) read: String,
}

pub(in crate::door) fn yard() -> Yard {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::default()));
    clock.pass(TOKEN_LIFETIME / 2);
    let tokens = Arc::new(ring(dir.path(), &clock, 1));
    let add = |name, scope| tokens.keys.add(name, [scope].into()).unwrap().reveal().to_owned();
    let (ingest, read) = (add("chute", Scope::Ingest), add("screen", Scope::Read));
    Yard { dir, clock, tokens, ingest, read }
}

fn ring(dir: &Path, clock: &Arc<ManualClock>, seed: u64) -> TokenRing {
    let file = LocalFile::open(dir.join("local.redb")).unwrap();
    let keys = KeyRing::load(file.clone(), clock.clone(), SeededRandomness::new(seed)).unwrap();
    TokenRing::load(file, Arc::new(keys), clock.clone(), SeededRandomness::new(seed + 100)).unwrap()
}

impl Yard {
    fn token(&self, secret: &str) -> String {
        self.tokens.issue(&self.tokens.authenticate(secret).unwrap()).unwrap().reveal().to_owned()
    }

    /// Returns the same directory after a restart of the process.
    fn restart(self, seed: u64) -> Self {
        let Self { dir, clock, tokens, ingest, read } = self;
        drop(tokens);
        let tokens = Arc::new(ring(dir.path(), &clock, seed));
        Self { dir, clock, tokens, ingest, read }
    }

    fn stored(&self) -> usize {
        self.tokens.file.list::<TokenRow>(TOKENS_NAMESPACE).unwrap().len()
    }
}

/// Catches a barn that is deaf after a power cut, because tokens of the boot before cannot be removed.
#[test]
fn tokens_that_have_ended_and_cannot_be_removed_do_not_end_the_start() {
    let (disk, clock) = (MemoryDisk::default(), Arc::new(ManualClock::default()));
    let ring = || {
        let file = LocalFile::open_in(&disk).unwrap();
        let keys = KeyRing::load(file.clone(), clock.clone(), SeededRandomness::new(1)).unwrap();
        TokenRing::load(file, Arc::new(keys), clock.clone(), SeededRandomness::new(2))
    };
    let before = ring().unwrap();
    let key = before.keys.add("screen", [Scope::Read].into()).unwrap().reveal().to_owned();
    let token = before.issue(&before.authenticate(&key).unwrap()).unwrap().reveal().to_owned();
    drop(before);
    clock.restart();
    let file = LocalFile::open_in(&disk).unwrap();
    let keys = KeyRing::load(file.clone(), clock.clone(), SeededRandomness::new(3)).unwrap();
    assert!(disk.fail_after("local.redb", 0));
    let after = TokenRing::load(file, Arc::new(keys), clock.clone(), SeededRandomness::new(4)).unwrap();
    assert!(after.authenticate(&token).is_none());
}

/// Catches a token with other scopes than its key, or a guard that does not take tokens.
#[test]
fn a_token_has_the_name_and_the_scopes_of_its_key() {
    let yard = yard();
    let token = yard.token(&yard.read);
    let found = yard.tokens.authenticate(&token).unwrap();
    assert_eq!((found.name.as_str(), found.has(Scope::Read), found.has(Scope::Ingest)), ("screen", true, false));
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", token.parse().unwrap());
    let authorize = |guard: Guard| guard.authorize(&headers, &Extensions::new()).map_err(|error| error.status.as_u16());
    assert_eq!(authorize(require(yard.tokens.clone(), Scope::Read)).unwrap().name(), "screen");
    assert_eq!(authorize(require_any(yard.tokens.clone())).unwrap().name(), "screen");
    assert_eq!(authorize(require(yard.tokens.clone(), Scope::Sync)), Err(403));
    assert!(yard.tokens.authenticate(&yard.read).is_some(), "the key itself stays valid");
}

/// Catches a renewed token that inherits the age of the one before.
#[test]
fn a_token_ends_after_a_day_and_its_successor_lives_on() {
    let yard = yard();
    let first = yard.token(&yard.read);
    let accepted = yard.tokens.authenticate(&first).unwrap();
    yard.clock.pass(NEARLY_LIFETIME);
    let next = yard.token(&first);
    assert_eq!(yard.tokens.remaining(&accepted), Some(MILLISECOND));
    yard.clock.pass(MILLISECOND);
    assert!(yard.tokens.authenticate(&first).is_none() && !yard.tokens.is_valid(&accepted));
    assert_eq!(yard.tokens.authenticate(&next).unwrap().name, "screen");
    yard.clock.pass(NEARLY_LIFETIME);
    assert!(yard.tokens.authenticate(&next).is_none());
}

/// Catches tokens that outlive their key, and tokens that a new key of the same name revives.
#[test]
fn a_token_ends_with_its_key_and_a_new_key_of_that_name_does_not_revive_it() {
    let yard = yard();
    let (token, other) = (yard.token(&yard.read), yard.token(&yard.ingest));
    let (accepted, changes) = (yard.tokens.authenticate(&token).unwrap(), yard.tokens.changes());
    yard.tokens.keys.revoke("screen").unwrap();
    assert!(yard.tokens.authenticate(&token).is_none() && !yard.tokens.is_valid(&accepted));
    assert!(changes.has_changed().unwrap());
    assert!(matches!(yard.tokens.issue(&accepted), Err(TokenError::KeyRevoked)));
    yard.tokens.keys.add("screen", [Scope::Read].into()).unwrap();
    assert!(yard.tokens.authenticate(&token).is_none());
    assert!(yard.tokens.authenticate(&other).is_some());
    let yard = yard.restart(2);
    assert!(yard.tokens.authenticate(&token).is_none() && yard.tokens.authenticate(&other).is_some());
    assert_eq!(yard.stored(), 1, "ended tokens are removed");
}

/// Catches an age that is computed across boots, although time since boot starts again.
#[test]
fn a_token_survives_a_restart_of_the_process_but_not_of_the_machine() {
    let mut yard = yard();
    let token = yard.token(&yard.read);
    yard = yard.restart(2);
    assert_eq!(yard.tokens.authenticate(&token).unwrap().name, "screen");
    yard.clock.pass(TOKEN_LIFETIME);
    assert!(yard.tokens.authenticate(&token).is_none());

    let young = yard.token(&yard.read);
    yard.clock.restart();
    yard = yard.restart(3);
    assert!(yard.tokens.authenticate(&young).is_none());
    assert_eq!(yard.stored(), 0, "ended tokens are removed");
}

/// Catches a file that grows with every call of one program.
#[test]
fn a_key_has_a_limited_number_of_tokens_and_the_oldest_ends_first() {
    let yard = yard();
    let other = yard.token(&yard.ingest);
    let tokens: Vec<_> = (0..MAX_TOKENS_PER_KEY).map(|_| yard.token(&yard.read)).collect();
    let (oldest, changes) = (yard.tokens.authenticate(&tokens[0]).unwrap(), yard.tokens.changes());
    assert!(!changes.has_changed().unwrap());
    let newest = yard.token(&yard.read);
    assert!(yard.tokens.authenticate(&tokens[0]).is_none() && !yard.tokens.is_valid(&oldest));
    assert!(changes.has_changed().unwrap(), "long connections must check again");
    for valid in tokens[1..].iter().chain([&newest, &other]) {
        assert!(yard.tokens.authenticate(valid).is_some());
    }
    let yard = yard.restart(2);
    assert!(yard.tokens.authenticate(&tokens[0]).is_none() && yard.tokens.authenticate(&tokens[1]).is_some());
    yard.token(&yard.read);
    assert!(yard.tokens.authenticate(&tokens[1]).is_none(), "the order survives a restart");
    assert_eq!((yard.stored(), yard.tokens.count()), (MAX_TOKENS_PER_KEY + 1, MAX_TOKENS_PER_KEY + 1));
}

/// Catches tokens that stay in the file after their end.
#[test]
fn ended_tokens_are_removed_when_the_next_one_is_issued() {
    let yard = yard();
    for _ in 0..3 {
        yard.token(&yard.read);
    }
    yard.clock.pass(TOKEN_LIFETIME);
    yard.token(&yard.ingest);
    assert_eq!(yard.stored(), 1);
}

/// Catches a comparison that accepts a near miss, and a token that is stored in plain text.
#[test]
fn other_texts_are_never_accepted_as_a_token_and_the_token_is_not_stored() {
    let yard = yard();
    let token = yard.token(&yard.read);
    assert!(token.starts_with("hxt_") && token.len() == SECRET_CHARS);
    for at in 0..token.len() {
        let mut near = token.clone().into_bytes();
        near[at] ^= 1;
        assert!(yard.tokens.authenticate(&String::from_utf8_lossy(&near)).is_none(), "{at}");
    }
    for other in ["", "hxt_", &token[..token.len() - 1], &format!("{token}A")] {
        assert!(yard.tokens.authenticate(other).is_none(), "{other}");
    }
    assert!(yard.tokens.keys.check(&token).is_none(), "a token is not a key");
    let path = yard.dir.path().join("local.redb");
    drop(yard.tokens);
    let bytes = std::fs::read(path).unwrap();
    assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
}

/// Catches a change of `TokenRow` that makes existing files unreadable.
#[test]
fn the_stored_bytes_of_a_row_do_not_change() {
    let row = TokenRow { key: [7; 32], boot_id: "b".into(), made_since_boot_ms: 300, number: 2 };
    let golden = [&[7; 32][..], &[1, b'b', 0xac, 2, 2]].concat();
    assert_eq!(postcard::to_stdvec(&row).unwrap(), golden);
}

/// Catches a live connection that outlives the token that opened it.
#[tokio::test(start_paused = true)]
async fn access_ends_with_its_token() {
    let yard = yard();
    let token = yard.token(&yard.read);
    let access = Access::new(yard.tokens.clone(), Arc::new(yard.tokens.authenticate(&token).unwrap()));
    let time_passes = async {
        tokio::time::sleep(TOKEN_LIFETIME / 2).await;
        yard.clock.pass(TOKEN_LIFETIME);
    };
    let both = async { tokio::join!(time_passes, access.ended()) };
    assert!(tokio::time::timeout(TOKEN_LIFETIME * 2, both).await.is_ok());
}
