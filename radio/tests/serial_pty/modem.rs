//! A modem that is a pseudo terminal: the radio opens it by its path as it opens a real port.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use radio::serial::framing::contract::encode;
use radio::serial::framing::{Frame, Framing};
use radio::{Counters, Health, Packet, Radio, RadioError, Serial, SerialSettings};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The name of a port, where a modem may be plugged in and out.
#[derive(Debug)]
pub(crate) struct Socket {
    directory: TempDir,
}

impl Socket {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("modem")
    }

    /// Plugs a modem in. What was plugged in before keeps its line and loses its name.
    pub(crate) fn plug_in(&self) -> Modem {
        let (modem, line) = Modem::new();
        let name = self.directory.path().join("next");
        std::os::unix::fs::symlink(line, &name).unwrap();
        std::fs::rename(name, self.path()).unwrap();
        modem
    }

    /// The name is gone, as that of an adapter that was pulled out.
    pub(crate) fn is_empty(&self) {
        std::fs::remove_file(self.path()).unwrap();
    }

    pub(crate) fn radio(&self, framing: Framing, rssi_byte: bool) -> Serial {
        self.settings(framing, rssi_byte).open().unwrap()
    }

    pub(crate) fn settings(&self, framing: Framing, rssi_byte: bool) -> SerialSettings {
        let path = self.path().to_str().unwrap().to_owned();
        SerialSettings { path, baud: 115_200, framing, rssi_byte }
    }
}

/// A modem that is plugged in. Dropped, it is pulled out.
#[derive(Debug)]
pub(crate) struct Modem {
    far_end: File,
    /// Open, so that what is written before the radio opens the port waits for it.
    _near_end: File,
}

impl Modem {
    fn new() -> (Self, PathBuf) {
        let far_end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&far_end).unwrap();
        unlockpt(&far_end).unwrap();
        let name = ptsname(&far_end, Vec::new()).unwrap().into_string().unwrap();
        let near_end = open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        be_raw(&near_end);
        (Self { far_end: far_end.into(), _near_end: near_end.into() }, Path::new(&name).to_owned())
    }

    /// Writes to the line: up to 4,000 bytes wait there for the radio.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.far_end.write_all(bytes).unwrap();
    }
}

/// As a modem's line is: without echo, and nothing translated.
fn be_raw(line: impl AsFd) {
    let mut termios = tcgetattr(&line).unwrap();
    termios.make_raw();
    tcsetattr(&line, OptionalActions::Now, &termios).unwrap();
}

/// A radio with its modem plugged in.
#[derive(Debug)]
pub(crate) struct Plugged {
    radio: Serial,
    _modem: Modem,
    _socket: Socket,
}

impl Plugged {
    /// About to hear these bytes.
    pub(crate) fn with(framing: Framing, bytes: &[u8]) -> Self {
        let socket = Socket::new();
        let mut modem = socket.plug_in();
        modem.write(bytes);
        Self { radio: socket.radio(framing, false), _modem: modem, _socket: socket }
    }
}

impl Radio for Plugged {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        self.radio.receive().await
    }

    fn counters(&self) -> Counters {
        self.radio.counters()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.radio.health()
    }
}

/// What a modem writes for a payload. Strength and ratio are of no matter.
pub(crate) fn of_payload(framing: Framing, payload: &[u8]) -> Vec<u8> {
    encode(framing, &Frame { payload: payload.to_vec(), rssi_dbm: None, snr_quarter_db: None })
}

/// The next packet, which must come.
pub(crate) async fn heard(radio: &mut impl Radio) -> Packet {
    timeout(PATIENCE, radio.receive()).await.expect("a packet was to come").unwrap()
}

/// Lets the radio run until its health is as asked.
pub(crate) async fn until(radio: &mut impl Radio, is: impl Fn(&Health) -> bool) -> Health {
    let mut health = radio.health();
    tokio::select! {
        packet = radio.receive() => panic!("nothing was to be heard: {packet:?}"),
        found = timeout(PATIENCE, health.wait_for(is)) => found.expect("the health was to change").unwrap().clone(),
    }
}

pub(crate) fn fails_with(text: &str) -> impl Fn(&Health) -> bool {
    move |health| matches!(health, Health::Failing(said) if said.contains(text))
}
