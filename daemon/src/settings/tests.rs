//! Settings: the printed file, the layers, and the values that are refused.

use super::*;
use proptest::prelude::*;

fn load(file: &str, variables: &[(&str, &str)], flags: &str) -> Result<Settings, BarnSettingsError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("herdlinxd.toml");
    std::fs::write(&path, file).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load(Some(&path), variables, toml::from_str(flags).unwrap())
}

#[test]
fn the_printed_file_is_valid_and_changes_nothing() {
    assert_eq!(load(DEFAULT_TEXT, &[], "").unwrap(), Settings::default());
}

/// Catches a wrong default in the printed file, and a missing key.
#[test]
fn the_printed_file_lists_every_key_with_its_default() {
    let stated: String =
        DEFAULT_TEXT.lines().filter_map(|line| line.strip_prefix('#')).fold(String::new(), |all, line| {
            if line.starts_with(' ') || line.is_empty() { all } else { all + line + "\n" }
        });
    let table: toml::Table = toml::from_str(&stated).unwrap();
    let keys: Vec<_> = table.keys().map(String::as_str).collect();
    let all = [
        "export_rest",
        "listen",
        "log",
        "reader_group",
        "rejections_per_hour",
        "repeat_window",
        "site",
        "state_dir",
        "weight_unit",
    ];
    assert_eq!(keys, all);
    let expected = Settings { site: "barn".into(), ..Settings::default() };
    assert_eq!(load(&stated, &[], "").unwrap(), expected);
}

/// Catches weights that are read in one unit over a radio and in another over HTTP.
#[test]
fn readers_of_one_group_have_one_unit() {
    let pounds = |file: &str| load(file, &[], "").unwrap().rules().pound_groups.into_iter().collect::<Vec<_>>();
    assert!(pounds("").is_empty());
    assert_eq!(pounds("weight_unit = \"lb\""), ["main"]);
    assert_eq!(pounds("[[radio]]\nreader_group = \"gate\"\nweight_unit = \"lb\""), ["gate"]);
    for file in [
        "weight_unit = \"lb\"\n[[radio]]",
        "[[radio]]\nweight_unit = \"lb\"",
        "[[radio]]\nreader_group = \"a\"\n[[radio]]\nreader_group = \"a\"\nweight_unit = \"lb\"",
    ] {
        let refusal = load(file, &[], "").unwrap_err().to_string();
        assert!(
            refusal.contains("weight_unit") && refusal.contains("one unit for all readers of a group"),
            "{refusal}"
        );
    }
}

#[test]
fn the_example_of_a_log_file_is_valid() {
    let example =
        DEFAULT_TEXT.lines().find_map(|line| line.strip_prefix("# ").filter(|key| key.starts_with("log_file")));
    let settings = load(example.unwrap(), &[], "").unwrap();
    assert_eq!(settings.log_file.unwrap(), Path::new("/var/lib/herdlinx/herdlinxd.log"));
    let set = load("", &[("HERDLINX_LOG_FILE", "/tmp/barn.log")], "").unwrap();
    assert_eq!(set.log_file.unwrap(), Path::new("/tmp/barn.log"));
}

/// Returns the sections of the printed file (`[tls]`, `[[radio]]`, ...) and their keys, without the `# `.
fn sections() -> Vec<(String, String)> {
    let is_key = |line: &&str| line.split_once(" = ").is_some_and(|(key, _)| is_valid_name(key, MAX_NAME_CHARS));
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in DEFAULT_TEXT.lines().filter_map(|line| line.strip_prefix("# ")) {
        match sections.last_mut() {
            _ if line.starts_with('[') => sections.push((line.to_owned(), String::new())),
            Some((_, keys)) if is_key(&line) => keys.extend([line, "\n"]),
            _ => {}
        }
    }
    sections
}

/// Catches an example in the printed file that is refused once its `# ` is removed, a wrong default, and a missing key.
#[test]
fn the_sections_of_the_printed_file_are_valid_and_complete() {
    let sections = sections();
    let of = |name: &str| sections.iter().find(|(header, _)| header == name).unwrap().1.clone();
    let tls = load(&format!("[tls]\n{}", of("[tls]")), &[], "").unwrap().tls.files().unwrap();
    assert_eq!(tls.key, Path::new("/etc/herdlinx/key.pem"));
    let backup = load(&format!("[backup]\n{}", of("[backup]")), &[], "").unwrap().backup;
    let directory = Some("/media/stick/herdlinx".into());
    assert_eq!(backup, BackupSettings { directory, ..BackupSettings::default() });
    let missing: Vec<_> = toml::to_string(&backup)
        .unwrap()
        .lines()
        .filter(|line| !of("[backup]").lines().any(|it| key_of(it) == key_of(line)))
        .map(str::to_owned)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let radio = |kind: &str| {
        // Keys without a default are shown by an example.
        let keys = of(&format!("[radio.{kind}]"));
        let keys: Vec<_> =
            keys.lines().filter(|line| !["script", "ledger", "region", "dtr", "rts"].contains(&key_of(line))).collect();
        let text = format!("[[radio]]\n{}[radio.{kind}]\n{}", of("[[radio]]"), keys.join("\n"));
        load(&text.replace("\"none\"", &format!("{kind:?}")), &[], "").unwrap().radio.remove(0)
    };
    assert_eq!(radio("simulated").simulated, Some(radio::SimulatedSettings::default()));
    assert_eq!(radio("sx127x").sx127x, Some(radio::Sx127xSettings::default()));
    assert_eq!(radio("serial").serial, Some(radio::SerialSettings::default()));
    for (kind, all) in [
        ("sx127x", toml::to_string(&radio::Sx127xSettings::default()).unwrap()),
        ("serial", toml::to_string(&radio::SerialSettings::default()).unwrap()),
    ] {
        let stated = of(&format!("[radio.{kind}]"));
        let missing: Vec<_> = all.lines().filter(|line| !stated.lines().any(|it| key_of(it) == key_of(line))).collect();
        assert!(missing.is_empty(), "{kind}: {missing:?}");
    }
}

fn key_of(line: &str) -> &str {
    line.split(" = ").next().unwrap_or_default()
}

#[test]
fn radios_of_several_kinds_each_have_a_name() {
    let text = "[[radio]]\nkind = 'sx127x'\nname = 'gate'\nsx127x = { frequency_hz = 868100000, spreading_factor = 9 }\n\
                [[radio]]\nkind = 'serial'\nserial = { path = '/dev/serial/by-id/usb-1', framing = 'reyax', baud = 115200 }\n\
                [[radio]]\nkind = 'simulated'\n[[radio]]\nkind = 'sx127x'";
    let settings = load(text, &[], "").unwrap();
    let radios: Vec<_> = settings.radios().map(|(channel, radio)| (channel.name, radio.kind)).collect();
    let expected = [
        ("gate".to_owned(), RadioKind::Sx127x),
        ("radio2".to_owned(), RadioKind::Serial),
        ("radio3".to_owned(), RadioKind::Simulated),
        ("radio4".to_owned(), RadioKind::Sx127x),
    ];
    assert_eq!(radios, expected);
    assert_eq!(settings.radio[0].chip().unwrap().frequency_hz, 868_100_000);
    assert_eq!(settings.radio[3].chip(), Some(radio::Sx127xSettings::default()));
    let variables = [
        ("HERDLINX_RADIO__KIND", "sx127x"),
        ("HERDLINX_RADIO__SX127X__SYNC_WORD", "0x34"),
        ("HERDLINX_RADIO__SX127X__FREQUENCY_HZ", "868100000"),
    ];
    let chip = load("", &variables, "").unwrap().radio[0].chip().unwrap();
    assert_eq!((chip.sync_word, chip.frequency_hz), (0x34, 868_100_000));
}

/// Catches a law that is applied to a radio which only listens, and one that is not applied to a transmitter.
#[test]
fn an_unlawful_transmitter_is_refused_and_a_listener_gets_a_note() {
    let text = |transmit| {
        format!("[[radio]]\nkind = 'sx127x'\nsx127x = {{ region = 'us902', power_dbm = 20, transmit = {transmit} }}")
    };
    let notes = load(&text(false), &[], "").unwrap().notes();
    assert!(notes.iter().any(|note| note.starts_with("`radio1` only listens") && note.contains("15.247")), "{notes:?}");
    let refused = load(&text(true), &[], "").unwrap_err().to_string();
    assert!(refused.contains("`radio1`") && refused.contains("15.247"), "{refused}");
    assert_eq!(Settings::default().notes(), Vec::<String>::new());
}

#[test]
fn serialized_settings_parse_to_the_same_settings() {
    let text = "site = 'north'\nlog = 'warn'\n[[radio]]\nkind = 'serial'\n[[radio]]\nkind = 'sx127x'\nsx127x = {}";
    let settings = load(text, &[], "").unwrap();
    assert_eq!(load(&toml::to_string(&settings).unwrap(), &[], "").unwrap(), settings);
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let file = "site = 'file'\nlisten = '127.0.0.1:1'\nrejections_per_hour = 1";
    let variables =
        [("HERDLINX_SITE", "variable"), ("HERDLINX_LISTEN", "127.0.0.1:2"), ("HERDLINX_MIRROR_LISTEN", "ignored")];
    let settings = load(file, &variables, "site = 'flag'").unwrap();
    assert_eq!((settings.site.as_str(), settings.listen.port(), settings.rejections_per_hour), ("flag", 2, 1));
}

#[test]
fn the_environment_sets_the_first_radio_or_adds_one() {
    let variables = [("HERDLINX_RADIO__KIND", "simulated"), ("HERDLINX_RADIO__SIMULATED__RATE_PER_S", "20")];
    let settings = load("", &variables, "").unwrap();
    let (channel, settings) = settings.radios().next().unwrap();
    assert_eq!((channel.name.as_str(), channel.reader_group.as_str()), ("radio1", "main"));
    let expected = radio::SimulatedSettings { rate_per_s: 20.0, ..Default::default() };
    assert_eq!(settings.simulated, Some(expected));
    let settings = load("[[radio]]\nname = 'gate'\n[[radio]]\nkind = 'simulated'", &variables, "").unwrap();
    let names: Vec<_> = settings.radios().map(|(channel, _)| channel.name).collect();
    assert_eq!(names, ["gate", "radio2"]);
}

#[test]
fn a_radio_of_kind_none_is_disabled() {
    assert_eq!(load("[[radio]]\nkind = 'none'", &[], "").unwrap().radios().count(), 0);
}

#[test]
fn an_invalid_value_is_refused_by_its_key() {
    for (file, key) in [
        ("sight = 'x'", "sight"),
        ("listen = '0.0.0.0'", "listen"),
        ("site = ''", "`site`"),
        ("reader_group = 'a b'", "`reader_group`"),
        ("repeat_window = '25h'", "`repeat_window`"),
        ("repeat_window = 60", "repeat_window"),
        ("export_rest = '1s'", "`export_rest`"),
        ("rejections_per_hour = 0", "`rejections_per_hour`"),
        ("rejections_per_hour = -1", "rejections_per_hour"),
        ("log = 'loud'", "log"),
        ("log_file = 'barn.log'", "log_file"),
        ("log_file = ''", "log_file"),
        ("log_file = '/var/log/'", "log_file"),
        ("[tls]\ncertificate = 'x'", "key"),
        ("[[radio]]\nsx127x = {}", "radio[0].sx127x"),
        ("[[radio]]\nkind = 'sx127x'\nserial = {}", "radio[0].serial"),
        ("[[radio]]\nkind = 'serial'\nsimulated = {}", "radio[0].simulated"),
        ("[[radio]]\nkind = 'sx127x'\nsx127x = { spreading_factor = 6 }", "spreading_factor"),
        ("[[radio]]\nkind = 'sx127x'\nsx127x = { transmit = true }", "region"),
        ("[[radio]]\nkind = 'sx127x'\nsx127x = { spreading = 7 }", "spreading"),
        ("[[radio]]\nkind = 'serial'\nserial = { baud = 1 }", "baud"),
        ("[[radio]]\nkind = 'serial'\nserial = { framing = 'morse' }", "framing"),
        ("[[radio]]\nname = 'ä'", "radio[0].name"),
        ("[[radio]]\n[[radio]]\nname = 'radio1'", "radio[1].name"),
        ("[[radio]]\nsimulated = {}", "radio[0].simulated"),
        ("[[radio]]\nkind = 'simulated'\nsimulated = { loss = 2.0 }", "loss"),
        ("[[radio]]\nkind = 'simulated'\nsimulated = { los = 0.0 }", "los"),
        ("[[radio]]\nkind = 'lora'", "kind"),
        ("[[radio]]\nstrip_bytes = 17", "radio[0].strip_bytes"),
        ("[[radio]]\nstrip_bytes = -1", "strip_bytes"),
        ("[[radio]]\nkind = 'sx127x'\nsx127x = { crc = 'none' }", "optional"),
        ("[[radio]]\nkind = 'sx127x'\nsx127x = { reset_line = 'off' }", "\"none\""),
        ("[[radio]]\nkind = 'sx127x'\nsx127x = { low_data_rate_optimize = 'yes' }", "auto"),
        ("[[radio]]\nkind = 'serial'\nserial = { framing = 'pause' }", "burst"),
        ("[[radio]]\nkind = 'serial'\nserial = { init = ['AT'] }", "init"),
    ] {
        let error = load(file, &[], "").unwrap_err().to_string();
        assert!(error.contains(key), "{file}: {error}");
    }
    let error = load("", &[("HERDLINX_SIGHT", "x")], "").unwrap_err().to_string();
    assert!(error.contains("HERDLINX_SIGHT"), "{error}");
}

/// Catches a limit that refuses its own value, or takes the next one.
#[test]
fn a_value_at_its_limit_is_taken_and_the_next_one_is_refused() {
    let name = |length: usize| "n".repeat(length);
    for (taken, refused) in [
        (format!("site = '{}'", "ä".repeat(64)), format!("site = '{}'", "ä".repeat(65))),
        ("site = 'a b'".to_owned(), "site = \"a\\tb\"".to_owned()),
        (format!("reader_group = '{}'", name(64)), format!("reader_group = '{}'", name(65))),
        ("repeat_window = '24h'".to_owned(), "repeat_window = '86401s'".to_owned()),
        ("repeat_window = '0s'".to_owned(), "repeat_window = '-1s'".to_owned()),
        ("export_rest = '60s'".to_owned(), "export_rest = '59s'".to_owned()),
        ("export_rest = '720h'".to_owned(), "export_rest = '721h'".to_owned()),
        ("rejections_per_hour = 1000000".to_owned(), "rejections_per_hour = 1000001".to_owned()),
        ("[[radio]]\nstrip_bytes = 16".to_owned(), "[[radio]]\nstrip_bytes = 17".to_owned()),
        ("[[radio]]\nname = 'a.B_9-'".to_owned(), "[[radio]]\nname = 'a:b'".to_owned()),
    ] {
        load(&taken, &[], "").unwrap_or_else(|error| panic!("{taken}: {error}"));
        assert!(load(&refused, &[], "").is_err(), "{refused}");
    }
}

/// Catches a check that runs as the service although a variable names other settings, and one that an office's variable keeps
/// from it.
#[test]
fn the_variables_of_the_barn_are_told_from_those_of_the_office() {
    let names = ["HERDLINX_SITE", "HERDLINX_MIRROR_LISTEN", "PATH", "herdlinx_site"];
    assert_eq!(names.map(is_variable), [true, false, false, false]);
}

#[test]
fn a_given_file_must_exist() {
    let refused = Settings::load(Some(Path::new("/nowhere/x.toml")), std::iter::empty(), toml::Table::new());
    assert!(refused.unwrap_err().to_string().contains("/nowhere/x.toml"));
}

proptest! {
    #[test]
    fn no_text_causes_a_panic(text in "\\PC{0,100}", key in "[a-z_]{1,12}") {
        let _ = load(&text, &[], "");
        let _ = load(&format!("{key} = {text}"), &[], "");
    }
}

/// Catches a report of `doctor` that shows a `[tls]` section which nobody wrote.
#[test]
fn settings_without_a_certificate_are_shown_without_a_tls_section() {
    let shown = toml::to_string(&Settings::default()).unwrap();
    assert!(!shown.contains("tls"), "{shown}");
    let own = load("[tls]\ncertificate = '/c'\nkey = '/k'", &[], "").unwrap();
    assert!(toml::to_string(&own).unwrap().contains("[tls]"));
}
