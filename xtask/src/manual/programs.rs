//! Facts of the manual that the command lines do not know: environment, files, exit codes.

use clap::Command;
use service::lifecycle::Exit;

/// A program with the facts of its pages.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    /// Constructor of the command line.
    pub(super) command: fn() -> Command,
    /// Environment variables and their effects.
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// Files and their contents.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Name of the other program, for "see also".
    pub(super) other: &'static str,
}

const RUST_LOG: (&str, &str) = (
    "RUST_LOG",
    "Log filter: a level, or a level for each part of the program. Takes precedence over the setting `log`.",
);
const NO_COLOR: (&str, &str) = ("NO_COLOR", "If set to any value, the log on a terminal has no colors.");

/// Both programs.
pub(super) const PROGRAMS: [Program; 2] = [
    Program {
        name: "herdlinxd",
        command: daemon::cli::command_line,
        environment: &[
            (
                "HERDLINX_KEY",
                "Sets `key`; takes precedence over the settings file. Example: HERDLINX_LISTEN=127.0.0.1:5001.",
            ),
            ("HERDLINX_SECTION__KEY", "Sets `key` in the table `section`. Example: HERDLINX_TLS__KEY=/etc/key.pem."),
            ("HERDLINX_RADIO__KEY", "Sets `key` of the first [[radio]], which is added if the settings have none."),
            RUST_LOG,
            NO_COLOR,
        ],
        files: &[
            (
                "/etc/herdlinx/herdlinxd.toml",
                "Settings, unless --config names another file. `herdlinxd config` prints every key with its default \
                 and range.",
            ),
            (
                "/var/lib/herdlinx",
                "State directory (setting state_dir). log.redb and log.journal hold every acknowledged payload and its \
                 meaning; only they cannot be rebuilt. tables.redb is derived from them. local.redb holds the keys, and \
                 tls/ the certificate. A command that root runs works on these files as the owner of the directory.",
            ),
            (
                "/var/lib/herdlinx/control.sock",
                "Socket on which commands reach the running process. Open to its user and to root.",
            ),
        ],
        other: "herdlinx-mirror",
    },
    Program {
        name: "herdlinx-mirror",
        command: mirror::cli::command_line,
        environment: &[
            (
                "HERDLINX_MIRROR_KEY",
                "Sets `key`; takes precedence over the settings file. Example: HERDLINX_MIRROR_LISTEN=127.0.0.1:5000.",
            ),
            (
                "HERDLINX_MIRROR_SECTION__KEY",
                "Sets `key` in the table `section`. Example: HERDLINX_MIRROR_TLS__KEY=/etc/key.pem.",
            ),
            RUST_LOG,
            NO_COLOR,
        ],
        files: &[
            (
                "/etc/herdlinx-mirror.toml",
                "Settings, unless --config names another file. `herdlinx-mirror config` prints every key with its \
                 default and range.",
            ),
            (
                "/var/lib/herdlinx-mirror",
                "State directory (setting state_dir). sites/ holds the copies of the barns, removed/ the copies of \
                 removed barns, local.redb the pairings and keys, and tls/ the certificate. A command that root runs \
                 works on these files as the owner of the directory.",
            ),
            (
                "/var/lib/herdlinx-mirror/control.sock",
                "Socket on which commands reach the running process. Open to its user and to root.",
            ),
        ],
        other: "herdlinxd",
    },
];

/// Exit codes of both programs. `docs/interface.md` has the same list.
pub(super) const EXITS: [(Exit, &str); 9] = [
    (Exit::Success, "Done; or told to stop, and stopped."),
    (Exit::Failure, "Failed in a way that has no code of its own; the last line of the log says how."),
    (Exit::Usage, "The command line or a setting was refused; nothing was done."),
    (Exit::Damaged, "A file is damaged, or lacks what it had; starting again cannot help."),
    (Exit::CannotListen, "The address to listen on, or the control socket, is not available."),
    (Exit::NoPeer, "No answer: the process does not run, or a peer does not answer."),
    (Exit::Locked, "The files are in use by another process."),
    (Exit::Refused, "The request was understood and refused."),
    (Exit::OutputClosed, "The reader of the output closed it."),
];
