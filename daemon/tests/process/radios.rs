//! The shipped process with radios that are missing, that come and go, and with several at once.

use crate::barn::{Barn, stderr_text, stdout_text, wait_until};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use service::harness::Signal;
use std::fs::{File, read_to_string};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;

/// A chip behind a device that no machine has, through rppal.
const RPPAL: &str = "[[radio]]\nname = 'gate'\nkind = 'sx127x'\nsx127x = { spi = '/dev/spidev6.15' }\n";
/// A chip behind a device that no machine has, through spidev.
const LINUX: &str =
    "[[radio]]\nname = 'gate'\nkind = 'sx127x'\nsx127x = { board = 'linux', spi = '/nowhere/spidev0.0' }\n";
const SIMULATED: &str = "[[radio]]\nname = 'alley'\nkind = 'simulated'\nsimulated = { rate_per_s = 50 }\n";

/// Bounds a `listen` that does not end when it should, so that no test hangs.
const SECONDS: [&str; 2] = ["--seconds", "30"];

/// Catches a command that hangs, panics or blames the user if SPI is not enabled.
#[test]
fn listen_and_doctor_exit_with_1_and_name_the_remedy_if_spi_is_disabled() {
    for radio in [RPPAL, LINUX] {
        let barn = Barn::new();
        let file = barn.write_settings(radio);
        let doctor = barn.output(&["--config", &file, "doctor"]);
        let lines = stdout_text(&doctor);
        assert_eq!(doctor.status.code(), Some(1), "{lines}");
        let bus = lines.lines().find(|line| line.starts_with("FAIL gate: bus: ")).unwrap_or_else(|| panic!("{lines}"));
        assert!(bus.contains("SPI is not enabled") && bus.contains("dtparam=spi=on"), "{bus}");
        assert!(lines.contains("For a bug report"), "{lines}");
        let doctor_json = barn.output(&["--config", &file, "doctor", "--json"]);
        let report: Value = serde_json::from_str(&stdout_text(&doctor_json)).unwrap();
        assert_eq!(report["well"], false);
        assert!(!barn.state_dir().exists(), "doctor writes nothing");

        for scan in [&[][..], &["--scan"]] {
            let listen = barn.output(&[&["--config", &file, "listen"], scan, &SECONDS].concat());
            let lines = stderr_text(&listen);
            assert_eq!((listen.status.code(), stdout_text(&listen).as_str()), (Some(1), ""), "{lines}");
            assert!(lines.contains("SPI is not enabled") && lines.contains("herdlinxd doctor"), "{lines}");
        }
    }
}

/// Catches a `listen` without a radio that waits for packets instead of exiting.
#[test]
fn listen_without_a_radio_exits_with_2_and_with_7_if_the_daemon_runs_without_one() {
    let barn = Barn::new();
    let listen = [&["listen"][..], &SECONDS].concat();
    assert_eq!(barn.output(&listen).status.code(), Some(2));
    let process = barn.start();
    let refused = barn.output(&listen);
    assert!(refused.status.code() == Some(7) && stderr_text(&refused).contains("[[radio]]"), "{refused:?}");
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a radio that cannot be opened and stops the others or the process, or is reported as listening.
#[test]
fn a_radio_that_cannot_be_opened_is_reported_as_failing_while_the_others_receive() {
    let barn = Barn::new();
    let file = barn.write_settings(&format!("{RPPAL}{SIMULATED}"));
    let process = barn.start_with_settings(&file);
    let (status, health) = process.get("/api/remote/health");
    assert_eq!((status, &health["failing"]), (503, &json!(["gate"])));
    wait_until("packets of the other radio are recorded", || process.status().sequence.0 > 10);
    let radios = process.status().radios;
    let why = radios[0].why.as_deref().unwrap_or_default();
    assert!(radios[0].state == "failing" && why.contains("dtparam=spi=on"), "{radios:?}");
    assert_eq!((radios[1].state.as_str(), &radios[1].why), ("listening", &None));
    assert_eq!(radios[1].counts.malformed, 0);

    let doctor = barn.output(&["--config", &file, "doctor"]);
    assert!(doctor.status.code() == Some(1) && stdout_text(&doctor).contains("FAIL gate: failing"), "{doctor:?}");
    let scan = barn.output(&[&["--config", &file, "listen", "--scan"][..], &SECONDS].concat());
    assert!(scan.status.code() == Some(7) && stderr_text(&scan).contains("stop it to scan"), "{scan:?}");
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a `listen` that misses packets of the running daemon, or does not notice a signal or the daemon's shutdown.
#[test]
fn listen_prints_packets_of_the_running_daemon_until_a_signal_or_the_daemons_shutdown() {
    let barn = Barn::new();
    let file = barn.write_settings(&format!("{LINUX}{SIMULATED}"));
    let process = barn.start_with_settings(&file);
    let listen = |args: &[&'static str]| [&["--config", &file, "listen"][..], &SECONDS, args].concat();
    let output = barn.output(&listen(&["--json", "--count", "5"]));
    let lines = stdout_text(&output);
    assert_eq!((output.status.code(), lines.lines().count()), (Some(0), 5), "{output:?}");
    for line in lines.lines() {
        let packet: Value = serde_json::from_str(line).unwrap();
        assert!(packet["channel"] == "alley" && packet["rssi_dbm"].is_i64() && packet["at"].is_string(), "{line}");
    }
    let status = stderr_text(&output);
    assert!(status.contains("gate, through the running daemon: failing"), "{status}");
    assert_eq!(barn.output(&listen(&["--radio", "pen"])).status.code(), Some(2));

    let mut listening = barn.spawn_command(&listen(&[]), "listen.stderr");
    let (mut stdout, mut line) = (BufReader::new(listening.take_stdout().unwrap()), String::new());
    stdout.read_line(&mut line).unwrap();
    assert!(line.contains("  alley  ") && line.contains(" dBm "), "{line}");
    listening.signal(Signal::INT).unwrap();
    assert_eq!(listening.wait_blocking().unwrap().code(), Some(0));

    let mut listening = barn.spawn_command(&listen(&["--radio", "gate"]), "listen_gate.stderr");
    let printed = || read_to_string(barn.path("listen_gate.stderr")).unwrap();
    wait_until("`listen` reports the state of the radio", || printed().contains('\n'));
    assert_eq!(process.stop(Signal::TERM), Some(0));
    assert_eq!(listening.wait_blocking().unwrap().code(), Some(5), "the daemon has exited");
    assert!(printed().contains("the daemon has stopped"), "{}", printed());
}

/// Catches a packet that commands the terminal of `listen`, turns its line around or hides in it.
#[test]
fn listen_shows_hidden_characters_of_a_packet_as_escapes() {
    let barn = Barn::new();
    let port = barn.path("tty");
    let mut modem = Modem::plug_in(&port);
    let settings = format!("[[radio]]\nname = 'chute'\nkind = 'serial'\nserial = {{ path = '{}' }}\n", port.display());
    let file = barn.write_settings(&settings);
    let process = barn.start_with_settings(&file);
    wait_until("the modem is listened to", || process.status().radios[0].state == "listening");
    let sent = "hxb:A\u{9b}2J:\u{202e}LF1\u{200b}:UHF1";
    for (format, shown) in
        [(&[][..], r"hxb:A\u{9b}2J:\u{202e}LF1\u{200b}:UHF1"), (&["--json"][..], r"hxb:A\u009b2J:\u202eLF1\u200b:UHF1")]
    {
        let name = format!("listen{}.stderr", format.len());
        let mut listening =
            barn.spawn_command(&[&["--config", &file, "listen", "--count", "1"][..], &SECONDS, format].concat(), &name);
        wait_until("`listen` is ready", || read_to_string(barn.path(&name)).unwrap().contains("chute"));
        modem.write(format!("{sent}\n").as_bytes());
        let (mut stdout, mut line) = (BufReader::new(listening.take_stdout().unwrap()), String::new());
        stdout.read_line(&mut line).unwrap();
        assert!(line.is_ascii() && line.contains(shown), "{line:?}");
        assert_eq!(listening.wait_blocking().unwrap().code(), Some(0));
    }
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// The modem's end of a serial line.
struct Modem(File);

impl Modem {
    /// Makes `path` lead to a new modem.
    fn plug_in(path: &Path) -> Self {
        let modem = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&modem).unwrap();
        unlockpt(&modem).unwrap();
        let port = ptsname(&modem, Vec::new()).unwrap();
        if path.symlink_metadata().is_ok() {
            std::fs::remove_file(path).unwrap();
        }
        symlink(port.to_str().unwrap(), path).unwrap();
        Self(File::from(modem))
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }
}

/// Catches a payload that is lost anywhere between the serial line and the read interface, and a modem that is not
/// opened again after it was unplugged.
#[test]
fn a_serial_modem_is_received_reported_as_failing_while_unplugged_and_received_again() {
    let barn = Barn::new();
    let port = barn.path("tty");
    let modem = format!("[[radio]]\nname = 'chute'\nkind = 'serial'\nserial = {{ path = '{}' }}\n", port.display());
    let file = barn.write_settings(&modem);
    let key = barn.secret(&["key", "add", "office", "--scope", "read"]);
    let process = barn.start_with_settings(&file);
    let state = || process.status().radios[0].state.clone();
    let counts = || process.status().radios[0].counts;
    wait_until("the missing modem is reported as failing", || state() == "failing");
    assert_eq!(process.get("/api/remote/health").1["failing"], json!(["chute"]));

    let mut modem = Modem::plug_in(&port);
    wait_until("the modem is listened to", || state() == "listening");
    assert_eq!(process.get("/api/remote/health").0, 200);
    let overlong = [b'x'; 300];
    modem.write(b"hxb:LOT1:LF1:UHF1\r\nhxb:LO");
    modem.write(b"T1:LF2:UHF2\n");
    modem.write(&overlong);
    modem.write(b"\nhxb:LOT1:LF3:UHF3\n");
    // What is too long is kept as a rejection.
    wait_until("three payloads and a cut one are recorded", || process.status().sequence.0 == 5);
    assert_eq!((counts().received, counts().malformed), (4, 0));

    drop(modem);
    wait_until("the unplugged modem is reported as failing", || state() == "failing");
    let mut modem = Modem::plug_in(&port);
    wait_until("the modem is listened to again", || state() == "listening");
    modem.write(b"hxb:LOT1:LF4:UHF4\n");
    wait_until("the next payload is recorded", || process.status().sequence.0 == 6);
    assert!(counts().rebuilt > 0, "{:?}", counts());

    let (_, payloads) = process.get_with_key(&key, "/api/remote/payloads");
    let texts: Vec<_> = payloads["data"].as_array().unwrap().iter().map(|payload| &payload["payload"]).collect();
    let (cut, texts): (Vec<&Value>, Vec<&Value>) =
        texts.into_iter().partition(|text| text.as_str().is_some_and(|text| text.starts_with("xxx")));
    assert_eq!(cut.len(), 1, "{payloads}");
    assert_eq!(texts, ["hxb:LOT1:LF4:UHF4", "hxb:LOT1:LF3:UHF3", "hxb:LOT1:LF2:UHF2", "hxb:LOT1:LF1:UHF1"]);
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a warning for every start of a radio that is well: whoever reads the log would look for a fault.
#[test]
fn a_modem_that_opens_at_once_leaves_no_warning() {
    let barn = Barn::new();
    let port = barn.path("tty");
    let _modem = Modem::plug_in(&port);
    let file =
        barn.write_settings(&format!("[[radio]]\nkind = 'serial'\nserial = {{ path = '{}' }}\n", port.display()));
    let process = barn.start_with_settings(&file);
    wait_until("the modem is listened to", || process.status().radios[0].state == "listening");
    assert_eq!(process.stop(Signal::TERM), Some(0));
    let log = read_to_string(barn.stderr_file()).unwrap();
    assert!(log.contains("radio listening") && !log.contains("not receiving"), "{log}");
}

/// Catches a modem whose readers write no line ends: each payload is half lost, and the barn looks healthy.
#[test]
fn payloads_without_line_ends_are_kept_as_rejections_and_named_in_the_status() {
    let barn = Barn::new();
    let port = barn.path("tty");
    let mut modem = Modem::plug_in(&port);
    let file = barn.write_settings(&format!(
        "[[radio]]\nname = 'chute'\nkind = 'serial'\nserial = {{ path = '{}' }}\n",
        port.display()
    ));
    let key = barn.secret(&["key", "add", "office", "--scope", "read"]);
    let process = barn.start_with_settings(&file);
    wait_until("the modem is listened to", || process.status().radios[0].state == "listening");
    for number in 2..=4 {
        modem.write(format!("hxb:LOT1:LF{number}:UHF{number}").as_bytes());
        wait_until("what was cut is recorded", || process.status().sequence.0 == number);
    }
    wait_until("the status names the framing", || {
        process.status().radios[0].why.as_deref().is_some_and(|why| why.contains("framing = \"burst\""))
    });
    let (status, health) = process.get("/api/remote/health");
    assert_eq!((status, &health["degraded"]), (200, &json!(["chute"])));
    let (_, status) = process.get_with_key(&key, "/api/remote/status");
    let counts = &status["data"]["radios"][0]["counts"];
    assert_eq!((&counts["cut"], &counts["without_crc"], &counts["refreshed"]), (&json!(3), &json!(0), &json!(0)));
    let (_, payloads) = process.get_with_key(&key, "/api/remote/payloads");
    let statuses: Vec<_> = payloads["data"].as_array().unwrap().iter().map(|payload| &payload["status"]).collect();
    assert!(statuses.len() == 3 && statuses.iter().all(|status| **status == "error"), "{payloads}");
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a setting that the daemon does not pass on to the radio.
#[test]
fn bursts_and_library_headers_are_received_as_the_settings_say() {
    let barn = Barn::new();
    let port = barn.path("tty");
    let mut modem = Modem::plug_in(&port);
    let file = barn.write_settings(&format!(
        "[[radio]]\nname = 'chute'\nkind = 'serial'\nstrip_bytes = 4\nserial = {{ path = '{}', framing = 'burst' }}\n",
        port.display()
    ));
    let key = barn.secret(&["key", "add", "office", "--scope", "read"]);
    let process = barn.start_with_settings(&file);
    wait_until("the modem is listened to", || process.status().radios[0].state == "listening");
    for number in 2..=4 {
        modem.write(format!("\u{1}\u{2}\u{3}\u{4}hxb:LOT1:LF{number}:UHF{number}").as_bytes());
        wait_until("the burst is recorded", || process.status().sequence.0 == number);
    }
    let (_, payloads) = process.get_with_key(&key, "/api/remote/payloads");
    let texts: Vec<_> = payloads["data"].as_array().unwrap().iter().map(|payload| &payload["payload"]).collect();
    assert_eq!(texts, ["hxb:LOT1:LF4:UHF4", "hxb:LOT1:LF3:UHF3", "hxb:LOT1:LF2:UHF2"]);
    assert_eq!(process.stop(Signal::TERM), Some(0));
}
