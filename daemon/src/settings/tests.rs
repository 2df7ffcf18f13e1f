//! What holds for settings.

use super::*;
use proptest::prelude::*;

fn load(file: &str, variables: &[(&str, &str)], flags: &str) -> Result<Settings, Refused> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("herdlinxd.toml");
    std::fs::write(&path, file).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load(Some(&path), variables, toml::from_str(flags).unwrap())
}

#[test]
fn what_config_prints_passes_unchanged_and_changes_nothing() {
    assert_eq!(load(DEFAULT_TEXT, &[], "").unwrap(), Settings::default());
}

/// Catches a default that the printed file states wrongly, and a key that it does not state.
#[test]
fn every_key_stands_in_the_printed_file_with_its_default() {
    let stated: String =
        DEFAULT_TEXT.lines().filter_map(|line| line.strip_prefix('#')).fold(String::new(), |all, line| {
            if line.starts_with(' ') || line.is_empty() { all } else { all + line + "\n" }
        });
    let table: toml::Table = toml::from_str(&stated).unwrap();
    let keys: Vec<_> = table.keys().map(String::as_str).collect();
    let all =
        ["export_rest", "listen", "log", "reader_group", "rejections_per_hour", "repeat_window", "site", "state_dir"];
    assert_eq!(keys, all);
    let expected = Settings { site: "barn".into(), ..Settings::default() };
    assert_eq!(load(&stated, &[], "").unwrap(), expected);
}

/// Catches an example in the printed file that would be refused once its `# ` is taken away.
#[test]
fn the_sections_of_the_printed_file_can_be_taken_as_they_stand() {
    let starts = |line: &str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| is_name(key));
    let lines = DEFAULT_TEXT.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| starts(line));
    let text = lines.collect::<Vec<_>>().join("\n").replace("\"none\"", "\"simulated\"");
    let text = text.lines().filter(|line| !line.starts_with("script")).collect::<Vec<_>>().join("\n");
    let settings = load(&text, &[], "").unwrap();
    assert_eq!(settings.tls.unwrap().key, Path::new("/etc/herdlinx/key.pem"));
    let simulated = radio::SimulatedSettings { ledger: Some("/path/to/ledger".into()), ..Default::default() };
    assert_eq!(settings.radio[0].simulated, Some(simulated));
}

#[test]
fn flags_are_above_the_environment_and_that_is_above_the_file() {
    let file = "site = 'file'\nlisten = '127.0.0.1:1'\nrejections_per_hour = 1";
    let variables =
        [("HERDLINX_SITE", "variable"), ("HERDLINX_LISTEN", "127.0.0.1:2"), ("HERDLINX_MIRROR_LISTEN", "no matter")];
    let settings = load(file, &variables, "site = 'flag'").unwrap();
    assert_eq!((settings.site.as_str(), settings.listen.port(), settings.rejections_per_hour), ("flag", 2, 1));
}

#[test]
fn the_environment_sets_the_first_radio_and_makes_it_if_there_is_none() {
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
fn a_radio_of_the_kind_none_hears_nothing() {
    assert_eq!(load("[[radio]]\nkind = 'none'", &[], "").unwrap().radios().count(), 0);
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    for (file, said) in [
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
        ("[tls]\ncertificate = 'x'", "key"),
        ("[[radio]]\nkind = 'sx127x'", "not in this build"),
        ("[[radio]]\nkind = 'serial'", "not in this build"),
        ("[[radio]]\nname = 'ä'", "radio[0].name"),
        ("[[radio]]\n[[radio]]\nname = 'radio1'", "radio[1].name"),
        ("[[radio]]\nsimulated = {}", "radio[0].simulated"),
        ("[[radio]]\nkind = 'simulated'\nsimulated = { loss = 2.0 }", "loss"),
        ("[[radio]]\nkind = 'simulated'\nsimulated = { los = 0.0 }", "los"),
        ("[[radio]]\nkind = 'lora'", "kind"),
    ] {
        let error = load(file, &[], "").unwrap_err().to_string();
        assert!(error.contains(said), "{file}: {error}");
    }
    let error = load("", &[("HERDLINX_SIGHT", "x")], "").unwrap_err().to_string();
    assert!(error.contains("HERDLINX_SIGHT"), "{error}");
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let refused = Settings::load(Some(Path::new("/nowhere/x.toml")), std::iter::empty(), toml::Table::new());
    assert!(refused.unwrap_err().to_string().contains("/nowhere/x.toml"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,100}", key in "[a-z_]{1,12}") {
        let _ = load(&text, &[], "");
        let _ = load(&format!("{key} = {text}"), &[], "");
    }
}
