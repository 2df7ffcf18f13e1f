//! The commands that a modem needs before it receives: which one is next, and what keeps them from being accepted.
//!
//! # Decisions
//!
//! - **One command at a time.** The next one is sent once the modem has accepted the one before; modems drop what
//!   arrives while they are busy.
//! - **All commands are sent again whenever the modem may have lost them:** when the port opens, when the modem says
//!   that it has started, and when it says that it has stopped receiving.
//! - **Packets are delivered meanwhile.** Commands may be wrong while the modem receives all the same.
//!
//! The state has no clock and does no I/O; the listener gives the time and writes what [`ModemSetup`] returns.

use super::super::framing::Notice;
use std::time::Duration;
use tokio::time::Instant;

/// Time that a modem has to answer a command.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Delay before all commands are sent again after one was refused or not answered.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(10);
/// Delay between the modem's word that it has started and the first command: its banner has several lines.
pub(super) const START_DELAY: Duration = Duration::from_millis(500);

/// State of setting a modem up.
#[derive(Debug)]
pub(super) struct ModemSetup {
    commands: Vec<String>,
    step: Step,
    /// Why the modem does not receive, or may not.
    problem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Every command was accepted, or there is none.
    Done,
    /// The first command is to be sent at this time.
    Due(Instant),
    /// The command with this index was sent, and has to be answered until this time.
    Sent(usize, Instant),
}

impl ModemSetup {
    pub(super) fn new(commands: Vec<String>) -> Self {
        Self { commands, step: Step::Done, problem: None }
    }

    /// Starts with the first command, after a delay.
    pub(super) fn begin(&mut self, now: Instant, delay: Duration) {
        self.step = if self.commands.is_empty() { Step::Done } else { Step::Due(now + delay) };
    }

    /// Returns the time at which [`act`](Self::act) has to be called, if nothing comes before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Done => None,
            Step::Due(at) | Step::Sent(_, at) => Some(at),
        }
    }

    /// Returns why the modem does not receive, or may not.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Returns true until every command was accepted.
    pub(super) fn is_pending(&self) -> bool {
        self.step != Step::Done
    }

    /// Acts on a deadline that has passed. Returns the command to send, if any.
    pub(super) fn act(&mut self, now: Instant) -> Option<&str> {
        match self.step {
            Step::Due(at) if at <= now => self.send(0, now),
            Step::Sent(index, until) if until <= now => {
                let command = self.commands.get(index).map_or("", String::as_str);
                let within_s = ANSWER_TIMEOUT.as_secs();
                self.problem = Some(format!(
                    "the modem did not answer `{command}` of `init` within {within_s} s; check `baud` and the wire from \
                     the computer to the modem's RX; the commands are sent again"
                ));
                self.begin(now, RETRY_DELAY);
                None
            }
            _ => None,
        }
    }

    /// Takes a word of the modem. Returns the command to send, if any.
    pub(super) fn take_notice(&mut self, notice: &Notice, now: Instant) -> Option<&str> {
        match (notice, self.step) {
            (Notice::Accepted, Step::Sent(index, _)) if index + 1 < self.commands.len() => self.send(index + 1, now),
            (Notice::Accepted, Step::Sent(..)) => {
                self.step = Step::Done;
                self.problem = None;
                None
            }
            (Notice::Rejected(answer), Step::Sent(index, _)) => {
                let command = self.commands.get(index).map_or("", String::as_str);
                self.problem = Some(format!(
                    "the modem refused `{command}` of `init` with {answer}; check it against the modem's manual; the \
                     commands are sent again"
                ));
                self.begin(now, RETRY_DELAY);
                None
            }
            (Notice::Ready, _) => {
                self.begin(now, START_DELAY);
                None
            }
            (Notice::ReceiveEnded, _) => {
                self.note_receive_ended(now);
                None
            }
            _ => None,
        }
    }

    /// Takes a packet, which shows that the modem receives.
    pub(super) fn take_packet(&mut self) {
        if self.commands.is_empty() {
            self.problem = None;
        }
    }

    fn note_receive_ended(&mut self, now: Instant) {
        let remedy = if self.commands.is_empty() {
            "set `init` to the commands that make it receive, such as `init = [\"AT+PRECV=65534\"]`"
        } else {
            "the commands of `init` are sent again"
        };
        self.problem = Some(format!("the modem has stopped receiving: its receive time is over; {remedy}"));
        self.begin(now, Duration::ZERO);
    }

    fn send(&mut self, index: usize, now: Instant) -> Option<&str> {
        self.step = Step::Sent(index, now + ANSWER_TIMEOUT);
        self.commands.get(index).map(String::as_str)
    }
}
