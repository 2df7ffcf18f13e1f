//! Everything that modems and readers put around a payload, from the port of a barn to the page of the office.
//!
//! Catches: a payload that a framing splits, joins or cuts in silence; a strength taken from the text, or text taken for a
//! strength; a header that stays in front of the text; and a modem that stopped receiving and is not told of.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::BarnSettings;
use radio::simulated::{Script, ScriptLine};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use yard::modem::modem_at;
use yard::pages::{html, json};
use yard::{Yard, own_programs, until};

/// Modems of one barn: name, and settings of the port besides its path.
const MODEMS: [(&str, &str); 3] =
    [("line", "framing = 'line', rssi_byte = true"), ("burst", "framing = 'burst'"), ("rak", "framing = 'rak'")];

/// Opens a yard whose barn listens to all modems.
async fn yard_with_modems() -> (Yard, [File; 3]) {
    let mut modems = None;
    let yard = Yard::open(&own_programs(), |directory| {
        modems = Some(MODEMS.map(|(name, _)| modem_at(&directory.join(name))));
        BarnSettings { radios: MODEMS.map(|modem| serial_radio(directory, modem)).concat(), ..BarnSettings::default() }
    })
    .await;
    until("all modems are listened to", async || {
        yard.barn.status().unwrap().radios.iter().all(|radio| radio.state == "listening").then_some(())
    })
    .await;
    (yard, modems.unwrap())
}

fn serial_radio(directory: &Path, (name, settings): (&str, &str)) -> String {
    let path = directory.join(name);
    format!("[[radio]]\nname = '{name}'\nkind = 'serial'\nserial = {{ path = '{}', {settings} }}\n", path.display())
}

/// Waits until the office shows a payload, and returns it.
async fn shown(yard: &Yard, payload: &str) -> Value {
    let found = until(payload, async || {
        let page = json(&yard.pages, "/payloads?limit=100").await.ok()?;
        page["data"].as_array()?.iter().find(|shown| shown["payload"] == payload).cloned()
    })
    .await;
    let page = html(&yard.pages, &format!("/payloads/{}", found["id"])).await.unwrap();
    assert!(page.contains(found["channel"].as_str().unwrap()), "{page}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn each_framing_gives_whole_payloads_with_the_strength_that_the_modem_reports() {
    let (yard, [mut line, mut burst, mut rak]) = yard_with_modems().await;
    line.write_all(b"hxb:A\ntag:B\n\xc4hxb:C:982000000000001:U1\r\n\x80").unwrap();
    rak.write_all(b"+EVT:RXP2P, RSSI -33, SNR 10\r\n+EVT:48454C4C4F\r\n+EVT:RXP2P:-60:11:4142\r\n").unwrap();
    burst.write_all(b"hxb:D:982000000000002:U2").unwrap();
    let whole = shown(&yard, "hxb:D:982000000000002:U2").await;
    assert_eq!((&whole["status"], &whole["rssi_dbm"]), (&json!("processed"), &Value::Null), "{whole}");
    for (payload, channel, dbm) in [
        ("hxb:A", "line", Value::Null),
        ("tag:B", "line", json!(-60)),
        ("hxb:C:982000000000001:U1", "line", json!(-128)),
        ("HELLO", "rak", json!(-33)),
        ("AB", "rak", json!(-60)),
    ] {
        let found = shown(&yard, payload).await;
        assert_eq!((&found["channel"], &found["rssi_dbm"]), (&json!(channel), &dbm), "{found}");
    }
    // Half a line, then silence: it may be half a tag, so it is kept and is no event.
    line.write_all(b"hxb:E:9820").unwrap();
    let cut = shown(&yard, "hxb:E:9820\u{fffd}").await;
    assert_eq!((&cut["status"], &cut["reason"]), (&json!("error"), &json!("not_text")), "{cut}");
    let counts = |name: &str| {
        let radios = yard.barn.status().unwrap().radios;
        radios.iter().find(|radio| radio.name == name).unwrap().counts
    };
    assert_eq!(["line", "burst", "rak"].map(|name| counts(name).received), [4, 1, 2]);
    assert_eq!(counts("line").cut, 1);
    yard.wait_until_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modem_that_stopped_receiving_is_told_of_at_the_office() {
    let (yard, [_line, _burst, mut rak]) = yard_with_modems().await;
    rak.write_all(b"+EVT:RXP2P RECEIVE TIMEOUT\r\n").unwrap();
    until("the barn says so", async || {
        let radios = yard.barn.status().unwrap().radios;
        radios.iter().any(|radio| radio.name == "rak" && radio.state == "failing").then_some(())
    })
    .await;
    until("the office says so", async || {
        let page = html(&yard.pages, "/status").await.ok()?;
        (page.contains("Barn unwell") && page.contains("rak")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_about_a_modem_that_receives_is_told_of_at_the_office_with_its_remedy() {
    let (yard, [mut line, _burst, _rak]) = yard_with_modems().await;
    for cut in 1..=3 {
        write!(line, "hxb:G:98200000000000{cut}:U{cut}").unwrap();
        until("a payload without a line end is cut", async || {
            let radios = yard.barn.status().unwrap().radios;
            radios.iter().any(|radio| radio.counts.cut == cut).then_some(())
        })
        .await;
    }
    until("the office says so", async || {
        let findings = json(&yard.pages, "/status").await.ok()?["barn_findings"].take();
        let note = findings.as_array()?.iter().find(|finding| finding["part"] == "line")?.clone();
        (note["failing"] == false && note["text"].as_str()?.contains("framing = \"burst\"")).then_some(())
    })
    .await;
    let page = html(&yard.pages, "/status").await.unwrap();
    assert!(page.contains("had no line end"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_of_a_library_is_left_out_where_the_settings_say_so() {
    let header = b"\xff\xff\x00\x00";
    let sent = ["hxb:F:982000000000003:U3", "event:hxbchi000001|lf:982000000000003|weight:300", "hxb:F:None:U4"];
    let packets = sent.map(|text| ScriptLine::new(0, [&header[..], text.as_bytes()].concat()));
    let yard = Yard::open(&own_programs(), |directory| {
        let script = directory.join("script");
        std::fs::write(&script, Script::new(packets.to_vec()).unwrap().to_string()).unwrap();
        let radio = |name: &str, strip: &str| {
            let simulated = format!("{{ script = '{}' }}", script.display());
            format!("[[radio]]\nname = '{name}'\nkind = 'simulated'\n{strip}\nsimulated = {simulated}\n")
        };
        let radios = [radio("stripped", "strip_bytes = 4"), radio("whole", "")].concat();
        BarnSettings { radios, ..BarnSettings::default() }
    })
    .await;
    for text in sent {
        let event = shown(&yard, text).await;
        assert_eq!((&event["channel"], &event["status"]), (&json!("stripped"), &json!("processed")), "{event}");
    }
    let rejected = until("the others are rejected", async || {
        let page = json(&yard.pages, "/payloads?status=error&limit=10").await.ok()?;
        page["data"].as_array().filter(|rejected| rejected.len() == sent.len()).cloned()
    })
    .await;
    for payload in rejected {
        assert_eq!((&payload["channel"], &payload["reason"]), (&json!("whole"), &json!("text_behind_header")));
    }
}
