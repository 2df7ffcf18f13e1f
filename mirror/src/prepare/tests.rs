use super::*;
use clap::Parser;
use herd::randomness::SeededRandomness;
use service::card::{CardReading, CardText};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    flags: PrepareFlags,
}

fn flags(args: &[&str]) -> Result<PrepareFlags, clap::Error> {
    Line::try_parse_from([&["prepare"], args].concat()).map(|line| line.flags)
}

fn prepare(args: &[&str]) -> Result<Preparation, PrepareError> {
    flags(args).unwrap().prepare(&mut SeededRandomness::new(1))
}

/// Catches a file that the barn refuses, or that carries another code than the office remembers.
#[test]
fn the_file_carries_the_code_and_the_values_of_the_flags() {
    let directory = tempfile::tempdir().unwrap();
    let (password, keys) = (directory.path().join("password"), directory.path().join("key.pub"));
    fs::write(&password, "correct horse\n").unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBbC7e0kRtWhUJ0WrbQkGbQ0sRJTF0ZQGzMEPq3zSmzX jd@desk";
    fs::write(&keys, format!("{key}\n")).unwrap();
    let (password, keys) = (password.to_str().unwrap(), keys.to_str().unwrap());
    let prepared = prepare(&[
        "--site",
        "north",
        "--time-zone",
        "America/Denver",
        "--wifi-network",
        "Yard",
        "--wifi-country",
        "us",
        "--wifi-password-file",
        password,
        "--ssh-key-file",
        keys,
        "--region",
        "us902",
        "--frequency-hz",
        "903900000",
    ]);
    let prepared = prepared.unwrap();
    let reading = CardReading::of(&CardText::decode(prepared.text.as_bytes()).unwrap());
    assert_eq!(reading.mistakes, []);
    let file = reading.file;
    assert_eq!(file.pairing_code, Some(CardSecret::Given(prepared.code.to_string())));
    assert_eq!((file.site.as_deref(), file.time_zone.as_deref()), (Some("north"), Some("America/Denver")));
    let wifi = file.wifi.unwrap();
    assert_eq!((wifi.country.as_str(), wifi.network.as_str()), ("US", "Yard"));
    assert_eq!(wifi.password, Some(CardSecret::Given("correct horse".into())));
    assert_eq!(file.ssh_keys, [key]);
    assert_eq!(file.radio.unwrap().settings["frequency_hz"].as_integer(), Some(903_900_000));
    let addresses: Vec<_> = prepared.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["herdlinx-north.local:5001"]);
}

/// Catches a mistake that is found only in the barn.
#[test]
fn values_that_the_barn_refuses_are_refused_here() {
    let refused = prepare(&["--site", "north", "--wifi-network", "Yard", "--wifi-country", "USA"]).unwrap_err();
    assert!(refused.to_string().contains("country"), "{refused}");
    assert!(prepare(&["--site", "north", "--ssh-key-file", "/nowhere/key.pub"]).is_err());
    for incomplete in [
        &["--site", "north", "--wifi-network", "Yard"][..],
        &["--site", "north", "--wifi-country", "US"],
        &["--site", "north", "--wifi-password-file", "-"],
        &["--site", "north", "--radio", "walkie-talkie"],
        &["--site", "../north"],
        &["--address", "barn:1"],
    ] {
        assert!(flags(incomplete).is_err(), "{incomplete:?}");
    }
}

/// Catches a card file that is lost to a typo, and one that others can read.
#[test]
fn a_file_is_not_overwritten_without_a_flag_and_only_its_owner_can_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("herdlinx.toml");
    NewFile::open(&path, false).unwrap().write("one").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(NewFile::open(&path, false), Err(NewFileError::Exists(_))));
    NewFile::open(&path, true).unwrap().give_up();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    NewFile::open(&path, true).unwrap().write("2").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "2");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let other = directory.path().join("other.toml");
    NewFile::open(&other, true).unwrap().give_up();
    assert!(!other.exists());
    assert!(matches!(NewFile::open(&directory.path().join("none/x"), true), Err(NewFileError::Write { .. })));
}

/// Catches a radio that the barn does not have, keys that are comments, and a password that is a whole file.
#[test]
fn what_has_no_flag_is_left_to_the_barn() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("input");
    let written = |text: &str| {
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let file = |args: &[&str]| {
        let prepared = prepare(&[&["--site", "north"], args].concat()).unwrap();
        CardReading::of(&CardText::decode(prepared.text.as_bytes()).unwrap()).file
    };
    let plain = file(&[]);
    assert!(plain.wifi.is_none() && plain.ssh_keys.is_empty() && plain.radio.is_none());
    assert_eq!(file(&["--radio", "none"]).radio.unwrap().kind.name(), "none");
    assert_eq!(file(&["--region", "us902"]).radio.unwrap().kind.name(), "sx127x");
    let open = file(&["--wifi-network", "Yard", "--wifi-country", "us"]).wifi.unwrap();
    assert_eq!(open.password, None);
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBbC7e0kRtWhUJ0WrbQkGbQ0sRJTF0ZQGzMEPq3zSmzX jd@desk";
    let keys = written(&format!("# desk\n\n  {key}  \n"));
    assert_eq!(file(&["--ssh-key-file", &keys]).ssh_keys, [key]);
    let wifi = ["--wifi-network", "Yard", "--wifi-country", "us", "--wifi-password-file"];
    let password = written("correct horse\nand more\n");
    let secret = file(&[&wifi[..], &[password.as_str()]].concat()).wifi.unwrap().password;
    assert_eq!(secret, Some(CardSecret::Given("correct horse".into())));

    let limit = 64 * 1024;
    let (fits, large) = ("#".repeat(limit), "#".repeat(limit + 1));
    assert!(file(&["--ssh-key-file", &written(&fits)]).ssh_keys.is_empty());
    let refused = prepare(&["--site", "north", "--ssh-key-file", &written(&large)]).unwrap_err();
    assert!(matches!(refused, PrepareError::Flags(CardFlagsError::TooLarge(_))), "{refused}");
    let given = prepare(&["--site", "north", "--address", "barn:1", "--address", "barn:2"]).unwrap().addresses;
    assert_eq!(given.iter().map(ToString::to_string).collect::<Vec<_>>(), ["barn:1", "barn:2"]);
}
