//! Entries with fields in the systemd journal, if the process's stderr is the journal's stream.

use super::full_message::FullMessage;
use rustix::fs::fstat;
use std::io;
use tracing_journald::{Layer, Priority, PriorityMappings};

/// Variable that systemd sets to `device:inode` of the stream behind stderr.
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";

/// Returns the layer that writes to the journal, or `None` if stderr is something else, like a terminal or a file.
///
/// A field of an event becomes a field of the entry, with its name in capitals. So `journalctl SEQUENCE=42` finds the
/// entries of a change, and `site`, `channel` and `rssi_dbm` can be searched the same way. No event may use the name of
/// one of the journal's own fields; a test searches the sources for that.
pub(super) fn layer(program: &str, site: Option<&str>) -> Option<io::Result<FullMessage<Layer>>> {
    stderr_is_the_journal().then(|| {
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

fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var(STREAM_VARIABLE) else { return false };
    fstat(io::stderr()).is_ok_and(|stat| names_file(&stream, stat.st_dev, stat.st_ino))
}

/// Returns true if the variable names this file. A child process inherits the variable even if its stderr is redirected.
fn names_file(stream: &str, device: u64, inode: u64) -> bool {
    stream == format!("{device}:{inode}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a process that logs to the journal although its stderr was redirected to a file or a terminal.
    #[test]
    fn only_the_stream_of_the_variable_is_the_journal() {
        assert!(names_file("9:4711", 9, 4711));
        for other in ["9:4712", "8:4711", "", "9", "9:", ":4711", "9:4711 ", "0x9:4711", "9:4711:1"] {
            assert!(!names_file(other, 9, 4711), "{other}");
        }
    }
}
