//! The arguments of the command line, and the output of `show`.

use super::*;
use crate::disk::DiskGauge;
use crate::test_world::World;
use herd::change::Origin;
use herd::clock::Clock as _;
use herd::decide::Rules;
use herd::position::Sequence;
use herd::store::Incoming;
use serde_json::Value;
use service::sheet::is_hidden;
use service::show::{ListRequest, ShowError};

const FIRST: ListRequest = ListRequest { limit: 2, next: None, json: false, csv: false };
/// Payloads of the gate: with two gaps in one counter, and with an escape sequence that clears the screen of a terminal.
const PAYLOADS: [&str; 8] = [
    "hxb:LOT1:LF1:UHF1",
    "hxb:LOT1:0124000224161433:UHF2",
    "noise\u{1b}[2J",
    "hxb:LOT2:LF3:UHF3",
    "event:hxbchi000117|weight:245.5|lid:=1",
    "event:hxbchi000121|lid:=1",
    "event:hxbchi000125|lid:=1",
    " event:hxbind000001|lot:LOT, \"3\"|lid:=1|pen:+P1\r\n",
];

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("herdlinxd").chain(line.split_whitespace()))
}

#[test]
fn the_commands_are_valid_and_the_help_names_each() {
    Cli::command().debug_assert();
    let help = Cli::command().render_long_help().to_string();
    for command in [
        "run",
        "check",
        "config",
        "pair",
        "key",
        "show",
        "correct",
        "listen",
        "doctor",
        "verify",
        "accept-log",
        "backup",
        "restore",
        "firstboot",
        "herdlinx-mirror add",
    ] {
        assert!(help.contains(command), "{command}");
    }
}

#[test]
fn flags_may_precede_or_follow_the_command() {
    for line in ["--config a.toml --listen 127.0.0.1:0 run", "run --config a.toml --listen 127.0.0.1:0"] {
        let cli = parse(line).unwrap();
        assert_eq!((cli.config, cli.flags.listen), (Some("a.toml".into()), Some("127.0.0.1:0".parse().unwrap())));
    }
}

#[test]
fn invalid_command_lines_are_refused() {
    for line in [
        "",
        "fly",
        "run --fast",
        "show",
        "show change",
        "show change x",
        "key add",
        "--listen here run",
        "correct died --animal 2",
        "listen --dwell 1s",
        "listen --scan --sync-words 0x123",
        "doctor --fix",
        "accept-log --author me",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

async fn world() -> World {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    for text in PAYLOADS {
        let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
        let payload = Incoming { raw: text.into(), origin, at: world.clock.read() };
        world.recorder.record(payload).await.unwrap();
    }
    world
}

/// Returns the stdout and the stderr of a `show` command.
fn outputs(world: &World, line: &str) -> (String, String) {
    let request = show_request(line).unwrap();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    request.print(&request.render(&world.reader).unwrap(), &mut stdout, &mut stderr).unwrap();
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn stdout(world: &World, line: &str) -> String {
    let (stdout, stderr) = outputs(world, line);
    assert_eq!(stderr, "", "{line}");
    stdout
}

/// Parses the arguments after `show`.
fn show_request(line: &str) -> Result<ShowRequest, clap::Error> {
    let cli = Cli::try_parse_from(["herdlinxd", "show"].into_iter().chain(line.split_whitespace()))?;
    match cli.command {
        Command::Show(request) => Ok(request),
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
        let request = show_request(line).unwrap();
        let crossing = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<ShowRequest>(&crossing).unwrap(), request, "{crossing}");
    }
    assert!(serde_json::from_str::<ShowRequest>(r#""everything""#).is_err());
}

#[test]
fn a_list_has_one_format_at_a_time_and_a_change_has_no_sheet() {
    for line in [
        "batches --json --csv",
        "payloads --csv --json --status error",
        "change 3 --csv",
        "gaps --next here",
        "counters --next main/1",
        "animals --next LF1",
        "everything",
    ] {
        assert!(show_request(line).is_err(), "{line}");
    }
    for line in [
        "batches --csv",
        "animals --json",
        "payloads --status error --csv",
        "gaps",
        "counters --json",
        "change 3 --json",
    ] {
        assert!(show_request(line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn a_list_is_a_table_with_the_flag_for_its_next_page() {
    let world = world().await;
    assert_eq!(
        stdout(&world, "batches --limit 2"),
        "ID  BATCH     SOURCE      CATTLE  MEMBERS  OPEN  UPDATED\n\
         9   LOT, \"3\"  Barn (HXB)  1       1        yes   2024-01-15T10:35:20.000Z\n\
         5   LOT2      Barn (HXB)  1       1        yes   2024-01-15T10:35:20.000Z\n\
         More: --next 5\n"
    );
    let rest = stdout(&world, "animals --limit 2 --next 3");
    assert!(rest.lines().nth(1).is_some_and(|line| line.starts_with("5   active  LF3  UHF3")), "{rest}");
    assert_eq!(
        stdout(&world, "gaps --limit 1"),
        "READERS  ERA  COUNTER  FIRST  LAST  MISSED\nmain     1    hxbchi   118    120   3\nMore: --next main/1/hxbchi/118\n"
    );
    assert_eq!(
        stdout(&world, "counters"),
        "READERS  ERA  COUNTER  LOWEST  HIGHEST\nmain     1    hxbchi   117     125\nmain     1    hxbind   1       1\n"
    );
}

#[tokio::test]
async fn a_json_list_is_one_object_on_one_line() {
    let world = world().await;
    for line in ["batches", "animals", "payloads", "gaps", "counters"] {
        let text = stdout(&world, &format!("{line} --json --limit 1"));
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((text.lines().count(), answer["data"].as_array().unwrap().len()), (1, 1), "{line}: {text}");
        assert!(!answer["next"].is_null(), "{line} goes on: {text}");
    }
    let change: Value = serde_json::from_str(&stdout(&world, "change 2 --json")).unwrap();
    assert_eq!(change["payload"], PAYLOADS[0]);
}

#[tokio::test]
async fn a_sheet_keeps_its_ids_and_starts_no_formula() {
    let world = world().await;
    let golden = [
        (
            "batches",
            "id,batch_number,source_type,state,cattle_count,members,created_at,updated_at,doubtful_times\r\n\
             9,\"=\"\"LOT, \"\"\"\"3\"\"\"\"\"\"\",hxb,open,1,1,2024-01-15T10:35:20.000Z,2024-01-15T10:35:20.000Z,\r\n\
             5,\"=\"\"LOT2\"\"\",hxb,open,1,1,2024-01-15T10:35:20.000Z,2024-01-15T10:35:20.000Z,\r\n\
             2,\"=\"\"LOT1\"\"\",hxb,open,2,2,2024-01-15T10:35:20.000Z,2024-01-15T10:35:20.000Z,\r\n",
        ),
        (
            "animals --next 2",
            "id,lf,epc,lid,status,weight_kg,barn_batch,export_batch,pen,sex,funder,last_seen,doubtful_times\r\n\
             3,\"=\"\"124000224161433\"\"\",\"=\"\"UHF2\"\"\",,active,,\"=\"\"LOT1\"\"\",,,,,2024-01-15T10:35:20.000Z,\r\n\
             5,\"=\"\"LF3\"\"\",\"=\"\"UHF3\"\"\",,active,,\"=\"\"LOT2\"\"\",,,,,2024-01-15T10:35:20.000Z,\r\n\
             6,,,\"=\"\"=1\"\"\",active,245.5,\"=\"\"LOT, \"\"\"\"3\"\"\"\"\"\"\",,'+P1,,,2024-01-15T10:35:20.000Z,\r\n",
        ),
        (
            "payloads --next 5",
            "id,received_at,status,reason,payload,channel,animal,batch,doubtful_times\r\n\
             4,2024-01-15T10:35:20.000Z,error,control_character,noise\u{fffd}[2J,gate,,,\r\n\
             3,2024-01-15T10:35:20.000Z,processed,,hxb:LOT1:0124000224161433:UHF2,gate,3,2,\r\n\
             2,2024-01-15T10:35:20.000Z,processed,,hxb:LOT1:LF1:UHF1,gate,2,2,\r\n",
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
        assert_eq!(stdout(&world, &format!("{line} --csv")), format!("\u{feff}{expected}"), "{line}");
    }
}

#[tokio::test]
async fn the_next_page_of_a_sheet_is_announced_on_stderr() {
    let world = world().await;
    let (sheet, stderr) = outputs(&world, "payloads --csv --limit 1");
    assert_eq!((sheet.lines().count(), stderr.as_str()), (2, "More: --next 9\n"));
    assert!(
        sheet.ends_with("processed,,\"event:hxbind000001|lot:LOT, \"\"3\"\"|lid:=1|pen:+P1\",gate,6,9,\r\n"),
        "{sheet}"
    );
    let (sheet, stderr) = outputs(&world, "gaps --csv --limit 1");
    assert_eq!((sheet.lines().count(), stderr.as_str()), (2, "More: --next main/1/hxbchi/118\n"));
}

/// Catches a payload that commands a terminal, by ESC or by CSI in one character, or that turns a line around.
#[tokio::test]
async fn no_hidden_character_reaches_the_terminal() {
    let world = world().await;
    let raw = "noise\u{9b}2J\u{202e}evil".into();
    let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
    world.recorder.record(Incoming { raw, origin, at: world.clock.read() }).await.unwrap();
    for (line, escape) in [
        ("payloads --status error", r"noise\u{9b}2J\u{202e}evil"),
        ("payloads --csv", ""),
        ("payloads --json", r"noise\u009b2J\u202eevil"),
        ("change 4", "noise"),
        ("change 10", "noise"),
        ("change 4 --json", "noise"),
        ("change 10 --json", r"\u202eevil"),
    ] {
        let text = stdout(&world, line);
        let hidden: Vec<_> = text.chars().filter(|c| is_hidden(*c) && !"\n\r\u{feff}".contains(*c)).collect();
        assert!(text.contains("noise") && text.contains(escape) && hidden.is_empty(), "{line}: {hidden:?} in {text:?}");
    }
}

#[tokio::test]
async fn an_unknown_change_is_an_error_that_names_the_head() {
    let world = world().await;
    for sequence in [0, 10, u64::MAX] {
        let error = ShowRequest::Change { sequence, json: false }.render(&world.reader).unwrap_err();
        assert!(matches!(error, ShowError::NoChange { head: Sequence(9), .. }), "{error}");
    }
    let long = ListRequest { limit: 1_001, ..FIRST };
    assert!(ShowRequest::Batches(long).render(&world.reader).is_err());
}

/// Catches a command on the status page that this program does not know.
#[tokio::test]
async fn the_command_that_a_proposal_prints_is_valid() {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    for weight in 1..=6 {
        let raw = format!("event:hxbchi000001|lid:1|weight:{weight}").into_bytes();
        let origin = Origin { channel: "gate".into(), reader_group: "south".into(), ..Origin::default() };
        world.recorder.record(Incoming { raw, origin, at: world.clock.read() }).await.unwrap();
    }
    let proposals = world.reader.snapshot().unwrap().reader_era_proposals().unwrap();
    let command = proposals[0].command.strip_prefix("herdlinxd ").unwrap();
    assert!(command.ends_with("new_reader_era --group south --from 3"), "{command}");
    let Command::Correct { correction, .. } = parse(command).unwrap().command else { panic!("{command}") };
    let CorrectCommand::NewReaderEra { reader_group, from } = correction else { panic!("{command}") };
    assert_eq!((reader_group.as_str(), from), ("south", Some(3)));
    assert!(parse("correct --author A --reason R new_reader_era --reader_group main").is_ok());
}
