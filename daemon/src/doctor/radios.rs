//! Checks of the radios.

use super::{DaemonState, Finding, Level, port_users};
use crate::receive::{Channel, RadioState};
use crate::settings::{RadioKind, RadioSettings, Settings};
use radio::sx127x::{Examination, LineCheck};
use radio::{ExamineError, SerialSettings, Sx127xSettings};
use service::remote::{RadioCounts, RadioView};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Time after which a chip or a port counts as stuck in the kernel.
const DEVICE_TIMEOUT: Duration = Duration::from_secs(10);
/// Noise above that of a quiet place from which a channel counts as loud: it costs more than half of the range.
const LOUD_DB: f64 = 15.0;

/// Checks each radio of the settings: the running daemon reports it, otherwise it is tested. Only a test measures the
/// noise.
pub(super) async fn check(settings: &Settings, daemon: &DaemonState) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (channel, radio) in settings.radios() {
        findings.extend(check_devices(&channel, radio));
        match daemon {
            DaemonState::Running(status) => {
                let reported = reported_finding(&status.radios, &channel.name);
                let failing_modem = radio.modem().filter(|_| reported.level == Level::Fail);
                findings.push(reported);
                findings.extend(failing_modem.iter().flat_map(|modem| port_users_of(&channel.name, modem)));
            }
            DaemonState::NotRunning => findings.extend(test_radio(&channel.name, radio).await),
            DaemonState::Unknown => {
                findings.push(Finding::warn(channel.name, "not tested, because a daemon may be using it"));
            }
        }
    }
    if findings.is_empty() {
        let none = Finding::warn("radios", "none in the settings, so payloads arrive over HTTPS only");
        findings.push(none.with_advice("add a [[radio]] to the settings (`herdlinxd config`)"));
    }
    findings.extend(settings.radio_notes().into_iter().map(|note| Finding::ok("law", note)));
    findings
}

/// Checks the device files of a chip. This does not disturb a running daemon.
fn check_devices(channel: &Channel, radio: &RadioSettings) -> Vec<Finding> {
    let Some(chip) = radio.chip() else { return Vec::new() };
    let findings = chip.check_devices().into_iter().map(|(part, path, opened)| {
        let part = format!("{}: {part}", channel.name);
        match opened {
            Ok(()) => Finding::ok(part, format!("{} can be opened", path.display())),
            Err(error) => Finding::fail(part, error.to_string()),
        }
    });
    findings.collect()
}

/// Reports a radio as the running daemon sees it.
fn reported_finding(radios: &[RadioView], name: &str) -> Finding {
    let Some(radio) = radios.iter().find(|radio| radio.name == name) else {
        let advice = "restart the daemon to load the current settings";
        return Finding::warn(name, "unknown to the running daemon").with_advice(advice);
    };
    let RadioCounts { received, crc_errors, without_crc, malformed, rescued, rebuilt, refreshed, cut } = radio.counts;
    let counts = format!(
        "received {received}, crc_errors {crc_errors}, without_crc {without_crc}, malformed {malformed}, \
         rescued {rescued}, rebuilt {rebuilt}, refreshed {refreshed}, cut {cut}"
    );
    match &radio.why {
        Some(note) if radio.state == RadioState::Listening.word() => {
            Finding::warn(name, format!("{} ({counts}): {note}", radio.state))
        }
        Some(why) => Finding::fail(name, format!("{} ({counts}): {why}", radio.state)),
        None => Finding::ok(name, format!("{} ({counts})", radio.state)),
    }
}

/// Tests a radio that no daemon is using.
async fn test_radio(name: &str, radio: &RadioSettings) -> Vec<Finding> {
    match (radio.kind, radio.chip(), radio.modem()) {
        (_, Some(chip), _) => test_chip(name, chip).await,
        (_, _, Some(modem)) => {
            let mut findings = vec![test_modem(name, &modem).await];
            findings.extend(port_users_of(name, &modem));
            findings
        }
        (RadioKind::Simulated, ..) => vec![Finding::ok(name, "simulated: its cattle are made up")],
        _ => Vec::new(),
    }
}

async fn test_chip(name: &str, chip: Sx127xSettings) -> Vec<Finding> {
    // A device that cannot be opened has been reported already.
    if chip.check_devices().iter().any(|(.., opened)| opened.is_err()) {
        return Vec::new();
    }
    let bandwidth_hz = chip.bandwidth_hz;
    let examined = tokio::task::spawn_blocking(move || chip.examine());
    match timeout(DEVICE_TIMEOUT, examined).await {
        Ok(Ok(examined)) => chip_findings(name, bandwidth_hz, examined),
        Ok(Err(error)) => vec![Finding::fail(format!("{name}: chip"), error.to_string())],
        Err(_) => vec![Finding::fail(
            format!("{name}: chip"),
            format!(
                "did not respond within {} s; check the messages of the kernel (`dmesg`)",
                DEVICE_TIMEOUT.as_secs()
            ),
        )],
    }
}

/// Converts the result of a test, part by part.
fn chip_findings(name: &str, bandwidth_hz: u32, examined: Result<Examination, ExamineError>) -> Vec<Finding> {
    let part = |part: &str| format!("{name}: {part}");
    let found = match examined {
        Ok(found) => found,
        Err(error) => return vec![Finding::fail(part("chip"), error.to_string())],
    };
    let reset = match found.reset {
        LineCheck::Works => Finding::ok(part("RESET"), "resets the chip"),
        LineCheck::Dead => {
            Finding::warn(part("RESET"), "does not reset the chip, so a chip that hangs cannot be recovered")
                .with_advice("check that the module's RESET is wired to `reset_line` (docs/radios.md)")
        }
        LineCheck::NotWired => Finding::ok(part("RESET"), "not wired, so a chip that hangs cannot be recovered"),
    };
    let dio0 = match found.dio0 {
        LineCheck::Works => Finding::ok(part("DIO0"), "signals packets"),
        LineCheck::Dead => Finding::warn(part("DIO0"), "does not signal packets; the radio receives by polling")
            .with_advice("check that the module's DIO0 is wired to `dio0_line` (docs/radios.md)"),
        LineCheck::NotWired => Finding::ok(part("DIO0"), "not wired; the radio receives by polling"),
    };
    let version = Finding::ok(part("chip"), "responds and can be set up (SX1276 to SX1279)");
    vec![version, reset, dio0, noise(part("noise"), bandwidth_hz, found)]
}

fn noise(part: String, bandwidth_hz: u32, examination: Examination) -> Finding {
    let Examination { noise_dbm, loudest_dbm, .. } = examination;
    // Thermal noise at room temperature (-174 dBm/Hz), plus 6 dB for the receiver.
    let quiet_dbm = -174.0 + 10.0 * f64::from(bandwidth_hz).log10() + 6.0;
    let found = format!("{noise_dbm} dBm, at most {loudest_dbm} dBm; a quiet place has {quiet_dbm:.0} dBm");
    if f64::from(noise_dbm) > quiet_dbm + LOUD_DB {
        let advice =
            "the channel is loud: move the antenna away from machines and UHF readers, or use another frequency";
        return Finding::warn(part, found).with_advice(advice);
    }
    Finding::ok(part, found)
}

fn port_users_of(name: &str, modem: &SerialSettings) -> Vec<Finding> {
    port_users::check(&format!("{name}: port"), Path::new(&modem.path))
}

async fn test_modem(name: &str, modem: &SerialSettings) -> Finding {
    let part = format!("{name}: port");
    match timeout(DEVICE_TIMEOUT, modem.probe()).await {
        Ok(Ok(())) => Finding::ok(part, format!("{} can be opened", modem.path)),
        Ok(Err(error)) => Finding::fail(part, error.to_string()),
        Err(_) => {
            Finding::fail(part, format!("{} did not open in time; unplug the modem and plug it in again", modem.path))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use radio::emulator::{Air, DeadBus, Faults, StuckLine};
    use radio::lora::Modulation;
    use radio::sx127x::Settings as ChipSettings;

    fn examined(faults: Faults) -> Vec<Finding> {
        let chip = Air::default().chip("barn");
        chip.set_faults(faults);
        let found = radio::sx127x::examine(&mut chip.board(), &ChipSettings::listening(Modulation::default()));
        chip_findings("gate", 125_000, found.map_err(ExamineError::from))
    }

    fn levels(findings: &[Finding]) -> Vec<(&str, Level)> {
        findings.iter().map(|finding| (finding.part.as_str(), finding.level)).collect()
    }

    /// Catches a check that fails on a good chip, or a noise that the report leaves out. Uses the production driver on an
    /// emulated chip.
    #[test]
    fn each_part_of_a_good_chip_is_ok_and_its_noise_is_reported() {
        let findings = examined(Faults::default());
        let parts = ["gate: chip", "gate: RESET", "gate: DIO0", "gate: noise"].map(|part| (part, Level::Ok));
        assert_eq!(levels(&findings), parts);
        assert!(findings[3].found.contains("a quiet place has -117 dBm"), "{}", findings[3].found);
    }

    #[test]
    fn a_dead_bus_fails_and_a_silent_line_is_a_warning_that_names_the_wire() {
        let dead = examined(Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() });
        assert_eq!(levels(&dead), [("gate: chip", Level::Fail)]);
        assert!(dead[0].found.contains("0xff") && dead[0].found.contains("check"), "{}", dead[0].found);
        let silent = examined(Faults { stuck_dio0: Some(StuckLine::Low), ..Faults::default() });
        assert_eq!(levels(&silent)[2], ("gate: DIO0", Level::Warn));
        assert!(silent[2].advice.unwrap().contains("dio0_line"));
    }

    #[test]
    fn a_loud_channel_is_a_warning() {
        let (reset, dio0) = (LineCheck::Works, LineCheck::Works);
        let found = Examination { reset, dio0, noise_dbm: -90, loudest_dbm: -60 };
        assert_eq!(noise("noise".into(), 125_000, found).level, Level::Warn);
        // A quiet place has -117.03 dBm, and 15 dB more are loud.
        assert_eq!(noise("noise".into(), 125_000, Examination { noise_dbm: -102, ..found }).level, Level::Warn);
        assert_eq!(noise("noise".into(), 125_000, Examination { noise_dbm: -103, ..found }).level, Level::Ok);
        assert_eq!(noise("noise".into(), 125_000, Examination { noise_dbm: -115, ..found }).level, Level::Ok);
    }

    /// Catches advice to check a wire that the settings say is not there.
    #[test]
    fn lines_that_are_not_wired_are_no_warning_and_dead_ones_are() {
        for (reset, dio0, expected) in [
            (LineCheck::NotWired, LineCheck::Works, [Level::Ok, Level::Ok]),
            (LineCheck::Works, LineCheck::NotWired, [Level::Ok, Level::Ok]),
            (LineCheck::NotWired, LineCheck::NotWired, [Level::Ok, Level::Ok]),
            (LineCheck::Dead, LineCheck::NotWired, [Level::Warn, Level::Ok]),
        ] {
            let examined = Examination { reset, dio0, noise_dbm: -115, loudest_dbm: -110 };
            let findings = chip_findings("gate", 125_000, Ok(examined));
            assert_eq!([findings[1].level, findings[2].level], expected, "{reset:?} {dio0:?}");
        }
    }

    #[test]
    fn a_note_about_a_radio_that_listens_is_a_warning() {
        for note in ["the last 16 packets have no CRC", "the readers are +25000 Hz off", "no line end"] {
            let radio = RadioView {
                name: "gate".to_owned(),
                state: RadioState::Degraded(note.to_owned()).word().to_owned(),
                why: Some(note.to_owned()),
                air_time_left_ms: None,
                queued_packets: 0,
                queue_packets: 0,
                counts: RadioCounts::default(),
            };
            let finding = reported_finding(&[radio], "gate");
            assert!(finding.level == Level::Warn && finding.found.ends_with(note), "{finding:?}");
        }
    }

    #[test]
    fn a_running_daemon_reports_its_radios() {
        let radio = |name: &str, state: &str, why: Option<&str>| RadioView {
            name: name.to_owned(),
            state: state.to_owned(),
            why: why.map(str::to_owned),
            air_time_left_ms: None,
            queued_packets: 0,
            queue_packets: 0,
            counts: RadioCounts { received: 3, ..RadioCounts::default() },
        };
        let radios = [radio("gate", "failing", Some("no chip answers")), radio("alley", "listening", None)];
        let gate = reported_finding(&radios, "gate");
        let found = "failing (received 3, crc_errors 0, without_crc 0, malformed 0, rescued 0, rebuilt 0, refreshed 0, \
            cut 0): no chip answers";
        assert_eq!((gate.level, gate.found.as_str()), (Level::Fail, found));
        assert_eq!(reported_finding(&radios, "alley").level, Level::Ok);
        assert_eq!(reported_finding(&radios, "pen").level, Level::Warn);
    }
}
