//! Claims about epochs, boots and reader eras of what lies behind a gap.

use super::made::*;
use super::*;
use crate::change::{EpochStart, Origin};
use crate::clock::RawReading;
use crate::decide::CorrectionRequest;
use crate::store::{ChangeRun, Incoming};

fn epoch_start(epoch: u32, boot: u32) -> Vec<u8> {
    let clock = ClockReading { boot, ..ClockReading::default() };
    let (store, writer) = (StoreId([1; 16]), StoreId([epoch.to_le_bytes()[0]; 16]));
    Change::Epoch(EpochStart { epoch: Epoch(epoch), store, writer, clock, acceptance: None }).to_bytes()
}

/// Catches an epoch that is begun a second time, or a boot that is numbered a second time, because only the last island is asked.
#[test]
fn the_latest_epoch_and_the_last_boot_are_those_of_any_island() {
    let branch = Branch::new("a", 70, 70);
    let branch = branch.with_whole_change(25, &epoch_start(7, 3)).with_whole_change(45, &epoch_start(5, 12));
    let branch = branch.with_whole_change(65, &epoch_start(6, 4));
    // Another branch, from the end of the chain.
    let other = Branch::new("b", 10, 20).with_whole_change(15, &epoch_start(8, 11));
    let leaves = [branch.leaf(1, 10), branch.leaf(21, 30), branch.leaf(41, 50), branch.leaf(61, 70)];
    let own = disk_with(&log_of(&leaves));
    let both = disk_with(&log_of(&[&leaves[..], &[other.leaf(11, 12), other.leaf(14, 20)]].concat()));
    for (disk, expected) in [(&own, 7), (&both, 8)] {
        for remembered in [log_start(branch.store), branch.position(10, 2), branch.position(10, 9)] {
            let places = Places { own: Some(disk), remembered: Some(remembered), ..Places::default() };
            let found = find_log(places, &mut |_| {}).unwrap();
            let latest = found.latest(Some(&remembered)).unwrap();
            assert_eq!(latest.epoch, Epoch(expected.max(remembered.epoch.0)), "{remembered}");
            assert_eq!(found.last_boot().unwrap(), 12);
        }
    }
}

fn incoming(text: &str) -> Incoming {
    let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
    Incoming { raw: text.as_bytes().to_vec(), origin, at: RawReading::default() }
}

fn store_in_boot(disk: &MemoryDisk, id: u8, boot: u32) -> Store {
    let clock = ClockReading { boot, ..ClockReading::default() };
    Store::open_source(disk, Rules::default(), clock, || StoreId([id; 16])).unwrap()
}

/// Returns the changes of a history of one payload that was received in this boot and this era.
fn lost(text: &str, boot: u32, era: u32) -> ChangeRun {
    let mut store = store_in_boot(&MemoryDisk::default(), 9, boot);
    store.append(&[incoming(text)]).unwrap();
    let run = store.reader().run_after(log_start(StoreId([9; 16])), 10, 1_000_000).unwrap();
    let with_era = |change: &[u8]| match Change::from_bytes(change).unwrap() {
        Change::Received(mut received) => {
            received.origin.reader_era = era;
            Change::Received(received).to_bytes()
        }
        other => other.to_bytes(),
    };
    let changes: Vec<_> = run.changes.iter().map(with_era).collect();
    ChangeRun::following(run.after, changes.iter().map(Vec::as_slice).collect())
}

/// Catches a boot that gets the number of one whose payloads came back at the end of the log.
#[test]
fn the_last_boot_of_a_log_counts_those_of_payloads_that_came_back_at_its_end() {
    let disk = MemoryDisk::default();
    let mut store = store_in_boot(&disk, 1, 2);
    store.append(&[incoming("hxb:LOT1:LF1:UHF1")]).unwrap();
    for (text, boot, expected) in [("hxb:LOT1:LF2:UHF2", 9, 9), ("hxb:LOT1:LF3:UHF3", 4, 9), ("no event", 11, 11)] {
        assert_eq!(store.readmit(&lost(text, boot, 1), &acceptance()).unwrap().kept, 1);
        assert_eq!(Store::last_boot(&disk.after_power_cut()).unwrap(), expected);
    }
    drop(store);
    let mut store = store_in_boot(&disk, 1, 12);
    store.append(&[incoming("hxb:LOT1:LF4:UHF4")]).unwrap();
    drop(store);
    assert_eq!(Store::last_boot(&disk).unwrap(), 12);
}

/// Catches a payload that comes back into an era which the log has not come to, and whose event ids count there once it begins.
#[test]
fn a_payload_comes_back_into_its_era_or_the_last_one_that_has_begun() {
    let mut store = store_in_boot(&MemoryDisk::default(), 1, 1);
    store.append(&[incoming("event:hxbpai1|lid:1|lf:LF1|weight:200")]).unwrap();
    let correction = Correction::NewReaderEra { reader_group: "main".to_owned(), from: None };
    let request = CorrectionRequest {
        author: "J. Doe".to_owned(),
        reason: "a new reader".to_owned(),
        idempotency_key: "1".to_owned(),
        channel: "office-1".to_owned(),
        correction,
    };
    store.correct(&request, RawReading::default()).unwrap();
    for (n, (era, expected)) in [(0, 1), (1, 1), (2, 2), (3, 2), (u32::MAX, 2)].into_iter().enumerate() {
        let text = format!("event:hxbpai{}|lid:{}|lf:LF{}|weight:200", n + 2, n + 2, n + 2);
        assert_eq!(store.readmit(&lost(&text, 1, era), &acceptance()).unwrap().kept, 1);
        let head = store.head().position.sequence;
        match Change::from_bytes(&store.reader().change(head).unwrap().unwrap()).unwrap() {
            Change::Received(received) => assert_eq!(received.origin.reader_era, expected, "{era}"),
            other => panic!("{other:?}"),
        }
    }
}
