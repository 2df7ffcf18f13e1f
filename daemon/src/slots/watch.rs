//! `herdlinxd slot watch`: waits until the root on trial serves, and confirms it.
//!
//! # Decisions
//!
//! - **The unit is the first one of a trial's boot, and its failure reboots the machine** (`FailureAction=reboot` in
//!   `herdlinx-trial.service`). The program only exits with an error. So a missing program, a crash and a missing library
//!   have the same effect as a daemon that does not serve.
//! - **There is no separate timer for units that hang before the daemon.** This process runs from the start of the boot
//!   and waits for no other unit, so a mount or a unit that hangs, or the emergency mode, is time without progress here.
//!   A unit after `multi-user.target` would never run then, and a second timer would have to know about slow logs too.
//! - **Each layer below has a watchdog of its own.** systemd kills this process if it stops to report (`WatchdogSec`),
//!   which is a failure too. The hardware's watchdog resets a machine whose systemd hangs, and a kernel that panics
//!   reboots (`panic=10`). A hang before systemd needs a power cycle, because U-Boot cannot arm the watchdog.
//! - **Progress is what the daemon reports to systemd while it opens its files.** Its control socket does not exist yet,
//!   and the time that a file was changed says nothing about an end.
//! - **A root whose radios all fail is not confirmed if one of them worked before,** and neither is one whose certificate cannot
//!   be used, if it could before (see [`before_trial`](super::before_trial)).

use super::before_trial::BeforeTrial;
use super::booted_slot::{BootedArgs, BootedError};
use super::card::{Card, Confirmation, SlotError};
use super::trial::{TrialDaemonState, TrialProgress, Verdict};
use crate::control::{BarnRequest, BarnResponse, ProbeReport};
use crate::health::CERTIFICATE_PART;
use service::control::{AskError, ask};
use service::supervisor::{Notification, Supervisor};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Pause between two observations.
const OBSERVE_INTERVAL: Duration = Duration::from_secs(2);
/// The unit of the daemon.
const UNIT: &str = "herdlinxd.service";
/// Part of the process that has the store, among the failing ones.
const STORE_PART: &str = "store";

/// Reason why a trial was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The slots could not be found.
    #[error(transparent)]
    Booted(#[from] BootedError),
    /// The state could not be read or written.
    #[error(transparent)]
    Card(#[from] SlotError),
    /// The root does not come to serve.
    #[error("slot {slot} is not confirmed: {reason}")]
    Unfit {
        /// The slot on trial.
        slot: super::Slot,
        /// The reason.
        reason: String,
    },
}

/// Waits until the root serves and confirms it. Returns at once if the running slot is not on trial.
pub fn watch(place: &BootedArgs, socket: &Path, steady_time: Duration) -> Result<Confirmation, WatchError> {
    let booted = place.booted()?;
    // Not locked: the state can be looked at while a trial goes on.
    let status = Card::new(place.open_for_reading()?, booted)?.status();
    if !status.on_trial {
        return Ok(Confirmation::NotNeeded);
    }
    let supervisor = Supervisor::from_env();
    let (start, mut progress) = (Instant::now(), TrialProgress::new(steady_time));
    let mut last_state = None;
    loop {
        let unit = UnitReport::ask_systemd();
        let state = observe_daemon(socket, &unit, place.trial_file());
        let verdict = progress.observe(start.elapsed(), &state, unit.restarts);
        supervisor.notify(Notification::Alive);
        if last_state.as_ref() != Some(&state) {
            tracing::info!(?state, slot = %booted.slot, "trial: state of the daemon");
            last_state = Some(state);
        }
        match verdict {
            Verdict::Wait => std::thread::sleep(OBSERVE_INTERVAL),
            Verdict::GiveUp(reason) => return Err(WatchError::Unfit { slot: booted.slot, reason }),
            Verdict::Confirm => break,
        }
    }
    let card = Card::new(place.open()?, booted)?;
    // A person may have confirmed or ended the trial meanwhile.
    if card.status().on_trial { Ok(card.confirm()?) } else { Ok(Confirmation::NotNeeded) }
}

fn observe_daemon(socket: &Path, unit: &UnitReport, trial_file: &Path) -> TrialDaemonState {
    let fails = |report: &ProbeReport, part: &str| report.failing.iter().any(|failing| failing == part);
    let before = || BeforeTrial::load(trial_file);
    match ask(socket, &BarnRequest::Probe) {
        Ok(BarnResponse::Probed(report)) if !report.unresponsive.is_empty() => {
            TrialDaemonState::Failing(format!("does not respond: {}", report.unresponsive.join(", ")))
        }
        Ok(BarnResponse::Probed(report)) if fails(&report, STORE_PART) => {
            TrialDaemonState::Failing("the store fails".to_owned())
        }
        Ok(BarnResponse::Probed(report)) if fails(&report, CERTIFICATE_PART) && !before().lacked_certificate => {
            TrialDaemonState::Failing("the certificate cannot be used, and it could before".to_owned())
        }
        Ok(BarnResponse::Probed(report)) if report.is_deaf && before().could_hear => {
            TrialDaemonState::Failing("all radios fail, and one of them worked before".to_owned())
        }
        Ok(BarnResponse::Probed(_)) => TrialDaemonState::Serving,
        Ok(_) => TrialDaemonState::Failing("the daemon gave an unexpected response".to_owned()),
        Err(AskError::NotRunning { .. }) if unit.is_starting => TrialDaemonState::Starting(unit.status.clone()),
        Err(error) => TrialDaemonState::Failing(error.to_string()),
    }
}

/// Facts that systemd knows about the unit of the daemon.
#[derive(Debug, Default)]
struct UnitReport {
    is_starting: bool,
    status: String,
    restarts: u32,
}

impl UnitReport {
    /// Asks systemd. Without an answer, nothing is known: the trial then depends on the daemon's socket alone.
    fn ask_systemd() -> Self {
        let properties = "--property=ActiveState,StatusText,NRestarts";
        match Command::new("systemctl").args(["show", properties, UNIT]).output() {
            Ok(output) => Self::parse(&String::from_utf8_lossy(&output.stdout)),
            Err(error) => {
                tracing::debug!(%error, "systemctl cannot be run");
                Self::default()
            }
        }
    }

    fn parse(text: &str) -> Self {
        let value = |key| text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        Self {
            is_starting: value("ActiveState=") == "activating",
            status: value("StatusText=").to_owned(),
            restarts: value("NRestarts=").parse().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::control::{handler, listen};
    use service::lifecycle::ShutdownTrigger;

    /// Catches a root that is confirmed although a part of its daemon hangs or fails, or although it hears no more.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_daemon_that_answers_serves_only_if_its_parts_do() {
        let directory = tempfile::tempdir().unwrap();
        let trial_file = directory.path().join("trial");
        let [sound, silent] = [true, false].map(|could_hear| BeforeTrial { could_hear, ..BeforeTrial::default() });
        let closed = BeforeTrial { lacked_certificate: true, ..sound };
        for (unresponsive, failing, is_deaf, before, reason) in [
            ("", "", false, sound, None),
            ("", "chute", true, silent, None),
            ("", "chute", false, sound, None),
            ("the writer", "", false, sound, Some("does not respond: the writer")),
            ("", STORE_PART, false, sound, Some("the store fails")),
            ("", CERTIFICATE_PART, false, sound, Some("the certificate cannot be used, and it could before")),
            ("", CERTIFICATE_PART, false, closed, None),
            ("", "chute", true, sound, Some("all radios fail, and one of them worked before")),
        ] {
            let some = |part: &str| Vec::from_iter(Some(part.to_owned()).filter(|part| !part.is_empty()));
            let report = ProbeReport { unresponsive: some(unresponsive), failing: some(failing), is_deaf };
            before.save(&trial_file);
            let (socket, trigger) = (directory.path().join("control.sock"), ShutdownTrigger::default());
            let answer = handler(move |_: BarnRequest| {
                let report = report.clone();
                async move { Ok(BarnResponse::Probed(report)) }
            });
            let daemon = tokio::spawn(listen(&socket, answer, trigger.signal()).unwrap());
            let trial_file = trial_file.clone();
            let observed =
                tokio::task::spawn_blocking(move || observe_daemon(&socket, &UnitReport::default(), &trial_file));
            let expected =
                reason.map_or(TrialDaemonState::Serving, |reason| TrialDaemonState::Failing(reason.to_owned()));
            assert_eq!(observed.await.unwrap(), expected);
            trigger.request();
            daemon.await.unwrap();
        }
    }

    /// Catches a daemon that opens a large log and passes for one that does not run, and restarts that nobody counts.
    #[test]
    fn a_daemon_without_a_socket_is_starting_only_if_systemd_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let observe = |text: &str| {
            let unit = UnitReport::parse(text);
            let state = observe_daemon(&directory.path().join("control.sock"), &unit, &directory.path().join("trial"));
            (state, unit.restarts)
        };
        let step = "folding the tables: 3 of 7 changes";
        let (state, restarts) = observe(&format!("NRestarts=4\nActiveState=activating\nStatusText={step}\n"));
        assert_eq!((state, restarts), (TrialDaemonState::Starting(step.to_owned()), 4));
        for (text, expected) in [("ActiveState=active\nNRestarts=2\n", 2), ("", 0), ("NRestarts=many\n", 0)] {
            let (state, restarts) = observe(text);
            assert!(matches!(state, TrialDaemonState::Failing(_)), "{text}: {state:?}");
            assert_eq!(restarts, expected, "{text}");
        }
    }
}
