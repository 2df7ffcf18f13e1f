//! Readers that began again: the proposal, the order and what the office shows after it.

use crate::correction_yard::CorrectionYard;
use crate::yard::modem::modem_at;
use crate::yard::{pages, until};
use serde_json::json;
use std::io::Write as _;

/// Sends the inductions and pairings of a lot whose animals have the lids from 1 on, and returns the first payload.
async fn lot(yard: &CorrectionYard, name: &str, weights: &[u64]) -> u64 {
    let first = yard.yard.barn.status().unwrap().sequence.0 + 1;
    for (lid, weight) in (1..).zip(weights) {
        yard.record(&format!("event:hxbind{lid:06}|lid:{lid}|lot:L{name}")).await;
        yard.record(&format!("event:hxbpai{lid:06}|lid:{lid}|lf:{name}{lid}|weight:{weight}")).await;
    }
    first
}

/// Waits until the barn has moved all payloads, and the office equals it.
async fn wait_until_moved(yard: &CorrectionYard) {
    until("all payloads are moved", async || {
        let moves = yard.yard.barn.status().unwrap().reader_era_moves;
        moves.first().is_some_and(|moves| moves.done).then_some(())
    })
    .await;
    yard.yard.wait_until_equal().await;
}

/// Checks the tags and weights of a batch's animals at the office, in the order of their ids.
async fn assert_lot(yard: &CorrectionYard, number: &str, expected: &[(&str, &str)]) {
    let page = yard.office(&format!("/batches/{number}")).await;
    let animals = page["animals"].as_array().unwrap();
    let found: Vec<_> = animals.iter().map(|animal| (&animal["lf"]["text"], &animal["weight_kg"])).collect();
    let expected: Vec<_> = expected.iter().map(|(tag, weight)| (json!(tag), json!(weight))).collect();
    assert_eq!(found, expected.iter().map(|(tag, weight)| (tag, weight)).collect::<Vec<_>>(), "{number}: {page}");
}

/// Catches a command on the status page that does not run as printed, an order that ends with the command, and an office
/// whose herd differs from the barn's after it.
#[tokio::test(flavor = "multi_thread")]
async fn two_lots_of_a_reader_that_began_again_are_two_lots_by_the_command_of_the_status_page() {
    let mut yard = CorrectionYard::open().await;
    lot(&yard, "A", &[201, 202, 203]).await;
    lot(&yard, "B", &[301, 302, 303]).await;
    yard.record("event:hxbchi000001|lid:1|weight:400").await;
    yard.yard.wait_until_equal().await;
    let page = pages::html(&yard.yard.pages, "/status").await.unwrap();
    assert!(page.contains("Start a new reader era?"), "{page}");
    assert!(page.contains("restores animal 2, which took some of these, to what it had before"), "{page}");
    let (_, rest) = page.split_once("<code>herdlinxd ").unwrap();
    let command: Vec<&str> = rest.split_once("</code>").unwrap().0.split_whitespace().collect();
    let printed = yard.yard.barn.run(&command).unwrap();
    assert!(printed.contains("The correction is recorded as change"), "{printed}");
    // The next start goes on with what this one has not done.
    yard.yard.barn.kill();
    yard.yard.barn.start().await.unwrap();
    wait_until_moved(&yard).await;
    assert_lot(&yard, "LA", &[("A1", "201"), ("A2", "202"), ("A3", "203")]).await;
    assert_lot(&yard, "LB", &[("B1", "400"), ("B2", "302"), ("B3", "303")]).await;
    let status = yard.office("/status").await;
    assert_eq!(status["totals"]["rejected"], 0, "{status}");
    assert_eq!(status["reader_era_proposals"], json!([]));
}

/// Catches an order that moves payloads of other readers, and one that is carried out again because its answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_for_one_group_is_carried_out_once_and_leaves_the_others_alone() {
    let mut modem = None;
    let yard = CorrectionYard::with_radios(|directory| {
        let port = directory.join("tty");
        modem = Some(modem_at(&port));
        let serial = format!("{{ path = '{}', framing = 'line' }}", port.display());
        format!("[[radio]]\nkind = 'serial'\nreader_group = 'gate'\nserial = {serial}\n")
    })
    .await;
    lot(&yard, "A", &[201, 202]).await;
    let first = lot(&yard, "B", &[301, 302]).await;
    let before = yard.yard.barn.status().unwrap().sequence.0;
    let gate = b"event:hxbind000001|lid:1|lot:LG\nevent:hxbpai000001|lid:1|lf:G1|weight:501\n";
    let mut modem = modem.unwrap();
    modem.write_all(gate).unwrap();
    until("the gate's reads are recorded", async || {
        (yard.yard.barn.status().unwrap().sequence.0 == before + 2).then_some(())
    })
    .await;
    let order = json!({"kind": "new_reader_era", "reader_group": "main", "from": first});
    let (made, again) = (yard.send("order", &order).await, yard.send("order", &order).await);
    assert_eq!((made.0, again.0), (201, 200), "{} {}", made.1, again.1);
    assert_eq!(made.1["sequence"], again.1["sequence"]);
    wait_until_moved(&yard).await;
    assert_lot(&yard, "LA", &[("A1", "201"), ("A2", "202")]).await;
    assert_lot(&yard, "LB", &[("B1", "301"), ("B2", "302")]).await;
    assert_lot(&yard, "LG", &[("G1", "501")]).await;
    let gate = yard.office("/batches/LG").await["animals"][0]["id"].clone();
    let lids = &yard.office(&format!("/animals/{gate}")).await["lids"];
    assert_eq!((&lids[0]["reader_group"], &lids[0]["reader_era"]), (&json!("gate"), &json!(1)), "{lids}");
    let end = yard.yard.wait_until_equal().await.end;
    assert_eq!(yard.send("order", &order).await.0, 200);
    assert_eq!(yard.yard.wait_until_equal().await.end, end, "a late repetition writes nothing");
}

/// The reader counts its pairings on and names its animals from 1 again, so that nothing was rejected: the new tags were
/// taken for strange tags on old animals.
///
/// Catches a new animal whose tags stay unconfirmed on an old one, and a weight or a departure that stays there.
#[tokio::test(flavor = "multi_thread")]
async fn reads_that_were_taken_for_old_animals_move_to_the_new_ones() {
    let yard = CorrectionYard::open().await;
    lot(&yard, "A", &[201, 202]).await;
    let first = yard.record("event:hxbind000001|lid:1|lot:LB").await;
    yard.record("event:hxbpai000003|lid:1|lf:B1|weight:301").await;
    yard.record("hxe:OUT:B1:UB1").await;
    yard.yard.wait_until_equal().await;
    let old = yard.office("/batches/LA").await["animals"][0]["id"].clone();
    let page = yard.office(&format!("/animals/{old}")).await;
    assert_eq!(page["unconfirmed_tags"][0]["text"], "B1", "{page}");
    let order = json!({"kind": "new_reader_era", "reader_group": "main", "from": first});
    assert_eq!(yard.send("order", &order).await.0, 201);
    wait_until_moved(&yard).await;
    assert_lot(&yard, "LA", &[("A1", "201"), ("A2", "202")]).await;
    let page = yard.office(&format!("/animals/{old}")).await;
    assert_eq!((&page["unconfirmed_tags"], &page["status"]), (&json!([]), &json!("active")), "{page}");
    let new = yard.office(&format!("/animals/{first}")).await;
    assert_eq!((&new["lf"]["text"], &new["weight_kg"]), (&json!("B1"), &json!("301")), "{new}");
    assert_eq!((&new["status"], &new["lids"][0]["reader_era"]), (&json!("exported"), &json!(2)), "{new}");
    let html = pages::html(&yard.yard.pages, &format!("/animals/{first}")).await.unwrap();
    assert!(html.contains("era 2") && html.contains("OUT"), "{html}");
}
