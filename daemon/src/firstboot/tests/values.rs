//! Single values of a card: the files that follow from them, and what the result says.

use super::*;
use crate::firstboot::durable::{AllSteps, read, replace_and_overwrite};

const FIRST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKJ7Ar6oXHCZ8y4DK6Tdeb8jEMpvV3gVvGC1uL0vZQ farm-office";

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Catches a network that `wpa_supplicant` cannot join, and an open one that passes for one with a password.
#[test]
fn each_kind_of_network_has_its_security() {
    let psk = "0123456789abcdef".repeat(4);
    for (password, security, shown) in [
        ("", "\tkey_mgmt=NONE\n}".to_owned(), "Barn (US, open, without a password)"),
        (&psk, format!("\tpsk={psk}\n\tkey_mgmt=WPA-PSK WPA-PSK-SHA256\n"), "Barn (US, with a password)"),
        (
            "a passphrase",
            "\tpsk=\"a passphrase\"\n\tkey_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n".to_owned(),
            "Barn (US, with",
        ),
    ] {
        let line = if password.is_empty() { String::new() } else { format!("password = '{password}'\n") };
        let world = World::with_file(&format!("[wifi]\ncountry = 'US'\nnetwork = 'Barn'\n{line}"));
        world.boot().unwrap();
        assert!(world.setting("wpa_supplicant-wlan0.conf").contains(&security), "{security}");
        assert!(world.result().contains(&format!("Wi-Fi:       {shown}")), "{}", world.result());
    }
}

/// Catches a log that goes nowhere, and one that still goes to a server that the card no longer names.
#[test]
fn the_log_server_is_passed_to_the_upload_and_taken_back() {
    let world = World::with_file("log_server = 'https://logs.lan:19532'\n");
    world.boot().unwrap();
    let upload = world.setting("journal-upload.conf");
    assert!(
        upload.contains("[Upload]\nURL=https://logs.lan:19532\n") && upload.contains("\nServerKeyFile=-\n"),
        "{upload}"
    );
    assert!(world.result().contains("Log server:  https://logs.lan:19532\r\n"), "{}", world.result());
    world.write("card/herdlinx.toml", "site = 'North'\n");
    world.boot().unwrap();
    assert!(!world.path("root/var/lib/herdlinx-card/journal-upload.conf").exists());
}

/// Catches a password that other users can read because somebody changed the mode of its file.
#[test]
fn a_boot_restores_the_mode_of_a_file() {
    let world = World::with_file(GOOD);
    world.boot().unwrap();
    let path = world.path("root/var/lib/herdlinx-card/wpa_supplicant-wlan0.conf");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    world.boot().unwrap();
    assert_eq!(mode_of(&path), 0o600);
    let directory = world.path("root/var/lib/herdlinx-card");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    world.boot().unwrap();
    assert_eq!(mode_of(&directory), 0o755);
}

/// Catches a barn that waits for a key or code which nobody has given.
#[test]
fn an_empty_key_or_code_of_a_first_card_is_a_mistake() {
    for key in ["api_key", "pairing_code"] {
        let world = World::with_file(&format!("site = 'North'\n[office]\n{key} = ''\n"));
        world.boot().unwrap_err();
        let result = world.result();
        assert!(result.contains("herdlinx.toml has a mistake. Nothing in it was applied"), "{result}");
        assert!(result.contains(&format!("line 3: `{key}` is empty, and there is no earlier one")), "{result}");
        assert!(result.contains("Office:      not set\r\n"), "{result}");
    }
}

/// Catches a result that tells of the first mistake only.
#[test]
fn the_result_counts_the_mistakes() {
    let world = World::with_file("time_zone = 'denver'\n[wifi]\ncountry = 'XQ'\nnetwork = 'Barn'\n");
    world.boot().unwrap_err();
    assert!(world.result().contains("herdlinx.toml has 2 mistakes."), "{}", world.result());
}

/// Catches a name of Imager that is lost without its network, and a file without a secret that is taken from the card.
#[test]
fn either_file_of_imager_counts_alone_and_only_a_password_is_removed() {
    let world = World::new();
    world.write("card/user-data", &format!("hostname: chute\nssh_authorized_keys:\n- {FIRST_KEY}\n"));
    world.boot().unwrap();
    assert_eq!(world.setting("hostname"), "chute\n");
    assert_eq!(world.setting("authorized_keys"), format!("{FIRST_KEY}\n"));
    let open = "wifis:\n  wlan0:\n    regulatory-domain: US\n    access-points:\n      Yard: {}\n";
    let world = World::new();
    world.write("card/network-config", open);
    world.boot().unwrap();
    assert!(world.setting("wpa_supplicant-wlan0.conf").contains("key_mgmt=NONE"));
    assert_eq!(world.read("card/network-config"), open);
    assert!(!world.path("card/user-data").exists());
}

/// Catches a password that stays in the free space of the card.
#[test]
fn the_old_content_of_a_file_is_overwritten_where_it_lies() {
    let directory = tempfile::tempdir().unwrap();
    let (path, old) = (directory.path().join("file"), directory.path().join("old"));
    fs::write(&path, "password = 'secret'").unwrap();
    // Another name of the same blocks.
    fs::hard_link(&path, &old).unwrap();
    replace_and_overwrite(&AllSteps, &path, b"password = ''").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "password = ''");
    assert_eq!(fs::read_to_string(&old).unwrap(), " ".repeat("password = 'secret'".len()));
}

/// Catches a card that fails and passes for one without a file, and a file that is cut without a sign.
#[test]
fn a_file_is_read_to_one_byte_over_its_limit_and_only_a_missing_one_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    assert_eq!(read(&path, 10).unwrap(), None);
    fs::write(&path, "0123456789abc").unwrap();
    assert_eq!(read(&path, 10).unwrap().unwrap(), b"0123456789a");
    assert_eq!(read(&path, 13).unwrap().unwrap().len(), 13);
    read(&path.join("below"), 10).unwrap_err();
}

/// Catches a result that names an address at which nobody answers, and one that is written before all is known.
#[test]
fn the_result_waits_for_an_address_that_others_reach_and_for_the_key() {
    for (ip, reachable) in [
        ("192.168.1.20", true),
        ("127.0.0.1", false),
        ("169.254.7.7", false),
        ("fe80::1", false),
        ("2001:db8::1", false),
    ] {
        assert_eq!(is_reachable(ip.parse().unwrap()), reachable, "{ip}");
    }
    let addresses = vec![("192.168.1.20:5001".parse().unwrap(), "eth0".to_owned())];
    let spki_sha256 = Some([7; 32]);
    for (presence, complete) in [
        (Presence { addresses: addresses.clone(), spki_sha256 }, true),
        (Presence { addresses, spki_sha256: None }, false),
        (Presence { addresses: Vec::new(), spki_sha256 }, false),
        (Presence::default(), false),
    ] {
        assert_eq!(presence.is_complete(), complete, "{presence:?}");
    }
    let whole = report::whole("", Some(&Presence::default()));
    let expected = "Addresses of the barn:\r\n  none: the barn got no address. Check the cable, or the name and password of the \
                    Wi-Fi.\r\n";
    assert_eq!(whole, expected);
}

/// Catches a zone or country that is refused without a way out, and every country on a machine without the list.
#[test]
fn a_value_that_the_machine_does_not_know_gets_a_proposal() {
    let world = World::new();
    let machine = Machine::new(&world.path("root"));
    let zone = |zone: &str| machine.time_zone_mistake(zone);
    assert_eq!((zone("America/Denver"), machine.country_mistake("CA")), (None, None));
    assert!(zone("America/Denvre").unwrap().ends_with("did you mean America/Denver?"));
    assert!(zone("berlin").unwrap().ends_with("did you mean Europe/Berlin?"));
    assert!(zone("Atlantis").unwrap().ends_with("write one such as America/Denver"));
    // It is in the list, and its file is none of a zone.
    world.write("root/usr/share/zoneinfo/Oslo", "no zone");
    assert!(zone("Oslo").is_some());
    assert!(machine.country_mistake("XQ").unwrap().contains("XQ, which is not a country code"));
    fs::remove_file(world.path("root/usr/share/zoneinfo/iso3166.tab")).unwrap();
    assert_eq!(machine.country_mistake("XQ"), None);
}
