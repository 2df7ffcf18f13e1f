//! Other users of a serial port: programs that have it open, that open every new port, and the system's console.
//!
//! # Decisions
//!
//! - **The port's users are found through /proc, not through `fuser`.** It may not be installed. Without root only the
//!   user's own programs show their open files, so programs that are known to open ports are also found by their name.
//! - **`ModemManager` and `brltty` are a warning even if the port is free.** Both open ports that appear. The first sends
//!   commands to a modem for half a minute, the second takes adapters with common chips for braille displays.

use super::Finding;
use std::fs;
use std::path::{Path, PathBuf};

/// A program that opens every serial port, and the remedy.
struct PortTaker {
    name: &'static str,
    remedy: &'static str,
}

const PORT_TAKERS: [PortTaker; 2] = [
    PortTaker {
        name: "ModemManager",
        remedy: "`systemctl mask --now ModemManager`; if the machine needs it, the package's udev rule keeps it from the \
                 usual adapters",
    },
    PortTaker { name: "brltty", remedy: "`apt remove brltty`, or `systemctl mask --now brltty-udev`" },
];
/// The daemon itself, whose port it is.
const OURS: &str = "herdlinxd";
/// Programs that offer a login on a port.
const GETTYS: [&str; 2] = ["agetty", "getty"];
const CONSOLE_REMEDY: &str = "switch the serial console off (`raspi-config nonint do_serial_cons 1`, or remove \
                              `console=` of this port from /boot/firmware/cmdline.txt) and reboot";

/// Returns a finding for each other user of the port at `path`.
pub(super) fn check(part: &str, path: &Path) -> Vec<Finding> {
    findings(part, path, Path::new("/proc"))
}

fn findings(part: &str, path: &Path, proc: &Path) -> Vec<Finding> {
    let device = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut findings = Vec::new();
    for process in processes(proc) {
        findings.extend(finding_about(part, &device, &process));
    }
    findings.extend(console_finding(part, &device, proc));
    findings
}

/// A running program.
struct Process {
    directory: PathBuf,
    name: String,
}

/// Returns the programs that run, except this one and the daemon.
fn processes(proc: &Path) -> Vec<Process> {
    let own = std::process::id().to_string();
    let is_other = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit()) && name != own;
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let mut processes: Vec<Process> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_other))
        .filter_map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).ok()?.trim_end().to_owned();
            (name != OURS).then(|| Process { directory: entry.path(), name })
        })
        .collect();
    processes.sort_by(|one, other| one.directory.cmp(&other.directory));
    processes
}

fn finding_about(part: &str, device: &Path, process: &Process) -> Option<Finding> {
    let Process { name, .. } = process;
    let taker = PORT_TAKERS.iter().find(|taker| taker.name == name);
    let is_login = GETTYS.contains(&name.as_str()) && serves(process, device);
    let shown = device.display();
    if has_open(process, device) || is_login {
        let found = format!("{shown} is in use by {name}");
        let finding = Finding::fail(part, found);
        return Some(match taker {
            Some(taker) => finding.with_advice(taker.remedy),
            None if is_login => finding.with_advice(CONSOLE_REMEDY),
            None => finding.with_advice("stop that program, or set another `path`"),
        });
    }
    let taker = taker?;
    let found = format!("{name} is running and may open {shown} whenever the modem is plugged in");
    Some(Finding::warn(part, found).with_advice(taker.remedy))
}

/// Returns true if the program has the device open, as far as this user may know.
fn has_open(process: &Process, device: &Path) -> bool {
    let files = fs::read_dir(process.directory.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target == device)
}

/// Returns true if the name of the device is among the arguments of the program.
fn serves(process: &Process, device: &Path) -> bool {
    let arguments = fs::read(process.directory.join("cmdline")).unwrap_or_default();
    let Some(name) = device.file_name().and_then(|name| name.to_str()) else { return false };
    arguments.split(|byte| *byte == 0).any(|argument| argument == name.as_bytes())
}

/// Reports a kernel that writes its messages to the port.
fn console_finding(part: &str, device: &Path, proc: &Path) -> Option<Finding> {
    let name = device.file_name()?.to_str()?;
    let line = fs::read_to_string(proc.join("cmdline")).ok()?;
    let consoles = line.split_whitespace().filter_map(|word| word.strip_prefix("console="));
    // Raspberry Pi OS calls the header's port serial0, which is ttyS0 or ttyAMA0.
    let is_console = consoles.map(|console| console.split(',').next().unwrap_or_default()).any(|console| {
        console == name || (console == "serial0" && fs::canonicalize("/dev/serial0").is_ok_and(|path| path == device))
    });
    is_console.then(|| {
        Finding::fail(part, format!("the kernel uses {} as its console", device.display())).with_advice(CONSOLE_REMEDY)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use std::os::unix::fs::symlink;

    /// A directory like /proc, and a port that programs may have open.
    struct Machine {
        proc: tempfile::TempDir,
        port: PathBuf,
        next: u32,
    }

    impl Machine {
        fn new(kernel_arguments: &str) -> Self {
            let proc = tempfile::tempdir().unwrap();
            let port = proc.path().join("ttyUSB0");
            fs::write(&port, b"").unwrap();
            fs::write(proc.path().join("cmdline"), kernel_arguments).unwrap();
            // Numbers that no real process of this machine has.
            Self { proc, port, next: 4_000_000_000 }
        }

        fn start(&mut self, name: &str, arguments: &str, opens_port: bool) {
            let directory = self.proc.path().join(self.next.to_string());
            self.next += 1;
            fs::create_dir_all(directory.join("fd")).unwrap();
            fs::write(directory.join("comm"), format!("{name}\n")).unwrap();
            fs::write(directory.join("cmdline"), arguments.replace(' ', "\0")).unwrap();
            let target = if opens_port { fs::canonicalize(&self.port).unwrap() } else { "/dev/null".into() };
            symlink(target, directory.join("fd/3")).unwrap();
        }

        fn findings(&self) -> Vec<Finding> {
            findings("chute: port", &self.port, self.proc.path())
        }
    }

    #[test]
    fn a_program_that_has_the_port_open_is_named_with_its_remedy() {
        for (name, remedy) in
            [("ModemManager", "mask --now ModemManager"), ("brltty", "brltty-udev"), ("minicom", "another `path`")]
        {
            let mut machine = Machine::new("console=tty1");
            machine.start("systemd", "/sbin/init", false);
            machine.start(name, name, true);
            let findings = machine.findings();
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(findings[0].level == Level::Fail && findings[0].found.contains(name), "{findings:?}");
            assert!(findings[0].advice.unwrap().contains(remedy), "{findings:?}");
        }
    }

    /// Catches a daemon that is told to stop itself, and a link of /proc that passes for a program.
    #[test]
    fn the_daemon_and_this_program_may_have_the_port_open() {
        let mut machine = Machine::new("");
        machine.start("herdlinxd", "herdlinxd run", true);
        machine.next = std::process::id();
        machine.start("doctor", "herdlinxd doctor", true);
        machine.start("minicom", "minicom", true);
        let minicom = machine.proc.path().join((std::process::id() + 1).to_string());
        fs::rename(minicom, machine.proc.path().join("self")).unwrap();
        assert_eq!(machine.findings(), []);
    }

    #[test]
    fn a_program_that_opens_every_new_port_is_a_warning_while_the_port_is_free() {
        for (name, warned) in [("ModemManager", true), ("brltty", true), ("sshd", false), ("agetty", false)] {
            let mut machine = Machine::new("");
            machine.start(name, "agetty tty1", false);
            let levels: Vec<_> = machine.findings().iter().map(|finding| finding.level).collect();
            assert_eq!(levels, if warned { vec![Level::Warn] } else { Vec::new() }, "{name}");
        }
    }

    #[test]
    fn a_login_or_the_kernel_on_the_port_is_named_with_the_way_to_switch_it_off() {
        for (kernel_arguments, getty) in [
            ("console=ttyUSB0,115200 console=tty1", None),
            ("console=ttyUSB0", None),
            ("", Some("/sbin/agetty -o -p ttyUSB0")),
        ] {
            let mut machine = Machine::new(kernel_arguments);
            if let Some(arguments) = getty {
                machine.start("agetty", arguments, false);
            }
            let findings = machine.findings();
            assert_eq!(findings.len(), 1, "{kernel_arguments}: {findings:?}");
            assert!(findings[0].level == Level::Fail && findings[0].advice == Some(CONSOLE_REMEDY), "{findings:?}");
        }
        assert_eq!(Machine::new("console=ttyAMA0,115200 console=tty1").findings(), []);
    }
}
