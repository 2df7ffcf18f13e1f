//! A card and a root in a temporary directory, and what boots make of them.

mod backups;
mod exceptions;
mod own_certificate;
mod power_cuts;
mod values;

use super::*;
use crate::pairing_code::{StoreOutcome, store};
use crate::settings::Settings;
use herd::pairing::PairingCode;
use service::door::keys::KeyRing;
use service::process::StateDir;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Arc;
use tempfile::TempDir;

const GOOD: &str = include_str!("../../../../service/src/card/tests/broken/good.toml");
const API_KEY: &str = "hxb_9Tt4JqYwZk1n0mXv7cR2sLdPaHgUeBfOyNiM3VxQ5Ww";
/// Files as people write them, each with a mistake of this machine or of the file.
const BROKEN: [(&str, &str, &str); 9] = [
    ("typo", include_str!("../../../../service/src/card/tests/broken/typo.toml"), "line 6: "),
    ("curly", include_str!("../../../../service/src/card/tests/broken/curly.toml"), "line 1: curly quotes"),
    ("blanked", include_str!("../../../../service/src/card/tests/broken/blanked.toml"), "line 6: `password` is empty"),
    ("tabs", include_str!("../../../../service/src/card/tests/broken/tabs.toml"), "line 5: "),
    ("no_country", include_str!("../../../../service/src/card/tests/broken/no_country.toml"), "line 3: [wifi] needs"),
    ("key_length", include_str!("../../../../service/src/card/tests/broken/key_length.toml"), "line 12: "),
    (
        "swapped",
        include_str!("../../../../service/src/card/tests/broken/swapped.toml"),
        "line 9: `key` is in [wifi] but",
    ),
    (
        "zone",
        "site = 'a'\ntime_zone = 'denver'\n",
        "line 2: the value of `time_zone` is not a known time zone: did you mean America/Denver?",
    ),
    ("country", "[wifi]\ncountry = 'XQ'\nnetwork = 'Barn'\n", "line 2: the value of `country` is XQ"),
];

/// A card and a root with the lists of the distribution.
struct World {
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { directory: tempfile::tempdir().unwrap() };
        for directory in ["card", "root/usr/share/zoneinfo/America", "root/proc"] {
            fs::create_dir_all(world.path(directory)).unwrap();
        }
        let zones = [
            ("America/Denver", "TZif2..."),
            (
                "zone1970.tab",
                "# zones\nUS\t+394421-1045903\tAmerica/Denver\tMountain\nDE\t+5230+01322\tEurope/Berlin\n",
            ),
            ("iso3166.tab", "# countries\nCA\tCanada\nUS\tUnited States\n"),
        ];
        for (name, text) in zones {
            fs::write(world.path("root/usr/share/zoneinfo").join(name), text).unwrap();
        }
        world
    }

    fn with_file(text: &str) -> Self {
        let world = Self::new();
        world.write("card/herdlinx.toml", text);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn setting(&self, name: &str) -> String {
        self.read(&format!("root/var/lib/herdlinx-card/{name}"))
    }

    fn result(&self) -> String {
        self.read("card/herdlinx-result.txt")
    }

    fn first_boot(&self) -> FirstBoot {
        FirstBoot::new(&self.path("card"), &self.path("root"))
    }

    fn boot(&self) -> Result<String, FirstBootError> {
        self.first_boot().apply()
    }

    fn keys(&self) -> KeyRing {
        let local = StateDir::new(self.path("root/var/lib/herdlinx")).open_local(&[]).unwrap();
        let clock = Arc::new(herd::clock::SystemClock::default());
        KeyRing::load(local, clock, herd::randomness::SystemRandomness).unwrap()
    }

    /// Returns every file of the card and of the applied settings: a link by its target, a file by its content.
    fn files(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        for directory in ["card", "root/var/lib/herdlinx-card"] {
            for entry in fs::read_dir(self.path(directory)).into_iter().flatten() {
                let path = entry.unwrap().path();
                let content = match fs::read_link(&path) {
                    Ok(target) => format!("-> {}", target.display()),
                    Err(_) => fs::read_to_string(&path).unwrap(),
                };
                files.insert(path.strip_prefix(self.directory.path()).unwrap().to_path_buf(), content);
            }
        }
        files
    }

    /// Returns the inode of every file, which changes if the file is replaced.
    fn inodes(&self) -> BTreeMap<PathBuf, u64> {
        let inode = |path: &PathBuf| fs::symlink_metadata(self.path(path.to_str().unwrap())).unwrap().ino();
        self.files().into_keys().map(|path| (path.clone(), inode(&path))).collect()
    }
}

/// Catches a value that does not arrive where the system reads it, and a file that another part cannot parse.
#[test]
fn a_good_file_is_applied_and_its_secrets_are_blanked() {
    let world = World::with_file(&GOOD.replace('\n', "\r\n"));
    world.boot().unwrap();
    assert_eq!(world.setting("hostname"), "herdlinx-north-barn\n");
    assert_eq!(
        fs::read_link(world.path("root/var/lib/herdlinx-card/localtime")).unwrap(),
        Path::new("/usr/share/zoneinfo/America/Denver")
    );
    let golden = [
        ("timesyncd.conf", "[Time]\nNTP=192.168.1.1\n"),
        (
            "wpa_supplicant-wlan0.conf",
            "ctrl_interface=/run/wpa_supplicant\ncountry=US\n\nnetwork={\n\tssid=4261726e20233220226f6c6422\n\tscan_ssid=1\n\
             \tpsk=\"back\\slash and \"quotes\"\"\n\tkey_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n\tieee80211w=1\n}\n",
        ),
        (
            "herdlinxd.toml",
            "site = \"North Barn\"\n\n[[radio]]\nkind = \"sx127x\"\n\n[radio.sx127x]\nfrequency_hz = 915000000\n\
             region = \"us902\"\nsync_word = 18\n",
        ),
    ];
    for (name, text) in golden {
        let (note, rest) = world.setting(name).split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(note.starts_with("# Written by"), "{note}");
        assert_eq!(rest, text, "{name}");
    }
    assert!(world.setting("authorized_keys").starts_with("ssh-ed25519 AAAA"));
    let found = world.keys().check(API_KEY).unwrap();
    assert_eq!((found.name.as_str(), found.scopes.len()), ("card", 3));

    let card = world.read("card/herdlinx.toml");
    assert!(card.contains("password = \"\"\r\n") && card.contains("api_key = \"\"\r\n"), "{card}");
    assert_eq!(card.lines().count(), GOOD.lines().count());
    for (name, content) in world.files() {
        let may_hold = name.ends_with("wpa_supplicant-wlan0.conf") || name.ends_with("applied.json");
        assert!(may_hold || !content.contains("quotes\""), "{}: {content}", name.display());
        assert!(!content.contains("hxb_"), "{}: {content}", name.display());
    }
    let modes = [("", 0o755), ("wpa_supplicant-wlan0.conf", 0o600), ("applied.json", 0o600), ("hostname", 0o644)];
    for (name, mode) in modes {
        let found = fs::metadata(world.path("root/var/lib/herdlinx-card").join(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
}

/// Catches a result that Notepad shows on one line, or that no longer says what is in effect.
#[test]
fn the_result_says_what_is_in_effect_and_the_network_is_added_later() {
    let world = World::with_file(GOOD);
    world.boot().unwrap();
    let head = "HerdLinx: result of the settings on this card\n\nherdlinx.toml is applied.\n\nIn effect:\n  \
                Site:        North Barn\n  Host name:   herdlinx-north-barn.local\n  Time zone:   America/Denver\n  \
                Time server: 192.168.1.1\n  Log server:  none\n  Wi-Fi:       Barn #2 \"old\" (US, with a password)\n  \
                SSH:         1 key\n  Radio:       sx127x, frequency_hz = 915000000, region = \"us902\", sync_word = 18\n  \
                Backup:      none\n  Office:      API key `card`\n\nAddresses of the barn:\n";
    let later = "  not known yet; they are written here when the network is up.\n";
    assert_eq!(world.result(), format!("{head}{later}").replace('\n', "\r\n"));

    let presence = Presence {
        addresses: vec![("192.168.1.20:5001".parse().unwrap(), "eth0".to_owned())],
        spki_sha256: Some([0xa5; 32]),
    };
    let body = head.split_once("Addresses").unwrap().0;
    let whole = report::whole(body, Some(&presence));
    let added = format!(
        "  https://192.168.1.20:5001 (eth0)\n\nFingerprint of its key (SHA-256 of the TLS public key):\n  {}\n",
        "a5".repeat(32)
    );
    assert_eq!(whole, format!("{head}{added}").replace('\n', "\r\n"));
    world.write("card/herdlinx-result.txt", &whole);
    world.boot().unwrap();
    assert_eq!(world.result(), whole, "a boot without a change leaves the addresses");
}

/// Catches a boot that writes to the card or to the disk without a reason, and a key that comes back after it was revoked.
#[test]
fn an_unchanged_file_changes_nothing() {
    let world = World::with_file(GOOD);
    world.boot().unwrap();
    let before = (world.files(), world.inodes());
    world.keys().revoke("card").unwrap();
    for _ in 0..2 {
        world.boot().unwrap();
        assert_eq!((world.files(), world.inodes()), before);
    }
    assert!(world.keys().check(API_KEY).is_none());
    // The person writes the secret again.
    world.write("card/herdlinx.toml", GOOD);
    world.boot().unwrap();
    assert_eq!(world.files(), before.0);
    assert!(world.keys().check(API_KEY).is_none(), "this very file was applied before");
}

/// Catches a one-time code that does not reach the daemon, that stays on the card, or that a later edit loses.
#[test]
fn a_pairing_code_waits_for_the_office_and_leaves_the_card() {
    let code = PairingCode::generate(&mut herd::randomness::SeededRandomness::new(5)).unwrap();
    let file = service::card::CardFile {
        site: Some("North".to_owned()),
        pairing_code: Some(service::card::CardSecret::Given(code.to_string())),
        ..Default::default()
    };
    let world = World::with_file(&file.render());
    world.boot().unwrap();
    assert!(world.read("card/herdlinx.toml").contains("\npairing_code = \"\"\n"));
    assert!(world.result().contains("one-time code"), "{}", world.result());
    world.write("card/herdlinx.toml", &world.read("card/herdlinx.toml").replace("North", "South"));
    world.boot().unwrap();
    assert!(world.result().contains("South") && world.result().contains("one-time code"), "{}", world.result());
    assert!(world.files().values().all(|content| !content.contains("pair-")), "{:?}", world.files());
    let local = StateDir::new(world.path("root/var/lib/herdlinx")).open_local(&[]).unwrap();
    assert_eq!(store(&local, &code).unwrap(), StoreOutcome::Unchanged);
}

/// Catches a blanked value that is taken for an empty password, and an edit that loses what was kept.
#[test]
fn a_blanked_secret_keeps_what_was_applied_until_a_new_one_is_written() {
    let world = World::with_file(GOOD);
    world.boot().unwrap();
    let edited = world.read("card/herdlinx.toml").replace("North Barn", "South Barn");
    world.write("card/herdlinx.toml", &edited);
    world.boot().unwrap();
    assert_eq!(world.setting("hostname"), "herdlinx-south-barn\n");
    assert!(world.setting("wpa_supplicant-wlan0.conf").contains("back\\slash"));
    assert!(world.keys().check(API_KEY).is_some() && world.result().contains("API key `card`"));

    let other = edited.replace("password = \"\"", "password = \"new password\"");
    world.write("card/herdlinx.toml", &other);
    world.boot().unwrap();
    assert!(world.setting("wpa_supplicant-wlan0.conf").contains("psk=\"new password\""));
    assert_eq!(world.read("card/herdlinx.toml"), edited);

    let network = edited.replace("Barn #2", "Barn #3");
    world.write("card/herdlinx.toml", &network);
    assert!(matches!(world.boot(), Err(FirstBootError::Mistakes)));
    assert!(world.result().contains("line 8: `password` is empty, and there is no earlier one"), "{}", world.result());
    assert!(world.setting("wpa_supplicant-wlan0.conf").contains("psk=\"new password\""));
}

/// Catches a broken file that keeps the machine from booting with a whole set of settings, that is applied in part, or
/// whose correction is not taken.
#[test]
fn each_broken_file_leaves_what_was_before_and_its_correction_is_taken() {
    for (name, text, message) in BROKEN {
        let world = World::with_file(text);
        let error = world.boot().unwrap_err();
        assert_eq!(Exit::from(&error), Exit::Usage, "{name}: {error}");
        assert!(world.result().contains(message), "{name}: {}", world.result());
        assert_eq!(world.read("card/herdlinx.toml"), text, "{name}: the person's file stays as it is");
        assert_eq!((world.setting("hostname").as_str(), world.setting("authorized_keys").as_str()), ("herdlinx\n", ""));
        let settings: Settings = toml::from_str(&world.setting("herdlinxd.toml")).unwrap();
        settings.validate().unwrap();
        assert_eq!(settings.radio.len(), 1, "{name}: the barn listens");

        world.write("card/herdlinx.toml", GOOD);
        world.boot().unwrap();
        assert_eq!(world.setting("hostname"), "herdlinx-north-barn\n", "{name}");
        let kept = world.files();
        world.write("card/herdlinx.toml", text);
        // Now there is a password and a key to keep, so the blanked file may be good.
        let is_refused = world.boot().is_err();
        let is_kept = world.setting("applied.json") == kept[Path::new("root/var/lib/herdlinx-card/applied.json")];
        assert_eq!(is_refused, is_kept, "{name}");
    }
}

/// Catches a missing, an empty or an untouched file that undoes what was applied, or that is reported as a failure.
#[test]
fn a_file_that_sets_nothing_keeps_what_was_applied() {
    let template = service::card::CardFile::default().render();
    for text in [None, Some(""), Some("# later\r\n"), Some(template.as_str())] {
        let world = World::with_file(GOOD);
        world.boot().unwrap();
        match text {
            Some(text) => world.write("card/herdlinx.toml", text),
            None => fs::rename(world.path("card/herdlinx.toml"), world.path("card/herdlinx.toml.txt")).unwrap(),
        }
        world.boot().unwrap();
        assert_eq!(world.setting("hostname"), "herdlinx-north-barn\n", "{text:?}");
        let expected = if text.is_some() { "sets nothing" } else { "there is a herdlinx.toml.txt: rename it" };
        assert!(world.result().contains(expected), "{}", world.result());
    }
}

/// Catches a radio setting that passes here and ends the daemon at its start, and a mistake without its line.
#[test]
fn the_radio_is_judged_by_the_daemons_own_rules() {
    let text =
        "[radio]\nkind = 'sx127x'\nregion = 'eu86'\nspreading_factor = 20\nbandwidth_hz = 5\npath = '/dev/ttyUSB0'\n";
    let world = World::with_file(text);
    world.boot().unwrap_err();
    for line in [
        "line 3: the value of `region` is refused: unknown variant `eu86`, expected one of `us902`",
        "line 4: the value of `spreading_factor` is refused: 20 is not allowed; use 7..=12",
        "line 5: the value of `bandwidth_hz` is refused",
        "line 6: the value of `path` is only for kind = \"serial\"",
    ] {
        assert!(world.result().contains(line), "{}", world.result());
    }
    world.write("card/herdlinx.toml", "[radio]\nkind = 'sx127x'\nregion = 'eu868'\n");
    world.boot().unwrap_err();
    assert!(world.result().contains("line 1: the value of `frequency_hz` does not fit `region`"), "{}", world.result());
    for (text, kind) in [("kind = 'none'", "none"), ("kind = 'serial'\npath = '/dev/ttyAMA0'\nbaud = 115200", "serial")]
    {
        world.write("card/herdlinx.toml", &format!("[radio]\n{text}\n"));
        world.boot().unwrap();
        assert!(world.setting("herdlinxd.toml").contains(&format!("kind = \"{kind}\"")));
    }
}

/// Catches a value of Raspberry Pi Imager that is lost, that wins over the person's own file, or that stays on the card.
#[test]
fn values_of_raspberry_pi_imager_fill_what_the_file_leaves_open() {
    let world = World::new();
    world.write("card/user-data", "#cloud-config\nhostname: chute\ntimezone: America/Denver\n");
    let network = "network:\n  version: 2\n  wifis:\n    wlan0:\n      regulatory-domain: \"CA\"\n      access-points:\n        \
                   \"Yard\":\n          password: \"correct horse\"\n";
    world.write("card/network-config", network);
    world.boot().unwrap();
    assert_eq!(world.setting("hostname"), "chute\n");
    assert!(world.setting("wpa_supplicant-wlan0.conf").contains("psk=\"correct horse\""));
    assert!(!world.read("card/network-config").contains("correct horse"));
    let before = (world.files(), world.inodes());
    world.boot().unwrap();
    assert_eq!((world.files(), world.inodes()), before);

    world.write("card/herdlinx.toml", "site = 'North'\n");
    world.boot().unwrap();
    assert_eq!(world.setting("hostname"), "herdlinx-north\n");
    assert!(world.setting("wpa_supplicant-wlan0.conf").contains("country=CA"));
    world.write("card/user-data", "#cloud-config\nhostname: chute\ntimezone: Mars/Base\n");
    assert!(world.boot().is_err());
    assert!(world.result().contains("user-data of Raspberry Pi Imager was not applied"), "{}", world.result());
    assert!(world.setting("wpa_supplicant-wlan0.conf").contains("country=CA"));
}

/// Catches a card that cannot be read, or a damaged record, that leaves the machine without settings.
#[test]
fn whatever_is_wrong_the_machine_gets_a_whole_set_of_files() {
    let world = World::new();
    fs::create_dir(world.path("card/herdlinx.toml")).unwrap();
    let error = world.boot().unwrap_err();
    assert_eq!(Exit::from(&error), Exit::Failure, "{error}");
    assert_eq!(world.setting("hostname"), "herdlinx\n");
    fs::remove_dir(world.path("card/herdlinx.toml")).unwrap();
    world.write("root/var/lib/herdlinx-card/applied.json", "{");
    world.write("card/herdlinx.toml", GOOD);
    world.boot().unwrap();
    assert_eq!(world.setting("hostname"), "herdlinx-north-barn\n");
}

/// Catches a command that rewrites the boot partition and the host name of a machine that is no card.
#[test]
fn a_machine_that_did_not_boot_from_a_card_is_left_alone() {
    let world = World::with_file(GOOD);
    world.write("root/proc/cmdline", "console=tty1 root=/dev/mmcblk0p2\n");
    let refused = world.boot().unwrap_err();
    assert!(matches!(refused, FirstBootError::OtherSystem) && Exit::from(&refused) == Exit::Refused, "{refused}");
    assert!(!world.path("root/var").exists() && world.read("card/herdlinx.toml") == GOOD);
    world.write("root/proc/cmdline", "console=tty0 quiet herd.slot=a herd.trial=0\n");
    world.boot().unwrap();
}

/// Catches a record that an older version, to which an update was taken back, cannot read.
#[test]
fn the_record_ignores_fields_that_it_does_not_know() {
    let text = r#"{"file":{"digests":["00"],"values":{"site":"a","later":1}},"later":{}}"#;
    let applied: Record = serde_json::from_str(text).unwrap();
    assert_eq!(applied.file.values.site.as_deref(), Some("a"));
    assert_eq!(serde_json::from_str::<Record>("{}").unwrap(), Record::default());
}
