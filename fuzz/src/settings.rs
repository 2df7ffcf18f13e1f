//! Settings files: how a target loads one, and what every error must name.
//!
//! An input is the content of the file. Behind a zero byte, environment variables may follow, a line each.

use service::settings::{Origin, SettingsError};
use std::path::Path;
use std::sync::OnceLock;

/// The environment variables of an input.
pub type Variables = Vec<(String, String)>;

/// Splits an input into the file and the variables.
pub fn split(input: &[u8]) -> (&[u8], Variables) {
    let (file, lines) = match input.iter().position(|byte| *byte == 0) {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[][..]),
    };
    let lines = String::from_utf8_lossy(lines);
    let variables = lines.lines().filter_map(|line| line.split_once('='));
    (file, variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Calls `load` with the path of a file that has this content.
pub fn load<T>(content: &[u8], load: impl FnOnce(&Path) -> T) -> T {
    static FILE: OnceLock<tempfile::TempPath> = OnceLock::new();
    let path = FILE.get_or_init(|| {
        let made = tempfile::NamedTempFile::new();
        made.unwrap_or_else(|error| panic!("cannot make a temporary file: {error}")).into_temp_path()
    });
    std::fs::write(path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    load(path)
}

/// Checks that an error names the place of the mistake: a line of the file, a variable, or a key with its value.
pub fn check_error(error: &SettingsError, file: &[u8], variables: &Variables) {
    let is_line = |line: usize| (1..=file.split(|byte| *byte == b'\n').count()).contains(&line);
    let is_named = match error {
        SettingsError::File { .. } => std::str::from_utf8(file).is_err(),
        SettingsError::Syntax { line, .. } => is_line(*line),
        SettingsError::Variable { name } => is_variable(name, variables),
        SettingsError::Conflict { origin, .. } => is_place(origin, is_line, variables),
        SettingsError::Refused { key, origin, .. } => !key.is_empty() && is_place(origin, is_line, variables),
        SettingsError::Value { key, allowed, .. } => !key.is_empty() && !allowed.is_empty(),
    };
    assert!(is_named, "the error does not name the mistake: {error}");
    let shown = error.to_string();
    assert!(shown.len() > "line 1".len(), "{shown}");
}

fn is_place(origin: &Origin, is_line: impl Fn(usize) -> bool, variables: &Variables) -> bool {
    match origin {
        Origin::File { line, .. } => is_line(*line),
        Origin::Variable(name) => is_variable(name, variables),
        Origin::Flag | Origin::Unset => false,
    }
}

fn is_variable(name: &str, variables: &Variables) -> bool {
    variables.iter().any(|(known, _)| known == name)
}
