//! Queries about batches.

use super::animal;
use crate::change::BatchId;
use crate::query::PageLimit;
use crate::testing::{TestBarn, page_limit};

/// Catches a renamed or reordered key, which clients of the original system read.
#[test]
fn a_batch_keeps_the_keys_of_the_original_in_their_order() {
    let barn = TestBarn::with_payloads(&["hxb:LOT1:LF0:UHF0", "hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2"]);
    let batch = barn.snapshot().batch(BatchId(2)).unwrap().unwrap();
    assert_eq!(
        serde_json::to_string(&batch).unwrap(),
        concat!(
            r#"{"id":2,"batch_number":"LOT1","induction_date":"2026-01-15","source":"Barn (HXB)","source_type":"hxb","#,
            r#""notes":null,"cattle_count":3,"created_at":"2026-01-15T10:01:01.000Z","#,
            r#""updated_at":"2026-01-15T10:03:03.000Z","active":3,"members":3,"open":true,"closed_by":null}"#
        )
    );
}

/// Catches a barn batch that still counts exported animals, or an export batch that counts none.
#[test]
fn a_barn_batch_counts_animals_in_the_yard_and_an_export_batch_all() {
    let barn = TestBarn::with_payloads(&["hxb:B:L1:U1", "hxb:B:L2:U2", "hxe:B:L1:U1"]);
    let snapshot = barn.snapshot();
    let barns = snapshot.batch(BatchId(2)).unwrap().unwrap();
    assert_eq!((barns.cattle_count, barns.active, barns.members), (1, 1, 2));
    let export = snapshot.batch(BatchId(4)).unwrap().unwrap();
    assert_eq!((export.source, export.source_type), ("Export (HXE)", "hxe"));
    assert_eq!((export.cattle_count, export.members), (1, 1));
}

/// Catches an export batch that hides the barn batch with the same number.
#[test]
fn a_number_refers_to_the_open_barn_batch_and_lists_the_others() {
    let barn = TestBarn::with_payloads(&["hxb:B:L1:U1", "hxe:B:L9:U9"]);
    let found = barn.snapshot().batch_by_number("B").unwrap().unwrap();
    assert_eq!(found.batch.id, BatchId(2));
    let others: Vec<_> = found.others.iter().map(|other| (other.id, other.source_type)).collect();
    assert_eq!(others, [(BatchId(3), "hxe")]);
}

/// Catches a number that still leads to a closed batch.
#[test]
fn without_an_open_barn_batch_a_number_refers_to_the_one_opened_last() {
    let mut barn = TestBarn::with_payloads(&["hxb:B:L1:U1", "hxe:B:L1:U1"]);
    let closed = barn.snapshot().batch(BatchId(2)).unwrap().unwrap();
    assert!(!closed.open);
    assert_eq!(closed.closed_by.map(|by| by.0), Some(3));
    assert_eq!(barn.snapshot().batch_by_number("B").unwrap().unwrap().batch.id, BatchId(3));

    barn.advance(25);
    let reopened = barn.record("hxe:B:L2:U2");
    let found = barn.snapshot().batch_by_number("B").unwrap().unwrap();
    assert_eq!(found.batch.id, BatchId::from(reopened));
    assert_eq!(found.others.iter().map(|other| other.id.0).collect::<Vec<_>>(), [3, 2]);
}

/// Catches a range of keys that includes longer numbers.
#[test]
fn numbers_that_share_a_prefix_name_different_batches() {
    let barn = TestBarn::with_payloads(&["hxb:LOT1:L1:U1", "hxb:LOT11:L2:U2", "hxb:LOT:L3:U3"]);
    let snapshot = barn.snapshot();
    assert_eq!(snapshot.batch_by_number("LOT1").unwrap().unwrap().others, []);
    assert_eq!(snapshot.batch_by_number("LO").unwrap(), None);
    assert_eq!(snapshot.batch_by_number("").unwrap(), None);
}

/// Catches a closed batch in the list of open ones.
#[test]
fn open_batches_leave_out_closed_ones() {
    let barn = TestBarn::with_payloads(&["hxb:A:L1:U1", "hxb:B:L2:U2", "hxb:C:L2:U2"]);
    let open = barn.snapshot().open_batches(None, PageLimit::default()).unwrap();
    let numbers: Vec<_> = open.data.iter().map(|batch| batch.batch_number.as_str()).collect();
    assert_eq!(numbers, ["C", "A"]);
    assert_eq!(open.next, None);
}

/// Catches a batch that forgets the animals that left it.
#[test]
fn former_members_stay_in_the_list_with_the_change_that_took_them_out() {
    let mut barn = TestBarn::with_payloads(&["hxb:A:L1:U1", "hxb:A:L2:U2"]);
    let moved = barn.record("hxb:B:L1:U1");
    let members = barn.snapshot().members(BatchId(2), None, page_limit(10)).unwrap();
    let found: Vec<_> = members.data.iter().map(|member| (member.animal.id.0, member.joined.0, member.left)).collect();
    assert_eq!(found, [(2, 2, Some(moved)), (3, 3, None)]);
    assert_eq!(members.data[0].animal.barn_batch.as_ref().unwrap().batch_number, "B");
    assert_eq!(members.data[0].animal.id, animal(crate::position::Sequence(2)));
}

/// Catches duplicates among the traits of a batch.
#[test]
fn a_batch_shows_its_pens_sexes_and_funders_once_each() {
    let barn = TestBarn::with_payloads(&[
        "event:hxbind000001|lot:L|lid:1|pen:P2|sex:M|funder:Prairie Feedlot Partners",
        "event:hxbind000002|lot:L|lid:2|pen:P1|sex:M",
    ]);
    let traits = barn.snapshot().batch_traits(BatchId(2)).unwrap();
    assert_eq!(traits.pens, ["P1", "P2"]);
    assert_eq!(traits.sexes, ["M"]);
    assert_eq!(traits.funders, ["Prairie Feedlot Partners"]);
}
