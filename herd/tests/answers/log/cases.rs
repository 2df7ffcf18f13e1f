//! The payloads of the field's case table, with their numbers.

use super::yard::{GROUPS, Subject, Yard};

const CASES: [(u32, &str); 58] = [
    (1, "hxb:BATCH001:LF123:UHF456"),
    (2, "  hxb:BATCH001:LF123:UHF456\r\n"),
    (4, "hxe:EXPORT001:LF789:UHF012"),
    (5, "hxb:TEST001:LF999:UHF888"),
    (6, "hxb:LOT1:LF0:UHF0"),
    (6, "hxb:LOT1:LF1:UHF1"),
    (6, "hxb:LOT1:LF2:UHF2"),
    (7, "hxe:BATCH001:LF123:UHF456"),
    (8, "invalid:data"),
    (8, "hxb:BATCH001:LF123"),
    (8, "hxb:B:L:U:X"),
    (8, "hxx:B:1:2"),
    (8, "hxb::LF:UHF"),
    (8, "hxb: :LF1:UHF1"),
    (9, "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red"),
    (
        9,
        "event:hxbind000002|funder:Prairie Feedlot Partners|lot:LOT2024-11-07|pen:PEN14|lid:2|sex:Steer|lot_group:G1|\
         pen_location:East Section|visual_id:V7|notes:limps: left hind",
    ),
    (10, "event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5"),
    (11, "event:hxbchi000001|weight:267.3|lid:1"),
    (12, "event:hxbrep000001|old_lf:LF_EAR_0001|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged"),
    (12, "event:hxbrep000002|old_epc:EPC:30143B7C84D500000000000|new_epc:EPC:30143B7C84D500000000001|lid:1"),
    // Out of order: the repair, the pairing, and then the induction of lid 3.
    (13, "event:hxbrep000003|old_lf:LF_EAR_0301|new_lf:LF_EAR_0399|lid:3|reason:LF tag lost during handling"),
    (13, "event:hxbpai000003|lf:LF_EAR_0301|epc:EPC:30143B7C84D500000000003|lid:3|weight:245.5"),
    (13, "event:hxbind000003|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:3|sex:M|tag_color:Red"),
    (14, "event:hxbchi000001|weight:267.3|lid:1"),
    (15, "event:hxbchi000001|weight:300.0|lid:1"),
    (16, "event:hxbpai000016|lf:LF_EAR_1601|lid:16"),
    (16, "event:hxbpai000017|lf:LF_EAR_1701|lid:17"),
    (16, "event:hxbrep000016|old_lf:LF_EAR_1701|new_lf:LF_EAR_1699|lid:16"),
    // Case 17 in three of its orders.
    (17, "hxb:LOT7:LF5:UHF5"),
    (17, "event:hxbind000009|lot:LOT2024-001|pen:P1|lid:9"),
    (17, "event:hxbpai000009|lf:LF5|epc:UHF5|lid:9"),
    (17, "event:hxbpai000010|lf:LF51|epc:UHF51|lid:10"),
    (17, "hxb:LOT7:LF51:UHF51"),
    (17, "event:hxbind000010|lot:LOT2024-001|pen:P1|lid:10"),
    (17, "event:hxbind000011|lot:LOT2024-001|pen:P1|lid:11"),
    (17, "hxb:LOT7:LF52:UHF52"),
    (17, "event:hxbpai000011|lf:LF52|epc:UHF52|lid:11"),
    (18, "hxb:LOT8:LF6:UHF6"),
    (18, "hxb:LOT8:LF6:UHF7"),
    (19, "hxb:LOT9:124000224161433:UHF19"),
    (19, "hxb:LOT9:124 000 224161433:UHF19"),
    (19, "hxb:LOT9:0124000224161433:UHF19"),
    (19, "hxb:BATCH_2025-12-04_7325:0900000000000003:E2801160600002044310B2E2"),
    (20, "event:hxbpai000020|lf:LF20|epc:UHF20|lid:20|weight:0"),
    (20, "event:hxbpai000021|lf:LF21|epc:UHF21|lid:21|weight:-5"),
    (20, "event:hxbpai000022|lf:LF22|epc:UHF22|lid:22|weight:NaN"),
    (20, "event:hxbpai000023|lf:LF23|epc:UHF23|lid:23|weight:"),
    (21, "event:hxbchi000117|weight:300|lid:1"),
    (21, "event:hxbchi000121|weight:301|lid:1"),
    (21, "event:hxbchi000119|weight:302|lid:1"),
    // Fields that say nothing.
    (0, "hxb:LOT10:None:UHF31"),
    (0, "hxb:LOT10:LF31:000000000000000000000000"),
    (0, "hxb:LOT10:NOREAD:UHF32"),
    (0, "event:hxbpai000024|lf:NOREAD|epc:UHF33|lid:33"),
    (0, "event:hxbpai000025|lf:0|epc:None|lid:34"),
    (0, "\u{feff}hxb:LOT10:LF35:UHF35\0"),
    (0, "event:hxeexp000001|lid:33|batch:EXPORT-CASES"),
    (0, "event:hxeexp000002|lid:34|lot:EXPORT-CASES"),
];

impl Yard<'_> {
    /// Sends all cases to each reader group, and again after the repeat window.
    pub(super) fn play_cases(&mut self) {
        for round in 0..2 {
            for group in 0..GROUPS.len() {
                for (_, payload) in CASES {
                    self.send(group, Subject::Nobody, payload);
                }
            }
            self.flush();
            self.barn.wait(61_000 + round);
        }
        // The readers of the yard go on where the cases end.
        for readers in &mut self.readers {
            readers.counters = [40, 40, 140, 40, 40];
            readers.lids = 100;
        }
    }
}
