//! Answers as sentences.

use super::CliError;
use serde_json::Value;
use service::control::Answer;
use std::io::Write;

fn text<'a>(answer: &'a Answer, key: &'static str) -> Result<&'a str, CliError> {
    answer.get(key).and_then(Value::as_str).ok_or(CliError::Incomplete(key))
}

fn texts<'a>(answer: &'a Answer, key: &'static str) -> Vec<&'a str> {
    let list = answer.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

pub(super) fn tell_added(answer: &Answer, out: &mut dyn Write) -> Result<(), CliError> {
    let (site, changed) = (text(answer, "site")?, texts(answer, "changed"));
    for unusable in texts(answer, "unusable") {
        writeln!(out, "Left out: {unusable}.")?;
    }
    match (text(answer, "outcome")?, changed.as_slice()) {
        ("new", _) => {
            let (at, trust) = (texts(answer, "addresses").join(", "), text(answer, "trust")?);
            writeln!(out, "Paired with `{site}` at {at}, trusting {trust}.")?;
        }
        (_, []) => writeln!(out, "`{site}` was paired by this line before; nothing changed.")?,
        (_, changed) => {
            writeln!(out, "`{site}` was paired before; it goes on with the new {}.", changed.join(", "))?;
        }
    }
    Ok(())
}

pub(super) fn tell_removed(answer: &Answer, out: &mut dyn Write) -> Result<(), CliError> {
    let site = text(answer, "site")?;
    match answer.get("moved_to").and_then(Value::as_str) {
        Some(place) => writeln!(out, "`{site}` is removed. Its copy is kept in {place}; delete it when you like.")?,
        None => writeln!(out, "`{site}` is removed. There was no copy of it.")?,
    }
    writeln!(out, "Its key is still good at the barn: take it away there with `herdlinxd key revoke`.")?;
    Ok(())
}

/// What holds is printed, what does not is the error.
pub(super) fn tell_verified(answer: &Answer, out: &mut dyn Write) -> Result<(), CliError> {
    let (log, tables) = (text(answer, "log")?, answer.get("tables").and_then(Value::as_str));
    let holds = |key| answer.get(key) == Some(&Value::Bool(true));
    match tables {
        None if holds("damaged") => Err(CliError::Damaged(log.to_owned())),
        None => Err(CliError::NotVerified(log.to_owned())),
        Some(tables) if !holds("sound") => {
            writeln!(out, "{log}")?;
            Err(CliError::Damaged(tables.to_owned()))
        }
        Some(tables) => Ok(writeln!(out, "{log}\n{tables}")?),
    }
}
