//! What `show` prints of a barn's store.

use super::{Cli, Command};
use crate::disk::DiskGauge;
use crate::worlds::World;
use clap::Parser as _;
use herd::change::Origin;
use herd::clock::Clock as _;
use herd::decide::Rules;
use herd::position::Sequence;
use herd::store::Incoming;
use serde_json::Value;
use service::show::{ListRequest, ShowError, ShowRequest};

const FIRST: ListRequest = ListRequest { limit: 2, next: None, json: false, csv: false };
/// What the gate heard: two gaps of one counter, and a payload off the air that clears the screen of whoever looks.
const HEARD: [&str; 8] = [
    "hxb:LOT1:LF1:UHF1",
    "hxb:LOT1:0124000224161433:UHF2",
    "noise\u{1b}[2J",
    "hxb:LOT2:LF3:UHF3",
    "event:hxbchi000117|weight:245.5|lid:=1",
    "event:hxbchi000121|lid:=1",
    "event:hxbchi000125|lid:=1",
    " event:hxbind000001|lot:LOT, \"3\"|lid:=1|pen:+P1\r\n",
];

async fn world() -> World {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    for text in HEARD {
        let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
        let payload = Incoming { raw: text.into(), origin, at: world.clock.read() };
        world.recorder.record(payload).await.unwrap();
    }
    world
}

/// What the command prints, and what it says aside.
fn told(world: &World, line: &str) -> (String, String) {
    let asked = asked(line).unwrap();
    let (mut out, mut aside) = (Vec::new(), Vec::new());
    asked.print(&asked.render(&world.reader).unwrap(), &mut out, &mut aside).unwrap();
    (String::from_utf8(out).unwrap(), String::from_utf8(aside).unwrap())
}

fn printed(world: &World, line: &str) -> String {
    let (out, aside) = told(world, line);
    assert_eq!(aside, "", "{line}");
    out
}

/// What the arguments after `show` ask for.
fn asked(line: &str) -> Result<ShowRequest, clap::Error> {
    let cli = Cli::try_parse_from(["herdlinxd", "show"].into_iter().chain(line.split_whitespace()))?;
    match cli.command {
        Command::Show(asked) => Ok(asked),
        other => panic!("{line} is {other:?}"),
    }
}

#[test]
fn a_request_crosses_the_socket_unchanged() {
    for line in [
        "payloads --status error --limit 2 --next 7",
        "change 3",
        "change 3 --json",
        "gaps --csv --next main/1/hxbchi/118",
        "counters --json",
        "animals",
    ] {
        let request = asked(line).unwrap();
        let crossing = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<ShowRequest>(&crossing).unwrap(), request, "{crossing}");
    }
    assert!(serde_json::from_str::<ShowRequest>(r#""everything""#).is_err());
}

#[test]
fn a_list_has_one_form_at_a_time_and_a_change_no_sheet() {
    for line in [
        "batches --json --csv",
        "payloads --csv --json --status error",
        "change 3 --csv",
        "gaps --next here",
        "counters --next main/1",
        "animals --next LF1",
        "everything",
    ] {
        assert!(asked(line).is_err(), "{line}");
    }
    for line in [
        "batches --csv",
        "animals --json",
        "payloads --status error --csv",
        "gaps",
        "counters --json",
        "change 3 --json",
    ] {
        assert!(asked(line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn a_list_is_a_table_that_says_how_it_goes_on() {
    let world = world().await;
    assert_eq!(
        printed(&world, "batches --limit 2"),
        "ID  BATCH     SOURCE      CATTLE  MEMBERS  OPEN  UPDATED\n\
         9   LOT, \"3\"  Barn (HXB)  1       1        yes   2024-01-15T10:35:20.000Z\n\
         5   LOT2      Barn (HXB)  1       1        yes   2024-01-15T10:35:20.000Z\n\
         More: --next 5\n"
    );
    let rest = printed(&world, "animals --limit 2 --next 3");
    assert!(rest.lines().nth(1).is_some_and(|line| line.starts_with("5   active  LF3  UHF3")), "{rest}");
    assert_eq!(
        printed(&world, "gaps --limit 1"),
        "READERS  ERA  COUNTER  FIRST  LAST  MISSED\nmain     1    hxbchi   118    120   3\nMore: --next main/1/hxbchi/118\n"
    );
    assert_eq!(
        printed(&world, "counters"),
        "READERS  ERA  COUNTER  LOWEST  HIGHEST\nmain     1    hxbchi   117     125\nmain     1    hxbind   1       1\n"
    );
}

#[tokio::test]
async fn as_json_a_list_is_one_object_on_one_line() {
    let world = world().await;
    for line in ["batches", "animals", "payloads", "gaps", "counters"] {
        let text = printed(&world, &format!("{line} --json --limit 1"));
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((text.lines().count(), answer["data"].as_array().unwrap().len()), (1, 1), "{line}: {text}");
        assert!(!answer["next"].is_null(), "{line} goes on: {text}");
    }
    let change: Value = serde_json::from_str(&printed(&world, "change 2 --json")).unwrap();
    assert_eq!(change["payload"], HEARD[0]);
}

#[tokio::test]
async fn as_a_sheet_a_list_keeps_its_ids_and_starts_no_formula() {
    let world = world().await;
    let golden = [
        (
            "batches",
            "id,batch_number,source_type,state,cattle_count,members,created_at,updated_at\r\n\
             9,\"=\"\"LOT, \"\"\"\"3\"\"\"\"\"\"\",hxb,open,1,1,2024-01-15T10:35:20.000Z,2024-01-15T10:35:20.000Z\r\n\
             5,\"=\"\"LOT2\"\"\",hxb,open,1,1,2024-01-15T10:35:20.000Z,2024-01-15T10:35:20.000Z\r\n\
             2,\"=\"\"LOT1\"\"\",hxb,open,2,2,2024-01-15T10:35:20.000Z,2024-01-15T10:35:20.000Z\r\n",
        ),
        (
            "animals --next 2",
            "id,lf,epc,lid,status,weight_kg,barn_batch,export_batch,pen,sex,funder,last_seen\r\n\
             3,\"=\"\"124000224161433\"\"\",\"=\"\"UHF2\"\"\",,active,,\"=\"\"LOT1\"\"\",,,,,2024-01-15T10:35:20.000Z\r\n\
             5,\"=\"\"LF3\"\"\",\"=\"\"UHF3\"\"\",,active,,\"=\"\"LOT2\"\"\",,,,,2024-01-15T10:35:20.000Z\r\n\
             6,,,\"=\"\"=1\"\"\",active,245.5,\"=\"\"LOT, \"\"\"\"3\"\"\"\"\"\"\",,'+P1,,,2024-01-15T10:35:20.000Z\r\n",
        ),
        (
            "payloads --next 5",
            "id,received_at,status,reason,payload,channel,animal,batch\r\n\
             4,2024-01-15T10:35:20.000Z,error,control_character,noise\u{fffd}[2J,gate,,\r\n\
             3,2024-01-15T10:35:20.000Z,processed,,hxb:LOT1:0124000224161433:UHF2,gate,3,2\r\n\
             2,2024-01-15T10:35:20.000Z,processed,,hxb:LOT1:LF1:UHF1,gate,2,2\r\n",
        ),
        (
            "gaps",
            "reader_group,reader_era,counter,first,last,missed\r\n\
             \"=\"\"main\"\"\",1,hxbchi,118,120,3\r\n\
             \"=\"\"main\"\"\",1,hxbchi,122,124,3\r\n",
        ),
        (
            "counters",
            "reader_group,reader_era,counter,lowest,highest\r\n\
             \"=\"\"main\"\"\",1,hxbchi,117,125\r\n\
             \"=\"\"main\"\"\",1,hxbind,1,1\r\n",
        ),
    ];
    for (line, expected) in golden {
        assert_eq!(printed(&world, &format!("{line} --csv")), format!("\u{feff}{expected}"), "{line}");
    }
}

#[tokio::test]
async fn where_a_sheet_goes_on_is_said_beside_it() {
    let world = world().await;
    let (sheet, aside) = told(&world, "payloads --csv --limit 1");
    assert_eq!((sheet.lines().count(), aside.as_str()), (2, "More: --next 9\n"));
    assert!(
        sheet.ends_with("processed,,\"event:hxbind000001|lot:LOT, \"\"3\"\"|lid:=1|pen:+P1\",gate,6,9\r\n"),
        "{sheet}"
    );
    let (sheet, aside) = told(&world, "gaps --csv --limit 1");
    assert_eq!((sheet.lines().count(), aside.as_str()), (2, "More: --next main/1/hxbchi/118\n"));
}

#[tokio::test]
async fn no_control_character_reaches_the_terminal() {
    let world = world().await;
    for line in ["payloads --status error", "payloads --csv", "payloads --json", "change 4", "change 4 --json"] {
        let text = printed(&world, line);
        assert!(text.contains("noise") && !text.contains('\u{1b}'), "{text:?}");
    }
}

#[tokio::test]
async fn a_change_that_is_not_there_is_told_with_the_head() {
    let world = world().await;
    for sequence in [0, 10, u64::MAX] {
        let error = ShowRequest::Change { sequence, json: false }.render(&world.reader).unwrap_err();
        assert!(matches!(error, ShowError::NoChange { head: Sequence(9), .. }), "{error}");
    }
    let long = ListRequest { limit: 1_001, ..FIRST };
    assert!(ShowRequest::Batches(long).render(&world.reader).is_err());
}
