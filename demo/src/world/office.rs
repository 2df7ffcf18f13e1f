//! An office: copies that follow a source, and an operator who decides when they cannot.
//!
//! The shipped office keeps its copies in directories, and a person types its commands. Here the copies are on disks in
//! memory, and the operator looks once in a while: at a divergence, a new copy is begun beside the shown one; once that is
//! swapped in, what only the old one holds is given back.

use super::copy::{Copy, KeptCopy, OfficeSeams};
use super::give_back::give_back;
use super::plant::Plant;
use super::seams::lock;
use super::wire::{Address, Endpoint};
use herd::position::{Position, StoreId};
use herd::store::{EpochReceipt, JOURNAL_FILE, LostEnd, MemoryDisk, Reader, StoreError};
use herd::wire::BarnHead;
use mirror::follow::FollowStatus;
use service::lifecycle::ShutdownTrigger;
use service::sync::divergence::Divergence;
use service::sync::{NotServedError, Served, SyncStats, serve};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Time from a power cut to the next boot.
const OUTAGE: Duration = Duration::from_secs(2);

/// The copy that an office serves.
#[derive(Default)]
struct ServedCopy {
    shown: Mutex<Option<(Reader, watch::Receiver<FollowStatus>)>>,
    stats: SyncStats,
}

impl Served for ServedCopy {
    fn reader(&self) -> Result<Reader, NotServedError> {
        lock(&self.shown).as_ref().map(|(reader, _)| reader.clone()).ok_or(NotServedError::NoCopy)
    }

    fn barn_head(&self) -> BarnHead {
        let shown = lock(&self.shown);
        let report = shown.as_ref().and_then(|(_, status)| status.borrow().barn);
        report.map_or_else(BarnHead::default, |report| report.aged())
    }

    fn sync_stats(&self) -> &SyncStats {
        &self.stats
    }
}

/// An office.
pub(super) struct OfficeMachine {
    name: &'static str,
    /// The history that it is paired with.
    paired: StoreId,
    office: OfficeSeams,
    shown: Copy,
    building: Option<Copy>,
    kept: Vec<KeptCopy>,
    /// It reaches the barn itself.
    gives_back: bool,
    /// End of the copy that is being given back.
    giving_back: Option<(Position, JoinHandle<Result<Position, String>>)>,
    served: Arc<ServedCopy>,
    /// Address at which a second office reaches this one.
    address: Address,
    shutdown: ShutdownTrigger,
    /// Number of copies that were swapped in: events for the office behind this one.
    pub(super) swaps: u64,
    /// Number of epochs that the barn began because this office showed it what it lost.
    pub(super) epochs: u64,
}

impl OfficeMachine {
    pub(super) fn start(
        name: &'static str,
        office: OfficeSeams,
        paired: StoreId,
        address: Address,
        gives_back: bool,
    ) -> Result<Self, StoreError> {
        let shown = Copy::begin(&office, paired, None, 0)?;
        let (served, shutdown) = (Arc::default(), ShutdownTrigger::default());
        let (building, kept, giving_back) = (None, Vec::new(), None);
        let mut machine = Self {
            name,
            paired,
            office,
            shown,
            building,
            kept,
            gives_back,
            giving_back,
            served,
            address,
            shutdown,
            swaps: 0,
            epochs: 0,
        };
        machine.serve();
        Ok(machine)
    }

    /// Serves the shown copy.
    fn serve(&mut self) {
        *lock(&self.served.shown) = Some((self.shown.reader.clone(), self.shown.status.clone()));
        let (served, shutdown) = (self.served.clone(), self.shutdown.signal());
        let router = serve::router(served.clone(), shutdown.clone());
        *lock(&self.address) = Some(Endpoint { router, served, writer: None, shutdown });
    }

    pub(super) fn shown(&self) -> &Reader {
        &self.shown.reader
    }

    pub(super) fn disk(&self) -> &MemoryDisk {
        &self.shown.disk
    }

    /// Returns the readers of all copies.
    pub(super) fn readers(&self) -> Vec<Reader> {
        let followed = [Some(&self.shown), self.building.as_ref()].into_iter().flatten().map(|copy| &copy.reader);
        followed.chain(self.kept.iter().map(|kept| &kept.reader)).cloned().collect()
    }

    pub(super) fn describe(&self) -> String {
        super::barn::describe(&self.shown.reader.head())
    }

    /// Returns whether nothing is left to do: no new copy, and nothing that only a kept one holds.
    pub(super) fn is_at_rest(&self) -> bool {
        self.building.is_none() && (!self.gives_back || self.kept.iter().all(|kept| kept.is_spent(&self.shown.reader)))
    }

    pub(super) fn fill(&self, is_full: bool) {
        self.office.is_full.store(is_full, Ordering::Relaxed);
    }

    pub(super) fn fail_disk(&self, syncs: u64) {
        self.shown.disk.fail_sync(JOURNAL_FILE, syncs);
    }

    /// Waits until the writer of a copy has failed.
    pub(super) fn failed(&self) -> impl Future<Output = ()> + use<> {
        let shown = self.shown.has_failed();
        let building = self.building.as_ref().map(Copy::has_failed);
        async move {
            let building = async {
                match building {
                    Some(building) => super::barn::until_failed(building).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = super::barn::until_failed(shown) => {}
                () = building => {}
            }
        }
    }

    /// Ends the process, and starts it again on what the disk holds: after a power cut, what was synced.
    pub(super) async fn restart(&mut self, is_power_cut: bool) -> Result<(), StoreError> {
        let survive = |disk: &MemoryDisk| if is_power_cut { disk.after_power_cut() } else { disk.after_kill() };
        let opened = |copy: &Copy| (survive(&copy.disk), copy.store(), copy.agreed_at);
        let (shown, building) = (opened(&self.shown), self.building.as_ref().map(opened));
        let kept: Vec<_> =
            self.kept.iter().map(|kept| (survive(&kept.disk), kept.reader.store(), kept.given_at)).collect();
        self.shutdown.request();
        (*lock(&self.address), *lock(&self.served.shown)) = (None, None);
        if let Some((_, giving_back)) = self.giving_back.take() {
            giving_back.abort();
        }
        tokio::time::sleep(OUTAGE).await;
        let open = |(disk, store, events)| Copy::open(&self.office, disk, store, events);
        (self.shown, self.building) = (open(shown)?, building.map(open).transpose()?);
        let reopened = kept.into_iter().map(|(disk, store, given_at)| KeptCopy::open(disk, store, given_at));
        self.kept = reopened.collect::<Result<_, _>>()?;
        self.shutdown = ShutdownTrigger::default();
        self.serve();
        Ok(())
    }

    /// Looks after the office as its operator does. Returns what was decided. `source` is what it should follow, after that
    /// many events there.
    pub(super) async fn tend(&mut self, source: Option<&Reader>, events: u64) -> Result<Vec<String>, StoreError> {
        let mut notes = Vec::new();
        if let Some(source) = source {
            self.shown.compare(source, events);
            if let Some(building) = &mut self.building {
                building.compare(source, events);
            }
        }
        if self.building.as_ref().is_some_and(Copy::is_complete) {
            notes.push(self.swap()?);
        }
        if let Some(divergence) = self.building.as_ref().and_then(Copy::diverged) {
            notes.push(format!("{}: the new copy diverged: {divergence}", self.name));
            self.check_cause(self.building.as_ref(), divergence, events);
            // It may hold what nobody else does.
            if let Some(copy) = self.building.take() {
                self.kept.push(KeptCopy::of(copy)?);
            }
        }
        if let Some(divergence) = self.shown.diverged() {
            notes.extend(self.decide(divergence, events).await?);
        }
        notes.extend(self.tend_kept().await);
        if self.shown.store() != self.paired {
            let what = format!("{} shows history {}, and is paired with another", self.name, self.shown.store());
            self.office.seams.fault(what);
        }
        Ok(notes)
    }

    /// Decides about a divergence of the shown copy.
    async fn decide(&mut self, divergence: Divergence, events: u64) -> Result<Option<String>, StoreError> {
        if self.building.is_some() {
            return Ok(None);
        }
        self.check_cause(Some(&self.shown), divergence, events);
        let is_other = divergence == Divergence::Other;
        let refused_by = self.shown.status.borrow().refused_by;
        if is_other && !self.office.seams.has(Plant::ForeignStore) {
            // Another barn answers at the address. The operator sends it home, and pairs again.
            let (disk, store) = (self.shown.disk.after_kill(), self.shown.store());
            self.shown = Copy::open(&self.office, disk, store, self.shown.agreed_at)?;
            self.serve();
            return Ok(Some(format!("{}: {divergence}; it follows on", self.name)));
        }
        let store = refused_by.filter(|_| is_other).map_or(self.paired, |position| position.store);
        let shown = if divergence == Divergence::Shorter { self.show_lost_end(refused_by).await? } else { "" };
        let older =
            (divergence == Divergence::Shorter || divergence == Divergence::Continued).then(|| self.shown().clone());
        self.building = Some(Copy::begin(&self.office, store, older, events)?);
        Ok(Some(format!("{}: {divergence}{shown}; a new copy is begun", self.name)))
    }

    /// Shows a barn which ends at `theirs` that it has lost changes. Returns how that ended, for the trace.
    async fn show_lost_end(&mut self, theirs: Option<Position>) -> Result<&'static str, StoreError> {
        let Some(theirs) = theirs.filter(|_| self.gives_back) else { return Ok("") };
        let Some(shared) = self.shown.reader.position_at(theirs.sequence)? else { return Ok("") };
        let shown = LostEnd { shared, copy: self.shown.reader.head().position };
        Ok(match self.office.wire.show_lost_end(shown).await {
            Ok(EpochReceipt::Began { .. }) => {
                self.epochs += 1;
                ", and begins the next epoch"
            }
            Ok(EpochReceipt::Refused(_)) => ", and has gone on meanwhile",
            Err(_) => ", and was not told",
        })
    }

    /// Checks that something happened at the source since the copy agreed with it.
    fn check_cause(&self, copy: Option<&Copy>, divergence: Divergence, events: u64) {
        if copy.is_some_and(|copy| copy.agreed_at == events) && divergence != Divergence::Other {
            let what = format!("{} says: {divergence}; but nothing happened there", self.name);
            self.office.seams.fault(what);
        }
    }

    /// Swaps the new copy in, and keeps the old one while somebody needs it.
    fn swap(&mut self) -> Result<String, StoreError> {
        let Some(new) = self.building.take() else { return Ok(String::new()) };
        let old = std::mem::replace(&mut self.shown, new);
        self.swaps += 1;
        self.serve();
        if !self.office.seams.has(Plant::DiscardedCopy) {
            self.kept.push(KeptCopy::of(old)?);
        }
        let shown = self.shown.reader.clone();
        self.kept.retain(|kept| !kept.is_spent(&shown));
        Ok(format!("{}: a new copy is shown, {}; {} kept", self.name, self.describe(), self.kept.len()))
    }

    /// Gives the next kept copy back that holds what the barn may lack, unless that is under way.
    async fn tend_kept(&mut self) -> Option<String> {
        if let Some((end, giving_back)) = self.giving_back.take_if(|(_, task)| task.is_finished()) {
            let given = giving_back.await.unwrap_or_else(|aborted| Err(aborted.to_string()));
            let Ok(barn) = given else { return Some(format!("{}: nothing was given back: {given:?}", self.name)) };
            for kept in self.kept.iter_mut().filter(|kept| kept.reader.head().position == end) {
                kept.given_at = Some(barn);
            }
            return Some(format!("{}: the copy up to {end} was given back, to the barn at {barn}", self.name));
        }
        if self.giving_back.is_some() || !self.gives_back || self.building.is_some() || !self.shown.is_complete() {
            return None;
        }
        // One that was given back, and is not spent although the shown copy is complete: the barn has lost that again.
        let next = self.kept.iter().find(|kept| !kept.is_spent(&self.shown.reader))?;
        let (end, giving_back) =
            (next.reader.head().position, give_back(self.office.wire.clone(), next.reader.clone()));
        self.giving_back = Some((end, tokio::spawn(giving_back)));
        None
    }
}

impl Drop for OfficeMachine {
    fn drop(&mut self) {
        if let Some((_, giving_back)) = self.giving_back.take() {
            giving_back.abort();
        }
    }
}
