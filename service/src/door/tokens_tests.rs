use super::super::auth::{require, require_any};
use super::super::keys::Scope;
use super::*;
use axum::http::{Extensions, HeaderMap};
use herd::clock::RawReading;
use herd::randomness::SeededRandomness;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const DAY_MS: u64 = 86_400_000;

/// Set by hand.
#[derive(Debug, Default)]
struct HandClock {
    boot: AtomicU64,
    since_boot_ms: AtomicU64,
}

impl HandClock {
    fn pass(&self, ms: u64) {
        self.since_boot_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn read(&self) -> RawReading {
        RawReading { since_boot_ms: self.since_boot_ms.load(Ordering::Relaxed), ..RawReading::default() }
    }

    fn boot_id(&self) -> String {
        format!("boot {}", self.boot.load(Ordering::Relaxed))
    }
}

pub(in super::super) struct Yard {
    dir: tempfile::TempDir,
    clock: Arc<HandClock>,
    pub(in super::super) tokens: Arc<TokenRing>,
    pub(in super::super) ingest: String,
    pub(in super::super) read: String,
}

pub(in super::super) fn yard() -> Yard {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(HandClock::default()));
    clock.pass(DAY_MS / 2);
    let tokens = Arc::new(ring(dir.path(), &clock, 1));
    let add = |name, scope| tokens.keys.add(name, [scope].into()).unwrap().reveal().to_owned();
    let (ingest, read) = (add("chute", Scope::Ingest), add("screen", Scope::Read));
    Yard { dir, clock, tokens, ingest, read }
}

fn ring(dir: &Path, clock: &Arc<HandClock>, seed: u64) -> TokenRing {
    let file = LocalFile::open(dir.join("local.redb")).unwrap();
    let keys = KeyRing::load(file.clone(), clock.clone(), SeededRandomness::new(seed)).unwrap();
    TokenRing::load(file, Arc::new(keys), clock.clone(), SeededRandomness::new(seed + 100)).unwrap()
}

impl Yard {
    fn token(&self, of: &str) -> String {
        self.tokens.make(&self.tokens.admit(of).unwrap()).unwrap().reveal().to_owned()
    }

    /// The same directory after the process has ended and begun again.
    fn reopened(self, seed: u64) -> Self {
        let Self { dir, clock, tokens, ingest, read } = self;
        drop(tokens);
        let tokens = Arc::new(ring(dir.path(), &clock, seed));
        Self { dir, clock, tokens, ingest, read }
    }

    fn kept(&self) -> usize {
        self.tokens.file.list::<TokenRow>(TOKENS_SPACE).unwrap().len()
    }
}

#[test]
fn a_token_opens_what_its_key_opens_and_nothing_else() {
    let yard = yard();
    let token = yard.token(&yard.read);
    let found = yard.tokens.admit(&token).unwrap();
    assert_eq!((found.name.as_str(), found.has(Scope::Read), found.has(Scope::Ingest)), ("screen", true, false));
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", token.parse().unwrap());
    let judged =
        |guard: super::super::auth::Guard| guard.judge(&headers, &Extensions::new()).map_err(|it| it.status.as_u16());
    assert_eq!(judged(require(yard.tokens.clone(), Scope::Read)).unwrap().name(), "screen");
    assert_eq!(judged(require_any(yard.tokens.clone())).unwrap().name(), "screen");
    assert_eq!(judged(require(yard.tokens.clone(), Scope::Sync)), Err(403));
    assert!(yard.tokens.admit(&yard.read).is_some(), "the key itself stays good");
}

#[test]
fn a_token_ends_after_a_day_and_the_one_it_was_exchanged_for_does_not() {
    let yard = yard();
    let first = yard.token(&yard.read);
    let held = yard.tokens.admit(&first).unwrap();
    yard.clock.pass(DAY_MS - 1);
    let next = yard.token(&first);
    assert_eq!(yard.tokens.ends_within(&held), Some(Duration::from_millis(1)));
    yard.clock.pass(1);
    assert!(yard.tokens.admit(&first).is_none() && !yard.tokens.still_admits(&held));
    assert_eq!(yard.tokens.admit(&next).unwrap().name, "screen");
    yard.clock.pass(DAY_MS - 1);
    assert!(yard.tokens.admit(&next).is_none());
}

#[test]
fn a_token_dies_with_its_key_and_a_new_key_of_that_name_does_not_wake_it() {
    let yard = yard();
    let (token, other) = (yard.token(&yard.read), yard.token(&yard.ingest));
    let (held, changes) = (yard.tokens.admit(&token).unwrap(), yard.tokens.changes());
    yard.tokens.keys.revoke("screen").unwrap();
    assert!(yard.tokens.admit(&token).is_none() && !yard.tokens.still_admits(&held));
    assert!(changes.has_changed().unwrap());
    assert!(matches!(yard.tokens.make(&held), Err(TokenError::KeyGone)));
    yard.tokens.keys.add("screen", [Scope::Read].into()).unwrap();
    assert!(yard.tokens.admit(&token).is_none());
    assert!(yard.tokens.admit(&other).is_some());
    let yard = yard.reopened(2);
    assert!(yard.tokens.admit(&token).is_none() && yard.tokens.admit(&other).is_some());
    assert_eq!(yard.kept(), 1, "what has ended is removed");
}

#[test]
fn a_token_survives_the_process_and_not_the_boot_of_the_machine() {
    let mut yard = yard();
    let token = yard.token(&yard.read);
    yard = yard.reopened(2);
    assert_eq!(yard.tokens.admit(&token).unwrap().name, "screen");
    yard.clock.pass(DAY_MS);
    assert!(yard.tokens.admit(&token).is_none());

    let young = yard.token(&yard.read);
    yard.clock.boot.fetch_add(1, Ordering::Relaxed);
    yard = yard.reopened(3);
    assert!(yard.tokens.admit(&young).is_none());
    assert_eq!(yard.kept(), 0, "what has ended is removed");
}

#[test]
fn a_key_has_so_many_tokens_and_the_oldest_gives_way() {
    let yard = yard();
    let other = yard.token(&yard.ingest);
    let tokens: Vec<_> = (0..MAX_TOKENS_A_KEY).map(|_| yard.token(&yard.read)).collect();
    let (oldest, changes) = (yard.tokens.admit(&tokens[0]).unwrap(), yard.tokens.changes());
    assert!(!changes.has_changed().unwrap());
    let newest = yard.token(&yard.read);
    assert!(yard.tokens.admit(&tokens[0]).is_none() && !yard.tokens.still_admits(&oldest));
    assert!(changes.has_changed().unwrap(), "long connections look again");
    for good in tokens[1..].iter().chain([&newest, &other]) {
        assert!(yard.tokens.admit(good).is_some());
    }
    let yard = yard.reopened(2);
    assert!(yard.tokens.admit(&tokens[0]).is_none() && yard.tokens.admit(&tokens[1]).is_some());
    yard.token(&yard.read);
    assert!(yard.tokens.admit(&tokens[1]).is_none(), "the order outlives the process");
    assert_eq!(yard.kept(), MAX_TOKENS_A_KEY + 1);
}

#[test]
fn tokens_that_have_ended_are_removed_when_the_next_is_made() {
    let yard = yard();
    for _ in 0..3 {
        yard.token(&yard.read);
    }
    yard.clock.pass(DAY_MS);
    yard.token(&yard.ingest);
    assert_eq!(yard.kept(), 1);
}

#[test]
fn no_other_text_is_taken_for_a_token_and_the_file_does_not_hold_it() {
    let yard = yard();
    let token = yard.token(&yard.read);
    assert!(token.starts_with("hxt_") && token.len() == SECRET_CHARS);
    for at in 0..token.len() {
        let mut near = token.clone().into_bytes();
        near[at] ^= 1;
        assert!(yard.tokens.admit(&String::from_utf8_lossy(&near)).is_none(), "{at}");
    }
    for other in ["", "hxt_", &token[..token.len() - 1], &format!("{token}A")] {
        assert!(yard.tokens.admit(other).is_none(), "{other}");
    }
    assert!(yard.tokens.keys.check(&token).is_none(), "a token is no key");
    let path = yard.dir.path().join("local.redb");
    drop(yard.tokens);
    let bytes = std::fs::read(path).unwrap();
    assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
}

#[test]
fn the_bytes_of_a_row_are_those_of_version_1() {
    let row = TokenRow { key: [7; 32], boot_id: "b".into(), made_since_boot_ms: 300, number: 2 };
    let golden = [&[7; 32][..], &[1, b'b', 0xac, 2, 2]].concat();
    assert_eq!(postcard::to_stdvec(&row).unwrap(), golden);
}

/// Catches a live connection that a token opened and that outlasts it.
#[tokio::test(start_paused = true)]
async fn a_stay_ends_with_its_token() {
    let yard = yard();
    let token = yard.token(&yard.read);
    let stay = super::super::auth::Stay::of(yard.tokens.clone(), yard.tokens.admit(&token).unwrap());
    let passing = async {
        tokio::time::sleep(TOKEN_LIFE / 2).await;
        yard.clock.pass(DAY_MS);
    };
    let both = async { tokio::join!(passing, stay.ended()) };
    assert!(tokio::time::timeout(TOKEN_LIFE * 2, both).await.is_ok());
}
