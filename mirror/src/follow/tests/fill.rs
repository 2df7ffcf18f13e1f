//! A new copy that begins with what an older one holds.

use super::*;

/// Returns a barn that has lost the end of its log and gone on, and a copy of what it held before.
fn branched() -> (TestBarn, TestBarn) {
    let disk = MemoryDisk::default();
    let mut before = TestBarn::on(&disk);
    for n in 0..5 {
        before.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    let card = disk.after_power_cut();
    for n in 5..9 {
        before.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    let mut now = TestBarn::on(&card);
    for n in 20..23 {
        now.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    (before, now)
}

/// Catches a source that seems to hold what it refuses, or to refuse what it cannot tell.
#[tokio::test(start_paused = true)]
async fn a_source_holds_a_position_refuses_it_or_does_not_say() {
    let (older, barn) = branched();
    let link = TestLink::new(&barn).0;
    assert_eq!(ask(&link, &position(&barn, 2)).await.unwrap(), None);
    let refused = ask(&link, &position(&older, 9)).await.unwrap().unwrap();
    assert_eq!(refused.held, Some(barn.reader().head().position));
    assert_eq!(link.pulls(), [(2, 1), (9, 1)]);
    link.answer(Ok(refusal(503, "later")));
    let unsaid = ask(&link, &position(&barn, 2)).await.unwrap_err();
    assert!(matches!(&unsaid, AskError::Refused { status: 503, message } if message == "later"), "{unsaid}");
    link.answer(Err(unreachable()));
    assert!(matches!(ask(&link, &position(&barn, 2)).await, Err(AskError::Link(_))));
}

/// Catches a search that ends a change too early or too late, or that asks for each change.
#[tokio::test(start_paused = true)]
async fn the_last_shared_change_is_found_in_few_requests() {
    let (older, barn) = branched();
    let shared = barn.reader().head().position.sequence.0 - 3;
    let ends = [0, 1, 2, shared - 1, shared];
    for end in ends {
        let run = older.reader().run_after(position(&older, 0), usize::try_from(end).unwrap(), MAX_PAGE_BYTES).unwrap();
        let mut copy = Store::open_replica(&MemoryDisk::default(), older.reader().store()).unwrap();
        copy.apply(run).unwrap();
        let link = TestLink::new(&barn).0;
        assert_eq!(last_shared(&link, &copy.reader()).await.unwrap(), Sequence(end), "both hold all of it");
    }
    let link = TestLink::new(&barn).0;
    assert_eq!(last_shared(&link, &older.reader()).await.unwrap(), Sequence(shared));
    assert!(link.asked().len() <= 4, "{:?}", link.pulls());
}

/// Catches a new copy that takes over what the barn has lost, or nothing of what both hold, and one that fills a disk.
#[tokio::test(start_paused = true)]
async fn a_new_copy_takes_over_what_both_hold_and_no_more() {
    let (older, barn) = branched();
    let shared = barn.reader().head().position.sequence.0 - 3;
    let new = || {
        let store = Store::open_replica(&MemoryDisk::default(), barn.reader().store()).unwrap();
        let (handle, writer) = split_writer(store);
        tokio::spawn(writer);
        handle
    };
    let (link, copy) = (TestLink::new(&barn).0, new());
    assert_eq!(fill(&link, &older.reader(), &copy).await.unwrap(), Sequence(shared));
    assert_eq!(copy.reader().head().position, position(&barn, shared));
    assert_eq!(fill(&link, &older.reader(), &copy).await.unwrap(), Sequence(shared), "again");
    assert_eq!(copy.reader().head().position, position(&barn, shared));

    let copy = new().with_room(Room::new(|| Err(NoRoomError::Unknown("full".into()))));
    assert!(matches!(fill(&link, &older.reader(), &copy).await, Err(FillError::NoRoom(_))));
    assert_eq!(copy.reader().head().position.sequence, Sequence::ZERO);
}
