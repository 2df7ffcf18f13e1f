//! Case table: payloads from the field's documents, row by row, each with its expected outcome.
//!
//! All rows go to one barn. Rows that are sent in several orders therefore use separate batches, lids, tags and event
//! ids for each order. Row 3 needs another repeat window and has a test of its own, which sends [`ROW_3`].

use Outcome::{Duplicate, Rejected, Stored};

/// Expected answer to a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Stored,
    Duplicate,
    /// Holds the code of the reason.
    Rejected(&'static str),
}

/// One payload of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) row: u8,
    pub(crate) payload: String,
    pub(crate) outcome: Outcome,
}

/// Row 3: the payload of row 1, repeated after the window.
pub(crate) const ROW_3: &str = "hxb:BATCH001:LF123:UHF456";

/// All rows except 3, 13 and 17, in sending order.
const PLAIN: &[(u8, &str, Outcome)] = &[
    (1, "hxb:BATCH001:LF123:UHF456", Stored),
    (2, "hxb:BATCH001:LF123:UHF456", Duplicate),
    (2, "  hxb:BATCH001:LF123:UHF456", Duplicate),
    (2, "hxb:BATCH001:LF123:UHF456\r\n", Duplicate),
    (2, "\thxb:BATCH001:LF123:UHF456 \n", Duplicate),
    (4, "hxe:EXPORT001:LF789:UHF012", Stored),
    (5, "hxb:TEST001:LF999:UHF888", Stored),
    (6, "hxb:LOT1:LF0:UHF0", Stored),
    (6, "hxb:LOT1:LF1:UHF1", Stored),
    (6, "hxb:LOT1:LF2:UHF2", Stored),
    (7, "hxe:BATCH001:LF123:UHF456", Stored),
    (8, "invalid:data", Rejected("unknown_prefix")),
    (8, "hxb:BATCH001:LF123", Rejected("field_count")),
    (8, "hxb:B:L:U:X", Rejected("field_count")),
    (8, "hxx:B:1:2", Rejected("unknown_prefix")),
    (8, "hxb::LF:UHF", Rejected("empty_field")),
    (8, "hxb: :LF1:UHF1", Rejected("empty_field")),
    (9, "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red", Stored),
    (
        9,
        "event:hxbind000002|funder:Prairie Feedlot Partners|lot:LOT2024-11-07|lot_group:G7|pen:PEN14|\
         pen_location:East Section|visual_id:V 12|notes:off feed: watch|lid:2|sex:Steer",
        Stored,
    ),
    (10, "event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5", Stored),
    (11, "event:hxbchi000001|weight:267.3|lid:1", Stored),
    (12, "event:hxbrep000001|old_lf:LF_EAR_0001|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged", Stored),
    (12, "event:hxbpai000002|lf:124000224161434|epc:0900000000000003|lid:2|weight:250", Stored),
    (
        12,
        "event:hxbrep000002|old_epc:0900000000000003|new_epc:E2801160600002044310B2E2|lid:2|\
         reason:LF tag lost during handling",
        Stored,
    ),
    (14, "event:hxbchi000001|weight:267.3|lid:1", Duplicate),
    (15, "event:hxbchi000001|weight:300.0|lid:1", Rejected("event_id_reused")),
    (16, "event:hxbpai001601|lid:161|lf:LF161", Stored),
    (16, "event:hxbpai001602|lid:162|lf:LF162", Stored),
    (16, "event:hxbrep001601|lid:161|old_lf:LF162|new_lf:LF163", Rejected("old_tag_of_another")),
    (18, "hxb:LOT8:LF6:UHF6", Stored),
    (18, "hxb:LOT8:LF6:UHF7", Stored),
    (19, "hxb:BATCH_2025-12-04_7325:124000224161433:UHF19", Stored),
    (19, "hxb:BATCH_2025-12-04_7325:124 000 224161433:UHF19", Stored),
    (19, "hxb:BATCH_2025-12-04_7325:0124000224161433:UHF19", Stored),
    (20, "event:hxbpai002001|lid:201|lf:LF201|epc:UHF201|weight:0", Stored),
    (20, "event:hxbpai002002|lid:202|lf:LF202|epc:UHF202|weight:-5", Stored),
    (20, "event:hxbpai002003|lid:203|lf:LF203|epc:UHF203|weight:NaN", Stored),
    // Two counters, to show both results: three events missing to the end, and the two left after one arrived late.
    (21, "event:hxechi000117|lid:1", Stored),
    (21, "event:hxechi000121|lid:1", Stored),
    (21, "event:hxbchi000117|lid:1", Stored),
    (21, "event:hxbchi000121|lid:1", Stored),
    (21, "event:hxbchi000119|lid:1", Stored),
];

/// Returns all rows except 3, in sending order.
pub(crate) fn cases() -> Vec<Case> {
    let plain = PLAIN.iter().map(|(row, payload, outcome)| Case {
        row: *row,
        payload: (*payload).to_owned(),
        outcome: *outcome,
    });
    let ordered = [(13, row_13 as fn(u32) -> [String; 3]), (17, row_17)].into_iter().flat_map(|(row, texts)| {
        ORDERS.iter().zip(numbers_of(row)).flat_map(move |(order, number)| {
            let texts = texts(number);
            order.map(|place| Case { row, payload: texts[place].clone(), outcome: Stored })
        })
    });
    plain.chain(ordered).collect()
}

/// Every order of three payloads.
pub(crate) const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// Returns the numbers that keep the orders of a row apart: 1300 to 1305, 1700 to 1705. Every name that an order uses
/// contains its number.
pub(crate) fn numbers_of(row: u8) -> std::ops::RangeFrom<u32> {
    u32::from(row) * 100..
}

/// Returns the payloads of rows 9, 10 and 12 for another animal.
fn row_13(number: u32) -> [String; 3] {
    [
        format!(
            "event:hxbind00{number}|funder:Southwest Cattle Co|lot:LOT2024-{number}|pen:P1|lid:{number}|sex:M|\
             tag_color:Red"
        ),
        format!(
            "event:hxbpai00{number}|lf:LF_EAR_{number}|epc:EPC:30143B7C84D50000000{number}|lid:{number}|weight:245.5"
        ),
        format!(
            "event:hxbrep00{number}|old_lf:LF_EAR_{number}|new_lf:LF_EAR_N{number}|lid:{number}|reason:Tag damaged"
        ),
    ]
}

/// Returns a scan, an induction and a pairing of one animal.
fn row_17(number: u32) -> [String; 3] {
    [
        format!("hxb:SCANNED{number}:LF{number}:UHF{number}"),
        format!("event:hxbind00{number}|lot:INDUCTED{number}|lid:{number}|pen:P4|sex:M|funder:Southwest Cattle Co"),
        format!("event:hxbpai00{number}|lid:{number}|lf:LF{number}|epc:UHF{number}"),
    ]
}
