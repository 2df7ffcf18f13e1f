//! Listening with the daemon that runs: its tap, asked again and again over the control socket.

use super::{Ended, ListenError, Printer, not_that_radio};
use crate::tap::Heard;
use serde::Deserialize as _;
use serde_json::{Value, json};
use service::control::{Answer, AskError, ask};
use std::collections::BTreeMap;
use std::path::Path;

/// A name and what is said of it, as the daemon tells it of each radio.
type States = BTreeMap<String, String>;

/// Prints what the running daemon hears, from now on, until the printer has enough.
pub(super) async fn listen(socket: &Path, only: Option<&str>, to: &mut Printer<'_>) -> Result<(), ListenError> {
    let first = asked_after(socket, None).await?;
    let mut states = states_of(&first)?;
    if let Some(name) = only.filter(|name| !states.contains_key(*name)) {
        return Err(not_that_radio(name, &states.into_keys().collect::<Vec<_>>()));
    }
    let (mut pid, mut last) = (number(&first, "pid")?, number(&first, "last")?);
    for (name, state) in &states {
        eprintln!("{name}, through the daemon that runs: {state}");
    }
    loop {
        let answer = asked_after(socket, Some(last)).await.map_err(while_listening)?;
        let now = states_of(&answer)?;
        say_changes(&states, &now);
        states = now;
        let answers = number(&answer, "pid")?;
        if answers != pid {
            // Its numbers begin anew, and what it heard so far was not shown.
            (pid, last) = (answers, 0);
            eprintln!("The daemon was started again.");
            continue;
        }
        last = number(&answer, "last")?;
        if show(&answer, only, to)? == Ended::Yes {
            return Ok(());
        }
    }
}

/// Whether a daemon runs on this state directory.
pub(super) async fn is_there(socket: &Path) -> Result<bool, ListenError> {
    match asked(socket, json!({"command": "status"})).await {
        Ok(_) => Ok(true),
        Err(ListenError::Ask(AskError::NobodyHome { .. })) => Ok(false),
        Err(error) => Err(error),
    }
}

fn show(answer: &Answer, only: Option<&str>, to: &mut Printer<'_>) -> Result<Ended, ListenError> {
    if to.missed(number(answer, "missed")?)? == Ended::Yes {
        return Ok(Ended::Yes);
    }
    let packets = answer.get("packets").and_then(Value::as_array).ok_or(ListenError::Incomplete("packets"))?;
    for packet in packets {
        let heard = Heard::deserialize(packet).map_err(|_| ListenError::Incomplete("packets"))?;
        if only.is_none_or(|name| name == heard.channel) && to.packet(&heard)? == Ended::Yes {
            return Ok(Ended::Yes);
        }
    }
    Ok(Ended::No)
}

fn states_of(answer: &Answer) -> Result<States, ListenError> {
    let radios = answer.get("radios").and_then(Value::as_array).ok_or(ListenError::Incomplete("radios"))?;
    let text = |radio: &Value, key: &str| radio.get(key).and_then(Value::as_str).map(str::to_owned);
    let state = |radio: &Value| {
        let state = text(radio, "state")?;
        let said = text(radio, "why").map_or_else(|| state.clone(), |why| format!("{state}: {why}"));
        Some((text(radio, "name")?, said))
    };
    radios.iter().map(state).collect::<Option<_>>().ok_or(ListenError::Incomplete("radios"))
}

fn say_changes(before: &States, now: &States) {
    for (name, state) in now.iter().filter(|(name, state)| before.get(*name) != Some(*state)) {
        eprintln!("{name}: {state}");
    }
}

fn number(answer: &Answer, key: &'static str) -> Result<u64, ListenError> {
    answer.get(key).and_then(Value::as_u64).ok_or(ListenError::Incomplete(key))
}

async fn asked_after(socket: &Path, after: Option<u64>) -> Result<Answer, ListenError> {
    asked(socket, json!({"command": "listen", "after": after})).await
}

/// A daemon that stops leaves the one who asks without an answer.
fn while_listening(error: ListenError) -> ListenError {
    match error {
        ListenError::Ask(AskError::NobodyHome { .. } | AskError::NoAnswer { .. }) => ListenError::DaemonEnded,
        other => other,
    }
}

/// Asking blocks, for as long as nothing is heard.
async fn asked(socket: &Path, request: Value) -> Result<Answer, ListenError> {
    let socket = socket.to_path_buf();
    Ok(tokio::task::spawn_blocking(move || ask(&socket, &request)).await??)
}
