//! Which executables play the parts of barn and office.

use rustix::process::{Signal, getpid, kill_process};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

/// The first argument with which `herdlinx-demo` is the daemon.
const BARN: &str = "barn";
/// The first argument with which `herdlinx-demo` is the mirror.
const OFFICE: &str = "office";
/// Its standard input is a pipe from whoever started it: where that end closes, nobody is left to stop the process.
/// Not one of `HERDLINX_*`, as those are settings.
const ENDS_WITH_STDIN: &str = "DEMO_PART_ENDS_WITH_STDIN";

/// Which executables play the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programs {
    /// This `herdlinx-demo`, which is either of them by its first argument. Such a child also ends, in order, when the
    /// process that started it does.
    Own(PathBuf),
    /// The shipped binaries.
    Shipped {
        /// `herdlinxd`.
        daemon: PathBuf,
        /// `herdlinx-mirror`.
        mirror: PathBuf,
    },
}

impl Programs {
    pub(super) fn daemon(&self) -> Command {
        match self {
            Self::Own(own) => part(own, BARN),
            Self::Shipped { daemon, .. } => plain(daemon),
        }
    }

    pub(super) fn mirror(&self) -> Command {
        match self {
            Self::Own(own) => part(own, OFFICE),
            Self::Shipped { mirror, .. } => plain(mirror),
        }
    }

    /// Makes of a command the one for a process that stays.
    pub(super) fn staying(&self, command: &mut Command) {
        match self {
            Self::Own(_) => command.env(ENDS_WITH_STDIN, "1").stdin(Stdio::piped()),
            Self::Shipped { .. } => command.stdin(Stdio::null()),
        };
    }
}

fn part(own: &PathBuf, name: &str) -> Command {
    let mut command = plain(own);
    command.arg(name);
    command
}

/// Without the settings that stand in the environment of whoever runs this.
fn plain(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    let is_setting = |name: &OsStr| name.to_string_lossy().starts_with("HERDLINX_");
    std::env::vars_os().filter(|(name, _)| is_setting(name)).for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
}

/// Plays a part to its end, if the arguments (the first is the program's name) name one.
pub fn play(args: &[OsString]) -> Option<ExitCode> {
    let (program, main): (&str, fn(Vec<OsString>) -> ExitCode) = match args.get(1)?.to_str()? {
        BARN => ("herdlinxd", daemon::cli::main_with),
        OFFICE => ("herdlinx-mirror", mirror::cli::main_with),
        _ => return None,
    };
    if std::env::var_os(ENDS_WITH_STDIN).is_some() {
        std::thread::spawn(end_with_stdin);
    }
    Some(main(std::iter::once(program.into()).chain(args[2..].iter().cloned()).collect()))
}

/// Asks this process to stop when its standard input ends.
fn end_with_stdin() {
    let mut stdin = std::io::stdin().lock();
    let mut ignored = [0; 64];
    // An error is an end as well.
    while stdin.read(&mut ignored).is_ok_and(|length| length > 0) {}
    if let Err(error) = kill_process(getpid(), Signal::TERM) {
        eprintln!("nobody is left to stop this process, and it cannot stop itself: {error}");
    }
}
