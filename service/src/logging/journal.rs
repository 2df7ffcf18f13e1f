//! The journal: entries with fields, where the process's stderr is the journal's own stream.

use super::spoken::Spoken;
use rustix::fs::fstat;
use std::io;
use tracing_journald::{Layer, Priority, PriorityMappings};

/// What systemd sets to `device:inode` of the stream that it gave to stderr.
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";

/// The layer that writes to the journal. None where stderr is something else: somebody looks at it there.
///
/// A field of an event is a field of the entry by its own name in capitals: `sequence`, `site`, `channel` and
/// `rssi_dbm` are there to be asked for (`journalctl SEQUENCE=42`). No event may name a field as one of the journal's
/// own; a test reads the sources for that.
pub(super) fn layer(program: &str, site: Option<&str>) -> Option<io::Result<Spoken<Layer>>> {
    stderr_is_the_journal().then(|| {
        let layer = tracing_journald::layer()?
            .with_field_prefix(None)
            .with_syslog_identifier(program.to_owned())
            .with_priority_mappings(PRIORITIES)
            .with_custom_fields(site.map(|site| ("SITE", site)));
        Ok(Spoken(layer))
    })
}

/// What happens is `info` in the journal as well: the crate's own mapping calls it `notice`, which is what
/// `journalctl -p notice` is to find alone.
const PRIORITIES: PriorityMappings = PriorityMappings {
    error: Priority::Error,
    warn: Priority::Warning,
    info: Priority::Informational,
    debug: Priority::Debug,
    trace: Priority::Debug,
};

fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var(STREAM_VARIABLE) else { return false };
    fstat(io::stderr()).is_ok_and(|stat| names(&stream, stat.st_dev, stat.st_ino))
}

/// Whether the variable names this file. A child whose stderr was put elsewhere inherits the variable all the same.
fn names(stream: &str, device: u64, inode: u64) -> bool {
    stream == format!("{device}:{inode}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stream_of_the_variable_is_the_journal() {
        assert!(names("9:4711", 9, 4711));
        for other in ["9:4712", "8:4711", "", "9", "9:", ":4711", "9:4711 ", "0x9:4711", "9:4711:1"] {
            assert!(!names(other, 9, 4711), "{other}");
        }
    }
}
