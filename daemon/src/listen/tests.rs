//! Listening on local radios, and scanning.

use super::local_radio::{LocalRadio, listen_to};
use super::scan::scan_with;
use super::*;
use crate::open::open_local;
use futures::future::lazy;
use radio::emulator::{Air, DeadBus, Faults, Transmission};
use radio::lora::{Bandwidth, LowDataRateOptimize, Modulation, SpreadingFactor};
use radio::sx127x::{CrcPolicy, Settings as ChipSettings, Sx127x};
use radio::{Counters, Health, HealthReporter, Packet, Radio, RadioError};
use serde_json::Value;
use service::harness::TIMEOUT;
use service::process::StateDir;
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio::time::Instant;

fn channel(name: &str) -> Channel {
    Channel { name: name.into(), reader_group: "main".into(), strip_bytes: 0 }
}

/// A radio that receives its texts without a pause, and then ends.
struct TextRadio(VecDeque<String>, HealthReporter);

impl Radio for TextRadio {
    fn receive(&mut self) -> impl Future<Output = Result<Packet, RadioError>> + Send {
        let packet = |text: String| Packet {
            bytes: text.into(),
            rssi_dbm: None,
            snr_quarter_db: None,
            frequency_error_hz: None,
            received_at: Instant::now(),
        };
        // Taken when polled: a call that is dropped before takes nothing.
        lazy(move |_| self.0.pop_front().map(packet).ok_or(RadioError::Closed))
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.1.subscribe()
    }
}

fn text_radio(name: &str, texts: &[&str]) -> LocalRadio<TextRadio> {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    LocalRadio::new(channel(name), TextRadio(texts, HealthReporter::default()))
}

#[tokio::test(start_paused = true)]
async fn packets_of_all_radios_are_printed_until_all_have_ended() {
    let mut out = Vec::new();
    let radios = vec![text_radio("gate", &["a", "b"]), text_radio("alley", &["c", "d", "e"])];
    listen_to(radios, &mut Printer::new(&mut out, false, None)).await.unwrap();
    let lines = String::from_utf8(out).unwrap();
    let of = |name: &str| -> Vec<&str> {
        let lines = lines.lines().filter(|line| line.contains(name));
        lines.filter_map(|line| line.split_whitespace().last()).collect()
    };
    assert_eq!((of(" gate "), of(" alley ")), (vec!["a", "b"], vec!["c", "d", "e"]));
}

#[tokio::test(start_paused = true)]
async fn listening_ends_after_the_requested_number_of_packets() {
    let mut out = Vec::new();
    listen_to(vec![text_radio("gate", &["a", "b", "c"])], &mut Printer::new(&mut out, true, Some(2))).await.unwrap();
    assert_eq!(String::from_utf8(out).unwrap().lines().count(), 2);
}

/// Catches a radio that always has a packet and so starves the others.
#[tokio::test(start_paused = true)]
async fn a_busy_radio_does_not_starve_the_others() {
    let (busy, quiet) = (text_radio("gate", &["busy"; 100]), text_radio("alley", &["quiet"]));
    let mut out = Vec::new();
    listen_to(vec![busy, quiet], &mut Printer::new(&mut out, false, Some(10))).await.unwrap();
    assert!(String::from_utf8(out).unwrap().contains("quiet"));
}

/// A radio whose packets come after a while.
struct LateRadio(TextRadio);

impl Radio for LateRadio {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        tokio::time::sleep(3 * INITIAL_TIMEOUT).await;
        self.0.receive().await
    }

    fn counters(&self) -> Counters {
        self.0.counters()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health()
    }
}

/// Catches a quiet barn that passes for one whose radios fail.
#[tokio::test(start_paused = true)]
async fn a_radio_that_is_silent_at_first_is_waited_for() {
    let radio = LateRadio(TextRadio(["late".to_owned()].into(), HealthReporter::default()));
    let mut out = Vec::new();
    listen_to(vec![LocalRadio::new(channel("gate"), radio)], &mut Printer::new(&mut out, false, None)).await.unwrap();
    assert!(String::from_utf8(out).unwrap().ends_with("late\n"));
}

/// Catches a step of a scan that begins before its chip receives, and an error that nobody is told.
#[tokio::test(start_paused = true)]
async fn a_radio_is_waited_for_until_it_listens_and_says_why_it_does_not() {
    let reporter = HealthReporter::default();
    let radio = LocalRadio::new(channel("gate"), TextRadio(VecDeque::new(), reporter.clone()));
    assert_eq!((radio.name(), radio.health_text().as_str()), ("gate", "listening"));
    reporter.report(Health::Failing("no chip answers".into()));
    assert_eq!(radio.health_text(), "no chip answers");
    assert!(tokio::time::timeout(INITIAL_TIMEOUT, radio.wait_until_listening()).await.is_err());
    reporter.report(Health::Listening);
    assert!(tokio::time::timeout(INITIAL_TIMEOUT, radio.wait_until_listening()).await.is_ok());
}

/// Catches a `listen` that shows nothing and does not say why. Uses a chip on a dead bus.
#[tokio::test]
async fn failing_radios_are_an_error_that_names_doctor() {
    let air = Air::default();
    let chip = air.chip("barn");
    chip.set_faults(Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() });
    let settings = ChipSettings::listening(Modulation::default());
    let radio = Sx127x::start("gate", chip.board(), settings).unwrap();
    let mut out = Vec::new();
    let radio = LocalRadio::new(channel("gate"), radio);
    let mut printer = Printer::new(&mut out, false, None);
    let result = tokio::time::timeout(TIMEOUT, listen_to(vec![radio], &mut printer)).await;
    let error = result.expect("listening fails by itself").unwrap_err();
    assert!(matches!(&error, ListenError::AllFailing) && error.to_string().contains("doctor"), "{error}");
}

#[test]
fn a_scan_tries_every_combination_once_and_starts_with_the_usual_one() {
    let scan = Scan::over(&[125_000, 500_000], &[0x12, 0x34], Duration::from_secs(1));
    let mut steps = scan.steps.clone();
    steps.sort();
    steps.dedup();
    assert_eq!((steps.len(), scan.steps.len()), (24, 24));
    assert_eq!(scan.steps[0].to_string(), "SF7 125000 Hz 0x12");
}

/// Returns what a scan of these steps finds of a reader that sends all the time, and the first line that it prints. Uses
/// the production driver on an emulated chip. The scan ends after `count` packets.
async fn scan_for(sent: Transmission, steps: Vec<ScanSettings>, count: Option<u64>) -> (Vec<ScanResult>, Value) {
    let air = Air::default();
    let chip = air.chip("barn");
    let open = |settings: ScanSettings| {
        let modulation = Modulation {
            spreading_factor: SpreadingFactor::new(settings.spreading_factor).unwrap(),
            bandwidth: Bandwidth::from_hz(settings.bandwidth_hz).unwrap(),
            sync_word: settings.sync_word,
            low_data_rate_optimize: settings.low_data_rate_optimize,
            ..Modulation::default()
        };
        let settings = ChipSettings { crc: CrcPolicy::Optional, ..ChipSettings::listening(modulation) };
        Ok(Sx127x::start("gate", chip.board(), settings).unwrap().into())
    };
    let scan = Scan { steps, dwell: Duration::from_secs(1) };
    let sending = tokio::spawn({
        let air = air.clone();
        async move {
            loop {
                air.transmit(sent.clone(), air.now()).unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let mut out = Vec::new();
    let found = scan_with(&scan, &channel("gate"), open, &mut Printer::new(&mut out, true, count)).await.unwrap();
    sending.abort();
    let text = String::from_utf8(out).unwrap();
    (found, text.lines().next().map(|line| serde_json::from_str(line).unwrap()).unwrap_or_default())
}

fn steps_at(spreading_factor: u8, bandwidth_hz: u32, sync_word: u8) -> ScanSettings {
    let low_data_rate_optimize = LowDataRateOptimize::Auto;
    ScanSettings { spreading_factor, bandwidth_hz, sync_word, low_data_rate_optimize }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_finds_the_settings_of_a_reader() {
    let secret = Modulation {
        spreading_factor: SpreadingFactor::new(8).unwrap(),
        bandwidth: Bandwidth::Khz500,
        sync_word: 0x34,
        ..Modulation::default()
    };
    let expected = steps_at(8, 500_000, 0x34);
    // Each wrong step differs in one setting. The last step ends with the first packet.
    let steps = vec![
        ScanSettings { sync_word: 0x12, ..expected },
        ScanSettings { bandwidth_hz: 125_000, ..expected },
        ScanSettings { spreading_factor: 7, ..expected },
        expected,
    ];
    let sent = Transmission { modulation: secret, ..Transmission::of("hxb:LOT1:LF1:UHF1") };
    let (found, line) = scan_for(sent, steps, Some(1)).await;
    assert_eq!(found, [ScanResult { settings: expected, packets: 1, crc_errors: 0, without_crc: 0 }]);
    assert_eq!((&line["text"], &line["spreading_factor"]), (&"hxb:LOT1:LF1:UHF1".into(), &8.into()));
}

/// Catches a scan that names a wrong CRC as the end of the matter.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_tries_the_other_low_data_rate_where_only_wrong_crcs_come() {
    for (spreading_factor, sender, word) in [(8, true, "on"), (11, false, "off"), (12, false, "off")] {
        let modulation =
            Modulation { spreading_factor: SpreadingFactor::new(spreading_factor).unwrap(), ..Modulation::default() };
        let sent =
            Transmission { modulation, low_data_rate_optimize: Some(sender), ..Transmission::of("hxb:LOT1:LF1:UHF1") };
        let (found, line) = scan_for(sent, vec![steps_at(spreading_factor, 125_000, 0x12)], Some(1)).await;
        let [first, second] = found[..] else { panic!("SF{spreading_factor}: {found:?}") };
        assert!(first.crc_errors > 0 && first.packets == 0, "SF{spreading_factor}: {first:?}");
        assert_eq!((second.packets, second.settings.low_data_rate_word()), (1, Some(word)), "SF{spreading_factor}");
        assert_eq!(line["low_data_rate_optimize"], word);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_shows_packets_without_a_crc_and_counts_them_apart() {
    for factor in [7, 8, 9] {
        let modulation =
            Modulation { spreading_factor: SpreadingFactor::new(factor).unwrap(), ..Modulation::default() };
        let sent = Transmission { modulation, crc: false, ..Transmission::of("hxb:LOT1:LF1:UHF1") };
        let (found, line) = scan_for(sent, vec![steps_at(factor, 125_000, 0x12)], Some(2)).await;
        let [ScanResult { packets: 0, crc_errors: 0, without_crc, .. }] = found[..] else { panic!("{found:?}") };
        assert!(without_crc >= 2, "{without_crc}");
        assert_eq!(line["text"], "hxb:LOT1:LF1:UHF1");
    }
}

#[test]
fn a_sync_word_is_hexadecimal_or_decimal() {
    assert_eq!(["0x12", "0X34", "18"].map(parse_sync_word), [Ok(0x12), Ok(0x34), Ok(18)]);
    assert!(["0x123", "-1", "", "x"].into_iter().all(|text| parse_sync_word(text).is_err()));
}

/// Returns a request for all packets of all radios.
fn plain_request() -> ListenRequest {
    ListenRequest {
        json: false,
        count: None,
        seconds: None,
        radio: None,
        scan: false,
        dwell: DurationSetting::from_secs(1),
        bandwidths: vec![],
        sync_words: vec![],
    }
}

/// Catches a command that takes the chip from a daemon which folds its tables: its radios listen, and its socket is not there
/// yet.
#[tokio::test]
async fn no_radio_is_opened_while_a_process_without_a_socket_has_the_files_open() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = directory.path().to_owned();
    let radios = "[[radio]]\nkind = 'sx127x'\nsx127x = { board = 'linux', spi = '/nowhere/spi' }";
    let settings = Settings { state_dir, ..toml::from_str(radios).unwrap() };
    let _starting = open_local(&StateDir::new(directory.path())).unwrap();
    for (scan, exit) in [(true, Exit::Refused), (false, Exit::Locked)] {
        let (request, mut out) = (ListenRequest { scan, ..plain_request() }, Vec::new());
        let error = print_packets(&settings, &request, &mut Printer::new(&mut out, false, None)).await.unwrap_err();
        assert_eq!(Exit::from(&error), exit, "{error}");
        assert!(!scan || matches!(error, ListenError::DaemonRunning), "{error}");
    }
}

#[test]
fn only_a_radio_of_the_settings_can_be_listened_to() {
    let parse = |text: &str| toml::from_str::<Settings>(text).unwrap();
    let request = ListenRequest { radio: Some("gate".into()), ..plain_request() };
    assert!(matches!(selected_radios(&parse("[[radio]]\nkind = 'none'"), &request), Err(ListenError::NoRadio)));
    let two = parse("[[radio]]\nkind = 'simulated'\n[[radio]]\nkind = 'simulated'\nname = 'gate'");
    assert_eq!(selected_radios(&two, &request).unwrap()[0].0.name, "gate");
    let error = selected_radios(&two, &ListenRequest { radio: Some("barn".into()), ..request.clone() }).unwrap_err();
    assert_eq!(error.to_string(), "there is no radio `barn`; the radios are: radio1, gate");

    let all = ListenRequest { radio: None, ..request };
    assert_eq!(selected_radios(&two, &all).unwrap().len(), 2);
    assert!(first_chip(&selected_radios(&two, &all).unwrap()).is_none());
    let chips = parse("[[radio]]\nkind = 'simulated'\n[[radio]]\nkind = 'sx127x'\n[[radio]]\nkind = 'sx127x'");
    assert_eq!(first_chip(&selected_radios(&chips, &all).unwrap()).unwrap().0.name, "radio2");
}
