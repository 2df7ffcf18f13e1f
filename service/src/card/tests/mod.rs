//! Files as people write them, and what each one yields.

mod limits;
mod lines;

use super::*;
use proptest::prelude::*;

const GOOD: &str = include_str!("broken/good.toml");
/// Files with mistakes, by name.
const BROKEN: [(&str, &str); 9] = [
    ("typo", include_str!("broken/typo.toml")),
    ("curly", include_str!("broken/curly.toml")),
    ("blanked", include_str!("broken/blanked.toml")),
    ("tabs", include_str!("broken/tabs.toml")),
    ("no_country", include_str!("broken/no_country.toml")),
    ("key_length", include_str!("broken/key_length.toml")),
    ("empty", include_str!("broken/empty.toml")),
    ("swapped", include_str!("broken/swapped.toml")),
    ("unquoted", include_str!("broken/unquoted.toml")),
];

fn read(text: &str) -> CardReading {
    CardReading::of(&CardText { text: text.to_owned(), encoding: Encoding::Utf8 })
}

fn messages(reading: &CardReading) -> Vec<String> {
    reading.mistakes.iter().map(ToString::to_string).collect()
}

/// Catches a message that no longer names the line or the mend, and a mistake that hides another.
#[test]
fn each_broken_file_yields_its_mistakes_with_lines_and_mends() {
    let lines = BROKEN.into_iter().flat_map(|(name, text)| {
        let mistakes = messages(&read(text)).into_iter().map(|message| format!("  {message}\n"));
        std::iter::once(format!("{name}.toml\n")).chain(mistakes)
    });
    let yielded: String = lines.collect();
    let golden = include_str!("broken/expected.txt");
    assert_eq!(yielded, golden, "yielded:\n{yielded}");
}

/// Catches a value that is lost or changed on the way from the file.
#[test]
fn every_value_of_a_good_file_is_read() {
    let reading = read(GOOD);
    assert_eq!(messages(&reading), Vec::<String>::new());
    let file = reading.file;
    assert_eq!(file.host_name().as_deref(), Some("herdlinx-north-barn"));
    assert_eq!((file.time_zone.as_deref(), file.time_server.as_deref()), (Some("America/Denver"), Some("192.168.1.1")));
    let wifi = file.wifi.unwrap();
    assert_eq!((wifi.country.as_str(), wifi.network.as_str()), ("US", "Barn #2 \"old\""));
    assert_eq!(wifi.password, Some(CardSecret::Given("back\\slash and \"quotes\"".into())));
    assert_eq!(file.ssh_keys.len(), 1);
    let radio = file.radio.unwrap();
    assert_eq!((radio.kind, radio.settings.len()), (CardRadioKind::Sx127x, 3));
    assert_eq!(radio.settings["frequency_hz"].as_integer(), Some(915_000_000));
    assert!(matches!(file.api_key, Some(CardSecret::Given(_))));
}

/// Catches an editor's habit that is taken for a mistake, and line numbers that an encoding shifts.
#[test]
fn every_encoding_and_line_end_gives_the_same_reading() {
    for (name, text) in BROKEN.into_iter().chain([("good", GOOD)]) {
        for line_end in ["\n", "\r\n"] {
            let text = text.replace('\n', line_end);
            for encoding in [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16Be] {
                let written = CardText { text: text.clone(), encoding };
                let decoded = CardText::decode(&written.encode()).unwrap();
                assert_eq!(decoded, if text.is_empty() { decoded.clone() } else { written }, "{name} {encoding:?}");
                let (reading, expected) = (CardReading::of(&decoded), read(&text));
                assert_eq!(messages(&reading), messages(&expected), "{name} {encoding:?}");
                assert_eq!(reading.file, expected.file, "{name} {encoding:?}");
            }
        }
    }
    for (encoding, bytes) in
        [(Encoding::Utf16Le, u16::to_le_bytes as fn(u16) -> [u8; 2]), (Encoding::Utf16Be, u16::to_be_bytes)]
    {
        let bare: Vec<u8> = GOOD.encode_utf16().flat_map(bytes).collect();
        assert_eq!(CardText::decode(&bare).unwrap(), CardText { text: GOOD.to_owned(), encoding }, "without a mark");
    }
}

/// Catches bytes that are no text and are read as one, or that are refused without a line.
#[test]
fn what_is_no_text_is_refused() {
    assert_eq!(CardText::decode(b"site = \"a\"\n\n# caf\xe9\n").unwrap_err().line, Some(3));
    for bytes in [&b"\xff\xfeA"[..], b"\xff\xfe\x00\xd8", b"PK\x03\x04\x00\x00"] {
        assert_eq!(CardText::decode(bytes).unwrap_err(), CardMistake::of_file(CardError::NotText), "{bytes:?}");
    }
}

/// Catches a secret that stays on the card, and blanking that changes anything else.
#[test]
fn blanking_replaces_the_secrets_and_nothing_else() {
    let text = CardText { text: GOOD.replace('\n', "\r\n"), encoding: Encoding::Utf16Le };
    let blanked = text.with_blanks(&CardReading::of(&text).secrets);
    let expected = GOOD
        .replace(r#"'back\slash and "quotes"'"#, "\"\"")
        .replace("\"hxb_9Tt4JqYwZk1n0mXv7cR2sLdPaHgUeBfOyNiM3VxQ5Ww\"", "\"\"")
        .replace('\n', "\r\n");
    assert_eq!((blanked.text.as_str(), blanked.encoding), (expected.as_str(), Encoding::Utf16Le));
    let reading = CardReading::of(&blanked);
    assert_eq!((messages(&reading), reading.secrets.len()), (Vec::new(), 0));
    assert_eq!(reading.file.wifi.unwrap().password, Some(CardSecret::Blank));
    assert_eq!(reading.file.api_key, Some(CardSecret::Blank));
}

/// Catches a secret in a log, in a message or in the result.
#[test]
fn no_message_and_no_debug_output_contains_a_secret() {
    let secrets = ["correct horse", "horse\"", "hxb_9T", "back\\", "12345678"];
    for (name, text) in BROKEN.into_iter().chain([("good", GOOD)]) {
        let reading = read(text);
        let shown = format!("{:?} {:?}", messages(&reading), reading.file);
        assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{name}: {shown}");
    }
}

/// Catches an explanation that the parser takes for a value, and an example that is not valid.
#[test]
fn the_template_sets_nothing_and_its_examples_are_valid() {
    let template = CardFile::default().render();
    assert_eq!(messages(&read(&template)), [CardError::Empty.to_string()]);
    let sections = template.lines().filter(|line| line.starts_with('[')).count();
    assert_eq!(sections, super::keys::SECTIONS.len());
    for key in super::keys::KEYS {
        let example = format!("\n#{} = ", key.name);
        assert_eq!(template.matches(&example).count(), 1, "{}", key.name);
    }
    for example in ["site", "time_zone", "time_server", "log_server", "kind", "region", "frequency_hz", "sync_word"] {
        let text = template.replace(&format!("\n#{example} = "), &format!("\n{example} = "));
        let expected: &[String] = match example {
            "region" | "frequency_hz" | "sync_word" => continue,
            _ => &[],
        };
        assert_eq!(messages(&read(&text)), expected, "{example}");
    }
}

/// Catches a written file that is read back as another.
#[test]
fn a_rendered_file_is_read_back_as_it_was() {
    let file = read(GOOD).file;
    let reading = read(&file.render());
    assert_eq!(messages(&reading), Vec::<String>::new());
    assert_eq!(reading.file, file);
    let code = herd::pairing::PairingCode::generate(&mut herd::randomness::SeededRandomness::new(1)).unwrap();
    let prepared = CardFile {
        log_server: Some("https://logs.example.com:19532".into()),
        wifi: file.wifi.map(|wifi| CardWifi { password: Some(CardSecret::Blank), ..wifi }),
        pairing_code: Some(CardSecret::Given(code.to_string())),
        ssh_keys: vec![file.ssh_keys[0].clone(), file.ssh_keys[0].replace("farm", "vet")],
        backup: Some(toml::toml! { directory = "/media/stick/herdlinx" at = "23:05" keep = 3 }),
        ..CardFile::default()
    };
    let reading = read(&prepared.render());
    assert_eq!((messages(&reading), reading.file), (Vec::new(), prepared));
}

/// Catches a weak, cut or private SSH key that locks its owner out or lets others in.
#[test]
fn ssh_keys_are_checked_as_a_whole() {
    let good = &read(GOOD).file.ssh_keys[0];
    assert_eq!(check_ssh_key(&format!("  {good} ")).as_ref(), Ok(good));
    for bad in [
        "~/.ssh/id_ed25519.pub",
        "ssh-dss AAAAB3NzaC1kc3M= old",
        "from=\"10.0.0.1\" ssh-ed25519 AAAA",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGPKJ7Ar6oXHCZ8y4DK6Tdeb8jEMpvV3gVvGC1uL0vZQ",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        &format!("{good}\nssh-ed25519 AAAA"),
    ] {
        assert!(check_ssh_key(bad).is_err(), "{bad}");
    }
}

#[test]
fn host_names_are_valid_labels() {
    for (site, name) in [
        ("North Barn", "herdlinx-north-barn"),
        ("  Pen_4 / east-side!", "herdlinx-pen-4-east-side"),
        ("牧場", "herdlinx"),
        ("Müller", "herdlinx-m-ller"),
        (&format!("{} b", "a".repeat(53)), &format!("herdlinx-{}", "a".repeat(53))),
        (&"a".repeat(64), &format!("herdlinx-{}", "a".repeat(54))),
    ] {
        assert_eq!(site_host_name(site), name);
    }
}

#[test]
fn values_out_of_their_rules_are_refused() {
    for (check, bad) in [
        (check_country as fn(&str) -> Result<String, String>, "UK"),
        (check_country, "USA"),
        (check_country, "1A"),
        (check_host, "two hosts"),
        (check_host, "-a"),
        (check_host, ""),
        (values::check_time_zone, "../../etc/passwd"),
        (values::check_time_zone, "/UTC"),
        (values::check_log_server, "ftp://logs"),
        (values::check_log_server, "https://logs:0"),
        (values::check_log_server, "logs.example.com"),
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
    assert_eq!(check_country("us").as_deref(), Ok("US"));
    assert_eq!(check_password(&"aF".repeat(32)).as_deref(), Ok("aF".repeat(32).as_str()));
    assert_eq!(check_host("fd00::1").as_deref(), Ok("fd00::1"));
    assert!(values::check_log_server("https://logs.example.com:19532").is_ok());
}

/// Pieces of which people's files consist.
const PIECES: &str =
    "(site|wifi|ssh|radio|office|kind|password|api_key|key|=|\\[|\\]|\"|'|“|\\\\|\\.|#|\n|\r\n| |\t|a|1|-){0,60}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Catches a panic on what an editor, a cut copy or a damaged card left.
    #[test]
    fn no_bytes_make_the_reading_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), text in prop_oneof!["\\PC{0,80}", PIECES],
    ) {
        if let Ok(text) = CardText::decode(&bytes) {
            let _ = CardReading::of(&text);
        }
        let reading = read(&text);
        let _ = messages(&reading);
        let blanked = CardText { text: text.clone(), encoding: Encoding::Utf8 }.with_blanks(&reading.secrets);
        if reading.mistakes.is_empty() {
            prop_assert!(CardReading::of(&blanked).secrets.is_empty());
        }
    }

    /// Catches a panic, or a secret that is half blanked, in a good file with one change.
    #[test]
    fn a_changed_good_file_is_read_or_refused(at in 0usize..600, with in "\\PC|\n|\"|'|=|\\[") {
        let mut text = GOOD.to_owned();
        let at = (at.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap();
        text.insert_str(at, &with);
        let _ = messages(&read(&text));
    }

    /// Catches a text that a rendered file does not quote as the parser reads it.
    #[test]
    fn any_name_and_password_survives_a_round_trip(
        site in "[^\\p{C}]{1,20}", network in "[^\\p{C}]{1,8}", password in "[ -~]{8,63}",
    ) {
        let wifi = CardWifi { country: "CA".into(), network, password: Some(CardSecret::Given(password)) };
        let site = site.trim().to_owned();
        prop_assume!(!site.is_empty() && !wifi.network.trim().is_empty() && !wifi.password.as_ref().is_some_and(|p| matches!(p, CardSecret::Given(p) if p.trim() != p)));
        let file = CardFile { site: Some(site), wifi: Some(wifi), ..CardFile::default() };
        let reading = read(&file.render());
        prop_assert_eq!(messages(&reading), Vec::<String>::new());
        prop_assert_eq!(reading.file, file);
    }
}
