//! A barn on loopback in the process of the test: the shipped store, sync interface, keys and server, without radios.

use herd::change::Origin;
use herd::clock::{ClockReading, RawReading, SystemClock};
use herd::decide::Rules;
use herd::pairing::Pairing;
use herd::position::{Position, StoreId};
use herd::randomness::SystemRandomness;
use herd::store::{ChangeRun, Incoming, LocalFile, MemoryDisk, Store};
use herd::wire::{MAX_PAGE_BYTES, MAX_PAGE_CHANGES};
use service::door::auth::require;
use service::door::certificate::Identity;
use service::door::keys::{KeyRing, Scope};
use service::door::serve::connections::Connections;
use service::door::serve::{RunningServer, bind, serve};
use service::lifecycle::{Shutdown, ShutdownTrigger};
use service::sync::{OwnStore, serve as sync};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

pub(crate) struct Barn {
    _directory: tempfile::TempDir,
    store: Store,
    shutdown: ShutdownTrigger,
    server: RunningServer,
    keys: Arc<KeyRing>,
    identity: Identity,
    site: String,
    next_animal: u64,
}

impl Barn {
    /// Creates a barn with the first change of a history. Equal numbers give the same store id.
    pub(crate) fn open(site: &str, number: u8) -> Self {
        let disk = MemoryDisk::default();
        let clock = ClockReading { boot: 1, ..ClockReading::default() };
        let store = Store::open_source(&disk, Rules::default(), clock, || StoreId([number; 16])).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let keys = Arc::new(keys(directory.path()));
        let identity = Identity::load_or_generate(directory.path(), &[]).unwrap();
        let shutdown = ShutdownTrigger::default();
        let server = listen((Ipv4Addr::LOCALHOST, 0).into(), &store, &keys, &identity, shutdown.signal());
        Self { _directory: directory, store, shutdown, server, keys, identity, site: site.into(), next_animal: 0 }
    }

    /// Stops the server and starts it again at the same address.
    pub(crate) async fn restart_server(mut self) -> Self {
        let address = self.server.addr;
        self.shutdown.request();
        self.server.wait().await.unwrap();
        self.shutdown = ShutdownTrigger::default();
        self.server = listen(address, &self.store, &self.keys, &self.identity, self.shutdown.signal());
        self
    }

    /// Exchanges the card with that of another barn. The server goes on at its address.
    pub(crate) async fn exchange_card(mut self, other: &mut Self) -> Self {
        std::mem::swap(&mut self.store, &mut other.store);
        std::mem::swap(&mut self.next_animal, &mut other.next_animal);
        self.restart_server().await
    }

    /// Returns the address of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.addr
    }

    /// Creates a key for an office and returns the pairing line.
    pub(crate) fn pair(&self, key: &str) -> String {
        let secret = self.keys.add(key, [Scope::Read, Scope::Sync, Scope::Correct].into()).unwrap();
        let line = Pairing {
            site: self.site.clone(),
            // Nothing listens at the first address, so the office must try the second.
            addresses: vec!["127.0.0.1:9".into(), self.server.addr.to_string()],
            spki_sha256: self.identity.spki_sha256(),
            store: self.store.head().position.store,
            key: secret.reveal().to_owned(),
        };
        line.to_string()
    }

    /// Records a payload for each of `animals` animals, all with different tags.
    pub(crate) fn scan(&mut self, animals: u64) {
        let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
        let group: Vec<_> = (self.next_animal..self.next_animal + animals)
            .map(|n| Incoming {
                raw: format!("hxb:LOT1:LF{n}:UHF{n}").into_bytes(),
                origin: origin.clone(),
                at: RawReading { since_boot_ms: n * 1_000, ..RawReading::default() },
            })
            .collect();
        self.next_animal += animals;
        self.store.append(&group).unwrap();
    }

    /// Records a payload with the time that the barn's clock shows.
    pub(crate) fn read(&mut self, raw: &str, received_at_us: i64, synchronized: bool) {
        self.next_animal += 1;
        let origin = Origin { channel: "chute".into(), reader_group: "main".into(), ..Origin::default() };
        let at = RawReading { received_at_us, synchronized, since_boot_ms: self.next_animal * 1_000 };
        self.store.append(&[Incoming { raw: raw.into(), origin, at }]).unwrap();
    }

    /// Skips the tags of `animals` animals, so that the next ones differ from those of another barn.
    pub(crate) fn skip(&mut self, animals: u64) {
        self.next_animal += animals;
    }

    /// Returns all changes after a position.
    pub(crate) fn changes_after(&self, after: Position) -> ChangeRun {
        self.store.reader().run_after(after, MAX_PAGE_CHANGES, MAX_PAGE_BYTES).unwrap()
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
    address: SocketAddr,
    store: &Store,
    keys: &Arc<KeyRing>,
    identity: &Identity,
    shutdown: Shutdown,
) -> RunningServer {
    let served = Arc::new(OwnStore::new(store.reader(), || 0));
    let router = require(keys.clone(), Scope::Sync).protect(sync::router(served, shutdown.clone()));
    serve(bind(address).unwrap(), router, identity, &Connections::default(), shutdown).unwrap()
}
