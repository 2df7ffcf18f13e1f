//! The real process under a supervisor that is a socket of the test: what it is told, and when.

use crate::barn::Barn;
use crate::office::{Office, PATIENCE};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;

/// The next words, up to the first that holds `text`.
fn words_until(ear: &UnixDatagram, text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    // Each second brings several: this ends.
    while words.len() < 1_000 {
        let mut bytes = [0; 4096];
        let length = ear.recv(&mut bytes).unwrap_or_else(|error| panic!("no {text} in {words:?}: {error}"));
        words.push(String::from_utf8(bytes[..length].to_vec()).unwrap());
        if words.last().is_some_and(|word| word.contains(text)) {
            return words;
        }
    }
    panic!("no {text} in {words:?}");
}

/// Catches an office that calls itself ready while its port refuses, is silent, hides that a barn is away, or stops
/// without a word.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_once_the_port_answers_lives_aloud_tells_of_its_barns_and_that_it_stops() {
    let mut barn = Barn::open("north", 1);
    barn.scan(30);
    let mut office = Office::new();
    let socket = office.directory.path().join("notify");
    let ear = UnixDatagram::bind(&socket).unwrap();
    ear.set_read_timeout(Some(PATIENCE)).unwrap();
    office.start_with(&[("NOTIFY_SOCKET", socket.to_str().unwrap()), ("WATCHDOG_USEC", "900000")]);
    let words = words_until(&ear, "READY=1\nSTATUS=no barn is paired");
    assert!(words.iter().all(|word| !word.contains("WATCHDOG=1")), "{words:?}");
    let address = office.address().await;
    TcpStream::connect(&address).expect("the port answers by then");

    office.ok(&["add", &barn.pair("office-1")]);
    words_until(&ear, "STATUS=north live, change 31, 0 behind");
    for _ in 0..5 {
        words_until(&ear, "WATCHDOG=1\n");
    }
    drop(barn);
    words_until(&ear, "STATUS=north away, change 31");
    assert!(office.stop().success());
    words_until(&ear, "STOPPING=1\n");
}
