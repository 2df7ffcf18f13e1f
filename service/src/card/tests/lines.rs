//! Mistakes that are told by the line, and by the form of a value.

use super::*;

/// Returns the messages about a text, without the line.
fn mistakes_of(text: &str) -> Vec<CardError> {
    read(text).mistakes.into_iter().map(|mistake| mistake.error).collect()
}

/// Catches a line that is explained by the habit of another one, and a quote in a comment that counts.
#[test]
fn a_line_that_cannot_be_read_is_explained_by_the_habit_behind_it() {
    let unquoted = |key: &str| CardError::Unquoted { key: key.to_owned() };
    for (line, expected) in [
        ("site = Barn", unquoted("site")),
        ("time-zone = Denver", unquoted("time-zone")),
        ("time_zone = Denver # the barn’s", unquoted("time_zone")),
        ("site = Barn # it isn't far", unquoted("site")),
        ("site = North", unquoted("site")),
        ("site = Sam's Barn", unquoted("site")),
        ("site = Ärger", unquoted("site")),
        ("site = True North", unquoted("site")),
        ("site = T", unquoted("site")),
        ("site = 2024-barn", unquoted("site")),
        ("time_server = 192.168.1.1", unquoted("time_server")),
        ("frequency_hz = 915 MHz", CardError::NotNumber { key: "frequency_hz" }),
        ("sync_word = 0xZZ", CardError::NotNumber { key: "sync_word" }),
        ("site = ‘North’", CardError::CurlyQuote('‘')),
        ("site = \"it’s\" “North”", CardError::CurlyQuote('“')),
        ("site =\u{a0}\"North\"", CardError::InvisibleCharacter),
        ("site = \"a\\qb\"", CardError::Backslash),
        ("site = \"a\\ud800b\"", CardError::Backslash),
        ("site = \"North", CardError::OpenQuote),
        ("site = 'North", CardError::OpenQuote),
        ("site = \"it's", CardError::OpenQuote),
        ("site = \"a\\\" b", CardError::OpenQuote),
        ("North", CardError::NoEquals),
        ("site: \"North\"", CardError::NoEquals),
    ] {
        assert_eq!(mistakes_of(&format!("{line}\n")), [expected], "{line}");
    }
    for line in [
        "site = \"a\" b # it's",
        "site = \"a\" b",
        "site = 'a\\' b",
        "site = \"it’s\" b",
        "site = \"a\u{a0}\" b",
        "[wifi",
        "= \"a\"",
    ] {
        let found = mistakes_of(&format!("{line}\n"));
        assert!(matches!(found[..], [CardError::Syntax { .. }]), "{line}: {found:?}");
    }
}

/// Catches keys that seem to stand in another section, because the line of their own one is broken.
#[test]
fn a_broken_section_is_the_only_mistake_of_its_keys() {
    let text = "site = \"North\"\n[wifi\ncountry = \"US\"\nnetwork = \"Barn\"\n";
    let lines: Vec<_> = read(text).mistakes.into_iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [Some(2)]);
    let twice = "[wifi]\ncountry = \"US\"\nnetwork = \"Barn\"\n[wifi]\n";
    assert_eq!(mistakes_of(twice), [CardError::Duplicate { name: "wifi".to_owned() }]);
}

/// Catches a value of the wrong form that is dropped without a word, or whose mend does not fit.
#[test]
fn a_value_of_another_form_than_its_key_is_refused() {
    let key = &read(GOOD).file.ssh_keys[0];
    for (text, expected) in [
        ("wifi = \"Barn\"", "`wifi` is a section, not a key: write [section] alone on its line, and its keys below"),
        ("[site]\nname = \"a\"", "there is no section [site]: "),
        ("[wifi.country]", "`country` is a key, not a section: write `key = \"value\"`"),
        ("site = 5", "the value of `site` must be a text in straight quotes: site = \"...\""),
        (&format!("[ssh]\nkey = [\"{key}\", 1]"), "the value of `key` must be a text in straight quotes"),
        ("[backup]\ndirectory = \"/a\"\nkeep = \"7\"", "the value of `keep` must be a whole number without quotes"),
        ("[backup]\ndirectory = \"/a\"\nkeep = 9223372036854775808", "the value of `keep` must be a whole number"),
        ("[radio]\nkind = \"serial\"\nbaud = 9223372036854775808", "the value of `baud` must be a whole number"),
        ("[radio]\nkind = \"serial\"\nregion = \"us902\"", "the value of `region` is only for kind = \"sx127x\": "),
        (
            "[radio]\nkind = \"sx1276\"",
            "the value of `kind` must be \"sx127x\", \"serial\" or \"none\"; did you mean \"sx127x\"?",
        ),
        ("[radio]\nregion = \"us902\"", "[radio] needs `kind`: "),
        ("[backup]\nkeep = 7", "[backup] needs `directory`: "),
        ("psk = \"a\"", "there is no key `psk` above the first section: remove the line"),
        (
            "[wifi]\ncountry = \"US\"\nnetwork = \"a\"\npsk = \"b\"",
            "there is no key `psk` in [wifi]: did you mean `password`?",
        ),
    ] {
        let found: Vec<_> = mistakes_of(text).iter().map(ToString::to_string).collect();
        assert!(found.len() == 1 && found[0].starts_with(expected), "{text}: {found:?}");
    }
}

/// Catches blanks that are taken for a value, cut from a password, or kept around a name.
#[test]
fn blanks_belong_to_a_password_and_to_nothing_else() {
    let reading = read(&format!(
        "site = \" North \"\ntime_zone = \" \"\ntime_server = \"\"\n[wifi]\ncountry = \" us \"\nnetwork = \" a \"\n\
         password = \" 1234567 \"\n[ssh]\nkey = [\" \", \" {} \"]\n",
        read(GOOD).file.ssh_keys[0]
    ));
    assert_eq!(messages(&reading), Vec::<String>::new());
    let CardFile { site, time_zone, time_server, wifi, ssh_keys, .. } = reading.file;
    assert_eq!((site.as_deref(), time_zone, time_server), (Some("North"), None, None));
    let password = Some(CardSecret::Given(" 1234567 ".into()));
    assert_eq!(wifi, Some(CardWifi { country: "US".into(), network: " a ".into(), password }));
    assert_eq!(ssh_keys, read(GOOD).file.ssh_keys);
}

/// Catches two ways for one office, of which the barn would take one in silence.
#[test]
fn a_key_and_a_code_for_the_office_are_one_too_many() {
    let CardFile { api_key, .. } = read(GOOD).file;
    let code = herd::pairing::PairingCode::generate(&mut herd::randomness::SeededRandomness::new(1)).unwrap();
    let pairing_code = Some(CardSecret::Given(code.to_string()));
    let both = CardFile { api_key, pairing_code: pairing_code.clone(), ..CardFile::default() };
    assert_eq!(mistakes_of(&both.render()), [CardError::BothAccess]);
    let blank = CardFile { api_key: Some(CardSecret::Blank), pairing_code, ..CardFile::default() };
    assert_eq!(mistakes_of(&blank.render()), []);
}
