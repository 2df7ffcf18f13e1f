//! A damaged row of the copy, fetched again.

use super::super::row_fetch::REFUSED_RETRY;
use super::*;
use herd::store::{DamagedRow, LOG_FILE};

/// Returns a barn, and the disk of a copy of it whose log has rows of these lengths. The rows with some changes are damaged.
fn damaged(rows: &[usize], changes: &[u64]) -> (TestBarn, MemoryDisk) {
    let (barn, disk) = (barn(rows.iter().sum::<usize>() as u64), MemoryDisk::default());
    let mut copy = Store::open_replica(&disk, barn.reader().store()).unwrap();
    for row in rows {
        let run = barn.reader().run_after(copy.head().position, *row, MAX_PAGE_BYTES).unwrap();
        copy.apply(run).unwrap();
        copy.settle().unwrap();
    }
    drop(copy);
    let mut log = disk.content(LOG_FILE).unwrap();
    for change in changes {
        let payload = format!("hxb:LOT1:LF{0}:UHF{0}", change - 1).into_bytes();
        let places: Vec<_> = (0..log.len()).filter(|at| log[*at..].starts_with(&payload)).collect();
        for at in places {
            log[at + 4] = b'X';
        }
    }
    assert!(disk.overwrite(LOG_FILE, &log));
    (barn, disk)
}

/// Reads changes of a copy, and returns how many there are.
fn read(copy: &Reader, barn: &TestBarn, after: u64, changes: usize) -> Result<usize, StoreError> {
    copy.run_after(position(barn, after), changes, MAX_PAGE_BYTES).map(|run| run.changes.len())
}

fn row(first: u64, last: u64) -> DamagedRow {
    DamagedRow { first: Sequence(first), last: Sequence(last) }
}

/// Catches a damaged row that stays damaged although the barn has it, and a barn that is asked for it all the time.
#[tokio::test(start_paused = true)]
async fn a_damaged_row_is_fetched_again_from_the_barn() {
    let (barn, disk) = damaged(&[4, 5, 4], &[7]);
    let copy = Store::open_replica(&disk, barn.reader().store()).unwrap();
    let reader = copy.reader();
    assert!(read(&reader, &barn, 4, 5).is_err());
    assert_eq!(reader.damaged_rows(), [row(5, 9)]);
    // The head is held; the first answer about the row is none.
    let answers = vec![whole(&page(&barn, 13, 0, 13)), Ok(refusal(503, "later"))];
    let mut followed = Followed::into_store(copy, &barn, answers, Options::default());
    let _end = followed.opened().await;
    followed.until("it is live", |status| status.link == LinkState::Live).await;
    assert_eq!(followed.link.pulls(), [(13, 256), (4, 5)]);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(followed.link.pulls().len(), 2, "not again within the interval: {:?}", followed.link.asked());
    assert!(read(&reader, &barn, 4, 5).is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(followed.link.pulls()[2..], [(13, 512), (4, 5)], "{:?}", followed.link.asked());
    assert_eq!((read(&reader, &barn, 4, 5).unwrap(), reader.damaged_rows().len()), (5, 0));
    assert_eq!(followed.status().failed_syncs, 0, "a damaged row is no failure of the barn");
}

/// Catches a row that the copy refuses, and that is fetched again all the time or keeps the ones before it from being mended.
#[tokio::test(start_paused = true)]
async fn a_row_that_stays_damaged_keeps_back_no_other_and_is_fetched_once_an_hour() {
    let (barn, disk) = damaged(&[4, 5, 4, 3, 3], &[7, 15]);
    let copy = Store::open_replica(&disk, barn.reader().store()).unwrap();
    let reader = copy.reader();
    assert!(read(&reader, &barn, 4, 5).is_err() && read(&reader, &barn, 13, 3).is_err());
    assert_eq!(reader.damaged_rows(), [row(5, 9), row(14, 16)]);
    let mut followed = Followed::into_store(copy, &barn, Vec::new(), Options::default());
    // The copy takes these changes as little as it would the right ones if the page of the row were damaged.
    let mut wrong = page(&barn, 13, 3, 19);
    wrong.changes = ["no", "such", "changes"].into_iter().map(str::as_bytes).collect();
    followed.link.answer_always(13, Duration::ZERO, whole(&wrong));
    let of_refused = |link: &TestLink| link.pulls().into_iter().filter(|pull| *pull == (13, 3)).count();
    let _end = followed.opened().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(reader.damaged_rows(), [row(14, 16)], "{:?}", followed.link.pulls());
    assert_eq!(
        (read(&reader, &barn, 4, 5).unwrap(), of_refused(&followed.link)),
        (5, 1),
        "{:?}",
        followed.link.pulls()
    );
    tokio::time::sleep(REFUSED_RETRY).await;
    assert_eq!(of_refused(&followed.link), 2);
}

/// Catches a source that takes the office for silent, because a row comes slowly.
#[tokio::test(start_paused = true)]
async fn the_live_connection_goes_on_while_a_row_is_fetched() {
    let (barn, disk) = damaged(&[4, 5, 4], &[7]);
    let copy = Store::open_replica(&disk, barn.reader().store()).unwrap();
    let reader = copy.reader();
    let mut followed = Followed::into_store(copy, &barn, Vec::new(), Options::default());
    followed.link.answer_always(4, Duration::from_secs(12), whole(&page(&barn, 4, 5, 13)));
    let mut end = followed.opened().await;
    followed.until("it is live", |status| status.link == LinkState::Live).await;
    assert!(read(&reader, &barn, 4, 5).is_err());
    tokio::time::sleep(Duration::from_millis(14_500)).await;
    let heartbeats = std::iter::from_fn(|| end.received.try_recv().ok()).count();
    assert!(followed.link.pulls().contains(&(4, 5)), "{:?}", followed.link.pulls());
    assert_eq!(heartbeats, 3, "at once and every 5 s");
    assert_eq!(reader.damaged_rows(), [row(5, 9)], "it has not come yet");
}
