//! The steps of giving a copy back, against a fake barn on loopback whose log is that of a test.

use super::*;
use crate::link::Trust;
use crate::link::tests::barn::{Barn, Identity};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use herd::clock::ClockReading;
use herd::decide::Rules;
use herd::position::StoreId;
use rcgen::KeyPair;
use serde_json::json;
use service::give_back::{GIVE_BACK_PATH, GiveBackOrder, HEALTH_PATH};
use service::lifecycle::ShutdownTrigger;
use service::sync::{OwnStore, serve};
use std::sync::{Arc, Mutex};

/// An order that the barn received: first and last change, and whether they are for the place of a damaged row.
type GivenRun = (u64, u64, bool);

/// A barn that notes the orders, and answers them with a status.
struct FakeBarn {
    _server: Barn,
    link: HttpsLink,
    given: Arc<Mutex<Vec<GivenRun>>>,
}

impl FakeBarn {
    fn start(log: Reader, damaged: Vec<DamagedRow>, status: u16) -> Self {
        Self::with_words(log, damaged, status, "not now".to_owned())
    }

    /// Starts a barn that answers orders with these words.
    fn with_words(log: Reader, damaged: Vec<DamagedRow>, status: u16, words: String) -> Self {
        let given = Arc::new(Mutex::new(Vec::new()));
        let sync = serve::router(Arc::new(OwnStore::new(log, || 0)), ShutdownTrigger::default().signal());
        let take = async move |State(given): State<Arc<Mutex<Vec<GivenRun>>>>, Json(order): Json<GiveBackOrder>| {
            assert_eq!((order.author.as_str(), order.reason.as_str()), ("Ana", "old card"));
            let run = order.changes.decode().unwrap();
            given.lock().unwrap().push((run.after.sequence.0 + 1, run.end.sequence.0, order.in_place));
            let reply = json!({
                "success": true, "kept": 3, "duplicates": 2, "not_repeated": [5], "not_repeated_count": 1,
                "message": words,
            });
            (StatusCode::from_u16(status).unwrap(), Json(reply))
        };
        let health = async move || Json(json!({ "damaged": damaged }));
        let calls = Router::new().route(GIVE_BACK_PATH, post(take)).route(HEALTH_PATH, get(health));
        let identity = Identity::self_signed(KeyPair::generate().unwrap());
        let server = Barn::start_with(&identity, calls.with_state(given.clone()).merge(sync));
        let address = server.at.to_string().parse().unwrap();
        let link = HttpsLink::new(vec![address], &Trust::Pin(identity.pin()), "hxb_key").unwrap();
        Self { _server: server, link, given }
    }

    fn given(&self) -> Vec<GivenRun> {
        self.given.lock().unwrap().clone()
    }
}

fn row(first: u64, last: u64) -> DamagedRow {
    DamagedRow { first: Sequence(first), last: Sequence(last) }
}

fn acceptance() -> Acceptance {
    Acceptance::checked("Ana", "old card").unwrap()
}

/// Returns the only copy of a site, which shows this.
fn only_copy(directory: &std::path::Path, shown: Reader) -> HeldCopies {
    let held = held_copies(directory, shown);
    let number = held.copies.begin(|_| true).unwrap();
    held.copies.finish(number, |_| true).unwrap();
    held
}

/// Takes all steps, and returns the sum of their results and the stages.
async fn all_steps(
    held: &HeldCopies,
    link: &HttpsLink,
) -> Result<(GiveBackProgress, Vec<GiveBackStage>), GiveBackError> {
    let (mut total, mut stages, mut next) = (GiveBackProgress::default(), Vec::new(), held.begin()?);
    while let Some(cursor) = next {
        stages.push(cursor.stage);
        assert!(stages.len() < 100, "no end: {stages:?}");
        let done = held.step(link, cursor, &acceptance()).await?;
        next = done.next;
        total.add(done);
    }
    Ok((total, stages))
}

/// Catches a copy that cannot be read and keeps back all later ones, or that nobody is told of.
#[tokio::test]
async fn a_copy_that_cannot_be_read_is_named_and_the_next_one_is_given_back() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::default());
    let mut lost = TestBarn::on(&disk);
    lost.record("hxb:LOT1:LF1:UHF1");
    let card = disk.after_power_cut();
    let copies = Copies::open(directory.path()).unwrap();
    let unreadable = copy(&copies, &lost);
    lost.record("hxb:LOT1:LF2:UHF2");
    lost.record("hxb:LOT1:LF3:UHF3");
    copy(&copies, &lost);
    let mut now = TestBarn::on(&card);
    now.record("hxb:LOT1:LF4:UHF4");
    copy(&copies, &now);
    damage(&copies, unreadable);
    let held = held_copies(directory.path(), now.reader());
    assert_eq!(held.count_only_here().changes, Some(2));
    let barn = FakeBarn::start(now.reader(), Vec::new(), 200);
    let (total, _) = all_steps(&held, &barn.link).await.unwrap();
    let end = lost.reader().head().position.sequence.0;
    assert_eq!(barn.given(), [(end - 1, end, false)]);
    let [UnreadableCopy { copy, why }] = &total.unreadable[..] else { panic!("{:?}", total.unreadable) };
    assert!(*copy == unreadable && why.contains(LOG_FILE), "{copy}: {why}");

    // The shown one is damaged as well.
    let held = HeldCopies { shown: None, ..held };
    damage(&copies, copies.current().unwrap().unwrap());
    let (total, _) = all_steps(&held, &barn.link).await.unwrap();
    let named: Vec<_> = total.unreadable.iter().map(|unreadable| Some(unreadable.copy)).collect();
    assert_eq!(named, [Some(unreadable), copies.current().unwrap()]);
    assert_eq!((barn.given().len(), total.kept), (2, 3));
}

/// Catches a change that is given to a barn that holds it, one that is left out at the edge of a page, and a copy that counts as
/// given back before its end or never.
#[tokio::test]
async fn what_the_barn_lacks_is_given_back_page_by_page_and_then_the_copy_is_marked() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::default());
    let mut lost = TestBarn::on(&disk);
    for n in 0..5 {
        lost.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    let card = disk.after_power_cut();
    let shared = lost.reader().head().position.sequence.0;
    for n in 0..400 {
        lost.record(&format!("hxb:LOT1:LF{n:032}:UHF{n:032}"));
    }
    let end = lost.reader().head().position;
    let mut now = TestBarn::on(&card);
    now.record("hxb:LOT1:LF9:UHF9");
    let barn = FakeBarn::start(now.reader(), Vec::new(), 200);
    let held = only_copy(directory.path(), lost.reader());
    let (total, stages) = all_steps(&held, &barn.link).await.unwrap();
    let given = barn.given();
    assert!(given.len() > 1, "more than one page: {given:?}");
    assert_eq!((given[0].0, given[given.len() - 1].1), (shared + 1, end.sequence.0));
    assert!(given.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1) && given.iter().all(|(.., in_place)| !in_place));
    let pages = given.len() as u64;
    assert_eq!((total.kept, total.duplicates, total.not_repeated_count), (3 * pages, 2 * pages, pages));
    assert_eq!((total.not_repeated.len() as u64, total.next), (pages, None));
    assert_eq!(stages[..2], [GiveBackStage::Mend { before: Sequence(u64::MAX) }, GiveBackStage::Begin]);
    let first = GiveBackStage::Search { held: Sequence::ZERO, lacking: end.sequence };
    assert_eq!(stages[2], first);
    assert!(stages.len() <= 4 + 9 + given.len(), "a binary search: {stages:?}");
    let number = held.copies.current().unwrap().unwrap();
    let note = GivenBack { end, barn: now.reader().head().position };
    assert_eq!(held.copies.given_back(number).unwrap(), Some(note));
}

/// Catches orders for changes that the barn holds, and for those of a barn with another history.
#[tokio::test]
async fn nothing_is_sent_to_a_barn_that_holds_all_or_another_history() {
    let directory = tempfile::tempdir().unwrap();
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]);
    let held = only_copy(directory.path(), barn.reader());
    let whole = FakeBarn::start(barn.reader(), Vec::new(), 200);
    let (total, stages) = all_steps(&held, &whole.link).await.unwrap();
    assert_eq!((total, stages.len(), whole.given()), (GiveBackProgress::default(), 2, vec![]));

    let clock = ClockReading { boot: 1, ..ClockReading::default() };
    let other = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([9; 16])).unwrap();
    let other = FakeBarn::start(other.reader(), Vec::new(), 200);
    let refused = all_steps(&held, &other.link).await.unwrap_err();
    assert!(matches!(refused, GiveBackError::OtherHistory), "{refused}");
    assert_eq!(other.given(), []);

    // A position of another copy.
    let longer = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2"]);
    let (copy, after) = (held.copies.current().unwrap().unwrap(), longer.reader().head().position);
    let cursor = GiveBackCursor { copy, stage: GiveBackStage::Send { after } };
    let after = Position { sequence: Sequence(1), ..after };
    for cursor in [cursor, GiveBackCursor { copy, stage: GiveBackStage::Send { after } }] {
        let moved = held.step(&whole.link, cursor, &acceptance()).await;
        assert!(matches!(moved, Err(GiveBackError::Moved)), "{moved:?}");
    }
}

/// Catches a damaged row that is skipped, sent in part, or called mended although the barn has refused it.
#[tokio::test]
async fn damaged_rows_are_returned_from_the_last_one_on_and_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let payloads: Vec<_> = (0..9).map(|n| format!("hxb:LOT1:LF{n}:UHF{n}")).collect();
    let barn = TestBarn::with_payloads(&payloads.iter().map(String::as_str).collect::<Vec<_>>());
    let held = only_copy(directory.path(), barn.reader());
    // The last one is longer than the copy.
    let damaged = vec![row(5, 6), row(2, 3), row(9, 11)];
    let taking = FakeBarn::start(barn.reader(), damaged.clone(), 200);
    let (total, _) = all_steps(&held, &taking.link).await.unwrap();
    assert_eq!(taking.given(), [(5, 6, true), (2, 3, true)]);
    assert_eq!((total.mended, total.unmended, total.kept), (vec![row(5, 6), row(2, 3)], vec![row(9, 11)], 0));

    let refusing = FakeBarn::start(barn.reader(), damaged.clone(), 409);
    let (total, _) = all_steps(&held, &refusing.link).await.unwrap();
    assert_eq!((total.mended, total.unmended), (vec![], vec![row(9, 11), row(5, 6), row(2, 3)]));

    let failing = FakeBarn::start(barn.reader(), damaged, 503);
    let failed = all_steps(&held, &failing.link).await.unwrap_err();
    assert!(matches!(&failed, GiveBackError::Refused { status: 503, message } if message == "not now"), "{failed}");
}

/// Catches a row that no order takes and that keeps back all others, and what a barn has an office read into its memory.
#[tokio::test]
async fn a_damaged_row_that_no_order_takes_is_left_and_the_rest_goes_on() {
    let (directory, mut barn) = (tempfile::tempdir().unwrap(), TestBarn::default());
    for n in 0..MAX_GIVEN_CHANGES {
        barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    let many = row(1, MAX_GIVEN_CHANGES as u64 + 1);
    barn.record("hxb:LOT1:LFA:UHFA");
    let few = row(many.last.0 + 1, many.last.0 + 1);
    let payload_bytes = 60_000;
    let payloads = MAX_ROW_BYTES / payload_bytes + 1;
    for n in 0..payloads {
        barn.record(&format!("{n}{}", "x".repeat(payload_bytes)));
    }
    let large = row(few.last.0 + 1, few.last.0 + payloads as u64);
    assert_eq!(barn.reader().head().position.sequence, large.last);
    let held = only_copy(directory.path(), barn.reader());
    // A row that ends before it begins would be taken again and again.
    let damaged = vec![many, few, large, row(few.first.0, 1)];
    let taking = FakeBarn::start(barn.reader(), damaged, 200);
    let (total, stages) = all_steps(&held, &taking.link).await.unwrap();
    assert_eq!(taking.given(), [(few.first.0, few.last.0, true)]);
    assert_eq!((total.mended, total.unmended), (vec![few], vec![large, many]));
    assert_eq!(stages.last(), Some(&GiveBackStage::Begin));
}

/// Catches a barn that does not take one row, be it for its length or because the link is too slow for it, and is given nothing
/// else.
#[tokio::test]
async fn an_order_that_fails_for_its_row_does_not_end_the_giving_back() {
    let (directory, barn) = (tempfile::tempdir().unwrap(), TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1"]));
    let held = only_copy(directory.path(), barn.reader());
    let damaged = vec![row(1, 1), row(2, 2)];
    // No office reads so long an answer, so it does not learn what became of the order.
    let endless = "x".repeat(100_000);
    for (status, words) in [(400, "no"), (413, "too long"), (200, endless.as_str())] {
        let refusing = FakeBarn::with_words(barn.reader(), damaged.clone(), status, words.to_owned());
        let (total, stages) = all_steps(&held, &refusing.link).await.unwrap();
        assert_eq!((total.mended, total.unmended), (vec![], vec![row(2, 2), row(1, 1)]), "{status}");
        assert_eq!((refusing.given().len(), stages.last()), (2, Some(&GiveBackStage::Begin)), "{status}");
    }
}
