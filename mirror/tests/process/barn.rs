//! A barn on loopback: the shipped store, sync interface, keys and server, without radios.

use herd::change::Origin;
use herd::clock::{ClockReading, RawReading, SystemClock};
use herd::decide::Rules;
use herd::pairing::Pairing;
use herd::position::{Position, StoreId};
use herd::randomness::SystemRandomness;
use herd::store::{Incoming, LocalFile, MemoryDisk, Store};
use service::door::auth::require;
use service::door::certificate::Identity;
use service::door::keys::{KeyRing, Scope};
use service::door::serve::{RunningServer, bind, serve};
use service::lifecycle::{Shutdown, ShutdownTrigger};
use service::sync::{OwnStore, serve as sync};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

pub(crate) struct Barn {
    _directory: tempfile::TempDir,
    store: Store,
    stop: ShutdownTrigger,
    serving: RunningServer,
    keys: Arc<KeyRing>,
    identity: Identity,
    site: String,
    next: u64,
}

impl Barn {
    /// A new barn with its first change; `number` makes its history.
    pub(crate) fn open(site: &str, number: u8) -> Self {
        let disk = MemoryDisk::default();
        let clock = ClockReading { boot: 1, ..ClockReading::default() };
        let store = Store::open_source(&disk, Rules::default(), clock, || StoreId([number; 16])).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let keys = Arc::new(keys(directory.path()));
        let identity = Identity::load_or_generate(directory.path(), &[]).unwrap();
        let stop = ShutdownTrigger::default();
        let stopping = stop.signal();
        let serving = listen((Ipv4Addr::LOCALHOST, 0).into(), &store, &keys, &identity, stopping);
        Self { _directory: directory, store, stop, serving, keys, identity, site: site.into(), next: 0 }
    }

    /// Goes away and comes back at the same address.
    pub(crate) async fn after_a_pause(mut self) -> Self {
        let at = self.serving.addr;
        self.stop.request();
        self.serving.wait().await.unwrap();
        let stop = ShutdownTrigger::default();
        let stopping = stop.signal();
        self.stop = stop;
        self.serving = listen(at, &self.store, &self.keys, &self.identity, stopping);
        self
    }

    /// The line of a new office.
    pub(crate) fn pair(&self, key: &str) -> String {
        let secret = self.keys.add(key, [Scope::Read, Scope::Sync, Scope::Correct].into()).unwrap();
        let line = Pairing {
            site: self.site.clone(),
            // Nobody listens at the first one: the second must be found.
            addresses: vec!["127.0.0.1:9".into(), self.serving.addr.to_string()],
            spki_sha256: self.identity.spki_sha256(),
            store: self.store.head().position.store,
            key: secret.reveal().to_owned(),
        };
        line.to_string()
    }

    /// So many animals come through the chute, each with tags of its own.
    pub(crate) fn scan(&mut self, animals: u64) {
        let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
        let group: Vec<_> = (self.next..self.next + animals)
            .map(|n| Incoming {
                raw: format!("hxb:LOT1:LF{n}:UHF{n}").into_bytes(),
                origin: origin.clone(),
                at: RawReading { since_boot_ms: n * 1_000, ..RawReading::default() },
            })
            .collect();
        self.next += animals;
        self.store.append(&group).unwrap();
    }

    /// The animals from here on are others than those of another barn.
    pub(crate) fn skip(&mut self, animals: u64) {
        self.next += animals;
    }

    pub(crate) fn position(&self) -> Position {
        self.store.head().position
    }
}

fn keys(directory: &Path) -> KeyRing {
    let local = LocalFile::open(directory.join("local.redb")).unwrap();
    KeyRing::load(local, Arc::new(SystemClock::default()), SystemRandomness).unwrap()
}

fn listen(
    at: SocketAddr,
    store: &Store,
    keys: &Arc<KeyRing>,
    identity: &Identity,
    stopping: Shutdown,
) -> RunningServer {
    let served = Arc::new(OwnStore::new(store.reader(), || 0));
    let router = require(keys.clone(), Scope::Sync).protect(sync::router(served, stopping.clone()));
    serve(bind(at).unwrap(), router, identity, stopping).unwrap()
}
