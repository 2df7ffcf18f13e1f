//! `herdlinxd firstboot`: applies what people wrote on a flashed card, before the network and the daemon start.
//!
//! | module | content |
//! |---|---|
//! | `card` | the boot partition: reading, and writing while it is writable |
//! | `judge`, `machine`, `radio` | the decision what to take, without touching anything |
//! | `imager`, `yaml` | the files of Raspberry Pi Imager |
//! | `record` | the record of what was taken: the commit |
//! | `outputs` | the files that follow from it |
//! | `access` | the office's key or code in `local.redb` |
//! | `report` | the result for people |
//! | `durable` | replacing a file so that a power cut leaves the old or the new one |
//!
//! # Decisions
//!
//! - **Everything is validated before anything is applied**, and a file with a mistake changes nothing. The machine
//!   goes on with what was applied before, or with defaults, and the barn records.
//! - **The order of the steps makes each power cut harmless**: the record, the files that follow from it, the key in
//!   `local.redb`, the result, and the blanked secrets last. Each boot repeats the steps that are not done.
//! - **It runs at every boot**, not only at the first: a corrected file is taken at the next boot. An unchanged one
//!   costs a digest.
//! - **The addresses come later.** At this point of the boot there is no network, and no TLS key before the daemon's
//!   first start. So a second unit runs `firstboot --result` beside the daemon, which waits for both.
//! - **cloud-init was rejected**: it brings Python and adds many seconds to the boot of a Pi 3. Four keys are needed.

mod access;
mod card;
mod durable;
mod imager;
mod judge;
mod machine;
mod outputs;
mod radio;
mod record;
mod report;
#[cfg(test)]
mod tests;
mod yaml;

pub use access::AccessError;

use crate::settings::DEFAULT_PORT;
use card::{Card, CardWrites};
use durable::{AllSteps, Steps};
use judge::{FileState, Judgment, judge};
use machine::Machine;
use record::Record;
use report::Presence;
use rustix::system::{sethostname, uname};
use service::card::CARD_FILE;
use service::door::certificate::spki_sha256_of_file;
use service::lifecycle::Exit;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Boot partition of the card.
pub const DEFAULT_CARD: &str = "/boot/firmware";
/// Time in which the network must give an address, and the daemon a TLS key, to be in the result.
pub const RESULT_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause between two looks at the addresses.
const RESULT_INTERVAL: Duration = Duration::from_secs(1);

/// Directory of the applied settings, below the root.
const SETTINGS_DIR: &str = "var/lib/herdlinx-card";
/// State directory of the daemon, below the root.
const STATE_DIR: &str = "var/lib/herdlinx";
/// The kernel's command line, below the root.
const KERNEL_COMMAND_LINE: &str = "proc/cmdline";
/// Start of the word by which the boot chain of the card tells its slot.
const SLOT_WORD: &str = "herd.slot=";

/// Reason why the settings of the card could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum FirstBootError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}; check the card on a computer", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}; check that its file system is writable and has room", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The boot partition could not be made writable, or read-only again.
    #[error("cannot remount {}: {source}; it takes root, and a card that is not write-protected", path.display())]
    Remount {
        /// Mount point.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The key or code of the office could not be stored.
    #[error("cannot store the key or code for the office: {0}; the next start tries again")]
    Access(#[from] AccessError),
    /// The machine did not boot from a flashed card.
    #[error(
        "this machine did not boot from a HerdLinx card, and its boot partition may belong to another system; with \
         --root and --card, firstboot works on directories"
    )]
    OtherSystem,
    /// `herdlinx.toml` or a file of Raspberry Pi Imager has mistakes.
    #[error(
        "the settings on the card have mistakes, and those of before stay in effect; herdlinx-result.txt lists them"
    )]
    Mistakes,
}

impl FirstBootError {
    fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.into(), source }
    }

    fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.into(), source }
    }
}

impl From<&FirstBootError> for Exit {
    fn from(error: &FirstBootError) -> Self {
        match error {
            FirstBootError::Mistakes => Self::Usage,
            FirstBootError::OtherSystem => Self::Refused,
            _ => Self::Failure,
        }
    }
}

/// Places of the applied settings.
#[derive(Clone, Debug)]
struct Places {
    root: PathBuf,
}

impl Places {
    fn settings(&self) -> PathBuf {
        self.root.join(SETTINGS_DIR)
    }

    fn applied(&self) -> PathBuf {
        self.settings().join("applied.json")
    }

    fn state(&self) -> PathBuf {
        self.root.join(STATE_DIR)
    }
}

/// A card, and the root file system of the machine that booted from it.
#[derive(Clone, Debug)]
pub struct FirstBoot {
    card: Card,
    places: Places,
    machine: Machine,
}

impl FirstBoot {
    /// Names the boot partition and the root; touches nothing.
    pub fn new(card: &Path, root: &Path) -> Self {
        Self { card: Card::new(card), places: Places { root: root.into() }, machine: Machine::new(root) }
    }

    /// Applies the settings of the card, and writes the result onto it. Returns its text.
    pub fn apply(&self) -> Result<String, FirstBootError> {
        self.apply_in(&AllSteps)
    }

    /// Refuses a running system that is no card. Raspberry Pi OS has the same boot partition and the same two files of
    /// Imager, and they are not ours there.
    fn check_system(&self) -> Result<(), FirstBootError> {
        let line = std::fs::read_to_string(self.places.root.join(KERNEL_COMMAND_LINE));
        let is_other = line.is_ok_and(|line| !line.split_whitespace().any(|word| word.starts_with(SLOT_WORD)));
        if is_other { Err(FirstBootError::OtherSystem) } else { Ok(()) }
    }

    fn apply_in(&self, steps: &dyn Steps) -> Result<String, FirstBootError> {
        self.check_system()?;
        durable::create_directory(steps, &self.places.settings())
            .map_err(|source| FirstBootError::write(&self.places.settings(), source))?;
        let mut applied = Record::load(&self.places)?;
        // Whatever is wrong with the card, the machine gets a complete set of files.
        let snapshot = self.card.snapshot();
        let judgment = snapshot.as_ref().ok().map(|snapshot| judge(snapshot, &applied, &self.machine));
        if let Some(judgment) = judgment.as_ref().filter(|judgment| judgment.next != applied) {
            judgment.next.store(&self.places, steps)?;
            applied = judgment.next.clone();
        }
        let changed = outputs::write_outputs(&self.places, &applied.effective(), steps)?;
        for name in changed {
            tracing::info!(file = name, "wrote a file of the card's settings");
        }
        self.set_host_name(&applied);
        let access = self.store_access(&mut applied, steps);
        snapshot?;
        let Some(judgment) = judgment else { return Ok(String::new()) };
        let head = report::head(&judgment, &applied);
        self.write_card(&judgment, &applied, &head, steps)?;
        access?;
        let mistakes = judgment.mistakes();
        for mistake in &mistakes {
            tracing::warn!(mistake, "the card's settings have a mistake");
        }
        if mistakes.is_empty() { Ok(head) } else { Err(FirstBootError::Mistakes) }
    }

    /// Sets the host name of the running system: PID 1 has looked for it before `/var` was there.
    fn set_host_name(&self, applied: &Record) {
        let values = applied.effective();
        let name = outputs::host_name(&values);
        let is_running_system = self.places.root == Path::new("/");
        if is_running_system
            && uname().nodename().to_bytes() != name.as_bytes()
            && let Err(error) = sethostname(name.as_bytes())
        {
            tracing::warn!(%error, name, "cannot set the host name; it is set at the next start");
        }
    }

    /// Moves the key and the code into `local.redb`, and forgets them.
    fn store_access(&self, applied: &mut Record, steps: &dyn Steps) -> Result<(), FirstBootError> {
        let Some(pending) = &applied.pending else { return Ok(()) };
        let cut = |source| FirstBootError::write(&self.places.state(), source);
        steps.next("store the key").map_err(cut)?;
        access::store(&self.places, pending)?;
        let stored = Record { pending: None, ..applied.clone() };
        stored.store(&self.places, steps)?;
        *applied = stored;
        Ok(())
    }

    fn write_card(
        &self,
        judgment: &Judgment,
        applied: &Record,
        head: &str,
        steps: &dyn Steps,
    ) -> Result<(), FirstBootError> {
        let is_new = !report::has_head(&self.card.result()?, head);
        // A key that is not stored yet stays on the card.
        let is_stored = applied.pending.is_none();
        let writes = CardWrites {
            result: is_new.then(|| report::whole(head, None)),
            file: judgment.blanked_file.as_deref().filter(|_| is_stored),
            network_config: judgment.blanked_network,
        };
        self.card.write(&writes, steps)
    }

    /// Waits for an address and the daemon's TLS key, at most `timeout`, and adds them to the result on the card.
    pub fn write_result(&self, timeout: Duration) -> Result<String, FirstBootError> {
        self.check_system()?;
        let start = Instant::now();
        let mut presence = self.presence();
        while !presence.is_complete() && start.elapsed() < timeout {
            std::thread::sleep(RESULT_INTERVAL);
            presence = self.presence();
        }
        let applied = Record::load(&self.places)?;
        let judgment = judge(&self.card.snapshot()?, &applied, &self.machine);
        let text = report::whole(&report::head(&judgment, &applied), Some(&presence));
        if self.card.result()? != text {
            self.card.write(&CardWrites { result: Some(text.clone()), ..CardWrites::default() }, &AllSteps)?;
        }
        Ok(text)
    }

    fn presence(&self) -> Presence {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let reachable = interfaces.iter().filter(|interface| match interface.ip() {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
            // The daemon listens on IPv4 addresses.
            IpAddr::V6(_) => false,
        });
        let port = DEFAULT_PORT;
        let mut addresses: Vec<_> =
            reachable.map(|found| (SocketAddr::new(found.ip(), port), found.name.clone())).collect();
        addresses.sort();
        let certificate = self.places.state().join("tls/certificate.pem");
        Presence { addresses, spki_sha256: spki_sha256_of_file(&certificate).ok() }
    }
}

impl Judgment {
    /// Returns every mistake with the name of its file.
    fn mistakes(&self) -> Vec<String> {
        let own = match &self.file {
            FileState::Refused(mistakes) => mistakes.as_slice(),
            _ => &[],
        };
        let own = own.iter().map(|mistake| format!("{CARD_FILE}, {mistake}"));
        let imager = self.imager_mistakes.iter().map(|(file, mistake)| format!("{file}, {mistake}"));
        own.chain(imager).collect()
    }
}
