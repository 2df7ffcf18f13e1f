//! The shipped process under a supervisor: which messages it sends to `NOTIFY_SOCKET`, and when.

use crate::barn::Barn;
use crate::process::Process;
use service::harness::{NotifySocket, Signal};
use std::net::TcpStream;

fn launch_supervised<'a>(barn: &'a Barn, variables: &[(&str, &str)]) -> (NotifySocket, Process<'a>) {
    let path = barn.path("notify");
    let socket = NotifySocket::bind(&path).unwrap();
    let process = barn.launch(&[&[("NOTIFY_SOCKET", path.to_str().unwrap())], variables].concat());
    (socket, process)
}

/// Catches a process that reports ready while its port refuses connections, sends no status or watchdog messages, or
/// stops without a message.
#[test]
fn the_supervisor_learns_of_readiness_status_watchdog_and_shutdown() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let (socket, mut process) = launch_supervised(&barn, &[("WATCHDOG_USEC", "900000")]);
    let messages = socket.receive_until("READY=1\n").unwrap();
    assert!(messages.last().unwrap().contains("STATUS=change 1; no payload since the start"), "{messages:?}");
    assert!(messages.iter().all(|message| !message.contains("WATCHDOG=1")), "{messages:?}");
    process.read_address();
    TcpStream::connect(process.address).expect("the port accepts connections before READY=1");
    assert_eq!(process.get("/api/remote/health").0, 200);

    for _ in 0..5 {
        socket.receive_until("WATCHDOG=1\n").unwrap();
    }
    assert_eq!(process.post(&key, r#"{"payload":"hxb:TEST001:LF999:UHF888"}"#).0, 201);
    socket.receive_until("STATUS=change 2; last payload 2").unwrap();

    process.signal(Signal::TERM);
    socket.receive_until("STOPPING=1\n").unwrap();
    assert_eq!(process.wait(), Some(0));
}

/// Catches a start on a large store that sends nothing for so long that the supervisor takes it for a hang.
#[test]
fn a_start_that_folds_the_tables_asks_for_more_time_and_reports_progress() {
    let barn = Barn::new();
    assert_eq!(barn.start().stop(Signal::TERM), Some(0));
    std::fs::remove_file(barn.state_dir().join("tables.redb")).unwrap();
    let (socket, process) = launch_supervised(&barn, &[("WATCHDOG_USEC", "900000")]);
    let messages = socket.receive_until("READY=1\n").unwrap();
    let progress = "EXTEND_TIMEOUT_USEC=300000000\nSTATUS=folding the tables: 0 of 1 changes\n";
    assert!(messages.iter().any(|message| message == progress), "{messages:?}");
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a process that feeds the watchdog of another process of the unit.
#[test]
fn the_watchdog_of_another_process_is_not_fed_and_without_a_supervisor_no_message_is_sent() {
    let barn = Barn::new();
    let (socket, process) = launch_supervised(&barn, &[("WATCHDOG_USEC", "300000"), ("WATCHDOG_PID", "1")]);
    socket.receive_until("READY=1\n").unwrap();
    assert_eq!(process.stop(Signal::TERM), Some(0));
    let messages = socket.receive_until("STOPPING=1\n").unwrap();
    assert!(messages.iter().all(|message| !message.contains("WATCHDOG")), "{messages:?}");

    let process = barn.start_with_env(&[("WATCHDOG_USEC", "300000")]);
    assert_eq!(process.stop(Signal::TERM), Some(0));
    assert_eq!(socket.try_receive().unwrap(), None);
}
