//! Settings that are applied only in part, and what the result says about them.

use super::*;
use crate::pairing_code::store_dead;

impl World {
    /// Returns the result as the unit that runs beside the daemon leaves it, without addresses.
    fn later_head(&self) -> String {
        self.first_boot().write_result(Duration::ZERO).unwrap();
        let result = self.result();
        result.split("Addresses of the barn:").next().unwrap().to_owned()
    }

    /// Asserts that the first unit, the second one and the next boot say the same, and returns it.
    fn stable_head(&self) -> String {
        let result = self.result();
        let head = result.split("Addresses of the barn:").next().unwrap();
        assert_eq!(self.later_head(), head);
        let written = fs::metadata(self.path("card/herdlinx-result.txt")).unwrap().ino();
        let _ = self.boot();
        assert_eq!(fs::metadata(self.path("card/herdlinx-result.txt")).unwrap().ino(), written, "written again");
        assert_eq!(self.later_head(), head);
        head.to_owned()
    }

    /// Makes every write of this file fail.
    fn block(&self, name: &str) -> PathBuf {
        let path = self.path("root/var/lib/herdlinx-card").join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

/// A file with the code of a seed.
fn file_with_code(code: &PairingCode) -> String {
    service::card::CardFile {
        site: Some("North".to_owned()),
        pairing_code: Some(service::card::CardSecret::Given(code.to_string())),
        ..Default::default()
    }
    .render()
}

/// Catches a result that says "applied" while the barn has no Wi-Fi, a failure that keeps the other files from being
/// written, and a second unit that calls it good.
#[test]
fn a_setting_that_cannot_be_written_is_named_and_the_others_are_in_effect() {
    let world = World::with_file(GOOD);
    let blocked = world.block("wpa_supplicant-wlan0.conf");
    let error = world.boot().unwrap_err();
    assert!(error.to_string().contains("wpa_supplicant-wlan0.conf"), "{error}");
    let head = world.stable_head();
    assert!(head.contains("is applied, with exceptions:\r\n  Not written: wpa_supplicant-wlan0.conf. "), "{head}");
    assert!(world.setting("herdlinxd.toml").contains("North Barn"));
    assert!(world.keys().check(API_KEY).is_some());
    fs::remove_dir(blocked).unwrap();
    world.boot().unwrap();
    assert!(world.result().contains("herdlinx.toml is applied.\r\n"), "{}", world.result());
}

/// Catches a result that says "applied" of a file that could not be stored, and secrets that are blanked although they
/// are nowhere else.
#[test]
fn a_file_that_cannot_be_stored_is_not_in_effect_and_keeps_its_secrets() {
    let world = World::with_file(GOOD);
    let blocked = world.block("applied.json.new");
    world.boot().unwrap_err();
    let head = world.stable_head();
    assert!(head.contains("could not be stored, so nothing of it is in effect"), "{head}");
    assert_eq!((world.read("card/herdlinx.toml").as_str(), world.setting("hostname").as_str()), (GOOD, "herdlinx\n"));
    fs::remove_dir(blocked).unwrap();
    world.boot().unwrap();
    assert!(world.result().contains("herdlinx.toml is applied.\r\n"), "{}", world.result());
}

/// Catches an old result that goes on saying "applied" when not even the record can be read.
#[test]
fn a_record_that_cannot_be_read_is_told() {
    let world = World::with_file(GOOD);
    world.boot().unwrap();
    fs::remove_file(world.path("root/var/lib/herdlinx-card/applied.json")).unwrap();
    world.block("applied.json");
    world.boot().unwrap_err();
    assert!(world.result().contains("Nothing was applied: cannot read "), "{}", world.result());
    world.first_boot().write_result(Duration::ZERO).unwrap_err();
    assert!(world.result().contains("Nothing was applied: cannot read "), "{}", world.result());
}

/// Catches a person who waits for an office that can never pair, and a text that the second unit or the next boot takes
/// back.
#[test]
fn a_code_that_pairs_no_office_is_told_until_a_file_brings_another() {
    for (is_used, text) in [(true, "was used before, and pairs no other"), (false, "dead after too many wrong proofs")]
    {
        let code = |seed| PairingCode::generate(&mut herd::randomness::SeededRandomness::new(seed)).unwrap();
        let world = World::with_file(&file_with_code(&code(5)));
        let local = StateDir::new(world.path("root/var/lib/herdlinx"));
        local.create().unwrap();
        store_dead(&local.open_local(&[]).unwrap(), &code(5), is_used).unwrap();
        world.boot().unwrap();
        let head = world.stable_head();
        assert!(head.contains(text) && head.contains("herdlinx-mirror prepare"), "{head}");
        assert!(!head.contains("is applied.\r\n"), "{head}");
        assert!(world.read("card/herdlinx.toml").contains("pairing_code = \"\""));
        // An edit of the rest does not make the code a better one.
        world.write("card/herdlinx.toml", &world.read("card/herdlinx.toml").replace("North", "South"));
        world.boot().unwrap();
        assert!(world.stable_head().contains(text), "{}", world.result());
        world.write("card/herdlinx.toml", &file_with_code(&code(6)));
        world.boot().unwrap();
        assert!(world.stable_head().contains("herdlinx.toml is applied.\r\n"), "{}", world.result());
        assert_eq!(store(&local.open_local(&[]).unwrap(), &code(6)).unwrap(), StoreOutcome::Unchanged);
    }
}

/// Catches a card that stores its key in the empty file of lost ones: with that row, the daemon takes the file for whole.
#[test]
fn a_key_is_not_stored_in_a_file_that_lost_its_content() {
    let world = World::with_file(GOOD);
    let state = StateDir::new(world.path("root/var/lib/herdlinx"));
    state.create().unwrap();
    fs::write(state.path().join(herd::store::LOG_FILE), "a log").unwrap();
    fs::write(state.local_file(), "").unwrap();
    for _ in 0..2 {
        let refused = world.boot().unwrap_err().to_string();
        assert!(refused.contains("local.redb") && refused.contains("the file is damaged"), "{refused}");
        assert_eq!(fs::metadata(state.local_file()).unwrap().len(), 0, "it is left as it is");
    }
    assert!(world.read("card/herdlinx.toml").contains(API_KEY), "the key is not stored yet");
    fs::remove_file(state.local_file()).unwrap();
    world.boot().unwrap();
    assert!(world.keys().check(API_KEY).is_some());
    assert!(!world.read("card/herdlinx.toml").contains(API_KEY));
}
