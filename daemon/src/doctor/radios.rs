//! How the radios are.

use super::{Daemon, Finding};
use crate::receive::Channel;
use crate::settings::{RadioKind, RadioSettings, Settings};
use radio::sx127x::Examination;
use radio::{ExamineError, SerialSettings, Sx127xSettings};
use service::remote::{RadioCounts, RadioView};
use std::time::Duration;
use tokio::time::timeout;

/// A chip or a port that does not answer within so long hangs in the kernel.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// So much above what a quiet place has, a channel is loud: it costs more than half of the reach.
const LOUD_DB: f64 = 15.0;

/// Each radio of the settings: as the running daemon tells it, else as it is found. The noise is measured only where no
/// daemon runs.
pub(super) async fn look(settings: &Settings, daemon: &Daemon) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (channel, radio) in settings.radios() {
        findings.extend(devices(&channel, radio));
        match daemon {
            Daemon::Runs(status) => findings.push(reported(&status.radios, &channel.name)),
            Daemon::Away => findings.extend(tried(&channel.name, radio).await),
            Daemon::Unknown => findings.push(Finding::warn(channel.name, "is not tried, as a daemon may have it")),
        }
    }
    if findings.is_empty() {
        let none = Finding::warn("radios", "none is set up, so payloads come over HTTPS alone");
        findings.push(none.advising("add a [[radio]] to the settings (`herdlinxd config`)"));
    }
    findings.extend(settings.notes().into_iter().map(|note| Finding::ok("law", note)));
    findings
}

/// The device files that a chip hangs on: looking at them disturbs nobody.
fn devices(channel: &Channel, radio: &RadioSettings) -> Vec<Finding> {
    let Some(chip) = radio.chip() else { return Vec::new() };
    let found = chip.check_devices().into_iter().map(|(what, path, opened)| {
        let what = format!("{}: {what}", channel.name);
        match opened {
            Ok(()) => Finding::ok(what, format!("{} can be opened", path.display())),
            Err(error) => Finding::fail(what, error.to_string()),
        }
    });
    found.collect()
}

/// Reports a radio as the running daemon sees it.
fn reported(radios: &[RadioView], name: &str) -> Finding {
    let Some(radio) = radios.iter().find(|radio| radio.name == name) else {
        let advice = "restart the daemon, so that it reads the settings as they are now";
        return Finding::warn(name, "the running daemon does not know it").advising(advice);
    };
    let RadioCounts { received, crc_errors, malformed, rescued, rebuilt } = radio.counts;
    let counts = format!(
        "received {received}, crc_errors {crc_errors}, malformed {malformed}, rescued {rescued}, rebuilt {rebuilt}"
    );
    match &radio.why {
        Some(why) => Finding::fail(name, format!("{} ({counts}): {why}", radio.state)),
        None => Finding::ok(name, format!("{} ({counts})", radio.state)),
    }
}

/// A radio that nobody uses.
async fn tried(name: &str, radio: &RadioSettings) -> Vec<Finding> {
    match (radio.kind, radio.chip(), radio.modem()) {
        (_, Some(chip), _) => tried_chip(name, chip).await,
        (_, _, Some(modem)) => vec![tried_modem(name, &modem).await],
        (RadioKind::Simulated, ..) => vec![Finding::ok(name, "is simulated: its cattle are made up")],
        _ => Vec::new(),
    }
}

async fn tried_chip(name: &str, chip: Sx127xSettings) -> Vec<Finding> {
    // What cannot be opened has been said.
    if chip.check_devices().iter().any(|(.., opened)| opened.is_err()) {
        return Vec::new();
    }
    let bandwidth_hz = chip.bandwidth_hz;
    let examined = tokio::task::spawn_blocking(move || chip.examine());
    match timeout(ANSWERS_WITHIN, examined).await {
        Ok(Ok(examined)) => of_chip(name, bandwidth_hz, examined),
        Ok(Err(error)) => vec![Finding::fail(format!("{name}: chip"), error.to_string())],
        Err(_) => vec![Finding::fail(
            format!("{name}: chip"),
            format!("does not answer within {} s; see what the kernel says (`dmesg`)", ANSWERS_WITHIN.as_secs()),
        )],
    }
}

/// What was found of a chip, part by part.
fn of_chip(name: &str, bandwidth_hz: u32, examined: Result<Examination, ExamineError>) -> Vec<Finding> {
    let part = |part: &str| format!("{name}: {part}");
    let found = match examined {
        Ok(found) => found,
        Err(error) => return vec![Finding::fail(part("chip"), error.to_string())],
    };
    let reset = if found.reset_works {
        Finding::ok(part("RESET"), "resets the chip")
    } else {
        Finding::warn(part("RESET"), "does not reset the chip, so one that hangs cannot be helped")
            .advising("check that the module's RESET is wired to `reset_line` (docs/radios.md)")
    };
    let dio0 = if found.dio0_works {
        Finding::ok(part("DIO0"), "tells")
    } else {
        Finding::warn(part("DIO0"), "does not tell; the radio hears all the same, by looking")
            .advising("check that the module's DIO0 is wired to `dio0_line` (docs/radios.md)")
    };
    let version = Finding::ok(part("chip"), "answers and can be set up (SX1276 to SX1279)");
    vec![version, reset, dio0, noise(part("noise"), bandwidth_hz, found)]
}

fn noise(what: String, bandwidth_hz: u32, found: Examination) -> Finding {
    let Examination { noise_dbm, loudest_dbm, .. } = found;
    // Thermal noise at room temperature, and what the receiver adds.
    let quiet_dbm = -174.0 + 10.0 * f64::from(bandwidth_hz).log10() + 6.0;
    let said = format!("{noise_dbm} dBm, at most {loudest_dbm} dBm; a quiet place has {quiet_dbm:.0} dBm");
    if f64::from(noise_dbm) > quiet_dbm + LOUD_DB {
        let loud =
            "the channel is loud: move the antenna away from machines and UHF readers, or take another frequency";
        return Finding::warn(what, said).advising(loud);
    }
    Finding::ok(what, said)
}

async fn tried_modem(name: &str, modem: &SerialSettings) -> Finding {
    let what = format!("{name}: port");
    match timeout(ANSWERS_WITHIN, modem.probe()).await {
        Ok(Ok(())) => Finding::ok(what, format!("{} can be opened", modem.path)),
        Ok(Err(error)) => Finding::fail(what, error.to_string()),
        Err(_) => Finding::fail(what, format!("{} does not answer; plug the modem out and in again", modem.path)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use radio::emulator::{Air, DeadBus, Faults, StuckLine};
    use radio::lora::Modulation;

    fn examined(faults: Faults) -> Vec<Finding> {
        let chip = Air::default().chip("barn");
        chip.set_faults(faults);
        let found = radio::sx127x::examine(&mut chip.board(), &Modulation::default());
        of_chip("gate", 125_000, found.map_err(ExamineError::from))
    }

    fn levels(findings: &[Finding]) -> Vec<(&str, Level)> {
        findings.iter().map(|finding| (finding.what.as_str(), finding.level)).collect()
    }

    /// Against the real driver on an emulated chip.
    #[test]
    fn a_chip_that_is_well_is_ok_part_by_part_and_its_noise_is_told() {
        let findings = examined(Faults::default());
        let parts = ["gate: chip", "gate: RESET", "gate: DIO0", "gate: noise"].map(|part| (part, Level::Ok));
        assert_eq!(levels(&findings), parts);
        assert!(findings[3].found.contains("a quiet place has -117 dBm"), "{}", findings[3].found);
    }

    #[test]
    fn a_dead_bus_fails_and_a_silent_line_is_a_warning_that_says_which_wire() {
        let dead = examined(Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() });
        assert_eq!(levels(&dead), [("gate: chip", Level::Fail)]);
        assert!(dead[0].found.contains("0xff") && dead[0].found.contains("check"), "{}", dead[0].found);
        let silent = examined(Faults { stuck_dio0: Some(StuckLine::Low), ..Faults::default() });
        assert_eq!(levels(&silent)[2], ("gate: DIO0", Level::Warn));
        assert!(silent[2].advice.unwrap().contains("dio0_line"));
    }

    #[test]
    fn a_loud_channel_is_a_warning() {
        let found = Examination { reset_works: true, dio0_works: true, noise_dbm: -90, loudest_dbm: -60 };
        assert_eq!(noise("noise".into(), 125_000, found).level, Level::Warn);
        assert_eq!(noise("noise".into(), 125_000, Examination { noise_dbm: -115, ..found }).level, Level::Ok);
    }

    #[test]
    fn a_running_daemon_reports_its_radios() {
        let radio = |name: &str, state: &str, why: Option<&str>| RadioView {
            name: name.to_owned(),
            state: state.to_owned(),
            why: why.map(str::to_owned),
            air_time_left_ms: None,
            counts: RadioCounts { received: 3, ..RadioCounts::default() },
        };
        let radios = [radio("gate", "failing", Some("no chip answers")), radio("alley", "listening", None)];
        let gate = reported(&radios, "gate");
        let found = "failing (received 3, crc_errors 0, malformed 0, rescued 0, rebuilt 0): no chip answers";
        assert_eq!((gate.level, gate.found.as_str()), (Level::Fail, found));
        assert_eq!(reported(&radios, "alley").level, Level::Ok);
        assert_eq!(reported(&radios, "pen").level, Level::Warn);
    }
}
