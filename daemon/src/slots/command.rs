//! The command line of `herdlinxd slot`.

use super::Slot;
use super::before_trial::BeforeTrial;
use super::booted_slot::{BootedArgs, BootedError};
use super::card::{Card, Confirmation, Return, SlotError, SlotStatus};
use super::disk::SlotDiskError;
use super::trial::STEADY_TIME;
use super::watch::{WatchError, watch};
use clap::Subcommand;
use service::lifecycle::Exit;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// A command about the slots of a card.
#[derive(Clone, Debug, Subcommand)]
pub enum SlotCommand {
    /// Print the running slot, the good one, and the trial
    Show {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        /// The card.
        #[command(flatten)]
        place: BootedArgs,
    },
    /// Confirm the running slot by hand: it starts from now on
    Confirm {
        /// The card.
        #[command(flatten)]
        place: BootedArgs,
    },
    /// Start the other slot at the next reboot: end a trial, or go back to the root before the last update
    Back {
        /// The card.
        #[command(flatten)]
        place: BootedArgs,
    },
    /// Wait until the root on trial serves, then confirm it (for herdlinx-trial.service)
    Watch {
        /// Confirm after this many seconds of service without a break
        #[arg(long, value_name = "SECONDS", default_value_t = STEADY_TIME.as_secs(), hide = true)]
        steady_s: u64,
        /// The card.
        #[command(flatten)]
        place: BootedArgs,
    },
}

/// Reason why a command about slots failed.
#[derive(Debug, thiserror::Error)]
pub enum SlotCommandError {
    /// The slots could not be found.
    #[error(transparent)]
    Booted(#[from] BootedError),
    /// The action failed or was refused.
    #[error(transparent)]
    Card(#[from] SlotError),
    /// The trial was not confirmed.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The result could not be printed.
    #[error("cannot print the result: {0}")]
    Print(#[from] io::Error),
}

impl From<&SlotCommandError> for Exit {
    fn from(error: &SlotCommandError) -> Self {
        match error {
            SlotCommandError::Booted(error) | SlotCommandError::Watch(WatchError::Booted(error)) => Self::from(error),
            SlotCommandError::Card(error) | SlotCommandError::Watch(WatchError::Card(error)) => Self::from(error),
            SlotCommandError::Watch(WatchError::Unfit { .. }) | SlotCommandError::Print(_) => Self::Failure,
        }
    }
}

impl From<&BootedError> for Exit {
    fn from(error: &BootedError) -> Self {
        match error {
            BootedError::NoCard | BootedError::NotMounted => Self::Refused,
            BootedError::Read { .. } => Self::Failure,
            BootedError::Disk(error) => Self::from(error),
        }
    }
}

impl From<&SlotDiskError> for Exit {
    fn from(error: &SlotDiskError) -> Self {
        match error {
            SlotDiskError::Locked { .. } => Self::Locked,
            SlotDiskError::Open { .. } | SlotDiskError::Io { .. } => Self::Failure,
        }
    }
}

impl From<&SlotError> for Exit {
    fn from(error: &SlotError) -> Self {
        match error {
            SlotError::Disk(error) => Self::from(error),
            SlotError::State(_) => Self::Failure,
            _ => Self::Refused,
        }
    }
}

impl SlotCommand {
    /// Returns true for the command that runs as a unit.
    pub fn is_watch(&self) -> bool {
        matches!(self, Self::Watch { .. })
    }

    /// Runs the command. `socket` is the control socket of the daemon.
    pub fn run(&self, socket: &Path, out: &mut dyn Write) -> Result<(), SlotCommandError> {
        match self {
            Self::Show { json, place } => {
                let booted = place.booted()?;
                show(&Card::new(place.open_for_reading()?, booted)?.status(), *json, out)?;
            }
            Self::Confirm { place } => {
                let booted = place.booted()?;
                print_confirmation(Card::new(place.open()?, booted)?.confirm()?, booted.slot, out)?;
            }
            Self::Back { place } => {
                let booted = place.booted()?;
                let card = Card::new(place.open()?, booted)?;
                BeforeTrial::of_running_daemon(socket).save(place.trial_file());
                writeln!(out, "{}", describe_return(card.back()?))?;
            }
            Self::Watch { steady_s, place } => {
                let confirmation = watch(place, socket, Duration::from_secs(*steady_s))?;
                print_confirmation(confirmation, place.booted()?.slot, out)?;
            }
        }
        Ok(out.flush()?)
    }
}

fn show(status: &SlotStatus, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        return writeln!(out, "{}", serde_json::to_string(status)?);
    }
    let SlotStatus { running, good, copies, .. } = status;
    let on_trial = if status.on_trial { ", on trial" } else { "" };
    writeln!(out, "running  {running}{on_trial}\ngood     {good}")?;
    match (status.trial_slot, status.trial_starts_left) {
        (Some(slot), Some(0)) if !status.on_trial => writeln!(out, "trial    {slot}, failed")?,
        (Some(slot), Some(left)) => writeln!(out, "trial    {slot}, {left} starts left")?,
        _ => writeln!(out, "trial    none")?,
    }
    let [first, second] = copies.map(|copy| copy.map_or("damaged".to_owned(), |number| number.to_string()));
    writeln!(out, "copies   {first}, {second}")
}

fn print_confirmation(confirmation: Confirmation, running: Slot, out: &mut dyn Write) -> io::Result<()> {
    match confirmation {
        Confirmation::Done => writeln!(out, "Slot {running} is confirmed. It starts from now on."),
        Confirmation::NotNeeded => writeln!(out, "Slot {running} is not on trial; nothing was written."),
    }
}

fn describe_return(done: Return) -> String {
    match done {
        Return::TrialEnded(slot) => format!("The trial is ended. Slot {slot} starts at the next reboot."),
        Return::NotNeeded(slot) => format!("The trial was ended before. Slot {slot} starts at the next reboot."),
        Return::TrialBegun(slot) => {
            format!("Slot {slot} starts at the next reboot, on trial until it serves: sudo systemctl reboot")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::copies::StateError;
    use super::*;

    /// Catches a trial that is shown as another one, as confirmed, or not at all.
    #[test]
    fn the_text_tells_a_trial_that_goes_on_from_one_that_failed() {
        let shown = |on_trial, trial: Option<u8>, copies| {
            let (running, good) = if on_trial { (Slot::B, Slot::A) } else { (Slot::A, Slot::A) };
            let trial_slot = trial.map(|_| Slot::B);
            let status = SlotStatus { running, on_trial, good, trial_slot, trial_starts_left: trial, copies };
            let mut out = Vec::new();
            show(&status, false, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        for (on_trial, left, running, trial) in [
            (true, Some(2), "b, on trial", "b, 2 starts left"),
            (true, Some(0), "b, on trial", "b, 0 starts left"),
            (false, Some(3), "a", "b, 3 starts left"),
            (false, Some(0), "a", "b, failed"),
            (false, None, "a", "none"),
        ] {
            let expected = format!("running  {running}\ngood     a\ntrial    {trial}\ncopies   damaged, 7\n");
            assert_eq!(shown(on_trial, left, [None, Some(7)]), expected);
        }
    }

    /// Catches a disk that fails or is in use and passes for a refusal, and the other way round.
    #[test]
    fn each_reason_has_its_exit_code() {
        let locked = || SlotDiskError::Locked { path: "disk".into() };
        let failed = || SlotDiskError::Open { path: "disk".into(), source: io::Error::other("gone") };
        for (error, expected) in [
            (SlotError::Disk(locked()), Exit::Locked),
            (SlotError::Disk(failed()), Exit::Failure),
            (SlotError::State(StateError::NotKept), Exit::Failure),
            (SlotError::State(StateError::Disk(locked())), Exit::Failure),
            (SlotError::Empty { slot: Slot::B }, Exit::Refused),
        ] {
            assert_eq!(Exit::from(&error), expected, "{error}");
        }
    }
}
