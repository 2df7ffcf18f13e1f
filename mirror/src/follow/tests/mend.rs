//! A damaged row of the copy, fetched again.

use super::*;
use herd::store::{DamagedRow, LOG_FILE};

/// Returns a barn, and the disk of a copy of it, a row of whose log is damaged.
fn damaged() -> (TestBarn, MemoryDisk) {
    let (barn, disk) = (barn(13), MemoryDisk::default());
    let mut copy = Store::open_replica(&disk, barn.reader().store()).unwrap();
    for (after, changes) in [(0, 4), (4, 5), (9, 4)] {
        let run = barn.reader().run_after(position(&barn, after), changes, MAX_PAGE_BYTES).unwrap();
        copy.apply(run).unwrap();
        copy.settle().unwrap();
    }
    drop(copy);
    let mut log = disk.content(LOG_FILE).unwrap();
    // The payload of change 7, in the second row.
    let payload = b"hxb:LOT1:LF6:UHF6";
    let places: Vec<_> = (0..log.len()).filter(|at| log[*at..].starts_with(payload)).collect();
    for at in places {
        log[at + 4] = b'X';
    }
    assert!(disk.overwrite(LOG_FILE, &log));
    (barn, disk)
}

/// Catches a damaged row that stays damaged although the barn has it, and a barn that is asked for it all the time.
#[tokio::test(start_paused = true)]
async fn a_damaged_row_is_fetched_again_from_the_barn() {
    let (barn, disk) = damaged();
    let copy = Store::open_replica(&disk, barn.reader().store()).unwrap();
    let reader = copy.reader();
    let read = || reader.run_after(position(&barn, 4), 5, MAX_PAGE_BYTES).map(|run| run.changes.len());
    assert!(read().is_err());
    let [DamagedRow { first, last }] = reader.damaged_rows()[..] else { panic!("{:?}", reader.damaged_rows()) };
    assert_eq!((first, last), (Sequence(5), Sequence(9)));
    // The head is held; the first answer about the row is none.
    let answers = vec![whole(&page(&barn, 13, 0, 13)), Ok(refusal(503, "later"))];
    let mut followed = Followed::into_store(copy, &barn, answers, Options::default());
    let _end = followed.opened().await;
    followed.until("it is live", |status| status.link == LinkState::Live).await;
    assert_eq!(followed.link.pulls(), [(13, 256), (4, 5)]);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(followed.link.pulls().len(), 2, "not again within the interval: {:?}", followed.link.asked());
    assert!(read().is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(followed.link.pulls()[2..], [(13, 512), (4, 5)], "{:?}", followed.link.asked());
    assert_eq!((read().unwrap(), reader.damaged_rows().len()), (5, 0));
    assert_eq!(followed.status().failed_syncs, 0, "a damaged row is no failure of the barn");
}
