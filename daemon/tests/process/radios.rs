//! The real process with radios that are not there, that come and go, and several at once.

use crate::barn::{Barn, text_of, until};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

/// A chip behind devices that no machine has, once through each library.
const RPPAL: &str = "[[radio]]\nname = 'gate'\nkind = 'sx127x'\nsx127x = { spi = '/dev/spidev6.15' }\n";
const LINUX: &str =
    "[[radio]]\nname = 'gate'\nkind = 'sx127x'\nsx127x = { board = 'linux', spi = '/nowhere/spidev0.0' }\n";
const SIMULATED: &str = "[[radio]]\nname = 'alley'\nkind = 'simulated'\nsimulated = { rate_per_s = 50 }\n";

/// A `listen` that does not end as it should ends by itself after so many seconds, so that no test hangs.
const SECONDS: [&str; 2] = ["--seconds", "30"];

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Catches a command that hangs, panics or blames the user where SPI is not enabled.
#[test]
fn without_spi_listen_and_doctor_say_what_is_missing_and_how_to_mend_it_and_fail_with_1() {
    for radio in [RPPAL, LINUX] {
        let barn = Barn::new();
        let file = barn.write_settings(radio);
        let doctor = barn.output(&["--config", &file, "doctor"]);
        let lines = text_of(&doctor);
        assert_eq!(doctor.status.code(), Some(1), "{lines}");
        let bus = lines.lines().find(|line| line.starts_with("FAIL gate: bus: ")).unwrap_or_else(|| panic!("{lines}"));
        assert!(bus.contains("SPI is not enabled") && bus.contains("dtparam=spi=on"), "{bus}");
        assert!(lines.contains("For a bug report"), "{lines}");
        let told: Value =
            serde_json::from_str(&text_of(&barn.output(&["--config", &file, "doctor", "--json"]))).unwrap();
        assert_eq!(told["well"], false);
        assert!(!barn.state_dir().exists(), "doctor writes nothing");

        for scan in [&[][..], &["--scan"]] {
            let listen = barn.output(&[&["--config", &file, "listen"], scan, &SECONDS].concat());
            let lines = said(&listen);
            assert_eq!((listen.status.code(), text_of(&listen).as_str()), (Some(1), ""), "{lines}");
            assert!(lines.contains("SPI is not enabled") && lines.contains("herdlinxd doctor"), "{lines}");
        }
    }
}

#[test]
fn without_a_radio_listen_is_refused_with_2_and_beside_a_daemon_without_one_with_7() {
    let barn = Barn::new();
    let listen = [&["listen"][..], &SECONDS].concat();
    assert_eq!(barn.output(&listen).status.code(), Some(2));
    let process = barn.start();
    let refused = barn.output(&listen);
    assert!(refused.status.code() == Some(7) && said(&refused).contains("[[radio]]"), "{refused:?}");
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a radio that cannot be opened and takes the others, the process or its truthfulness with it.
#[test]
fn a_radio_that_cannot_be_opened_is_told_as_failing_while_the_others_are_heard() {
    let barn = Barn::new();
    let file = barn.write_settings(&format!("{RPPAL}{SIMULATED}"));
    let process = barn.start_on(&file);
    let (status, health) = process.get("/api/remote/health");
    assert_eq!((status, &health["failing"]), (503, &json!(["gate"])));
    until("packets of the other radio are kept", || process.status().sequence.0 > 10);
    let radios = process.status().radios;
    let why = radios[0].why.as_deref().unwrap_or_default();
    assert!(radios[0].state == "failing" && why.contains("dtparam=spi=on"), "{radios:?}");
    assert_eq!((radios[1].state.as_str(), &radios[1].why), ("listening", &None));
    assert_eq!(radios[1].counts.malformed, 0);

    let doctor = barn.output(&["--config", &file, "doctor"]);
    assert!(doctor.status.code() == Some(1) && text_of(&doctor).contains("FAIL gate: failing"), "{doctor:?}");
    let scan = barn.output(&[&["--config", &file, "listen", "--scan"][..], &SECONDS].concat());
    assert!(scan.status.code() == Some(7) && said(&scan).contains("stop it to scan"), "{scan:?}");
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

#[test]
fn listen_prints_what_the_running_daemon_hears_until_it_is_told_to_stop() {
    let barn = Barn::new();
    let file = barn.write_settings(&format!("{LINUX}{SIMULATED}"));
    let process = barn.start_on(&file);
    let listen = |args: &[&'static str]| [&["--config", &file, "listen"][..], &SECONDS, args].concat();
    let some = barn.output(&listen(&["--json", "--count", "5"]));
    let lines = text_of(&some);
    assert_eq!((some.status.code(), lines.lines().count()), (Some(0), 5), "{some:?}");
    for line in lines.lines() {
        let packet: Value = serde_json::from_str(line).unwrap();
        assert!(packet["channel"] == "alley" && packet["rssi_dbm"].is_i64() && packet["at"].is_string(), "{line}");
    }
    assert!(said(&some).contains("gate, through the running daemon: failing"), "{}", said(&some));
    assert_eq!(barn.output(&listen(&["--radio", "pen"])).status.code(), Some(2));

    let mut listening = barn.begin(&listen(&[]));
    let mut first = String::new();
    BufReader::new(listening.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("  alley  ") && first.contains(" dBm "), "{first}");
    kill_process(Pid::from_child(&listening), Signal::INT).unwrap();
    assert_eq!(listening.wait().unwrap().code(), Some(0));

    let mut listening = barn.begin(&listen(&["--radio", "gate"]));
    let (mut told, mut line) = (BufReader::new(listening.stderr.take().unwrap()), String::new());
    told.read_line(&mut line).unwrap();
    assert_eq!(process.stop(Signal::TERM), Some(0));
    assert_eq!(listening.wait().unwrap().code(), Some(5), "the daemon is gone");
    told.read_to_string(&mut line).unwrap();
    assert!(line.contains("the daemon has stopped"), "{line}");
}

/// The far end of a serial line.
struct Modem(File);

impl Modem {
    /// Plugs it in: the path leads to it.
    fn plugged_in(path: &Path) -> Self {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&far).unwrap();
        unlockpt(&far).unwrap();
        let near = ptsname(&far, Vec::new()).unwrap();
        if path.symlink_metadata().is_ok() {
            std::fs::remove_file(path).unwrap();
        }
        symlink(near.to_str().unwrap(), path).unwrap();
        Self(File::from(far))
    }

    fn writes(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }
}

/// The whole way, from the line to the log and back out: what `[[radio]]` of the kind `serial` is for.
#[test]
fn a_serial_modem_is_heard_told_as_failing_while_it_is_unplugged_and_heard_again() {
    let barn = Barn::new();
    let port = barn.path("tty");
    let modem = format!("[[radio]]\nname = 'chute'\nkind = 'serial'\nserial = {{ path = '{}' }}\n", port.display());
    let file = barn.write_settings(&modem);
    let key = barn.secret(&["key", "add", "office", "--scope", "read"]);
    let process = barn.start_on(&file);
    let state = || process.status().radios[0].state.clone();
    let counts = || process.status().radios[0].counts;
    until("the modem that is not there fails", || state() == "failing");
    assert_eq!(process.get("/api/remote/health").1["failing"], json!(["chute"]));

    let mut modem = Modem::plugged_in(&port);
    until("it is listened to", || state() == "listening");
    assert_eq!(process.get("/api/remote/health").0, 200);
    let overlong = [b'x'; 300];
    modem.writes(b"hxb:LOT1:LF1:UHF1\r\nhxb:LO");
    modem.writes(b"T1:LF2:UHF2\n");
    modem.writes(&overlong);
    modem.writes(b"\nhxb:LOT1:LF3:UHF3\n");
    until("three payloads are kept", || process.status().sequence.0 == 4);
    assert_eq!((counts().received, counts().malformed), (3, 1));

    drop(modem);
    until("it is told as failing", || state() == "failing");
    let mut modem = Modem::plugged_in(&port);
    until("it is listened to again", || state() == "listening");
    modem.writes(b"hxb:LOT1:LF4:UHF4\n");
    until("the next payload is kept", || process.status().sequence.0 == 5);
    assert!(counts().rebuilt > 0, "{:?}", counts());

    let (_, payloads) = process.get_with(&key, "/api/remote/payloads");
    let texts: Vec<_> = payloads["data"].as_array().unwrap().iter().map(|payload| &payload["payload"]).collect();
    assert_eq!(texts, ["hxb:LOT1:LF4:UHF4", "hxb:LOT1:LF3:UHF3", "hxb:LOT1:LF2:UHF2", "hxb:LOT1:LF1:UHF1"]);
    assert_eq!(process.stop(Signal::TERM), Some(0));
}
