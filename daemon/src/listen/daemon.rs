//! Listening through the running daemon: polls its recent packets over the control socket.
//!
//! Decision: the command polls with a number, and the daemon keeps the latest 256 packets. A stream to each listener
//! would need a queue for each, and a second protocol beside the one with one request and one response. The response
//! says how many packets were missed, and the recorder never waits for a listener.

use super::{ListenError, PrintStatus, Printer, unknown_radio};
use crate::control::{BarnRequest, BarnResponse, PacketsResponse};
use service::control::{AskError, CommandError, ask};
use service::lifecycle::print_notice;
use service::remote::RadioView;
use service::sheet::visible;
use std::collections::BTreeMap;
use std::path::Path;

/// The state of each radio, by name.
type States = BTreeMap<String, String>;

/// Prints what the running daemon receives from now on, until the printer has enough.
pub(super) async fn listen(socket: &Path, only: Option<&str>, printer: &mut Printer<'_>) -> Result<(), ListenError> {
    let first = packets(socket, None).await?;
    let mut states = states_of(&first.radios);
    if let Some(name) = only.filter(|name| !states.contains_key(*name)) {
        return Err(unknown_radio(name, &states.into_keys().collect::<Vec<_>>()));
    }
    let (mut pid, mut last) = (first.pid, first.page.last);
    for (name, state) in &states {
        print_notice(format_args!("{name}, through the running daemon: {state}"));
    }
    loop {
        let response = packets(socket, Some(last)).await.map_err(daemon_ended)?;
        let now = states_of(&response.radios);
        print_changes(&states, &now);
        states = now;
        if response.pid != pid {
            // Another process counts from 1 again, and none of its packets has been shown.
            (pid, last) = (response.pid, 0);
            print_notice("The daemon was restarted.");
            continue;
        }
        last = response.page.last;
        if print_page(&response, only, printer)? == PrintStatus::Done {
            return Ok(());
        }
    }
}

/// Returns true if a daemon runs on this state directory.
pub(super) async fn is_running(socket: &Path) -> Result<bool, ListenError> {
    match send(socket, BarnRequest::Status).await {
        Ok(_) => Ok(true),
        Err(ListenError::Ask(AskError::NotRunning { .. })) => Ok(false),
        Err(error) => Err(error),
    }
}

fn print_page(
    response: &PacketsResponse,
    only: Option<&str>,
    printer: &mut Printer<'_>,
) -> Result<PrintStatus, ListenError> {
    if printer.print_missed(response.page.missed)? == PrintStatus::Done {
        return Ok(PrintStatus::Done);
    }
    for packet in &response.page.packets {
        if only.is_none_or(|name| name == packet.channel) && printer.print(packet)? == PrintStatus::Done {
            return Ok(PrintStatus::Done);
        }
    }
    Ok(PrintStatus::More)
}

fn states_of(radios: &[RadioView]) -> States {
    let state = |radio: &RadioView| match &radio.why {
        // A modem's own words may be among them.
        Some(why) => format!("{}: {}", radio.state, visible(why)),
        None => radio.state.clone(),
    };
    radios.iter().map(|radio| (radio.name.clone(), state(radio))).collect()
}

fn print_changes(before: &States, now: &States) {
    for (name, state) in now.iter().filter(|(name, state)| before.get(*name) != Some(*state)) {
        print_notice(format_args!("{name}: {state}"));
    }
}

async fn packets(socket: &Path, after: Option<u64>) -> Result<PacketsResponse, ListenError> {
    match send(socket, BarnRequest::Listen { after }).await? {
        BarnResponse::Packets(response) => Ok(response),
        _ => Err(CommandError::UnexpectedResponse.into()),
    }
}

/// Converts the error of a daemon that shuts down while the command listens.
fn daemon_ended(error: ListenError) -> ListenError {
    match error {
        ListenError::Ask(AskError::NotRunning { .. } | AskError::NoResponse { .. }) => ListenError::DaemonEnded,
        other => other,
    }
}

/// Sends a request on a blocking thread: the daemon may take its time while nothing is received.
async fn send(socket: &Path, request: BarnRequest) -> Result<BarnResponse, ListenError> {
    let socket = socket.to_path_buf();
    Ok(tokio::task::spawn_blocking(move || ask(&socket, &request)).await??)
}
