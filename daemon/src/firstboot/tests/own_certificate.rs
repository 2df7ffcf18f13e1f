//! The administrator's own certificate in the credential store of the card.

use super::*;
use service::door::certificate::{Identity, IdentityFiles};

const CERTIFICATE: &str = "root/var/lib/herdlinx-card/credstore/herdlinxd.tls.certificate";
const KEY: &str = "root/var/lib/herdlinx-card/credstore/herdlinxd.tls.key";

/// A card with a good file, and the directory that tmpfiles makes.
fn world() -> World {
    let world = World::with_file(GOOD);
    fs::create_dir_all(world.path("root/var/lib/herdlinx-card/credstore")).unwrap();
    world
}

impl World {
    /// Makes a pair, and puts the wanted files of it into the store. Returns its fingerprint.
    fn put_pair(&self, name: &str, targets: &[&str]) -> [u8; 32] {
        fs::create_dir(self.path(name)).unwrap();
        let identity = Identity::load_or_generate(&self.path(name), &[]).unwrap();
        let IdentityFiles { certificate, key } = identity.files();
        for target in targets {
            let source = if *target == KEY { key } else { certificate };
            fs::copy(source, self.path(target)).unwrap();
        }
        identity.spki_sha256()
    }

    fn tls(&self) -> Option<IdentityFiles> {
        let settings: Settings = toml::from_str(&self.setting("herdlinxd.toml")).unwrap();
        settings.validate().unwrap();
        settings.tls.files()
    }
}

/// Catches a card that does not take an own certificate, tells the fingerprint of another key, keeps naming files that
/// were removed, or names other paths than those of the unit.
#[test]
fn two_files_in_the_store_are_the_certificate_from_the_next_start_on() {
    let world = world();
    world.boot().unwrap();
    assert_eq!(world.tls(), None);
    let spki = world.put_pair("pair", &[CERTIFICATE, KEY]);
    world.boot().unwrap();
    let files = world.tls().unwrap();
    assert_eq!(files.certificate, Path::new("/run/credentials/herdlinxd.service/tls.certificate"));
    assert_eq!(files.key, Path::new("/run/credentials/herdlinxd.service/tls.key"));
    let unit = include_str!("../../../../systemd/herdlinxd.service");
    for line in ["LoadCredential=tls.certificate:herdlinxd.tls.certificate", "LoadCredential=tls.key:herdlinxd.tls.key"]
    {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
    assert!(world.result().contains("\r\n  Certificate: your own\r\n"), "{}", world.result());
    world.first_boot().write_result(Duration::ZERO).unwrap();
    assert!(world.result().contains(&hex::encode(spki)), "{}", world.result());

    fs::remove_file(world.path(CERTIFICATE)).unwrap();
    fs::remove_file(world.path(KEY)).unwrap();
    world.boot().unwrap();
    assert_eq!(world.tls(), None);
    assert!(!world.result().contains("Certificate:"), "{}", world.result());
}

/// Catches a mistake in the two files that keeps the barn from starting, or that nobody is told.
#[test]
fn files_that_are_no_pair_leave_the_barn_with_its_own_and_are_told() {
    type Break = fn(&World);
    let cases: [(Break, &str); 4] = [
        (
            |world| {
                world.put_pair("pair", &[CERTIFICATE]);
            },
            "there is herdlinxd.tls.certificate, but not herdlinxd.tls.key",
        ),
        (
            |world| {
                world.put_pair("pair", &[KEY]);
            },
            "there is herdlinxd.tls.key, but not herdlinxd.tls.certificate",
        ),
        (
            |world| {
                world.put_pair("first", &[CERTIFICATE]);
                world.put_pair("second", &[KEY]);
            },
            "does not belong to the certificate",
        ),
        (
            |world| {
                world.put_pair("pair", &[CERTIFICATE]);
                world.write(KEY, "-----BEGIN");
            },
            "contains no private key in PEM format",
        ),
    ];
    for (break_pair, reason) in cases {
        let world = world();
        break_pair(&world);
        let error = world.boot().unwrap_err();
        assert_eq!(Exit::from(&error), Exit::Usage, "{error}");
        assert_eq!(world.tls(), None, "{reason}");
        assert!(world.keys().check(API_KEY).is_some(), "the rest is applied");
        for _ in 0..2 {
            let result = world.result();
            assert!(result.contains("herdlinx.toml is applied.\r\nYour own certificate is not used"), "{result}");
            assert!(result.contains(reason), "{result}");
            world.first_boot().write_result(Duration::ZERO).unwrap();
        }
    }
}
