//! Orders that give payloads back, over HTTP.

use super::*;
use herd::position::{Position, Sequence};
use herd::testing::TestBarn;

fn run_of(barn: &TestBarn) -> ChangeRun {
    let reader = barn.reader();
    let start = reader.position_at(Sequence::ZERO).unwrap().unwrap();
    reader.run_after(start, 100, 1_000_000).unwrap()
}

/// Catches changes of another barn, or altered ones, that come into the log.
#[test]
fn only_changes_of_this_history_that_lead_to_their_end_are_taken() {
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2"]);
    let (run, own) = (run_of(&barn), barn.reader().store());
    assert!(check(&run, own).is_ok());
    assert_eq!(check(&run, StoreId([9; 16])).unwrap_err().status, StatusCode::CONFLICT);
    let altered = Position { digest: run.after.digest, ..run.end };
    assert_eq!(check(&ChangeRun { end: altered, ..run.clone() }, own).unwrap_err().status, StatusCode::BAD_REQUEST);
}

/// Catches a payload that no commit can hold, and that would end the writer.
#[test]
fn a_payload_that_no_door_lets_in_is_refused() {
    let mut barn = TestBarn::default();
    barn.record_bytes(&vec![b'x'; MAX_RAW_BYTES + 1]);
    let refused = check(&run_of(&barn), barn.reader().store()).unwrap_err();
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}
