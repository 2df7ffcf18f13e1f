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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::{ReceivedPacket, TapPage};
    use service::control::ControlError;
    use service::remote::RadioCounts;
    use std::io;

    fn packet(channel: &str) -> ReceivedPacket {
        let (rssi_dbm, snr_quarter_db, frequency_error_hz) = (None, None, None);
        let (channel, bytes) = (channel.to_owned(), vec![1]);
        ReceivedPacket { channel, at_us: 0, rssi_dbm, snr_quarter_db, frequency_error_hz, bytes }
    }

    /// Catches packets of a radio that nobody asked for, missed ones that are hidden, and a page that goes on after its end.
    #[test]
    fn a_page_is_printed_with_what_was_missed_as_far_as_it_is_asked_for() {
        let packets = ["gate", "alley", "gate"].map(packet).into();
        let response = PacketsResponse { pid: 7, page: TapPage { packets, missed: 2, last: 5 }, radios: Vec::new() };
        for (only, count, lines, status) in [
            (None, None, 4, PrintStatus::More),
            (None, Some(2), 3, PrintStatus::Done),
            (Some("gate"), None, 3, PrintStatus::More),
            (Some("alley"), Some(1), 2, PrintStatus::Done),
        ] {
            let mut out = Vec::new();
            assert_eq!(print_page(&response, only, &mut Printer::new(&mut out, true, count)).unwrap(), status);
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with("{\"missed\":2}\n") && text.lines().count() == lines, "{only:?}: {text}");
            let other = if only == Some("gate") { "alley" } else { "gate" };
            assert!(only.is_none() || !text.contains(other), "{only:?}: {text}");
        }
    }

    /// Catches words of a modem that command the terminal.
    #[test]
    fn the_state_of_a_radio_is_its_word_and_the_visible_reason() {
        let radio = |name: &str, why: Option<&str>| RadioView {
            name: name.to_owned(),
            state: "failing".to_owned(),
            why: why.map(str::to_owned),
            air_time_left_ms: None,
            queued_packets: 0,
            queue_packets: 0,
            counts: RadioCounts::default(),
        };
        let states = states_of(&[radio("gate", Some("ERR\u{1b}[2J")), radio("alley", None)]);
        assert_eq!((states["gate"].as_str(), states["alley"].as_str()), (r"failing: ERR\u{1b}[2J", "failing"));
    }

    /// Catches an answer of the daemon that passes for its end.
    #[test]
    fn only_a_daemon_that_is_silent_has_ended() {
        let (path, source) = (std::path::PathBuf::from("/s"), io::Error::other("gone"));
        for (error, has_ended) in [
            (AskError::NotRunning { path: path.clone() }, true),
            (AskError::NoResponse { path: path.clone(), source }, true),
            (AskError::Unreadable { path }, false),
            (AskError::Refused(ControlError::new("no_radio", "there is none".to_owned())), false),
        ] {
            let text = error.to_string();
            assert_eq!(matches!(daemon_ended(error.into()), ListenError::DaemonEnded), has_ended, "{text}");
        }
    }
}
