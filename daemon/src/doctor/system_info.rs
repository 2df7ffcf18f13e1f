//! The system information for a bug report.

use crate::settings::Settings;
use herd::fold::FOLD_VERSION;
use herd::wire::WIRE_VERSION;
use serde::Serialize;
use std::fs::{File, read_dir};
use std::io::{self, Read as _, Write};
use std::path::Path;

/// Maximum number of bytes that are read from a system file.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// Maximum number of devices that are listed.
const MAX_DEVICES: usize = 32;
/// Directories of devices that a radio can be attached to, and the prefixes of their names.
const DEVICES: [(&str, &str); 6] = [
    ("/dev", "spidev"),
    ("/dev", "gpiochip"),
    ("/dev", "gpiomem"),
    ("/dev", "ttyUSB"),
    ("/dev", "ttyACM"),
    ("/dev/serial/by-id", ""),
];

/// Versions, devices and settings for a bug report.
///
/// It contains no secret: the settings hold none, and keys and payloads are not read.
#[derive(Clone, Debug, Serialize)]
pub struct SystemInfo {
    version: String,
    kernel: String,
    system: String,
    board: String,
    user: String,
    devices: Vec<String>,
    settings: String,
}

impl SystemInfo {
    pub(super) fn collect(settings: &Settings) -> Self {
        let uname = rustix::system::uname();
        let [name, release, machine] =
            [uname.sysname(), uname.release(), uname.machine()].map(|text| text.to_string_lossy().into_owned());
        let version = env!("CARGO_PKG_VERSION");
        let unknown = || "unknown".to_owned();
        Self {
            version: format!("herdlinxd {version}, fold version {FOLD_VERSION}, wire version {WIRE_VERSION}"),
            kernel: format!("{name} {release} {machine}"),
            system: system_name().unwrap_or_else(unknown),
            board: read_text(Path::new("/proc/device-tree/model")).unwrap_or_else(unknown),
            user: user(),
            devices: devices(),
            settings: toml::to_string(&with_defaults(settings))
                .unwrap_or_else(|error| format!("cannot be shown: {error}")),
        }
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { version, kernel, system, board, user, devices, settings } = self;
        writeln!(out, "  version: {version}\n  kernel: {kernel}\n  system: {system}\n  board: {board}")?;
        writeln!(out, "  user: {user}\n  devices: {}\n  settings:", devices.join(" "))?;
        settings.lines().try_for_each(|line| writeln!(out, "    {line}"))
    }
}

/// Adds the tables of radios that the settings omit.
fn with_defaults(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    for radio in &mut settings.radio {
        (radio.sx127x, radio.serial) = (radio.chip(), radio.modem());
    }
    settings
}

/// Reads a short text from a system file. Those of the device tree end with a NUL.
fn read_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim_matches(['\0', '\n', ' ']).to_owned();
    (!text.is_empty()).then_some(text)
}

fn system_name() -> Option<String> {
    let text = read_text(Path::new("/etc/os-release"))?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// Returns the user id and the groups, by number and, if the machine has one, by name.
fn user() -> String {
    let groups = read_text(Path::new("/etc/group")).unwrap_or_default();
    let name_of = |number: &str| {
        let fields = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let named = fields.into_iter().find(|fields| fields.get(2) == Some(&number));
        named.and_then(|fields| fields.first().map(|name| format!("{number}({name})")))
    };
    let mut groups_of_process = rustix::process::getgroups().unwrap_or_default();
    groups_of_process.push(rustix::process::getegid());
    groups_of_process.sort_by_key(|group| group.as_raw());
    groups_of_process.dedup();
    let shown = groups_of_process.iter().map(|group| {
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
    found.truncate(MAX_DEVICES);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_named_by_number_with_its_groups() {
        let (shown, group) = (user(), rustix::process::getegid().as_raw().to_string());
        let (user, groups) = shown.split_once(" in the groups ").unwrap();
        assert_eq!(user, rustix::process::geteuid().as_raw().to_string());
        let numbers: Vec<_> = groups.split(' ').map(|one| one.split('(').next().unwrap()).collect();
        assert!(numbers.contains(&group.as_str()), "{shown}");
    }

    /// Catches a model that ends with a NUL, which cuts the report, and an empty file that counts as an answer.
    #[test]
    fn system_texts_are_trimmed_and_empty_ones_are_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model");
        assert_eq!(read_text(&path), None);
        for (text, expected) in [("Raspberry Pi 4\0", Some("Raspberry Pi 4")), (" a\n", Some("a")), ("\0\n", None)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_text(&path).as_deref(), expected, "{text:?}");
        }
    }
}
