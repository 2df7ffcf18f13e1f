//! Nightly backups in the card's file.

use super::*;

/// Catches a card that cannot be told to make backups, and a setting that does not arrive at the daemon.
#[test]
fn the_backups_of_the_card_are_those_of_the_daemon() {
    let world = World::with_file("[backup]\ndirectory = '/media/stick/herdlinx'\nat = '23:05'\nkeep = 3\n");
    world.boot().unwrap();
    let settings: Settings = toml::from_str(&world.setting("herdlinxd.toml")).unwrap();
    assert_eq!(settings.backup.directory.as_deref(), Some(Path::new("/media/stick/herdlinx")));
    assert_eq!((settings.backup.at.to_string().as_str(), settings.backup.keep), ("23:05", 3));
    let shown = "Backup:      at = \"23:05\", directory = \"/media/stick/herdlinx\", keep = 3\r\n";
    assert!(world.result().contains(shown), "{}", world.result());

    world.write("card/herdlinx.toml", "site = 'North'\n");
    world.boot().unwrap();
    assert!(!world.setting("herdlinxd.toml").contains("backup"));
    assert!(world.result().contains("Backup:      none\r\n"), "{}", world.result());
}

/// Catches a backup that is never made because of a typo, and a mistake without its line.
#[test]
fn the_backups_are_judged_by_the_daemons_own_rules() {
    let text = "[backup]\ndirectory = 'stick'\nat = '2:30'\nkeep = 0\nmax_bytes = 5\n";
    let world = World::with_file(text);
    world.boot().unwrap_err();
    for line in [
        "line 2: the value of `directory` is refused: the setting `backup.directory` is \"stick\"; it must be an absolute path",
        "line 3: the value of `at` is refused: `2:30` is not a time of the day",
        "line 4: the value of `keep` is refused: the setting `backup.keep` is \"0\"; it must be 1 to 1000",
        "line 5: the value of `max_bytes` is refused",
    ] {
        assert!(world.result().contains(line), "{}", world.result());
    }
    world.write("card/herdlinx.toml", "[backup]\nat = '02:30'\n");
    world.boot().unwrap_err();
    let line = "line 1: [backup] needs `directory`: add the line directory = \"/media/stick/herdlinx\"";
    assert!(world.result().contains(line), "{}", world.result());
    assert!(!world.setting("herdlinxd.toml").contains("backup"));
}
