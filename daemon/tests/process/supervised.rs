//! The real process under a supervisor that is a socket of the test: what it is told, and when.

use crate::barn::{Barn, Process};
use rustix::process::Signal;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

/// So long a word is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the process tells how it is.
struct Ear(UnixDatagram);

impl Ear {
    fn of(barn: &Barn) -> Self {
        let socket = UnixDatagram::bind(barn.path("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next word.
    fn word(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).expect("a word within the time");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// All words up to the first that holds `text`.
    fn words_until(&self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        // Each second brings several: this ends.
        while words.len() < 1_000 {
            words.push(self.word());
            if words.last().is_some_and(|word| word.contains(text)) {
                return words;
            }
        }
        panic!("no {text} in {words:?}");
    }
}

fn launched<'a>(barn: &'a Barn, watchdog_us: &str) -> (Ear, Process<'a>) {
    let ear = Ear::of(barn);
    let socket = barn.path("notify");
    let variables = [("NOTIFY_SOCKET", socket.to_str().unwrap()), ("WATCHDOG_USEC", watchdog_us)];
    let process = barn.launch(&variables, Stdio::inherit());
    (ear, process)
}

/// Catches a process that calls itself ready while its port refuses, is silent, or stops without a word.
#[test]
fn it_is_ready_once_the_port_answers_lives_aloud_tells_how_it_is_and_that_it_stops() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let (ear, mut process) = launched(&barn, "900000");
    let words = ear.words_until("READY=1\n");
    assert!(words.last().unwrap().contains("STATUS=change 1; no payload since the start"), "{words:?}");
    assert!(words.iter().all(|word| !word.contains("WATCHDOG=1")), "{words:?}");
    process.learn_address();
    TcpStream::connect(process.addr).expect("the port answers by then");
    assert_eq!(process.get("/api/remote/health").0, 200);

    for _ in 0..5 {
        ear.words_until("WATCHDOG=1\n");
    }
    assert_eq!(process.post(&key, r#"{"payload":"hxb:TEST001:LF999:UHF888"}"#).0, 201);
    ear.words_until("STATUS=change 2; last payload 2");

    process.signal(Signal::TERM);
    ear.words_until("STOPPING=1\n");
    assert_eq!(process.ended(), Some(0));
}

/// Catches a start over a large store that is silent for so long that it is taken for one that hangs.
#[test]
fn a_start_that_folds_the_tables_asks_for_time_and_says_how_far_it_is_before_it_is_ready() {
    let barn = Barn::new();
    assert_eq!(barn.start().stop(Signal::TERM), Some(0));
    std::fs::remove_file(barn.state_dir().join("tables.redb")).unwrap();
    let (ear, process) = launched(&barn, "900000");
    let words = ear.words_until("READY=1\n");
    let told = "EXTEND_TIMEOUT_USEC=300000000\nSTATUS=folding the tables: 0 of 1 changes\n";
    assert!(words.iter().any(|word| word == told), "{words:?}");
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a period that was meant for another process of the unit.
#[test]
fn a_watchdog_of_another_process_is_not_fed_and_without_a_supervisor_nothing_is_told() {
    let barn = Barn::new();
    let ear = Ear::of(&barn);
    let socket = barn.path("notify");
    let socket = socket.to_str().unwrap();
    let others = [("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "300000"), ("WATCHDOG_PID", "1")];
    let process = barn.launch(&others, Stdio::inherit());
    ear.words_until("READY=1\n");
    assert_eq!(process.stop(Signal::TERM), Some(0));
    let words = ear.words_until("STOPPING=1\n");
    assert!(words.iter().all(|word| !word.contains("WATCHDOG")), "{words:?}");

    let process = barn.start_with(&[("WATCHDOG_USEC", "300000")]);
    assert_eq!(process.stop(Signal::TERM), Some(0));
    ear.0.set_nonblocking(true).unwrap();
    assert!(ear.0.recv(&mut [0; 16]).is_err());
}
