//! Claims about the merge of the layers and the errors of wrong settings.

use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use std::net::SocketAddr;
use toml::Table;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Barn {
    name: String,
    listen: SocketAddr,
    limits: Limits,
    radio: Vec<Radio>,
    tags: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    most: u16,
    window: DurationSetting,
    strict: bool,
    factor: Option<f64>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Radio {
    #[serde(default = "radio1")]
    name: String,
    kind: Kind,
    #[serde(default)]
    frequency_hz: u32,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Simulated,
    Serial,
}

fn radio1() -> String {
    "radio1".to_owned()
}

impl Default for Barn {
    fn default() -> Self {
        let listen = "0.0.0.0:5001".parse().unwrap();
        Self { name: "barn".into(), listen, limits: Limits::default(), radio: Vec::new(), tags: Vec::new() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { most: 5, window: DurationSetting::from_secs(60), strict: true, factor: None }
    }
}

fn merged(file: &str, vars: &[(&str, &str)], flags: &str) -> Result<MergedSettings, SettingsError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("barn.toml");
    std::fs::write(&path, file).unwrap();
    let layers = Layers {
        file: Some(&path),
        env_prefix: "HERDLINX_",
        ignore_prefixes: &["HERDLINX_MIRROR_"],
        arrays: &["radio"],
        flags: toml::from_str(flags).unwrap(),
    };
    layers.merge(vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn settings(file: &str, vars: &[(&str, &str)], flags: &str) -> Result<Barn, SettingsError> {
    merged(file, vars, flags)?.into_settings()
}

fn refusal(file: &str, vars: &[(&str, &str)], flags: &str) -> String {
    settings(file, vars, flags).unwrap_err().to_string()
}

/// Catches a default that depends on a layer.
#[test]
fn without_any_layer_the_defaults_apply() {
    assert_eq!(settings("", &[], "").unwrap(), Barn::default());
    let no_layers =
        Layers { file: None, env_prefix: "HERDLINX_", ignore_prefixes: &[], arrays: &[], flags: Table::new() };
    assert_eq!(no_layers.merge(environment().take(0)).unwrap().into_settings::<Barn>().unwrap(), Barn::default());
}

/// Catches a wrong order of precedence, and foreign variables that are read as settings.
#[test]
fn flags_override_the_environment_and_it_overrides_the_file() {
    let file = "name = 'file'\n[limits]\nmost = 1\nwindow = '1s'\nstrict = false\n";
    let vars = [("HERDLINX_NAME", "variable"), ("HERDLINX_LIMITS__MOST", "2"), ("PATH", "/bin")];
    let barn = settings(file, &vars, "[limits]\nmost = 3").unwrap();
    assert_eq!(barn.name, "variable");
    assert_eq!(barn.limits, Limits { most: 3, window: DurationSetting::from_secs(1), strict: false, factor: None });
}

/// Catches a name of digits that becomes a number, and a number that stays text.
#[test]
fn the_text_of_a_variable_takes_the_type_of_its_setting() {
    let vars = [
        ("HERDLINX_NAME", "12345"),
        ("HERDLINX_LISTEN", "127.0.0.1:0"),
        ("HERDLINX_TAGS", r#"["a", "b"]"#),
        ("HERDLINX_LIMITS__MOST", "7"),
        ("HERDLINX_LIMITS__WINDOW", "250ms"),
        ("HERDLINX_LIMITS__STRICT", "false"),
        ("HERDLINX_LIMITS__FACTOR", "1.5"),
    ];
    let barn = settings("", &vars, "").unwrap();
    assert_eq!((barn.name.as_str(), barn.tags.len(), barn.listen.port()), ("12345", 2, 0));
    let window = DurationSetting::from_ms(250);
    assert_eq!(barn.limits, Limits { most: 7, window, strict: false, factor: Some(1.5) });
}

/// Catches a variable that replaces all radios of the file.
#[test]
fn a_variable_sets_a_key_of_the_first_radio_and_creates_it_if_needed() {
    let vars = [("HERDLINX_RADIO__KIND", "serial"), ("HERDLINX_RADIO__FREQUENCY_HZ", "915000000")];
    let created = settings("", &vars, "").unwrap().radio;
    assert_eq!(created, [Radio { name: radio1(), kind: Kind::Serial, frequency_hz: 915_000_000 }]);

    let two = "[[radio]]\nkind = 'simulated'\nname = 'chute'\n[[radio]]\nkind = 'simulated'\nname = 'alley'\n";
    let radios = settings(two, &vars, "[radio]\nfrequency_hz = 5").unwrap().radio;
    assert_eq!(radios[0], Radio { name: "chute".into(), kind: Kind::Serial, frequency_hz: 5 });
    assert_eq!(radios[1], Radio { name: "alley".into(), kind: Kind::Simulated, frequency_hz: 0 });
}

/// Catches a barn that refuses to start because of the office's variables.
#[test]
fn variables_of_the_other_program_are_ignored() {
    assert_eq!(settings("", &[("HERDLINX_MIRROR_FLY", "1"), ("HERDLIN", "x")], "").unwrap(), Barn::default());
}

/// Catches an error that does not say which line, variable or flag to correct.
#[test]
fn the_error_of_an_unknown_setting_names_its_origin() {
    let file = "name = 'a'\n\n[limits]\nmost = 1\nfly = true\n";
    let text = refusal(file, &[], "");
    assert!(text.contains("`limits.fly`") && text.contains("barn.toml, line 5"), "{text}");
    let text = refusal("[[radio]]\nkind = 'serial'\n[[radio]]\nkind = 'serial'\nknd = 1\n", &[], "");
    assert!(text.contains("`radio[1].knd`") && text.contains("line 5"), "{text}");
    let text = refusal("", &[("HERDLINX_LIMITS__FLY", "1")], "");
    assert!(text.contains("`limits.fly`") && text.contains("environment variable HERDLINX_LIMITS__FLY"), "{text}");
    let text = refusal("", &[], "fly = 1");
    assert!(text.contains("`fly` (command line)"), "{text}");
    let text = refusal("[fly]\nhigh = 1", &[], "");
    assert!(text.contains("`fly`") && text.contains("line 1"), "{text}");
    let text = refusal("'' = 1", &[], "");
    assert!(text.contains("`\"\"`") && text.contains("line 1"), "{text}");
    let text = refusal("[limits]\n'to fly.' = 1", &[], "");
    assert!(text.contains("`limits.\"to fly.\"`") && text.contains("line 2"), "{text}");
}

/// Catches an error that does not say which line or variable to correct.
#[test]
fn the_error_of_a_wrong_value_names_its_origin() {
    let text = refusal("\n\nlisten = 'nowhere'\n", &[], "");
    assert!(text.contains("`listen`") && text.contains("barn.toml, line 3"), "{text}");
    let text = refusal("[limits]\nmost = 1\n", &[("HERDLINX_LIMITS__MOST", "many")], "");
    assert!(text.contains("`limits.most` (environment variable HERDLINX_LIMITS__MOST)"), "{text}");
    let text = refusal("", &[("HERDLINX_LIMITS__MOST", "70000")], "");
    assert!(text.contains("`limits.most`") && text.contains("70000"), "{text}");
    let text = refusal("[limits]\nwindow = 60\n", &[], "");
    assert!(text.contains("`limits.window`") && text.contains("line 2"), "{text}");
    let text = refusal("[[radio]]\nname = 'x'\n", &[], "");
    assert!(text.contains("`radio[0]`") && text.contains("kind") && text.contains("line 1"), "{text}");
}

/// Catches a broken or missing file that is treated as empty.
#[test]
fn invalid_toml_is_refused_with_its_line_and_a_missing_file_with_its_path() {
    let text = refusal("name = 'a'\nlisten = \n", &[], "");
    assert!(text.contains("barn.toml, line 2"), "{text}");
    let text = refusal("name = 'a'\nname = 'b'\n", &[], "");
    assert!(text.contains("line 2"), "{text}");
    let missing = Layers {
        file: Some(std::path::Path::new("/nowhere/barn.toml")),
        env_prefix: "HERDLINX_",
        ignore_prefixes: &[],
        arrays: &[],
        flags: Table::new(),
    };
    let text = missing.merge(std::iter::empty()).unwrap_err().to_string();
    assert!(text.contains("/nowhere/barn.toml"), "{text}");
}

/// Catches a file that fills the memory, one of the largest size that is refused, and the mark that an editor of Windows puts
/// in front.
#[test]
fn a_file_may_have_a_mebibyte_and_a_byte_order_mark() {
    let of_bytes = |bytes: usize| {
        let beginning = "\u{feff}name = 'a'\n#";
        format!("{beginning}{}", " ".repeat(bytes - beginning.len()))
    };
    assert_eq!(settings(&of_bytes(1024 * 1024), &[], "").unwrap().name, "a");
    assert!(refusal(&of_bytes(1024 * 1024 + 1), &[], "").contains("larger than 1048576 bytes"));
}

/// Catches an error that names the line of a value which a variable has replaced.
#[test]
fn a_variable_that_replaces_a_table_is_the_origin_of_all_in_it() {
    let text = refusal("[limits]\nfly = true\n", &[("HERDLINX_LIMITS", "{ fly = 2 }")], "");
    assert!(text.contains("`limits.fly` (environment variable HERDLINX_LIMITS)"), "{text}");
}

/// Catches settings of both programs that one of them accepts and cannot use.
#[test]
fn settings_of_both_programs_are_refused_by_name() {
    let name = |checked: Result<(), SettingsError>| match checked {
        Err(SettingsError::Value { key, .. }) => key,
        other => format!("{other:?}"),
    };
    let good = "Ok(())";
    for (path, expected) in [("/data", good), ("data", good), ("", "state_dir")] {
        assert_eq!(name(check_state_dir(path.as_ref())), expected, "{path}");
    }
    for (path, expected) in [(None, good), (Some("/data/log"), good), (Some("log"), "log_file")] {
        assert_eq!(name(check_log_file(path.map(str::as_ref))), expected, "{path:?}");
    }
    for (certificate, key, expected) in
        [(true, true, good), (false, false, good), (true, false, "tls"), (false, true, "tls")]
    {
        let file = |is_set: bool| is_set.then(|| "/data/pem".into());
        let tls = TlsSettings { certificate: file(certificate), key: file(key) };
        assert_eq!(name(tls.check()), expected);
        assert_eq!((tls.files().is_some(), tls.is_unset()), (certificate && key, !certificate && !key));
    }
}

/// Catches a process that does not see its environment.
#[test]
fn the_environment_is_that_of_the_process() {
    let (found, expected) = (environment().collect::<Vec<_>>(), std::env::var("PATH").unwrap());
    assert!(found.contains(&("PATH".to_owned(), expected)));
    assert_eq!(found.len(), std::env::vars_os().count());
}

/// Catches a mistyped variable that is silently ignored.
#[test]
fn a_variable_without_a_key_or_inside_a_single_value_is_refused() {
    for name in ["HERDLINX_", "HERDLINX___MOST", "HERDLINX_LIMITS__", "HERDLINX_LIMITS____MOST"] {
        assert!(refusal("", &[(name, "1")], "").contains(name), "{name}");
    }
    let text = refusal("name = 'a'\n", &[("HERDLINX_NAME__FIRST", "b")], "");
    assert!(text.contains("`name.first`") && text.contains("barn.toml, line 1"), "{text}");
}

/// Catches a `config` that shows the wrong origin of a setting.
#[test]
fn every_setting_has_its_origin() {
    let merged = merged("name = 'a'\n", &[("HERDLINX_RADIO__KIND", "serial")], "tags = []").unwrap();
    assert!(merged.origin("name").to_string().ends_with("barn.toml, line 1"));
    assert_eq!(merged.origin("radio[0].kind"), &Origin::Variable("HERDLINX_RADIO__KIND".into()));
    assert_eq!(merged.origin("tags"), &Origin::Flag);
    assert_eq!(merged.origin("listen"), &Origin::Unset);
    assert_eq!(merged.table()["radio"][0]["kind"].as_str(), Some("serial"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Catches a panic on arbitrary files and variables.
    #[test]
    fn no_text_in_a_file_or_variable_makes_the_merge_panic(
        file in prop_oneof!["\\PC{0,60}", "(name|listen|limits|radio|\\[|\\]|=|'|1|\\.|\n| ){0,40}"],
        name in prop_oneof!["[A-Z_]{0,20}", "(RADIO|LIMITS|NAME|MOST|KIND|__){0,5}"],
        value in "\\PC{0,20}|\\[*[0-9a-z\", ]*\\]*|(\n|=|value|[0-9]){0,10}",
    ) {
        let _ = settings(&file, &[(&format!("HERDLINX_{name}"), &value)], "");
        let _ = settings("", &[(&format!("HERDLINX_{name}"), &value), ("HERDLINX_LIMITS__MOST", &value)], "");
    }

    /// Catches a text setting whose value is reinterpreted as TOML.
    #[test]
    fn any_text_is_unchanged_in_a_text_setting(value in "\\PC{0,40}|[0-9]{1,5}|true|\\[1\\]") {
        prop_assert_eq!(settings("", &[("HERDLINX_NAME", &value)], "").unwrap().name, value);
    }
}
