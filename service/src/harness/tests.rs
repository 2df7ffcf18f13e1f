use super::*;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn shell(script: &str, log: &Path) -> ChildProcess {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::null());
    ChildProcess::spawn("shell", command, log).unwrap()
}

fn is_running(id: u32) -> bool {
    Path::new("/proc").join(id.to_string()).exists()
}

/// Catches a log that the next start overwrites, and an exit code that is lost.
#[test]
fn stderr_is_appended_to_the_log_and_the_exit_code_is_returned() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    for code in [0, 7] {
        let mut child = shell(&format!("echo exit {code} >&2; exit {code}"), &log);
        assert_eq!(child.wait_blocking().unwrap().code(), Some(code));
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "exit 0\nexit 7\n");
}

/// Catches an orphan that goes on after its test has failed.
#[test]
fn dropping_a_child_kills_and_reaps_it() {
    let directory = tempfile::tempdir().unwrap();
    let child = shell("exec sleep 600", &directory.path().join("log"));
    let id = child.id();
    assert!(is_running(id));
    drop(child);
    assert!(!is_running(id));
}

/// Catches a signal to an id that may belong to another process by then.
#[tokio::test]
async fn terminating_returns_the_status_whether_or_not_the_child_has_exited() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let running = shell("exec sleep 600", &log);
    assert_eq!(running.terminate().await.unwrap().signal(), Some(Signal::TERM.as_raw()));
    let mut exited = shell("exit 3", &log);
    exited.wait().await.unwrap();
    assert_eq!(exited.terminate().await.unwrap().code(), Some(3));
}

#[test]
fn a_missing_program_and_a_log_that_does_not_open_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let spawn = |log: &Path| ChildProcess::spawn("barn", command("/nowhere/herdlinxd"), log).unwrap_err().to_string();
    assert!(spawn(&log).contains("/nowhere/herdlinxd"));
    assert!(spawn(&directory.path().join("missing/log")).contains("missing/log"));
}

/// Catches a wait that gives up without a check, and one that does not give up.
#[tokio::test]
async fn a_condition_is_checked_at_least_once_and_a_wait_ends_with_the_name_of_the_condition() {
    let value = wait_until_within(Duration::ZERO, "a value", async || Some(5)).await;
    assert_eq!(value.unwrap(), 5);
    let start = Instant::now();
    let timeout = wait_until_within(POLL_INTERVAL, "the cows to come home", async || None::<()>).await;
    assert!(timeout.unwrap_err().to_string().contains("the cows to come home"));
    assert!(start.elapsed() >= POLL_INTERVAL);
}

#[test]
fn messages_are_returned_up_to_the_one_that_contains_the_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = NotifySocket::bind(&path).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    for message in ["STATUS=opening", "READY=1\n", "STOPPING=1\n"] {
        sender.send_to(message.as_bytes(), &path).unwrap();
    }
    assert_eq!(socket.receive_until("READY=1").unwrap(), ["STATUS=opening", "READY=1\n"]);
    assert_eq!(socket.try_receive().unwrap().as_deref(), Some("STOPPING=1\n"));
    assert_eq!(socket.try_receive().unwrap(), None);
}

/// Catches a test that hangs for minutes because other messages never cease.
#[test]
fn an_endless_stream_of_other_messages_does_not_prolong_the_wait() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = NotifySocket::bind(&path).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    std::thread::scope(|scope| {
        // It ends once the socket is closed.
        scope.spawn(|| while sender.send_to(b"WATCHDOG=1\n", &path).is_ok() {});
        let given_up = socket.receive_until_within(POLL_INTERVAL, "READY=1").unwrap_err();
        drop(socket);
        assert!(given_up.to_string().contains("no message contains `READY=1`: gave up after"));
    });
}

/// Returns the address of a server that sends back everything that it receives.
async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.into_split();
                let _end = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

/// Returns whether a byte comes back, or `None` if the connection was closed.
async fn ping(stream: &mut TcpStream) -> Option<u8> {
    stream.write_all(b"?").await.ok()?;
    stream.read_u8().await.ok()
}

/// Catches a link that goes on with connections which it should have cut, and one that refuses new ones afterwards.
#[tokio::test]
async fn a_link_carries_connections_until_it_is_cut_and_none_while_it_is_down() {
    let link = NarrowLink::open(echo().await, NarrowSettings::OPEN).unwrap();
    let mut first = TcpStream::connect(link.address()).await.unwrap();
    assert_eq!(ping(&mut first).await, Some(b'?'));
    link.cut();
    assert_eq!((first.read_u8().await.ok(), link.cuts()), (None, 1));

    let mut second = TcpStream::connect(link.address()).await.unwrap();
    assert_eq!(ping(&mut second).await, Some(b'?'));
    link.set(NarrowSettings::DOWN);
    assert_eq!(second.read_u8().await.ok(), None);
    let mut third = TcpStream::connect(link.address()).await.unwrap();
    assert_eq!(ping(&mut third).await, None);

    link.set(NarrowSettings::cut_every(3));
    let mut fourth = TcpStream::connect(link.address()).await.unwrap();
    // The two bytes of the first connections count, too.
    assert_eq!(ping(&mut fourth).await, Some(b'?'));
    assert_eq!((ping(&mut fourth).await, link.bytes_to_office()), (None, 3));
}

/// Catches a silent link that closes its connections, and one that loses what it held back.
#[tokio::test]
async fn what_a_silent_link_holds_back_arrives_once_it_carries_again() {
    let link = NarrowLink::open(echo().await, NarrowSettings::SILENT).unwrap();
    let mut stream = TcpStream::connect(link.address()).await.unwrap();
    stream.write_all(b"!").await.unwrap();
    let silent = tokio::time::timeout(POLL_INTERVAL, stream.read_u8()).await;
    assert!(silent.is_err(), "{silent:?}");
    link.set(NarrowSettings::rate(1_000_000));
    assert_eq!(stream.read_u8().await.unwrap(), b'!');
}
