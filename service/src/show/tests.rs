//! Each list as a table and as CSV, from one store.
//!
//! Catches a column that shows another one's value, a time that looks certain and is not, and a text without its heading.

use super::*;
use herd::change::Origin;
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::position::StoreId;
use herd::store::{Incoming, MemoryDisk, Store};
use serde_json::Value;

/// The payloads of changes 2 to 7. The clock follows a time source from change 4 on.
const PAYLOADS: [&str; 6] = [
    "hxb:LOT1:LF1:UHF1",
    "hxe:OUT1:LF9:UHF9",
    "event:hxbind000001|lot:LOT7|pen:P1|lid:1|sex:M|funder:F",
    "event:hxbchi000117|weight:267.3|lid:1",
    "event:hxbchi000121|weight:270|lid:1",
    "=noise, \u{1b}[2J",
];

fn filled_store() -> Reader {
    let at = |n: u64| RawReading {
        received_at_us: 1_768_471_200_000_000 + 60_000_000 * i64::try_from(n).unwrap(),
        synchronized: n >= 4,
        since_boot_ms: n * 60_000,
    };
    let clock = at(1).in_boot(1);
    let mut store = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([7; 16])).unwrap();
    for (payload, n) in PAYLOADS.iter().zip(2..) {
        let origin =
            Origin { channel: "gate".into(), rssi_dbm: Some(-97), reader_group: "main".into(), ..Origin::default() };
        store.append(&[Incoming { raw: payload.as_bytes().to_vec(), origin, at: at(n) }]).unwrap();
    }
    store.reader()
}

fn list<P>(limit: u64, csv: bool) -> ListRequest<P>
where
    P: FromStr<Err: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
{
    ListRequest { limit, next: None, json: false, csv }
}

fn table(request: &ShowRequest) -> String {
    request.render(&filled_store()).unwrap().text
}

/// Returns the lines of a sheet, without the mark by which spreadsheets recognize UTF-8.
fn sheet(request: &ShowRequest) -> Vec<String> {
    let text = table(request);
    let text = text.strip_prefix('\u{feff}').unwrap().strip_suffix("\r\n").unwrap();
    text.split("\r\n").map(str::to_owned).collect()
}

#[test]
fn batches_are_listed_as_a_table_and_as_a_sheet() {
    let expected = "\
ID  BATCH  SOURCE        CATTLE  MEMBERS  OPEN  UPDATED
4   LOT7   Barn (HXB)    1       1        yes   2026-01-15T10:04:00.000Z
3   OUT1   Export (HXE)  1       1        yes   2026-01-15T10:03:00.000Z ?
2   LOT1   Barn (HXB)    1       1        yes   2026-01-15T10:02:00.000Z ?
";
    assert_eq!(table(&ShowRequest::Batches(list(9, false))), expected);
    let expected = [
        "id,batch_number,source_type,state,cattle_count,members,created_at,updated_at,doubtful_times",
        r#"4,"=""LOT7""",hxb,open,1,1,2026-01-15T10:04:00.000Z,2026-01-15T10:04:00.000Z,"#,
        r#"3,"=""OUT1""",hxe,open,1,1,2026-01-15T10:03:00.000Z,2026-01-15T10:03:00.000Z,created_at updated_at"#,
        r#"2,"=""LOT1""",hxb,open,1,1,2026-01-15T10:02:00.000Z,2026-01-15T10:02:00.000Z,created_at updated_at"#,
    ];
    assert_eq!(sheet(&ShowRequest::Batches(list(9, true))), expected);
}

#[test]
fn animals_are_listed_as_a_table_and_as_a_sheet() {
    let expected = "\
ID  STATUS    LF   EPC   WEIGHT KG  BATCH  LAST SEEN
2   active    LF1  UHF1  -          LOT1   2026-01-15T10:02:00.000Z ?
3   exported  LF9  UHF9  -          -      2026-01-15T10:03:00.000Z ?
4   active    -    -     270        LOT7   2026-01-15T10:06:00.000Z
";
    assert_eq!(table(&ShowRequest::Animals(list(9, false))), expected);
    let expected = [
        "id,lf,epc,lid,status,weight_kg,barn_batch,export_batch,pen,sex,funder,last_seen,doubtful_times",
        r#"2,"=""LF1""","=""UHF1""",,active,,"=""LOT1""",,,,,2026-01-15T10:02:00.000Z,last_seen"#,
        r#"3,"=""LF9""","=""UHF9""",,exported,,,"=""OUT1""",,,,2026-01-15T10:03:00.000Z,last_seen"#,
        r#"4,,,"=""1""",active,270,"=""LOT7""",,P1,M,F,2026-01-15T10:06:00.000Z,"#,
    ];
    assert_eq!(sheet(&ShowRequest::Animals(list(9, true))), expected);
}

#[test]
fn payloads_are_listed_as_a_table_and_as_a_sheet() {
    let payloads = |csv| ShowRequest::Payloads { status: None, list: list(9, csv) };
    let expected = r"ID  STATUS     CHANNEL  DBM  RECEIVED                    PAYLOAD
7   error      gate     -97  2026-01-15T10:07:00.000Z    =noise, \u{1b}[2J
6   processed  gate     -97  2026-01-15T10:06:00.000Z    event:hxbchi000121|weight:270|lid:1
5   processed  gate     -97  2026-01-15T10:05:00.000Z    event:hxbchi000117|weight:267.3|lid:1
4   processed  gate     -97  2026-01-15T10:04:00.000Z    event:hxbind000001|lot:LOT7|pen:P1|lid:1|sex:M|funder:F
3   processed  gate     -97  2026-01-15T10:03:00.000Z ?  hxe:OUT1:LF9:UHF9
2   processed  gate     -97  2026-01-15T10:02:00.000Z ?  hxb:LOT1:LF1:UHF1
";
    assert_eq!(table(&payloads(false)), expected);
    let sheet = sheet(&payloads(true));
    assert_eq!(sheet[0], "id,received_at,status,reason,payload,channel,animal,batch,doubtful_times");
    let noise = "7,2026-01-15T10:07:00.000Z,error,control_character,\"'=noise, \u{fffd}[2J\",gate,,,";
    let scan = "2,2026-01-15T10:02:00.000Z,processed,,hxb:LOT1:LF1:UHF1,gate,2,2,received_at";
    assert_eq!((sheet[1].as_str(), sheet[6].as_str(), sheet.len()), (noise, scan, 7));
}

#[test]
fn gaps_and_counters_are_listed_as_a_table_and_as_a_sheet() {
    let gap = "READERS  ERA  COUNTER  FIRST  LAST  MISSED\nmain     1    hxbchi   118    120   3\n";
    assert_eq!(table(&ShowRequest::Gaps(list(9, false))), gap);
    let gap = ["reader_group,reader_era,counter,first,last,missed", r#""=""main""",1,hxbchi,118,120,3"#];
    assert_eq!(sheet(&ShowRequest::Gaps(list(9, true))), gap);
    let counters = "\
READERS  ERA  COUNTER  LOWEST  HIGHEST
main     1    hxbchi   117     121
main     1    hxbind   1       1
";
    assert_eq!(table(&ShowRequest::Counters(list(9, false))), counters);
    let counters = [
        "reader_group,reader_era,counter,lowest,highest",
        r#""=""main""",1,hxbchi,117,121"#,
        r#""=""main""",1,hxbind,1,1"#,
    ];
    assert_eq!(sheet(&ShowRequest::Counters(list(9, true))), counters);
}

/// Catches a filter that lists everything, a limit that is not kept, and a page after which the list cannot be continued.
#[test]
fn a_list_of_payloads_keeps_status_limit_and_continuation() {
    let reader = filled_store();
    let show = |status, next, json| {
        let list = ListRequest { limit: 2, next, json, csv: false };
        ShowRequest::Payloads { status, list }.render(&reader).unwrap()
    };
    let ids = |status, next| {
        let shown: Value = serde_json::from_str(&show(status, next, true).text).unwrap();
        let ids = shown["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap());
        (ids.collect::<Vec<_>>(), shown["next"].as_u64())
    };
    assert_eq!(ids(None, None), (vec![7, 6], Some(6)));
    assert_eq!(ids(None, Some(4)), (vec![3, 2], None));
    assert_eq!(ids(Some(StatusFilter::Error), None), (vec![7], None));
    assert_eq!(ids(Some(StatusFilter::Processed), None), (vec![6, 5], Some(5)));
    assert_eq!(show(None, None, false).next.as_deref(), Some("6"));
    assert_eq!(show(None, None, true).next, None, "the object holds it");
}

/// Catches a change that cannot be shown although the log has it, and one that is invented.
#[test]
fn a_change_is_shown_as_json_if_the_log_has_it() {
    let reader = filled_store();
    let show = |sequence, json| ShowRequest::Change { sequence, json }.render(&reader);
    for sequence in 1..=7 {
        let (pretty, line) = (show(sequence, false).unwrap().text, show(sequence, true).unwrap().text);
        assert!(pretty.lines().count() > 3 && line.lines().count() == 1 && line.ends_with('\n'), "{pretty}{line}");
        let [pretty, line]: [Value; 2] = [pretty, line].map(|text| serde_json::from_str(&text).unwrap());
        assert_eq!((pretty == line, line["sequence"].as_u64()), (true, Some(sequence)));
    }
    for sequence in [0, 8] {
        let refused = show(sequence, true).unwrap_err();
        assert_eq!(refused.to_string(), format!("there is no change {sequence}: the log ends at 7"));
    }
}

/// Catches a value that a shell splits, or runs.
#[test]
fn a_continuation_can_be_typed_as_it_is_printed() {
    for (text, word) in [
        ("7", "7"),
        ("main/1/ind,0-9_a.b", "main/1/ind,0-9_a.b"),
        ("north gate", "'north gate'"),
        ("a'b$(c)", r"'a'\''b$(c)'"),
        ("ä", "'ä'"),
    ] {
        assert_eq!(shell_word(text), word);
    }
}

/// Catches a list for a program that has a line for people in it, and a table without its continuation.
#[test]
fn the_continuation_of_csv_alone_goes_to_standard_error() {
    for csv in [false, true] {
        for request in [
            ShowRequest::Batches(list(1, csv)),
            ShowRequest::Animals(list(1, csv)),
            ShowRequest::Payloads { status: None, list: list(1, csv) },
            ShowRequest::Gaps(list(1, csv)),
            ShowRequest::Counters(list(1, csv)),
            ShowRequest::Change { sequence: 1, json: csv },
        ] {
            let is_csv = csv && !matches!(request, ShowRequest::Change { .. });
            let response = ShowResponse { text: "rows\n".to_owned(), next: Some("7".to_owned()), note: None };
            let (mut out, mut err) = (Vec::new(), Vec::new());
            request.print(&response, &mut out, &mut err).unwrap();
            let (rows, more) = ("rows\n", "More: --next 7\n");
            let expected = if is_csv { (rows.to_owned(), more) } else { (format!("{rows}{more}"), "") };
            assert_eq!((out, err), (expected.0.into_bytes(), expected.1.as_bytes().to_vec()), "{request:?}");
        }
    }
}

/// Catches a note that a program reads as a part of the list, or that keeps the list from being printed.
#[test]
fn a_note_goes_to_standard_error_behind_the_list() {
    let note = Some("`north`: connected, but the barn reports: disk: make room".to_owned());
    let response = ShowResponse { text: "id\r\n".to_owned(), next: Some("7".to_owned()), note };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    ShowRequest::Batches(list(1, true)).print(&response, &mut out, &mut err).unwrap();
    assert_eq!(out, b"id\r\n");
    let expected = "More: --next 7\n`north`: connected, but the barn reports: disk: make room\n";
    assert_eq!(String::from_utf8(err).unwrap(), expected);
}
