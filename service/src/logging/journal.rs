//! Entries with fields in the systemd journal, if the process's stderr is the journal's stream.

use super::full_message::FullMessage;
use rustix::fs::fstat;
use std::io;
use std::os::fd::AsFd;
use tracing_journald::{Layer, Priority, PriorityMappings};

/// Variable that systemd sets to `device:inode` of the stream behind stderr.
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";

/// Returns the layer that writes to the journal, or `None` if stderr is something else, like a terminal or a file.
///
/// A field of an event becomes a field of the entry, with its name in capitals. So `journalctl SEQUENCE=42` finds the
/// entries of a change, and `site`, `channel` and `rssi_dbm` can be searched the same way. No event may use the name of
/// one of the journal's own fields; a test searches the sources for that.
pub(super) fn layer(program: &str, site: Option<&str>) -> Option<io::Result<FullMessage<Layer>>> {
    names_file(std::env::var(STREAM_VARIABLE).ok().as_deref(), io::stderr()).then(|| {
        let layer = tracing_journald::layer()?
            .with_field_prefix(None)
            .with_syslog_identifier(program.to_owned())
            .with_priority_mappings(PRIORITIES)
            .with_custom_fields(site.map(|site| ("SITE", site)));
        Ok(FullMessage(layer))
    })
}

/// Priorities that keep `info` at info. The crate's own mapping makes it `notice`, so `journalctl -p notice` would not
/// leave it out.
const PRIORITIES: PriorityMappings = PriorityMappings {
    error: Priority::Error,
    warn: Priority::Warning,
    info: Priority::Informational,
    debug: Priority::Debug,
    trace: Priority::Debug,
};

/// Returns true if the variable names this file. A child process inherits the variable even if its stderr is redirected.
fn names_file(variable: Option<&str>, file: impl AsFd) -> bool {
    variable.is_some_and(|text| fstat(file).is_ok_and(|stat| text == format!("{}:{}", stat.st_dev, stat.st_ino)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    /// Catches a process that logs to the journal although its stderr was redirected to a file or a terminal.
    #[test]
    fn only_the_stream_of_the_variable_is_the_journal() {
        let file = tempfile::tempfile().unwrap();
        let (device, inode) = file.metadata().map(|found| (found.dev(), found.ino())).unwrap();
        assert!(names_file(Some(&format!("{device}:{inode}")), &file));
        for other in [
            format!("{device}:{}", inode + 1),
            format!("{}:{inode}", device + 1),
            String::new(),
            device.to_string(),
            format!("{device}:"),
            format!(":{inode}"),
            format!("{device}:{inode} "),
            format!("0x{device}:{inode}"),
            format!("{device}:{inode}:1"),
        ] {
            assert!(!names_file(Some(&other), &file), "{other}");
        }
        assert!(!names_file(None, &file));
    }
}
