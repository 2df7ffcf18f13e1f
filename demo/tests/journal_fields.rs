//! Names of the log fields, read from the sources.
//!
//! The journal stores each field under its own name in capitals. Catches: a field that has the name of one of the
//! journal's own fields, and a documented field that was renamed or has a second name.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

use std::fs;
use std::path::{Path, PathBuf};

/// Names that the journal, systemd or the layer that writes to the journal already use (systemd.journal-fields(7)).
const TAKEN: [&str; 20] = [
    "code_file",
    "code_func",
    "code_line",
    "documentation",
    "errno",
    "invocation_id",
    "message_id",
    "object_pid",
    "priority",
    "span_name",
    "span_target",
    "syslog_facility",
    "syslog_identifier",
    "syslog_pid",
    "syslog_raw",
    "syslog_timestamp",
    "target",
    "tid",
    "unit",
    "user_unit",
];
/// Fields that `systemd/README.md` documents.
const PROMISED: [&str; 4] = ["sequence", "site", "channel", "rssi_dbm"];
const MACROS: [&str; 6] = ["trace!(", "debug!(", "info!(", "warn!(", "error!(", "span!("];

#[test]
fn no_log_field_shares_a_name_with_a_field_of_the_journal() {
    let taken: Vec<_> = logged().into_iter().filter(|(_, name)| TAKEN.contains(&name.as_str())).collect();
    assert!(taken.is_empty(), "an entry would have two such fields, and a search would match the wrong one: {taken:?}");
}

/// Catches a renamed field, for which the documented search finds nothing.
#[test]
fn the_documented_fields_are_logged_and_have_no_second_name() {
    let logged = logged();
    assert!(logged.len() > 50, "only a few fields found: has the form of log events changed? {logged:?}");
    for promised in PROMISED {
        assert!(logged.iter().any(|(_, name)| name == promised), "no event has the field {promised}");
    }
    let strays: Vec<_> = logged.iter().filter(|(_, name)| ["radio", "rssi", "seq"].contains(&name.as_str())).collect();
    assert!(strays.is_empty(), "second names for documented fields: {strays:?}");
}

#[test]
fn field_names_are_found_in_every_form_of_an_event() {
    let event = r#"tracing::warn!(a = x.len(), %b, ?c, d, e = %f(1, 2), "text, g = {h}", i)"#;
    assert_eq!(names_in(&event[event.find('(').unwrap() + 1..]), ["a", "b", "c", "d", "e"]);
}

/// Returns each logged field with the file that logs it.
fn logged() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for crate_name in ["radio", "herd", "service", "daemon", "mirror"] {
        collect(&root.join(crate_name).join("src"), &mut files);
    }
    let mut found = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for call in text.match_indices("tracing::").map(|(at, word)| &text[at + word.len()..]) {
            let begins = |name: &&&str| call.trim_start_matches("info_").starts_with(**name);
            if let Some(name) = MACROS.iter().find(begins) {
                let arguments = &call[call.find(name).unwrap() + name.len()..];
                found.extend(names_in(arguments).into_iter().map(|name| (path.clone(), name)));
            }
        }
    }
    found
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => collect(&path, files),
            Some(end) if end == "rs" => files.push(path),
            _ => {}
        }
    }
}

/// Returns the field names before the message of an event; `arguments` starts after the opening parenthesis.
fn names_in(arguments: &str) -> Vec<String> {
    let mut depth = 0;
    let (mut argument, mut names) = (String::new(), Vec::new());
    for c in arguments.chars() {
        match c {
            '"' | ')' | ']' | '}' if depth == 0 => break,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => names.extend(name_of(&std::mem::take(&mut argument))),
            _ => argument.push(c),
        }
    }
    names
}

fn name_of(argument: &str) -> Option<String> {
    let name = argument.split('=').next()?.trim().trim_start_matches(['%', '?']);
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
    plain.then(|| name.replace('.', "_"))
}
