//! The shipped process under a supervisor: which messages it sends to `NOTIFY_SOCKET`, and when.

use crate::barn::Barn;
use crate::office::Office;
use service::harness::NotifySocket;
use std::net::TcpStream;

/// Catches an office that reports ready while its port refuses connections, sends no watchdog messages, hides that a
/// barn is away, or stops without a message.
#[tokio::test(flavor = "multi_thread")]
async fn the_supervisor_learns_of_readiness_links_watchdog_and_shutdown() {
    let mut barn = Barn::open("north", 1);
    barn.scan(30);
    let mut office = Office::new();
    let path = office.directory.path().join("notify");
    let socket = NotifySocket::bind(&path).unwrap();
    office.start_with_env(&[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "900000")]);
    let messages = socket.receive_until("READY=1\nSTATUS=no barn is paired").unwrap();
    assert!(messages.iter().all(|message| !message.contains("WATCHDOG=1")), "{messages:?}");
    let address = office.address().await;
    TcpStream::connect(&address).expect("the port accepts connections before READY=1");

    office.run(&["add", &barn.pair("office-1")]);
    socket.receive_until("STATUS=north live, change 31, 0 behind").unwrap();
    for _ in 0..5 {
        socket.receive_until("WATCHDOG=1\n").unwrap();
    }
    drop(barn);
    socket.receive_until("STATUS=north away, change 31").unwrap();
    assert!(office.stop().success());
    socket.receive_until("STOPPING=1\n").unwrap();
}
