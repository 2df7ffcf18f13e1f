//! A modem made of a pseudo terminal, which the radio opens by its path like a real port.

use radio::serial::framing::contract::encode;
use radio::serial::framing::{Frame, Framing};
use radio::{Counters, Health, Packet, Radio, RadioError, Serial, SerialSettings};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

/// Time limit for anything that a test waits for.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// The path of a port, at which modems can be plugged in and unplugged.
#[derive(Debug)]
pub(crate) struct PortPath {
    directory: TempDir,
}

impl PortPath {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("modem")
    }

    /// Plugs a modem in. The modem before it keeps its line but loses the path.
    pub(crate) fn plug_in(&self) -> Modem {
        let (modem, line) = Modem::new();
        let name = self.directory.path().join("next");
        std::os::unix::fs::symlink(line, &name).unwrap();
        std::fs::rename(name, self.path()).unwrap();
        modem
    }

    /// Removes the path, as the system does when an adapter is unplugged.
    pub(crate) fn remove_path(&self) {
        std::fs::remove_file(self.path()).unwrap();
    }

    pub(crate) fn radio(&self, framing: Framing, rssi_byte: bool) -> Serial {
        self.settings(framing, rssi_byte).open().unwrap()
    }

    pub(crate) fn settings(&self, framing: Framing, rssi_byte: bool) -> SerialSettings {
        let path = self.path().to_str().unwrap().to_owned();
        SerialSettings { path, baud: 115_200, framing, rssi_byte, ..SerialSettings::default() }
    }
}

/// A modem that is plugged in. Dropping it unplugs it.
#[derive(Debug)]
pub(crate) struct Modem {
    far_end: File,
    /// Kept open, so that bytes written before the radio opens the port are not lost.
    _near_end: File,
}

impl Modem {
    fn new() -> (Self, PathBuf) {
        let far_end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&far_end).unwrap();
        unlockpt(&far_end).unwrap();
        let name = ptsname(&far_end, Vec::new()).unwrap().into_string().unwrap();
        let near_end = open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        set_raw(&near_end);
        (Self { far_end: far_end.into(), _near_end: near_end.into() }, Path::new(&name).to_owned())
    }

    /// Returns the next command that the radio wrote, without its line end.
    pub(crate) fn command(&mut self) -> String {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            self.far_end.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    /// Writes to the line, which buffers up to 4,000 bytes for the radio.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.far_end.write_all(bytes).unwrap();
    }
}

/// Sets the line up like that of a modem: no echo, and no translation.
fn set_raw(line: impl AsFd) {
    let mut termios = tcgetattr(&line).unwrap();
    termios.make_raw();
    tcsetattr(&line, OptionalActions::Now, &termios).unwrap();
}

/// A radio together with its modem.
#[derive(Debug)]
pub(crate) struct ModemRadio {
    radio: Serial,
    _modem: Modem,
    _port: PortPath,
}

impl ModemRadio {
    /// Creates a radio whose modem has written these bytes.
    pub(crate) fn with(framing: Framing, bytes: &[u8]) -> Self {
        let port = PortPath::new();
        let mut modem = port.plug_in();
        modem.write(bytes);
        Self { radio: port.radio(framing, false), _modem: modem, _port: port }
    }
}

impl Radio for ModemRadio {
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

/// Returns the bytes that a modem writes for a payload, with any RSSI and SNR.
pub(crate) fn frame_of(framing: Framing, payload: &[u8]) -> Vec<u8> {
    encode(framing, &Frame { payload: payload.to_vec(), rssi_dbm: None, snr_quarter_db: None })
}

/// Returns the next packet, which must come in time.
pub(crate) async fn receive(radio: &mut impl Radio) -> Packet {
    timeout(TIMEOUT, radio.receive()).await.expect("no packet came").unwrap()
}

/// Runs the radio until its health matches. Fails if it receives a packet first.
pub(crate) async fn wait_for_health(radio: &mut impl Radio, matches: impl Fn(&Health) -> bool) -> Health {
    let mut health = radio.health();
    tokio::select! {
        packet = radio.receive() => panic!("unexpected packet: {packet:?}"),
        found = timeout(TIMEOUT, health.wait_for(matches)) => {
            found.expect("the health did not change").unwrap().clone()
        }
    }
}

pub(crate) fn fails_with(text: &str) -> impl Fn(&Health) -> bool {
    move |health| matches!(health, Health::Failing(reason) if reason.contains(text))
}
