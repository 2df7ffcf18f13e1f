//! Power that fails between any two steps.

use super::*;
use std::cell::Cell;

/// Steps of a machine whose power fails before the step with this number.
struct CutAt {
    left: Cell<usize>,
}

impl CutAt {
    fn new(step: usize) -> Self {
        Self { left: Cell::new(step) }
    }
}

impl Steps for CutAt {
    fn next(&self, step: &str) -> io::Result<()> {
        match self.left.get() {
            0 => Err(io::Error::other(format!("power cut before: {step}"))),
            left => {
                self.left.set(left - 1);
                Ok(())
            }
        }
    }
}

impl World {
    /// Boots until the power fails; `None` if it lasted for the whole boot. What was not synced is lost.
    fn boot_with_cut(&self, step: usize) -> Option<FirstBootError> {
        let error = self.first_boot().apply_in(&CutAt::new(step)).err()?;
        for path in self.files().into_keys().filter(|path| path.to_string_lossy().ends_with(".new")) {
            // A link has no content to lose.
            let path = self.path(path.to_str().unwrap());
            if !path.is_symlink() {
                fs::write(path, "").unwrap();
            }
        }
        Some(error)
    }
}

/// Cuts the power before each step of a boot, boots again, and compares with a boot without a cut.
fn every_cut_ends_like(start: impl Fn() -> World) {
    let expected = start();
    expected.boot().unwrap();
    let mut steps = 0;
    loop {
        let world = start();
        let before = world.read("card/herdlinx.toml");
        let Some(error) = world.boot_with_cut(steps) else { break };
        let card = world.read("card/herdlinx.toml");
        let is_blanked = card == expected.read("card/herdlinx.toml");
        assert!(is_blanked || card == before, "{error}: the card's file is old or new:\n{card}");
        if is_blanked {
            assert!(world.keys().check(API_KEY).is_some(), "{error}: a blanked key is stored");
        }
        // A second cut in the boot that repairs.
        world.boot_with_cut(steps / 2);
        world.boot().unwrap();
        assert_eq!(world.files(), expected.files(), "{error}");
        assert!(world.keys().check(API_KEY).is_some(), "{error}");
        steps += 1;
    }
    assert!(steps > 20, "only {steps} steps were cut");
}

/// Catches an order of steps in which a power cut loses the password, the key, or a setting.
#[test]
fn a_cut_before_any_step_of_the_first_boot_is_completed_by_the_next() {
    every_cut_ends_like(|| World::with_file(GOOD));
}

/// Catches a power cut that leaves a mixture of the settings before and after an edit.
#[test]
fn a_cut_before_any_step_of_a_later_boot_is_completed_by_the_next() {
    every_cut_ends_like(|| {
        let world =
            World::with_file("site = 'Old Barn'\n[wifi]\ncountry = 'CA'\nnetwork = 'Old'\npassword = 'old password'\n");
        world.write("card/user-data", "timezone: America/Denver\n");
        world.boot().unwrap();
        world.write("card/herdlinx.toml", GOOD);
        world
    });
}

/// Catches a secret that is blanked on the card although it is not stored.
#[test]
fn a_key_that_cannot_be_stored_stays_on_the_card() {
    let world = World::with_file(GOOD);
    fs::create_dir_all(world.path("root/var/lib/herdlinx")).unwrap();
    world.write("root/var/lib/herdlinx/local.redb", "damage");
    let error = world.boot().unwrap_err();
    assert!(matches!(error, FirstBootError::Access(_)), "{error}");
    assert_eq!(world.read("card/herdlinx.toml"), GOOD);
    assert!(world.result().contains("is not stored yet"), "{}", world.result());
    assert_eq!(world.setting("hostname"), "herdlinx-north-barn\n");
    fs::remove_file(world.path("root/var/lib/herdlinx/local.redb")).unwrap();
    world.boot().unwrap();
    assert!(world.keys().check(API_KEY).is_some());
    assert!(world.read("card/herdlinx.toml").contains("api_key = \"\""));
}
