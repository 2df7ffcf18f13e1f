//! What a bug report needs.

use crate::settings::Settings;
use herd::fold::FOLD_VERSION;
use herd::wire::WIRE_VERSION;
use serde::Serialize;
use std::fs::{File, read_dir};
use std::io::{self, Read as _, Write};
use std::path::Path;

/// Files of the system are read so far.
const MOST_BYTES: u64 = 64 * 1024;
/// So many devices are listed.
const MOST_DEVICES: usize = 32;
/// Where devices are that a radio can hang on, and what their names begin with.
const DEVICES: [(&str, &str); 6] = [
    ("/dev", "spidev"),
    ("/dev", "gpiochip"),
    ("/dev", "gpiomem"),
    ("/dev", "ttyUSB"),
    ("/dev", "ttyACM"),
    ("/dev/serial/by-id", ""),
];

/// What a bug report needs. No secret is in it: settings hold none, and keys and texts off the air are not looked at.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    version: String,
    kernel: String,
    system: String,
    board: String,
    user: String,
    devices: Vec<String>,
    settings: String,
}

impl About {
    pub(super) fn of(settings: &Settings) -> Self {
        let uname = rustix::system::uname();
        let [name, release, machine] =
            [uname.sysname(), uname.release(), uname.machine()].map(|text| text.to_string_lossy().into_owned());
        let version = env!("CARGO_PKG_VERSION");
        let unknown = || "unknown".to_owned();
        Self {
            version: format!("herdlinxd {version}, fold version {FOLD_VERSION}, wire version {WIRE_VERSION}"),
            kernel: format!("{name} {release} {machine}"),
            system: system().unwrap_or_else(unknown),
            board: text_of(Path::new("/proc/device-tree/model")).unwrap_or_else(unknown),
            user: user(),
            devices: devices(),
            settings: toml::to_string(&whole(settings)).unwrap_or_else(|error| format!("not shown: {error}")),
        }
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { version, kernel, system, board, user, devices, settings } = self;
        writeln!(out, "  version: {version}\n  kernel: {kernel}\n  system: {system}\n  board: {board}")?;
        writeln!(out, "  user: {user}\n  devices: {}\n  settings:", devices.join(" "))?;
        settings.lines().try_for_each(|line| writeln!(out, "    {line}"))
    }
}

/// With the tables of radios that were left to their defaults.
fn whole(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    for radio in &mut settings.radio {
        (radio.sx127x, radio.serial) = (radio.chip(), radio.modem());
    }
    settings
}

/// A short text that the system keeps in a file; one of the device tree ends with a zero.
fn text_of(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim_matches(['\0', '\n', ' ']).to_owned();
    (!text.is_empty()).then_some(text)
}

fn system() -> Option<String> {
    let text = text_of(Path::new("/etc/os-release"))?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// The user and its groups, by their numbers and, where the machine has names for them, by these.
fn user() -> String {
    let groups = text_of(Path::new("/etc/group")).unwrap_or_default();
    let name_of = |number: &str| {
        let fields = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let named = fields.into_iter().find(|fields| fields.get(2) == Some(&number));
        named.and_then(|fields| fields.first().map(|name| format!("{number}({name})")))
    };
    let mut own = rustix::process::getgroups().unwrap_or_default();
    own.push(rustix::process::getegid());
    own.sort_by_key(|group| group.as_raw());
    own.dedup();
    let shown = own.iter().map(|group| {
        let number = group.as_raw().to_string();
        name_of(&number).unwrap_or(number)
    });
    format!("{} in the groups {}", rustix::process::geteuid().as_raw(), shown.collect::<Vec<_>>().join(" "))
}

fn devices() -> Vec<String> {
    let mut found = Vec::new();
    for (directory, prefix) in DEVICES {
        let entries = read_dir(directory).into_iter().flatten().flatten();
        let names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        found.extend(names.map(|entry| entry.path().display().to_string()));
    }
    found.sort();
    found.truncate(MOST_DEVICES);
    found
}
