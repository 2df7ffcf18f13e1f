//! A barn: a radio's loop, the recorder and the sync router on a card in memory.

use super::card::Card;
use super::clock::{Wall, WorldClock};
use super::radio::{AIR_PACKETS, WorldRadio};
use super::seams::{BranchLedger, MachineTasks, Seams, lock};
use super::wire::{Address, Endpoint};
use daemon::disk::{DiskGauge, DiskSpace};
use daemon::receive::{Channel, RadioState, ReceiveLoop};
use daemon::recorder::{RecordError, Recorder, RecorderSeams};
use daemon::tap::Tap;
use herd::change::Origin;
use herd::clock::Clock as _;
use herd::store::{Head, Incoming, JOURNAL_FILE, LOG_FILE, Reader, Receipt, Store, StoreError};
use service::lifecycle::ShutdownTrigger;
use service::supervisor::probe;
use service::sync::{OwnStore, serve};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Time from a power cut to the next boot.
const OUTAGE: Duration = Duration::from_secs(2);
/// Time from the end of a process to its next start.
const RESTART: Duration = Duration::from_millis(300);

/// A barn.
pub(super) struct BarnMachine {
    pub(super) card: Card,
    pub(super) clock: Arc<WorldClock>,
    seams: Seams,
    address: Address,
    recorder: Recorder,
    reader: Reader,
    air: mpsc::Sender<Vec<u8>>,
    is_full: Arc<AtomicBool>,
    running: Option<MachineTasks>,
    has_failed: watch::Receiver<bool>,
}

impl BarnMachine {
    /// Boots a machine with this card, which answers at `address`.
    pub(super) fn boot(
        mut card: Card,
        clock: &WorldClock,
        seams: &Seams,
        address: &Address,
    ) -> Result<Self, StoreError> {
        let clock = clock.after_boot();
        let store = card.open(seams, &*clock)?;
        Ok(Self::start(card, store, clock, seams.clone(), address.clone()))
    }

    fn start(card: Card, store: Store, clock: Arc<WorldClock>, seams: Seams, address: Address) -> Self {
        let (reader, is_full) = (store.reader(), Arc::new(AtomicBool::new(false)));
        let (recorder, writing) = Recorder::on_this_task(store, RecorderSeams { disk: gauge(&is_full), local: None })
            .expect("only the local file can fail to open, and this recorder has none");
        let (shutdown, (failure, has_failed)) = (ShutdownTrigger::default(), watch::channel(false));
        let ((air, packets), (_, probed)) = (mpsc::channel(AIR_PACKETS), probe());
        let ledger = BranchLedger { ledger: seams.ledger.clone(), branch: card.branch };
        let radio = WorldRadio::new(packets, ledger, reader.clone(), shutdown.signal());
        let receiving = ReceiveLoop {
            channel: Channel { name: "radio1".into(), reader_group: "main".into(), strip_bytes: 0 },
            recorder: recorder.clone(),
            clock: clock.clone(),
            tap: Tap::default(),
            shutdown: shutdown.signal(),
        };
        let receiving = receiving.run(radio, watch::channel(RadioState::Listening).0, probed);
        let tasks = vec![
            tokio::spawn(async move {
                receiving.await;
            }),
            tokio::spawn(async move {
                if writing.await.is_err() {
                    failure.send_replace(true);
                }
            }),
        ];
        let served = Arc::new(OwnStore::new(reader.clone(), || 0));
        let router = serve::router(served.clone(), shutdown.signal());
        let writer = Some((recorder.clone(), clock.clone()));
        let endpoint = Endpoint { router, served, writer, shutdown: shutdown.signal() };
        *lock(&address) = Some(endpoint);
        let running = Some(MachineTasks { tasks, shutdown });
        Self { card, clock, seams, address, recorder, reader, air, is_full, running, has_failed }
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn describe(&self) -> String {
        describe(&self.reader.head())
    }

    /// Notes how far the log is, as the recorder does in `local.redb`.
    pub(super) fn remember(&mut self) {
        self.card.remembered = Some(self.reader.head().position);
    }

    /// Sets whether the disk is full.
    pub(super) fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Makes a sync of one of the files fail after some more.
    pub(super) fn fail_disk(&self, of_log: bool, syncs: u64) {
        self.card.disk.fail_sync(if of_log { LOG_FILE } else { JOURNAL_FILE }, syncs);
    }

    pub(super) fn step_clock(&self, wall: Wall) {
        self.clock.step(wall);
    }

    /// Waits until the writer has failed.
    pub(super) fn failed(&self) -> impl Future<Output = ()> + use<> {
        until_failed(self.has_failed.clone())
    }

    /// Sends a packet over the air. One that the chip has no room for is lost there.
    pub(super) fn send_packet(&self, raw: Vec<u8>) {
        drop(self.air.try_send(raw));
    }

    /// Sends a payload over HTTP, and waits for the receipt.
    pub(super) async fn send_call(&self, raw: Vec<u8>) -> Result<Receipt, RecordError> {
        let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
        let incoming = Incoming { raw: raw.clone(), origin, at: self.clock.read() };
        let receipt = self.recorder.record(incoming).await?;
        let ledger = BranchLedger { ledger: self.seams.ledger.clone(), branch: self.card.branch };
        ledger.note_receipt(&raw, &receipt, &self.reader);
        Ok(receipt)
    }

    /// Cuts the power, and boots again. The drive's cache may have written parts of what was not synced.
    pub(super) async fn power_cut(&mut self, torn: Option<u64>) -> Result<(), StoreError> {
        let disk = match torn {
            Some(seed) => self.card.disk.after_torn_power_cut(seed),
            None => self.card.disk.after_power_cut(),
        };
        self.stop();
        tokio::time::sleep(OUTAGE).await;
        self.boot_with(Card { disk, ..self.card.clone() })
    }

    /// Starts the process again after its writer has failed.
    pub(super) async fn restart_after_failure(&mut self) -> Result<(), StoreError> {
        self.stop();
        tokio::time::sleep(RESTART).await;
        self.start_again()
    }

    /// Shuts the process down, and starts it again.
    pub(super) async fn restart(&mut self) -> Result<(), StoreError> {
        self.shut_down().await;
        tokio::time::sleep(RESTART).await;
        self.start_again()
    }

    /// Shuts the process down. The card then has everything that was heard.
    pub(super) async fn shut_down(&mut self) {
        *lock(&self.address) = None;
        let Some(mut running) = self.running.take() else { return };
        running.shutdown.request();
        let receiving = running.tasks.remove(0);
        let ended = tokio::time::timeout(Duration::from_secs(5), receiving).await.is_ok();
        self.recorder.shut_down();
        let mut queue_ended = self.recorder.status();
        // The status ends with the writer.
        let writer_ended = async { while queue_ended.changed().await.is_ok() {} };
        let has_ended = tokio::time::timeout(Duration::from_secs(5), writer_ended).await.is_ok();
        if !(ended && has_ended) {
            self.seams.fault("the barn did not shut down within 5 s".to_owned());
        }
        self.remember();
    }

    /// Takes the machine off the network, and ends it.
    pub(super) fn stop(&mut self) {
        *lock(&self.address) = None;
        self.running = None;
    }

    /// Boots the machine with another card.
    pub(super) fn boot_with(&mut self, card: Card) -> Result<(), StoreError> {
        *self = Self::boot(card, &self.clock, &self.seams, &self.address)?;
        Ok(())
    }

    fn start_again(&mut self) -> Result<(), StoreError> {
        let card = Card { disk: self.card.disk.after_kill(), ..self.card.clone() };
        let store = card.open_in_boot(&self.seams, self.clock.read())?;
        *self = Self::start(card, store, self.clock.clone(), self.seams.clone(), self.address.clone());
        Ok(())
    }
}

/// Waits for a failure. A part that ends without one never fails.
pub(super) async fn until_failed(mut has_failed: watch::Receiver<bool>) {
    if has_failed.wait_for(|failed| *failed).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn gauge(is_full: &Arc<AtomicBool>) -> DiskGauge {
    let is_full = is_full.clone();
    DiskGauge::new(move || {
        let free_bytes = if is_full.load(Ordering::Relaxed) { 0 } else { u64::MAX };
        Ok(DiskSpace { free_bytes, needed_bytes: 1 })
    })
}

/// Describes the state that must be equal on all machines.
pub(super) fn describe(head: &Head) -> String {
    format!("{} folded {} {}", head.position, head.folded, head.fold_digest)
}
