//! What the manual says of each program that its command line does not.

use clap::Command;
use service::lifecycle::Exit;

/// A program, and the facts of its pages.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) described: fn() -> Command,
    /// Variables of the environment, and what they do.
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// Files, and what they hold.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// The page of the other program.
    pub(super) other: &'static str,
}

const RUST_LOG: (&str, &str) =
    ("RUST_LOG", "What is logged, above the setting `log`: a level, or a level for each part of the program.");
const NO_COLOR: (&str, &str) = ("NO_COLOR", "Set to anything, the log on a terminal has no colors.");

pub(super) const PROGRAMS: [Program; 2] = [
    Program {
        name: "herdlinxd",
        described: daemon::cli::described,
        environment: &[
            ("HERDLINX_KEY", "The setting `key`, above the file: HERDLINX_LISTEN=127.0.0.1:5001."),
            ("HERDLINX_SECTION__KEY", "The setting `key` of the table `section`: HERDLINX_TLS__KEY=/etc/key.pem."),
            ("HERDLINX_RADIO__KEY", "The setting `key` of the first [[radio]], which is made if there is none."),
            RUST_LOG,
            NO_COLOR,
        ],
        files: &[
            (
                "/etc/herdlinx/herdlinxd.toml",
                "The settings that are read where --config names no others. `herdlinxd config` prints every key with \
                 its default and range.",
            ),
            (
                "/var/lib/herdlinx",
                "The setting state_dir. log.redb is the only thing that cannot be made again: every payload that was \
                 ever acknowledged, and what it meant. tables.redb follows from it. local.redb holds the keys, tls/ \
                 the certificate. A command that root runs works on these files as the user whom the directory \
                 belongs to.",
            ),
            ("/var/lib/herdlinx/control.sock", "Where commands reach the running process; for its user and root."),
        ],
        other: "herdlinx-mirror",
    },
    Program {
        name: "herdlinx-mirror",
        described: mirror::cli::described,
        environment: &[
            ("HERDLINX_MIRROR_KEY", "The setting `key`, above the file: HERDLINX_MIRROR_LISTEN=127.0.0.1:5000."),
            (
                "HERDLINX_MIRROR_SECTION__KEY",
                "The setting `key` of the table `section`: HERDLINX_MIRROR_TLS__KEY=/etc/key.pem.",
            ),
            RUST_LOG,
            NO_COLOR,
        ],
        files: &[
            (
                "/etc/herdlinx-mirror.toml",
                "The settings that are read where --config names no others. `herdlinx-mirror config` prints every key \
                 with its default and range.",
            ),
            (
                "/var/lib/herdlinx-mirror",
                "The setting state_dir. sites/ holds the copies of the barns, removed/ those of barns that were taken \
                 away, local.redb the pairings and keys, tls/ the certificate. A command that root runs works on \
                 these files as the user whom the directory belongs to.",
            ),
            (
                "/var/lib/herdlinx-mirror/control.sock",
                "Where commands reach the running process; for its user and root.",
            ),
        ],
        other: "herdlinxd",
    },
];

/// How a command may end, and what that means.
pub(super) const EXITS: [(Exit, &str); 8] = [
    (Exit::Success, "It did what it was asked for, or was told to stop and stopped."),
    (Exit::Failure, "Something failed that has no number of its own; the last line of the log says what."),
    (Exit::Usage, "The command line or a setting was refused; nothing was done."),
    (Exit::Damaged, "A file is damaged; starting again cannot help."),
    (Exit::CannotListen, "The address to listen on, or the control socket, cannot be had."),
    (Exit::NobodyHome, "There is nobody to talk to: the process does not run, or a peer does not answer."),
    (Exit::Locked, "The files are in use by another process."),
    (Exit::Refused, "What was asked for was understood and refused."),
];
