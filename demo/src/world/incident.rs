//! The machines of a world, and the effects of incidents on them.

use super::barn::BarnMachine;
use super::card::{Card, CardError, backup};
use super::chance::Chance;
use super::clock::{Wall, WorldClock};
use super::copy::OfficeSeams;
use super::ledger::LedgerCounts;
use super::office::OfficeMachine;
use super::plant::Plant;
use super::readers::Readers;
use super::seams::{Seams, lock};
use super::weather::{Forecast, Incident, Machine};
use super::wire::{Address, Weather, Wire};
use super::{WorldError, WorldSummary};
use herd::position::Epoch;
use herd::recover::Gaps;
use herd::store::{LOG_FILE, StoreError, TablesVerdict, verify_disk};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, interval};

/// Interval at which the operator looks, and the trace samples the offices.
const TEND_INTERVAL: Duration = Duration::from_secs(1);
/// Time for which another barn answers at the barn's address.
const STRANGER_DURATION: Duration = Duration::from_secs(6);
/// Time without a read, in which an office finds out that an old card was put back.
const NIGHT_DURATION: Duration = Duration::from_secs(8);
/// Maximum number of images of the card that are kept.
const MAX_IMAGES: usize = 3;

/// All machines of a world.
pub(super) struct World {
    seams: Seams,
    barn: BarnMachine,
    office: OfficeMachine,
    second: OfficeMachine,
    address: Address,
    weather: watch::Sender<Weather>,
    readers: Readers,
    forecast: Forecast,
    ticks: Interval,
    chance: Chance,
    backups: Vec<Vec<u8>>,
    images: Vec<Card>,
    incidents: u64,
    /// Number of times that another card, or another barn, came to the barn's address.
    events: u64,
}

impl World {
    pub(super) fn begin(seed: u64, plant: Option<Plant>) -> Result<Self, CardError> {
        let (seams, clock) = (Seams::new(seed, plant), WorldClock::new());
        let (address, first_office) = (Address::default(), Address::default());
        let (weather, forecast) = watch::channel(Weather::default());
        let chance = Arc::new(Mutex::new(Chance::new(seed)));
        let barn = BarnMachine::boot(Card::empty(0), &clock, &seams, &address)?;
        let store = barn.reader().store();
        let seams_of = |address: &Address| OfficeSeams {
            wire: Wire {
                address: address.clone(),
                weather: forecast.clone(),
                chance: chance.clone(),
                seams: seams.clone(),
                follower: None,
            },
            seams: seams.clone(),
            clock: clock.clone(),
            is_full: Arc::default(),
        };
        let office = OfficeMachine::start("the office", seams_of(&address), store, first_office.clone(), true)?;
        let behind = seams_of(&first_office);
        let second = OfficeMachine::start("the second office", behind, store, Address::default(), false)?;
        Ok(Self {
            readers: Readers::new(seed, seams.clone()),
            forecast: Forecast::new(seed),
            ticks: interval(TEND_INTERVAL),
            chance: Chance::new(seed ^ 0xca_4d),
            seams,
            barn,
            office,
            second,
            address,
            weather,
            backups: Vec::new(),
            images: Vec::new(),
            incidents: 0,
            events: 0,
        })
    }

    /// Waits for the next thing that happens, and lets it happen. After the storm, there are no incidents and no payloads.
    pub(super) async fn next_event(&mut self, is_storm: bool) -> Result<String, CardError> {
        let (barn_failed, office_failed) = (self.barn.failed(), self.office.failed());
        let second_failed = self.second.failed();
        tokio::select! {
            biased;
            incident = self.forecast.next(), if is_storm => {
                self.incidents += 1;
                let outcome = Box::pin(self.strike(incident)).await?;
                Ok(format!("{incident:?}{outcome}"))
            }
            () = barn_failed => {
                self.barn.restart_after_failure().await?;
                Ok("the barn's writer failed; it started again".to_owned())
            }
            () = office_failed => Ok(self.restart_office(Machine::Office).await?),
            () = second_failed => Ok(self.restart_office(Machine::SecondOffice).await?),
            outcome = self.readers.next(&self.barn), if is_storm => Ok(outcome),
            _ = self.ticks.tick() => Ok(self.tend(true).await?),
        }
    }

    async fn restart_office(&mut self, machine: Machine) -> Result<String, StoreError> {
        let office = if machine == Machine::Office { &mut self.office } else { &mut self.second };
        office.restart(false).await?;
        Ok(format!("a writer of {machine:?} failed; it started again"))
    }

    /// Lets the operator look. `is_barn_there` tells whether the barn itself answers at its address.
    async fn tend(&mut self, is_barn_there: bool) -> Result<String, StoreError> {
        self.barn.remember();
        let source = Some(self.barn.reader()).filter(|_| is_barn_there);
        let mut notes = self.office.tend(source, self.events).await?;
        let events = self.events + self.office.swaps;
        notes.extend(self.second.tend(Some(self.office.shown()), events).await?);
        let state = format!("{} | {}", self.office.describe(), self.second.describe());
        Ok(std::iter::once(state).chain(notes).collect::<Vec<_>>().join("\n            "))
    }

    /// Lets an incident happen. Returns what came of it.
    async fn strike(&mut self, incident: Incident) -> Result<String, CardError> {
        match incident {
            Incident::Weather(next) => drop(self.weather.send_replace(next)),
            Incident::PowerCut(Machine::Barn, torn) => self.barn.power_cut(torn).await?,
            Incident::PowerCut(Machine::Office, _) => self.office.restart(true).await?,
            Incident::PowerCut(Machine::SecondOffice, _) => self.second.restart(true).await?,
            Incident::Restart => self.barn.restart().await?,
            Incident::DiskFailure(Machine::Barn, syncs) => self.barn.fail_disk(self.chance.percent(30), syncs),
            Incident::DiskFailure(_, syncs) => self.office.fail_disk(syncs),
            Incident::Disk(Machine::Barn, is_full) => self.barn.fill(is_full),
            Incident::Disk(_, is_full) => self.office.fill(is_full),
            Incident::ClockStep(seconds, synchronized) => {
                self.barn.step_clock(Wall { offset_us: seconds * 1_000_000, synchronized });
            }
            Incident::Backup => self.back_up()?,
            Incident::RestoreBackup => return self.restore_backup(),
            Incident::Rebuild => return self.rebuild(),
            Incident::Damage(with_office) => return self.recover(with_office),
            Incident::RollBack => return self.roll_back().await,
            Incident::OldLog => return self.put_old_log_back(),
            Incident::Clone => return self.clone_card().await,
            Incident::ForeignBarn => return self.let_stranger_answer().await,
        }
        Ok(String::new())
    }

    fn back_up(&mut self) -> Result<(), CardError> {
        self.backups.push(backup(self.barn.reader(), &*self.barn.clock)?);
        self.images.push(self.barn.card.image());
        if self.images.len() > MAX_IMAGES {
            self.images.remove(0);
        }
        Ok(())
    }

    /// Boots the barn with another card, and looks for what that lacks.
    fn exchange(&mut self, card: Card, gaps: Option<&Gaps>) -> Result<(), CardError> {
        let (before, copies) = (self.barn.reader().clone(), self.office.readers());
        self.events += 1;
        self.barn.stop();
        self.barn.boot_with(card)?;
        lock(&self.seams.ledger).note_new_card(&before, self.barn.reader(), &copies, gaps);
        Ok(())
    }

    /// Boots the barn with a card that is made of a backup.
    fn exchange_restored(&mut self, bytes: &[u8]) -> Result<String, CardError> {
        let mut card = Card::restore(bytes, self.barn.card.branch, &self.seams, &*self.barn.clock)?;
        let begun = card.remembered.map_or(Epoch(u32::MAX), |position| position.epoch);
        let mut ledger = lock(&self.seams.ledger);
        if ledger.has_given(card.branch, begun) {
            // It cannot know that its epoch was begun before, by another card of an old backup.
            card.branch = ledger.new_branch();
        }
        drop(ledger);
        self.exchange(card, None)?;
        Ok(format!(": {}", self.barn.describe()))
    }

    fn restore_backup(&mut self) -> Result<String, CardError> {
        let Some(bytes) = self.backups.last().cloned() else { return Ok(": there is no backup".to_owned()) };
        self.exchange_restored(&bytes)
    }

    fn rebuild(&mut self) -> Result<String, CardError> {
        let shown = self.office.shown();
        if shown.head().position.sequence.0 == 0 || shown.store() != self.barn.reader().store() {
            return Ok(": the office has nothing".to_owned());
        }
        let bytes = backup(shown, &*self.barn.clock)?;
        self.exchange_restored(&bytes)
    }

    /// Damages the card while the barn is off, and recovers it.
    fn recover(&mut self, with_office: bool) -> Result<String, CardError> {
        let card = self.barn.card.image();
        if !card.damage(&mut self.chance) {
            return Ok(": it hit nothing".to_owned());
        }
        let shown = self.office.shown();
        let has_copy = with_office && shown.head().position.sequence.0 > 0;
        let bytes = if has_copy { Some(backup(shown, &*self.barn.clock)?) } else { None };
        let (card, gaps) = card.recover(bytes.as_ref(), &self.seams, &*self.barn.clock)?;
        self.exchange(card, Some(&gaps))?;
        Ok(format!(": {}; missing: {} changes", self.barn.describe(), gaps.changes))
    }

    /// Puts a whole card of before back, by day or in a quiet night.
    async fn roll_back(&mut self) -> Result<String, CardError> {
        let Some(mut card) = self.images.first().cloned() else { return Ok(": there is no image".to_owned()) };
        card.disk = card.disk.after_power_cut();
        // The machine cannot know that it gives numbers again.
        card.branch = lock(&self.seams.ledger).new_branch();
        self.exchange(card, None)?;
        let (mut notes, mut end) = (String::new(), Instant::now());
        if self.chance.percent(50) {
            end += NIGHT_DURATION;
        }
        while Instant::now() < end {
            self.ticks.tick().await;
            notes = self.tend(true).await?;
        }
        Ok(format!(": {}{notes}", self.barn.describe()))
    }

    /// Puts the log of an image back on a card that remembers more. The barn must not start before a person has decided.
    fn put_old_log_back(&mut self) -> Result<String, CardError> {
        let Some(image) = self.images.last() else { return Ok(": there is no image".to_owned()) };
        let (disk, now) = (image.disk.after_power_cut(), self.barn.card.clone());
        let mut card = Card { disk, ..now };
        let clock = self.barn.clock.after_boot();
        let outcome = match card.clone().open(&self.seams, &*clock) {
            Err(StoreError::LostLog(_)) => {
                card.disk = image.disk.after_power_cut();
                card.accept(&self.seams, &*clock)?;
                ": it did not start; the operator accepted the log"
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {
                if !self.seams.has(Plant::ReusedNumbers) {
                    // The position is noted once in a while: the machine cannot know what came since.
                    card.branch = lock(&self.seams.ledger).new_branch();
                }
                ": it started"
            }
        };
        self.exchange(card, None)?;
        Ok(format!("{outcome}: {}", self.barn.describe()))
    }

    /// Lets a clone answer in the barn's place. Both hear their readers. Then its card is read into the barn's.
    async fn clone_card(&mut self) -> Result<String, CardError> {
        let mut card = self.barn.card.image();
        card.branch = lock(&self.seams.ledger).new_branch();
        let own = lock(&self.address).take();
        self.events += 1;
        let mut twin = BarnMachine::boot(card, &self.barn.clock, &self.seams, &self.address)?;
        let end = Instant::now() + STRANGER_DURATION;
        while Instant::now() < end {
            self.readers.next(&twin).await;
            self.readers.next(&self.barn).await;
        }
        twin.shut_down().await;
        *lock(&self.address) = own;
        self.barn.shut_down().await;
        let card = Card { disk: self.barn.card.disk.after_kill(), ..self.barn.card.clone() };
        let given = twin.card.disk.content(LOG_FILE).unwrap_or_default();
        let end = self.barn.reader().head().position;
        let (card, added) = card.add(&given, &end, &self.seams, &*self.barn.clock)?;
        self.events += 1;
        self.barn.boot_with(card)?;
        Ok(format!(": {added} payloads of the clone were added"))
    }

    /// Lets another barn answer in the barn's place.
    async fn let_stranger_answer(&mut self) -> Result<String, CardError> {
        let own = lock(&self.address).take();
        self.events += 1;
        let seams = Seams { ledger: Arc::default(), ..self.seams.clone() };
        let mut stranger = BarnMachine::boot(Card::empty(0), &self.barn.clock, &seams, &self.address)?;
        let end = Instant::now() + STRANGER_DURATION;
        let mut notes = String::new();
        while Instant::now() < end {
            stranger.send_packet(format!("hxb:STRANGE:LF{0}:UHF{0}", self.chance.below(1_000_000)).into_bytes());
            self.ticks.tick().await;
            notes = self.tend(false).await?;
        }
        stranger.stop();
        *lock(&self.address) = own;
        Ok(format!(": {notes}"))
    }

    /// Ends all faults.
    pub(super) fn calm(&mut self) {
        self.weather.send_replace(Weather::default());
        self.barn.fill(false);
        self.office.fill(false);
    }

    pub(super) fn describe(&self) -> String {
        let (barn, office) = (self.barn.describe(), self.office.describe());
        format!("barn {barn}, office {office}, second office {}", self.second.describe())
    }

    pub(super) fn is_at_rest(&self) -> bool {
        let barn = self.barn.describe();
        let is_equal = barn == self.office.describe() && barn == self.second.describe();
        is_equal && self.office.is_at_rest() && self.second.is_at_rest()
    }

    /// Returns the first claim that does not hold.
    pub(super) fn check(&self, seed: u64) -> Result<(), WorldError> {
        match lock(&self.seams.ledger).first_fault() {
            Some(what) => Err(WorldError::Fault { seed, what: what.to_owned() }),
            None => Ok(()),
        }
    }

    pub(super) fn check_at_rest(&self, seed: u64) -> Result<(), WorldError> {
        lock(&self.seams.ledger).check_at_rest(self.barn.reader());
        self.check(seed)?;
        for disk in [&self.barn.card.disk, self.office.disk(), self.second.disk()] {
            match verify_disk(&disk.after_kill(), &mut |_| {}) {
                Ok(outcome) if matches!(outcome.tables, TablesVerdict::Equal { .. } | TablesVerdict::Missing) => {}
                Ok(outcome) => return Err(WorldError::Fault { seed, what: outcome.tables.to_string() }),
                Err(error) => return Err(WorldError::Fault { seed, what: error.to_string() }),
            }
        }
        Ok(())
    }

    pub(super) fn summary(&self, seed: u64) -> WorldSummary {
        let payloads: LedgerCounts = lock(&self.seams.ledger).counts();
        let (incidents, cards, swaps) = (self.incidents, self.events, self.office.swaps + self.second.swaps);
        let changes = self.barn.reader().head().position.sequence.0;
        WorldSummary {
            seed,
            payloads,
            incidents,
            cards,
            swaps,
            epochs: self.office.epochs,
            changes,
            trace: String::new(),
        }
    }
}
