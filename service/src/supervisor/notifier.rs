//! Notifications as systemd reads them: assignments in a datagram, see `sd_notify(3)`.

use super::Notification;
use sd_notify::NotifyState;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Time after which a notification is dropped if the supervisor does not read; a newer one will follow.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum length of a status, which fits on a screen of `systemctl status`.
pub(super) const MAX_STATUS_CHARS: usize = 500;

/// The supervisor's socket.
pub(super) struct Notifier {
    /// Not connected, so that a supervisor which creates its socket again is found by the same name.
    socket: UnixDatagram,
    address: SocketAddr,
    /// True if the last notification could not be sent.
    failing: AtomicBool,
}

impl Notifier {
    /// Opens the socket with this name: a path, or an abstract name after an `@`.
    pub(super) fn to(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_encoded_bytes() {
            [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self { socket, address, failing: AtomicBool::new(false) })
    }

    pub(super) fn send(&self, notification: &Notification) {
        let sent = self.socket.send_to_addr(datagram(notification).as_bytes(), &self.address);
        let failed_before = self.failing.swap(sent.is_err(), Ordering::Relaxed);
        // Logged once, because the next notification follows within seconds and would fail the same way.
        if let Some(error) = sent.err().filter(|_| !failed_before) {
            tracing::warn!(%error, "cannot notify the supervisor; check NOTIFY_SOCKET");
        }
    }
}

pub(super) fn datagram(notification: &Notification) -> String {
    let line = status_line(notification);
    let status = NotifyState::Status(&line);
    let assignments = match notification {
        Notification::Ready { .. } => vec![NotifyState::Ready, status],
        Notification::Status(_) => vec![status],
        Notification::Alive => vec![NotifyState::Watchdog],
        Notification::Starting { at_least, .. } => {
            let us = u32::try_from(at_least.as_micros()).unwrap_or(u32::MAX);
            vec![NotifyState::ExtendTimeoutUsec(us), status]
        }
        Notification::Stopping => vec![NotifyState::Stopping, NotifyState::Status("stopping")],
    };
    assignments.iter().flat_map(|assignment| [assignment.to_string(), "\n".to_owned()]).collect()
}

/// Returns the status as one line of limited length. A line break would start another assignment.
fn status_line(notification: &Notification) -> String {
    let status = match notification {
        Notification::Ready { status } | Notification::Status(status) | Notification::Starting { status, .. } => {
            status.as_str()
        }
        Notification::Alive | Notification::Stopping => "",
    };
    status.chars().take(MAX_STATUS_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> (tempfile::TempDir, UnixDatagram, Notifier) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        (directory, receiver, notifier)
    }

    /// Catches a notification that systemd does not understand.
    #[test]
    fn notifications_are_the_assignments_that_systemd_documents() {
        assert_eq!(datagram(&Notification::Ready { status: "change 5".into() }), "READY=1\nSTATUS=change 5\n");
        assert_eq!(datagram(&Notification::Alive), "WATCHDOG=1\n");
        assert_eq!(datagram(&Notification::Stopping), "STOPPING=1\nSTATUS=stopping\n");
        let starting = Notification::Starting { at_least: Duration::from_secs(2), status: "folding".into() };
        assert_eq!(datagram(&starting), "EXTEND_TIMEOUT_USEC=2000000\nSTATUS=folding\n");
    }

    /// Catches the name of a radio or an error text that could send READY=1 in the name of the process.
    #[test]
    fn a_status_cannot_start_another_assignment_and_is_truncated() {
        let hostile = Notification::Status("a\nMAINPID=1\r\u{1b}[2J".into());
        assert_eq!(datagram(&hostile), "STATUS=a MAINPID=1  [2J\n");
        let long = datagram(&Notification::Status("x".repeat(10_000)));
        assert_eq!(long.len(), "STATUS=\n".len() + MAX_STATUS_CHARS);
    }

    /// Catches notifications that merge, and a systemd whose socket has an abstract name.
    #[test]
    fn each_notification_is_one_datagram_and_an_abstract_name_works() {
        let (_directory, receiver, notifier) = listener();
        notifier.send(&Notification::Alive);
        notifier.send(&Notification::Status("healthy".into()));
        let mut bytes = [0; 100];
        let mut receive = |receiver: &UnixDatagram| {
            let length = receiver.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        };
        assert_eq!([receive(&receiver), receive(&receiver)], ["WATCHDOG=1\n", "STATUS=healthy\n"]);

        let name = format!("herdlinx-test-{}", std::process::id());
        let receiver = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::to(format!("@{name}").as_ref()).unwrap().send(&Notification::Alive);
        assert_eq!(receive(&receiver), "WATCHDOG=1\n");
    }

    /// Catches a process that hangs with its supervisor: the queue of a socket without a reader is soon full.
    #[test]
    fn a_supervisor_that_does_not_read_blocks_nobody_forever() {
        let (_directory, _receiver, notifier) = listener();
        notifier.socket.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
        for _ in 0..1_000 {
            notifier.send(&Notification::Alive);
        }
        assert!(notifier.failing.load(Ordering::Relaxed));
    }

    /// Catches a socket that stays bound to the first supervisor: systemd may create its own again.
    #[test]
    fn a_missing_supervisor_fails_nobody_and_a_restarted_one_is_notified_again() {
        let (directory, receiver, notifier) = listener();
        let path = directory.path().join("notify");
        drop(receiver);
        std::fs::remove_file(&path).unwrap();
        notifier.send(&Notification::Alive);
        assert!(notifier.failing.load(Ordering::Relaxed));
        let receiver = UnixDatagram::bind(&path).unwrap();
        notifier.send(&Notification::Stopping);
        assert_eq!(receiver.recv(&mut [0; 100]).unwrap(), "STOPPING=1\nSTATUS=stopping\n".len());
        assert!(!notifier.failing.load(Ordering::Relaxed));
    }
}
