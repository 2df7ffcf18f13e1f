//! The words as systemd reads them: assignments in a datagram, `sd_notify(3)`.

use super::Word;
use sd_notify::NotifyState;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A supervisor that does not read for so long is not told: a newer word will come.
const SENT_WITHIN: Duration = Duration::from_secs(1);
/// The longest status that is told: what fits on a screen of `systemctl status`.
pub(super) const MAX_STATUS_CHARS: usize = 500;

/// The way to the supervisor's socket.
pub(super) struct Notifier {
    /// Not connected: a supervisor that makes its socket anew is found again by its name.
    socket: UnixDatagram,
    address: SocketAddr,
    failing: AtomicBool,
}

impl Notifier {
    /// To the socket of this name, a path or, behind an `@`, an abstract one.
    pub(super) fn to(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_encoded_bytes() {
            [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SENT_WITHIN))?;
        Ok(Self { socket, address, failing: AtomicBool::new(false) })
    }

    pub(super) fn send(&self, word: &Word) {
        let sent = self.socket.send_to_addr(datagram(word).as_bytes(), &self.address);
        let failed_before = self.failing.swap(sent.is_err(), Ordering::Relaxed);
        // Said once: the next word comes within seconds, and would say the same.
        if let Some(error) = sent.err().filter(|_| !failed_before) {
            tracing::warn!(%error, "the supervisor could not be told; look at NOTIFY_SOCKET");
        }
    }
}

pub(super) fn datagram(word: &Word) -> String {
    let line = one_line(word);
    let status = NotifyState::Status(&line);
    let assignments = match word {
        Word::Ready { .. } => vec![NotifyState::Ready, status],
        Word::Status(_) => vec![status],
        Word::Alive => vec![NotifyState::Watchdog],
        Word::Starting { at_least, .. } => {
            let us = u32::try_from(at_least.as_micros()).unwrap_or(u32::MAX);
            vec![NotifyState::ExtendTimeoutUsec(us), status]
        }
        Word::Stopping => vec![NotifyState::Stopping, NotifyState::Status("stopping")],
    };
    assignments.iter().flat_map(|assignment| [assignment.to_string(), "\n".to_owned()]).collect()
}

/// A status is one line of bounded length: a line break would begin another assignment.
fn one_line(word: &Word) -> String {
    let status = match word {
        Word::Ready { status } | Word::Status(status) | Word::Starting { status, .. } => status.as_str(),
        Word::Alive | Word::Stopping => "",
    };
    status.chars().take(MAX_STATUS_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening() -> (tempfile::TempDir, UnixDatagram, Notifier) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        (directory, ear, notifier)
    }

    #[test]
    fn words_are_the_assignments_that_systemd_documents() {
        assert_eq!(datagram(&Word::Ready { status: "change 5".into() }), "READY=1\nSTATUS=change 5\n");
        assert_eq!(datagram(&Word::Alive), "WATCHDOG=1\n");
        assert_eq!(datagram(&Word::Stopping), "STOPPING=1\nSTATUS=stopping\n");
        let starting = Word::Starting { at_least: Duration::from_secs(2), status: "folding".into() };
        assert_eq!(datagram(&starting), "EXTEND_TIMEOUT_USEC=2000000\nSTATUS=folding\n");
    }

    /// Catches a name of a radio or an error text that could say READY=1 in the program's name.
    #[test]
    fn a_status_cannot_begin_another_assignment_and_is_cut() {
        let sly = Word::Status("a\nMAINPID=1\r\u{1b}[2J".into());
        assert_eq!(datagram(&sly), "STATUS=a MAINPID=1  [2J\n");
        let long = datagram(&Word::Status("x".repeat(10_000)));
        assert_eq!(long.len(), "STATUS=\n".len() + MAX_STATUS_CHARS);
    }

    #[test]
    fn each_word_is_a_datagram_of_its_own_and_an_abstract_name_is_understood() {
        let (_directory, ear, notifier) = listening();
        notifier.send(&Word::Alive);
        notifier.send(&Word::Status("well".into()));
        let mut bytes = [0; 100];
        let mut heard = |ear: &UnixDatagram| {
            let length = ear.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        };
        assert_eq!([heard(&ear), heard(&ear)], ["WATCHDOG=1\n", "STATUS=well\n"]);

        let name = format!("herdlinx-test-{}", std::process::id());
        let ear = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::to(format!("@{name}").as_ref()).unwrap().send(&Word::Alive);
        assert_eq!(heard(&ear), "WATCHDOG=1\n");
    }

    /// Catches a process that hangs with its supervisor: the queue of a socket that nobody reads is soon full.
    #[test]
    fn a_supervisor_that_does_not_read_holds_nobody_up_for_ever() {
        let (_directory, _ear, notifier) = listening();
        notifier.socket.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
        for _ in 0..1_000 {
            notifier.send(&Word::Alive);
        }
        assert!(notifier.failing.load(Ordering::Relaxed));
    }

    /// Catches a socket that is bound to the first supervisor that it met: systemd may make its own anew.
    #[test]
    fn a_supervisor_that_is_gone_fails_nobody_and_one_that_is_back_is_told_again() {
        let (directory, ear, notifier) = listening();
        let path = directory.path().join("notify");
        drop(ear);
        std::fs::remove_file(&path).unwrap();
        notifier.send(&Word::Alive);
        assert!(notifier.failing.load(Ordering::Relaxed));
        let ear = UnixDatagram::bind(&path).unwrap();
        notifier.send(&Word::Stopping);
        assert_eq!(ear.recv(&mut [0; 100]).unwrap(), "STOPPING=1\nSTATUS=stopping\n".len());
        assert!(!notifier.failing.load(Ordering::Relaxed));
    }
}
