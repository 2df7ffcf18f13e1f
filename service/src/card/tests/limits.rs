//! Values at their limits: the last one that is allowed, and the next one.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

type Check = fn(&str) -> Result<String, String>;

/// Catches a limit that is one too low, which refuses a value that works, or one too high.
#[test]
fn a_value_at_the_limit_is_allowed_and_the_next_one_is_not() {
    let label = "a".repeat(63);
    let name = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    let key = &read(GOOD).file.ssh_keys[0];
    let zone = |chars: usize| format!("Etc/{}", "a".repeat(chars - 4));
    for (check, last, next) in [
        (values::check_site as Check, "牧".repeat(64), "牧".repeat(65)),
        (values::check_time_zone, zone(64), zone(65)),
        (check_host, label.clone(), format!("{label}a")),
        (check_host, name.clone(), format!("{name}a")),
        (check_network, "a".repeat(32), "a".repeat(33)),
        (check_password, "x".repeat(63), "x".repeat(64)),
        (check_password, "a".repeat(8), "a".repeat(7)),
        (
            check_ssh_key,
            format!("{key}{}", "x".repeat(4096 - key.len())),
            format!("{key}{}", "x".repeat(4097 - key.len())),
        ),
        (values::check_log_server, "http://logs:65535".into(), "http://logs:65536".into()),
    ] {
        assert_eq!(check(&last).as_ref(), Ok(&last), "{last}");
        assert!(check(&next).is_err(), "{next}");
    }
    let keys = |count: usize| read(&format!("[ssh]\nkey = [{}]\n", format!("\"{key}\",").repeat(count)));
    assert_eq!((keys(16).mistakes, keys(16).file.ssh_keys.len(), keys(17).mistakes.len()), (vec![], 16, 1));
    assert_eq!(CardText::decode(&b"#".repeat(65_536)).unwrap().text.len(), 65_536);
    let large = CardText::decode(&b"#".repeat(65_537)).unwrap_err();
    assert_eq!(large, CardMistake::of_file(CardError::TooLarge { max_kib: 64 }));
}

/// Catches a character or a part that a rule leaves out.
#[test]
fn every_part_of_a_value_is_checked() {
    for (check, good) in [
        (values::check_time_zone as Check, "America/Port-au-Prince"),
        (values::check_time_zone, "Etc/GMT+5"),
        (values::check_time_zone, "America/North_Dakota/Center"),
        (check_host, "a-b.c"),
        (check_host, "10.0.0.1"),
        (values::check_log_server, "http://10.0.0.1"),
        (check_network, "a b"),
    ] {
        assert_eq!(check(good).as_deref(), Ok(good));
    }
    for (check, bad) in [
        (values::check_site as Check, "a\tb"),
        (values::check_time_zone, "America//Denver"),
        (check_host, "a..b"),
        (check_host, "a.-b"),
        (values::check_log_server, "https://"),
        (values::check_log_server, "https://two hosts:1"),
        (values::check_log_server, "https://logs:"),
        (check_country, "U1"),
        (check_network, "a\tb"),
        (check_password, "1234567\t"),
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
    for (text, is_key) in [("aF".repeat(32), true), ("aG".repeat(32), false), ("deadbeef".into(), false)] {
        assert_eq!(is_psk(&text), is_key, "{text}");
    }
}

/// Returns a line of an SSH key that consists of these fields, and of some further bytes.
fn ssh_line(kind: &str, fields: &[&[u8]], rest: &[u8]) -> String {
    let fields =
        fields.iter().flat_map(|field| [&u32::try_from(field.len()).unwrap().to_be_bytes()[..], field].concat());
    let blob: Vec<u8> = fields.chain(rest.iter().copied()).collect();
    format!("{kind} {} barn", STANDARD.encode(blob))
}

/// Catches a cut or lengthened key, with which its owner cannot log in.
#[test]
fn an_ssh_key_consists_of_its_type_and_whole_fields() {
    let rsa: [&[u8]; 3] = [b"ssh-rsa", b"\x01\0\x01", &[7; 256]];
    let ed25519: [&[u8]; 2] = [b"ssh-ed25519", &[7; 32]];
    for good in [ssh_line("ssh-rsa", &rsa, b""), ssh_line("ssh-ed25519", &ed25519, b"")] {
        assert_eq!(check_ssh_key(&good).as_ref(), Ok(&good));
    }
    for (why, bad) in [
        ("bytes behind the last field", ssh_line("ssh-rsa", &rsa, b"x")),
        ("a field that is cut", ssh_line("ssh-rsa", &rsa, b"\0\0\0\x02x")),
        ("the type alone", ssh_line("ssh-rsa", &rsa[..1], b"")),
        ("no field", ssh_line("ssh-rsa", &[], b"")),
        ("another type inside", ssh_line("ssh-rsa", &ed25519, b"")),
        ("a short key", ssh_line("ssh-ed25519", &[b"ssh-ed25519", &[7; 31]], b"")),
    ] {
        assert!(check_ssh_key(&bad).is_err(), "{why}");
    }
}

/// Catches a word that is proposed although it is nothing alike, and one that is not although it is.
#[test]
fn a_word_is_proposed_from_three_quarters_of_similarity_on() {
    for (wrong, words, proposed) in [
        ("CONTRY", &["network", "country"][..], Some("country")),
        ("a", &["bacd"], Some("bacd")),
        ("a", &["bacde"], None),
        ("a", &[], None),
    ] {
        assert_eq!(closest(wrong, words.iter().copied()), proposed, "{wrong}");
    }
}
