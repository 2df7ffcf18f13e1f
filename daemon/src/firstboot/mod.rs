//! `herdlinxd firstboot`: applies what people wrote on a flashed card, before the network and the daemon start.
//!
//! | module | content |
//! |---|---|
//! | `card` | the boot partition: reading, and writing while it is writable |
//! | `judge`, `machine`, `radio`, `backup` | the decision what to take, without touching anything |
//! | `imager`, `yaml` | the files of Raspberry Pi Imager |
//! | `record` | the record of what was taken: the commit |
//! | `outputs` | the files that follow from it |
//! | `certificate` | the administrator's own certificate |
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
//! - **A step that fails does not end the run.** Each of the others is worth having, and the result names what is
//!   missing. The second unit comes to the same text, because it looks at the same files.
//! - **It runs at every boot**, not only at the first: a corrected file is taken at the next boot. An unchanged one
//!   costs a digest.
//! - **The addresses come later.** At this point of the boot there is no network, and no TLS key before the daemon's
//!   first start. So a second unit runs `firstboot --result` beside the daemon, which waits for both.
//! - **cloud-init was rejected**: it brings Python and adds many seconds to the boot of a Pi 3. Four keys are needed.

mod access;
mod backup;
mod card;
mod certificate;
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
use certificate::OwnCertificate;
use durable::{AllSteps, Steps};
use judge::{Judgment, judge};
use machine::Machine;
use record::Record;
use report::Presence;
use rustix::system::{sethostname, uname};
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
    /// `herdlinx.toml`, a file of Raspberry Pi Imager or the own certificate has mistakes.
    #[error("the settings on the card have mistakes; herdlinx-result.txt lists them, and what is in effect")]
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
        let mut applied = self.load_record(steps)?;
        let certificate = OwnCertificate::find(&self.places);
        // Whatever is wrong with the card, the machine gets a complete set of files.
        let (judgment, mut failures) = match self.card.snapshot() {
            Ok(snapshot) => (Some(judge(&snapshot, &applied, &self.machine)), Vec::new()),
            Err(error) => (None, vec![error]),
        };
        // A step that fails keeps no other one from being done. The result says what is missing.
        failures.extend(self.store_settings(judgment.as_ref(), &mut applied, steps).err());
        let outputs = outputs::outputs(&applied.effective(), &certificate);
        failures.extend(outputs::write_outputs(&self.places, &outputs, steps));
        self.set_host_name(&applied);
        failures.extend(self.store_access(&mut applied, steps).err());
        let (mut head, mut mistakes) = (String::new(), Vec::from_iter(certificate.mistake()));
        if let Some(judgment) = judgment {
            head = self.head(&judgment, &applied, &certificate);
            failures.extend(self.write_card(&judgment, &applied, &head, steps).err());
            mistakes.extend(judgment.mistakes());
        }
        conclude(head, failures, &mistakes)
    }

    /// Loads the record. If that fails, nothing can be applied, and the result says so.
    fn load_record(&self, steps: &dyn Steps) -> Result<Record, FirstBootError> {
        Record::load(&self.places).inspect_err(|error| {
            let head = report::unreadable(error);
            if let Err(error) = self.write_head(&head, &CardWrites::default(), steps) {
                tracing::error!(%error, "cannot write the result");
            }
        })
    }

    /// Stores what was judged, if it differs from what was applied before.
    fn store_settings(
        &self,
        judgment: Option<&Judgment>,
        applied: &mut Record,
        steps: &dyn Steps,
    ) -> Result<(), FirstBootError> {
        durable::create_directory(steps, &self.places.settings())
            .map_err(|source| FirstBootError::write(&self.places.settings(), source))?;
        let Some(judgment) = judgment.filter(|judgment| judgment.next != *applied) else { return Ok(()) };
        judgment.next.store(&self.places, steps)?;
        *applied = judgment.next.clone();
        Ok(())
    }

    /// Returns the part of the result that does not depend on the network. Reads the disk to see what is in place.
    fn head(&self, judgment: &Judgment, applied: &Record, certificate: &OwnCertificate) -> String {
        let outputs = outputs::outputs(&applied.effective(), certificate);
        report::head(judgment, applied, certificate, &outputs::missing_outputs(&self.places, &outputs))
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
        let dead_code = access::store(&self.places, pending)?.or(applied.dead_code);
        let stored = Record { pending: None, dead_code, ..applied.clone() };
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
        // Secrets that are not stored yet stay on the card.
        let (has_file, has_imager) = (judgment.has_stored_file(applied), judgment.has_stored_imager(applied));
        let writes = CardWrites {
            result: None,
            file: judgment.blanked_file.as_deref().filter(|_| has_file && applied.pending.is_none()),
            network_config: judgment.blanked_network.filter(|_| has_imager),
        };
        self.write_head(head, &writes, steps)
    }

    /// Writes the card, with this head of the result if it is a new one.
    fn write_head(&self, head: &str, writes: &CardWrites<'_>, steps: &dyn Steps) -> Result<(), FirstBootError> {
        let is_new = !report::has_head(&self.card.result()?, head);
        self.card.write(&CardWrites { result: is_new.then(|| report::whole(head, None)), ..writes.clone() }, steps)
    }

    /// Waits for an address and the daemon's TLS key, at most `timeout`, and adds them to the result on the card.
    pub fn write_result(&self, timeout: Duration) -> Result<String, FirstBootError> {
        self.check_system()?;
        let start = Instant::now();
        let certificate = OwnCertificate::find(&self.places);
        let certificate_file = certificate.certificate_in_use(&self.places);
        let mut presence = presence_now(&certificate_file);
        while !presence.is_complete() && start.elapsed() < timeout {
            std::thread::sleep(RESULT_INTERVAL);
            presence = presence_now(&certificate_file);
        }
        let applied = self.load_record(&AllSteps)?;
        let judgment = judge(&self.card.snapshot()?, &applied, &self.machine);
        let text = report::whole(&self.head(&judgment, &applied, &certificate), Some(&presence));
        if self.card.result()? != text {
            self.card.write(&CardWrites { result: Some(text.clone()), ..CardWrites::default() }, &AllSteps)?;
        }
        Ok(text)
    }
}

/// Returns the first failure, or else an error if there are mistakes, or else the head of the result. Logs the others.
fn conclude(head: String, failures: Vec<FirstBootError>, mistakes: &[String]) -> Result<String, FirstBootError> {
    for mistake in mistakes {
        tracing::warn!(mistake, "the card's settings have a mistake");
    }
    let mut failures = failures.into_iter();
    let first = failures.next();
    for error in failures {
        tracing::error!(%error, "a step failed after another one");
    }
    match first {
        Some(error) => Err(error),
        None if mistakes.is_empty() => Ok(head),
        None => Err(FirstBootError::Mistakes),
    }
}

/// Returns the addresses of this machine, and the fingerprint of the key in this certificate.
fn presence_now(certificate: &Path) -> Presence {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let reachable = interfaces.iter().filter(|interface| is_reachable(interface.ip()));
    let port = DEFAULT_PORT;
    let mut addresses: Vec<_> =
        reachable.map(|found| (SocketAddr::new(found.ip(), port), found.name.clone())).collect();
    addresses.sort();
    Presence { addresses, spki_sha256: spki_sha256_of_file(certificate).ok() }
}

/// Returns true if another machine may reach the daemon at this address.
fn is_reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        // The daemon listens on IPv4 addresses.
        IpAddr::V6(_) => false,
    }
}
