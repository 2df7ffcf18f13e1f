//! The executables of barn and office.

use rustix::process::{Signal, getpid, kill_process};
use service::harness::command;
use service::lifecycle::print_notice;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// First argument that makes this executable run as `herdlinxd`.
const BARN: &str = "barn";
/// First argument that makes this executable run as `herdlinx-mirror`.
const OFFICE: &str = "office";
/// Environment variable that makes a child exit when its stdin closes: stdin is a pipe from the process that started
/// it, and once that process is gone nobody else would stop the child. Not one of `HERDLINX_*`, because those are
/// settings.
const ENDS_WITH_STDIN: &str = "DEMO_PART_ENDS_WITH_STDIN";

/// The executables that run as barn and office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programs {
    /// An executable of this crate, which runs as either program by its first argument. Such a child also shuts down in
    /// order when the process that started it ends.
    Own(PathBuf),
    /// The shipped binaries.
    Shipped {
        /// Path of `herdlinxd`.
        daemon: PathBuf,
        /// Path of `herdlinx-mirror`.
        mirror: PathBuf,
    },
}

impl Programs {
    /// Returns the shipped binaries in `directory`, or this executable if there is none.
    pub fn shipped_or_own(directory: Option<&Path>) -> io::Result<Self> {
        Ok(match directory {
            Some(directory) => {
                Self::Shipped { daemon: directory.join("herdlinxd"), mirror: directory.join("herdlinx-mirror") }
            }
            None => Self::Own(std::env::current_exe()?),
        })
    }

    pub(super) fn daemon(&self) -> Command {
        match self {
            Self::Own(own) => own_command(own, BARN),
            Self::Shipped { daemon, .. } => command(daemon),
        }
    }

    pub(super) fn mirror(&self) -> Command {
        match self {
            Self::Own(own) => own_command(own, OFFICE),
            Self::Shipped { mirror, .. } => command(mirror),
        }
    }

    /// Makes a long-running child end with this process, if the program supports that.
    pub(super) fn tie_to_this_process(&self, command: &mut Command) {
        match self {
            Self::Own(_) => command.env(ENDS_WITH_STDIN, "1").stdin(Stdio::piped()),
            Self::Shipped { .. } => command.stdin(Stdio::null()),
        };
    }
}

fn own_command(own: &Path, program: &str) -> Command {
    let mut command = command(own);
    command.arg(program);
    command
}

/// Runs one of the two programs to its end if the first argument after the name of this executable asks for it. Returns
/// `None` otherwise.
pub fn run_if_requested(args: &[OsString]) -> Option<ExitCode> {
    let (program, main): (&str, fn(Vec<OsString>) -> ExitCode) = match args.get(1)?.to_str()? {
        BARN => ("herdlinxd", daemon::cli::main_with),
        OFFICE => ("herdlinx-mirror", mirror::cli::main_with),
        _ => return None,
    };
    if std::env::var_os(ENDS_WITH_STDIN).is_some() {
        std::thread::spawn(terminate_when_stdin_closes);
    }
    Some(main(std::iter::once(program.into()).chain(args[2..].iter().cloned()).collect()))
}

/// Sends SIGTERM to this process once its stdin closes.
fn terminate_when_stdin_closes() {
    let mut stdin = std::io::stdin().lock();
    let mut ignored = [0; 64];
    // A read error counts as the end, too.
    while stdin.read(&mut ignored).is_ok_and(|length| length > 0) {}
    if let Err(error) = kill_process(getpid(), Signal::TERM) {
        print_notice(format_args!(
            "the process that started this one is gone, and SIGTERM to this one failed: {error}"
        ));
    }
}
