//! What holds for listening.

use super::own::{Own, listen_to};
use super::scan::scan_with;
use super::*;
use futures::future::lazy;
use radio::emulator::{Air, DeadBus, Faults, Transmission};
use radio::lora::{Bandwidth, Modulation, SpreadingFactor};
use radio::sx127x::{Settings as ChipSettings, Sx127x};
use radio::{Counters, Health, HealthReporter, Packet, Radio, RadioError};
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio::time::Instant;

/// What is waited for comes within so long, or never.
const PATIENCE: Duration = Duration::from_secs(10);

fn channel(name: &str) -> Channel {
    Channel { name: name.into(), reader_group: "main".into() }
}

/// Hears its texts, one after the other without a pause, and ends.
struct Texts(VecDeque<String>, HealthReporter);

impl Radio for Texts {
    fn receive(&mut self) -> impl Future<Output = Result<Packet, RadioError>> + Send {
        let packet = |text: String| Packet {
            bytes: text.into(),
            rssi_dbm: None,
            snr_quarter_db: None,
            frequency_error_hz: None,
            received_at: Instant::now(),
        };
        // Taken where it is waited for: a call that is dropped before takes nothing.
        lazy(move |_| self.0.pop_front().map(packet).ok_or(RadioError::Closed))
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.1.subscribe()
    }
}

fn own(name: &str, texts: &[&str]) -> Own<Texts> {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    Own::new(channel(name), Texts(texts, HealthReporter::default()))
}

#[tokio::test(start_paused = true)]
async fn all_radios_are_heard_at_once_and_their_end_is_the_end() {
    let mut out = Vec::new();
    let radios = vec![own("gate", &["a", "b"]), own("alley", &["c", "d", "e"])];
    listen_to(radios, &mut Printer::new(&mut out, false, None)).await.unwrap();
    let lines = String::from_utf8(out).unwrap();
    let of = |name: &str| -> Vec<&str> {
        let lines = lines.lines().filter(|line| line.contains(name));
        lines.filter_map(|line| line.split_whitespace().last()).collect()
    };
    assert_eq!((of(" gate "), of(" alley ")), (vec!["a", "b"], vec!["c", "d", "e"]));
}

#[tokio::test(start_paused = true)]
async fn it_ends_after_the_packets_that_were_asked_for() {
    let mut out = Vec::new();
    listen_to(vec![own("gate", &["a", "b", "c"])], &mut Printer::new(&mut out, true, Some(2))).await.unwrap();
    assert_eq!(String::from_utf8(out).unwrap().lines().count(), 2);
}

/// Catches a radio that always has news and so keeps the others from being asked.
#[tokio::test(start_paused = true)]
async fn a_busy_radio_holds_up_no_other() {
    let (busy, quiet) = (own("gate", &["busy"; 100]), own("alley", &["quiet"]));
    let mut out = Vec::new();
    listen_to(vec![busy, quiet], &mut Printer::new(&mut out, false, Some(10))).await.unwrap();
    assert!(String::from_utf8(out).unwrap().contains("quiet"));
}

/// A chip on a bus on which nobody answers.
#[tokio::test]
async fn radios_none_of_which_hears_are_an_error_that_says_where_to_look() {
    let air = Air::default();
    let chip = air.chip("barn");
    chip.set_faults(Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() });
    let settings = ChipSettings { modulation: Modulation::default(), transmit: None };
    let radio = Sx127x::start("gate", chip.board(), settings).unwrap();
    let mut out = Vec::new();
    let own = Own::new(channel("gate"), radio);
    let mut printer = Printer::new(&mut out, false, None);
    let listened = tokio::time::timeout(PATIENCE, listen_to(vec![own], &mut printer)).await;
    let error = listened.expect("it ends by itself").unwrap_err();
    assert!(matches!(&error, ListenError::NoneHears) && error.to_string().contains("doctor"), "{error}");
}

#[test]
fn a_scan_steps_over_every_combination_once_and_begins_with_the_usual_one() {
    let scan = Scan::over(&[125_000, 500_000], &[0x12, 0x34], Duration::from_secs(1));
    let mut steps = scan.steps.clone();
    steps.sort();
    steps.dedup();
    assert_eq!((steps.len(), scan.steps.len()), (24, 24));
    assert_eq!(scan.steps[0].to_string(), "SF7 125000 Hz 0x12");
}

/// Against the real driver on an emulated chip: a reader sends with settings that nobody wrote down.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_finds_the_settings_of_a_reader_that_nobody_wrote_down() {
    let air = Air::default();
    let chip = air.chip("barn");
    let secret = Modulation {
        spreading_factor: SpreadingFactor::new(8).unwrap(),
        bandwidth: Bandwidth::Khz500,
        sync_word: 0x34,
        ..Modulation::default()
    };
    let open = |setting: Setting| {
        let modulation = Modulation {
            spreading_factor: SpreadingFactor::new(setting.spreading_factor).unwrap(),
            bandwidth: Bandwidth::from_hz(setting.bandwidth_hz).unwrap(),
            sync_word: setting.sync_word,
            ..Modulation::default()
        };
        let settings = ChipSettings { modulation, transmit: None };
        Ok(Sx127x::start("gate", chip.board(), settings).unwrap().into())
    };
    let expected = Setting { spreading_factor: 8, bandwidth_hz: 500_000, sync_word: 0x34 };
    // Each wrong step differs in one thing. The last one ends with the first packet.
    let steps = vec![
        Setting { sync_word: 0x12, ..expected },
        Setting { bandwidth_hz: 125_000, ..expected },
        Setting { spreading_factor: 7, ..expected },
        expected,
    ];
    let scan = Scan { steps, dwell: Duration::from_secs(1) };
    let sending = tokio::spawn({
        let air = air.clone();
        async move {
            loop {
                let packet = Transmission { modulation: secret, ..Transmission::of("hxb:LOT1:LF1:UHF1") };
                air.transmit(packet, air.now()).unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let mut out = Vec::new();
    let found = scan_with(&scan, &channel("gate"), open, &mut Printer::new(&mut out, true, Some(1))).await.unwrap();
    sending.abort();
    assert_eq!(found, [Found { setting: expected, packets: 1, crc_errors: 0 }]);
    let line: serde_json::Value =
        serde_json::from_str(String::from_utf8(out).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!((&line["text"], &line["spreading_factor"]), (&"hxb:LOT1:LF1:UHF1".into(), &8.into()));
}

#[test]
fn a_sync_word_is_read_as_people_write_it() {
    assert_eq!(["0x12", "0X34", "18"].map(sync_word), [Ok(0x12), Ok(0x34), Ok(18)]);
    assert!(["0x123", "-1", "", "x"].into_iter().all(|text| sync_word(text).is_err()));
}

#[test]
fn only_a_radio_that_is_set_up_can_be_listened_to() {
    let of = |text: &str| toml::from_str::<Settings>(text).unwrap();
    let asked = ListenRequest {
        json: false,
        count: None,
        seconds: None,
        radio: Some("gate".into()),
        scan: false,
        dwell: DurationSetting::from_secs(1),
        bandwidths: vec![],
        sync_words: vec![],
    };
    assert!(matches!(chosen(&of("[[radio]]\nkind = 'none'"), &asked), Err(ListenError::NoRadio)));
    let two = of("[[radio]]\nkind = 'simulated'\n[[radio]]\nkind = 'simulated'\nname = 'gate'");
    assert_eq!(chosen(&two, &asked).unwrap()[0].0.name, "gate");
    let error = chosen(&two, &ListenRequest { radio: Some("barn".into()), ..asked }).unwrap_err();
    assert_eq!(error.to_string(), "there is no radio `barn`; there is: radio1, gate");
}
