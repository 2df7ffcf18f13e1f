//! The fields of what is logged, read from the sources: in the journal each stands under its own name in capitals.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs;
use std::path::{Path, PathBuf};

/// What the journal, systemd and the layer that writes to it give a meaning of their own (systemd.journal-fields(7)).
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
/// What operators are promised, in systemd/README.md.
const PROMISED: [&str; 4] = ["sequence", "site", "channel", "rssi_dbm"];
const MACROS: [&str; 6] = ["trace!(", "debug!(", "info!(", "warn!(", "error!(", "span!("];

#[test]
fn no_event_names_a_field_as_the_journal_names_one_of_its_own() {
    let taken: Vec<_> = logged().into_iter().filter(|(_, name)| TAKEN.contains(&name.as_str())).collect();
    assert!(taken.is_empty(), "an entry would hold two, and be found by the wrong one: {taken:?}");
}

/// Catches a field that is renamed, so that what the page promises finds nothing.
#[test]
fn the_promised_fields_are_there_and_no_other_name_is_used_for_them() {
    let logged = logged();
    assert!(logged.len() > 50, "the sources show few fields: has the form of events changed? {logged:?}");
    for promised in PROMISED {
        assert!(logged.iter().any(|(_, name)| name == promised), "nothing is logged with {promised}");
    }
    let strays: Vec<_> = logged.iter().filter(|(_, name)| ["radio", "rssi", "seq"].contains(&name.as_str())).collect();
    assert!(strays.is_empty(), "one thing, one name: {strays:?}");
}

#[test]
fn the_names_are_found_in_every_form_in_which_an_event_has_them() {
    let event = r#"tracing::warn!(a = x.len(), %b, ?c, d, e = %f(1, 2), "text, g = {h}", i)"#;
    assert_eq!(names_in(&event[event.find('(').unwrap() + 1..]), ["a", "b", "c", "d", "e"]);
}

/// Each field, with the file that logs it.
fn logged() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for crate_name in ["radio", "herd", "daemon", "mirror"] {
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

/// The names before the text of an event; `arguments` begins behind its parenthesis.
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
