//! The bound on the room of all backups.

use super::*;

/// Catches a bound that is passed while a backup is written, and an old backup that goes although nothing comes of it.
#[tokio::test]
async fn the_bound_on_the_room_holds_and_its_end_is_told() {
    let mut world = World::with(400, |settings| settings.max_bytes = 1_000_000);
    let first = world.after(Duration::ZERO).await.last.unwrap();
    // Not checked by `BackupSettings`, and smaller than two of these.
    world.settings.max_bytes = first.bytes * 3 / 2;
    world.restart();
    world.record(1);
    let report = world.after(24 * HOUR).await;
    assert!(failure(&report).contains("raise it, it has to hold two backups"), "{report:?}");
    assert_eq!((change_of(&report), world.proved()), (first.change.0, vec![first.change.0]));

    // The first one ever does not fit: what was written of it is gone. The next attempt knows how large it became.
    let mut world = World::with(400, |settings| settings.max_bytes = 1_000);
    let report = world.after(Duration::ZERO).await;
    assert!(failure(&report).contains("`max_bytes`"), "{report:?}");
    assert_eq!((world.files(), report.last), (vec![], None));
    world.fail_at(|step| step == NightlyStep::Write);
    let report = world.after(HOUR).await;
    assert!(failure(&report).contains("a backup needs about 65,"), "{report:?}");
}

/// Catches an old backup whose room still counts once it is gone, so that none is made any more.
#[tokio::test]
async fn the_room_of_a_removed_backup_is_that_of_the_next_one() {
    let mut world = World::new(400);
    let first = world.after(Duration::ZERO).await.last.unwrap();
    // Room for two, and for the margin of the estimate.
    world.settings.max_bytes = first.bytes * 2 + 70_000;
    world.restart();
    for night in 1..=3 {
        world.record(1);
        let report = world.after(24 * HOUR).await;
        assert_eq!((report.verified, report.failing), (night, false), "{report:?}");
    }
    assert_eq!(world.proved(), [403, 404]);
}
