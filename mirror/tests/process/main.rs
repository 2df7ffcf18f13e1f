//! The shipped program against a barn on loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod barn;
mod office;
mod supervised;

use barn::Barn;
use office::Office;
use reqwest::Client;
use serde_json::{Value, json};

async fn get(client: &Client, url: &str, key: Option<&str>) -> (u16, Value) {
    let mut request = client.get(url).header("Accept", "application/json");
    if let Some(key) = key {
        request = request.header("X-API-Key", key);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
}

/// A barn, and a running office that holds all of it.
struct Following {
    barn: Barn,
    office: Office,
    address: String,
    client: Client,
}

async fn following(reads: u64) -> Following {
    let mut barn = Barn::open("barn", 1);
    barn.scan(reads);
    let mut office = Office::new();
    office.ok(&["add", &barn.pair("office-1")]);
    office.start();
    let (address, client) = (office.address().await, office.client());
    caught_up(&office, &client, &address, "barn", &barn).await;
    Following { barn, office, address, client }
}

/// Waits until the office says that its copy of the site stands where the barn does.
async fn caught_up(office: &Office, client: &Client, address: &str, site: &str, barn: &Barn) {
    let wanted = json!(barn.position());
    let url = format!("https://{address}/office/api/sync-status");
    office
        .wait_for("the copy to stand where the barn does", async || {
            let (status, body) = get(client, &url, None).await;
            assert_eq!(status, 200, "{body}");
            let sites = body["sites"].as_array().unwrap();
            sites.iter().find(|one| one["name"] == site && one["position"] == wanted).map(|_| ())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_added_before_and_one_added_during_the_run_are_followed_and_a_restart_keeps_them() {
    let (mut north, mut south) = (Barn::open("north", 1), Barn::open("south", 2));
    north.scan(30);
    south.scan(2_000);
    let mut office = Office::new();

    let before = north.pair("office-1");
    let told = office.ok(&["add", &before]);
    assert!(told.starts_with("Paired with `north`"), "{told}");
    office.start();
    let (address, client) = (office.address().await, office.client());
    caught_up(&office, &client, &address, "north", &north).await;

    let told = office.ok(&["add", &south.pair("office-1"), "--name", "creek"]);
    assert!(told.starts_with("Paired with `creek`"), "{told}");
    caught_up(&office, &client, &address, "creek", &south).await;
    let again = office.ok(&["add", &before]);
    assert!(again.contains("nothing changed"), "{again}");

    north.scan(5);
    caught_up(&office, &client, &address, "north", &north).await;
    assert_eq!(office.stop().code(), Some(0), "{}", office.logged());

    south.scan(7);
    office.start();
    let address = office.address().await;
    caught_up(&office, &client, &address, "north", &north).await;
    caught_up(&office, &client, &address, "creek", &south).await;
    assert_eq!(office.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barn_that_was_away_is_caught_up_with_and_its_copy_is_shown_meanwhile() {
    let Following { barn, mut office, address, client } = following(10).await;

    let mut barn = barn.after_a_pause().await;
    barn.scan(10);
    caught_up(&office, &client, &address, "barn", &barn).await;
    assert_eq!(office.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_made_anew_beside_the_one_shown_and_proved_while_running_and_stopped() {
    let Following { barn, mut office, address, client } = following(500).await;

    let told = office.ok(&["resync", "barn"]);
    assert!(told.contains("copy-2"), "{told}");
    let current = office.state_dir().join("sites/barn/current");
    office
        .wait_for("the new copy to be swapped in", async || {
            // At no moment is there no copy to be seen.
            let (status, body) = get(&client, &format!("https://{address}/office/api/sync-status"), None).await;
            assert!(status == 200 && body["sites"][0]["position"] == json!(barn.position()), "{body}");
            std::fs::read_link(&current).ok().filter(|to| to.ends_with("copy-2")).map(|_| ())
        })
        .await;
    for running in [true, false] {
        let told = office.ok(&["verify", "barn"]);
        assert!(told.contains("the log holds 501 changes") && told.contains("equal, row by row"), "{told}");
        let shown = office.ok(&["show", "batches", "--json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(
            (&shown["data"][0]["batch_number"], &shown["data"][0]["cattle_count"]),
            (&json!("LOT1"), &json!(500))
        );
        if running {
            assert_eq!(office.stop().code(), Some(0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_begun_while_nothing_ran_is_built_at_the_next_start() {
    let Following { barn, mut office, client, .. } = following(20).await;
    office.stop();

    assert!(office.ok(&["resync", "barn"]).contains("copy-2"));
    let site = office.state_dir().join("sites/barn");
    assert!(std::fs::read_link(site.join("current")).unwrap().ends_with("copy-1") && site.join("copy-2").is_dir());
    office.start();
    let address = office.address().await;
    office
        .wait_for("the copy to be whole", async || {
            std::fs::read_link(site.join("current")).ok().filter(|to| to.ends_with("copy-2"))
        })
        .await;
    caught_up(&office, &client, &address, "barn", &barn).await;
    assert_eq!(office.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barn_with_another_past_stops_the_follower_and_takes_nothing_from_the_copy_until_an_operator_decides() {
    let Following { barn, mut office, address, client } = following(10).await;

    // The same history by its name, with other animals in it: somebody has made the barn's disk anew.
    let mut other = Barn::open("barn", 1);
    other.skip(1_000);
    other.scan(25);
    let told = office.ok(&["add", &other.pair("office-2")]);
    assert!(told.contains("it now uses the new addresses, trust, key"), "{told}");
    let url = format!("https://{address}/office/api/sync-status");
    let site = office
        .wait_for("the follower to stop", async || {
            let (_, body) = get(&client, &url, None).await;
            Some(body["sites"][0].clone()).filter(|site| site["link"] == "stopped")
        })
        .await;
    assert_eq!((&site["running"], &site["position"]), (&json!(false), &json!(barn.position())));
    let why = site["stopped_because"].as_str().unwrap();
    assert!(why.contains("another history") && why.contains("resync barn"), "{why}");
    assert_eq!(get(&client, &format!("https://{address}/batches/LOT1"), None).await.1["cattle_count"], 10);

    office.ok(&["resync", "barn"]);
    caught_up(&office, &client, &address, "barn", &other).await;
    assert_eq!(get(&client, &format!("https://{address}/batches/LOT1"), None).await.1["cattle_count"], 25);
    assert!(office.state_dir().join("sites/barn/copy-1").is_dir(), "what was only at the office is kept");
    assert_eq!(office.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_behind_this_mirror_needs_a_key_of_scope_sync() {
    let Following { barn, office, address, client } = following(3).await;

    let (sync, read) = (office.key("second-office", "sync"), office.key("program", "read"));
    for path in ["/api/sync/schema", "/sites/barn/api/sync/schema"] {
        let url = format!("https://{address}{path}");
        assert_eq!(get(&client, &url, None).await.0, 401, "{path}: loopback is no exemption here");
        assert_eq!(get(&client, &url, Some(&read)).await.0, 403, "{path}");
        let (status, body) = get(&client, &url, Some(&sync)).await;
        assert!(status == 200 && body["data"]["state"]["position"] == json!(barn.position()), "{path}: {body}");
    }
    assert_eq!(get(&client, &format!("https://{address}/sites/none/api/sync/schema"), Some(&sync)).await.0, 404);
    office.ok(&["key", "revoke", "second-office"]);
    assert_eq!(get(&client, &format!("https://{address}/api/sync/schema"), Some(&sync)).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_a_site_with_a_key_or_its_token_until_the_key_is_revoked() {
    let Following { barn, mut office, address, client } = following(3).await;

    let (sync, read) = (office.key("second-office", "sync"), office.key("program", "read"));
    let post = client.post(format!("https://{address}/sites/barn/api/remote/auth/token")).bearer_auth(&read);
    let made: Value = serde_json::from_str(&post.send().await.unwrap().text().await.unwrap()).unwrap();
    let token = made["token"].as_str().unwrap().to_owned();
    for base in ["", "/sites/barn"] {
        let url = |path: &str| format!("https://{address}{base}{path}");
        let status = url("/api/remote/status");
        assert_eq!(get(&client, &status, None).await.0, 401, "{base}: loopback is no exemption here");
        assert_eq!(get(&client, &status, Some(&sync)).await.0, 403, "{base}");
        for secret in [&read, &token] {
            let (code, body) = get(&client, &status, Some(secret)).await;
            let data = &body["data"];
            assert_eq!(
                (code, &data["role"], &data["site"], &data["batches"]),
                (200, &json!("replica"), &json!("barn"), &json!(1))
            );
            assert_eq!(data["position"], json!(barn.position()));
            assert_eq!(get(&client, &url("/api/remote/batches/2"), Some(secret)).await.1["data"]["cattle_count"], 3);
            assert_eq!(
                get(&client, &url("/api/remote/payloads/2"), Some(secret)).await.1["data"]["batch_number"],
                "LOT1"
            );
            assert_eq!(get(&client, &url("/api/lora/payloads?limit=1"), Some(secret)).await.1["next"], 4);
            assert_eq!(get(&client, &url("/api/lora/buffer-status"), Some(secret)).await.1["data"]["processed"], 3);
            assert_eq!(get(&client, &url("/api/remote/nowhere"), Some(secret)).await.1["error"], "not_found");
        }
    }
    assert_eq!(get(&client, &format!("https://{address}/batches"), Some(&token)).await.0, 200, "pages take it, too");
    assert_eq!(get(&client, &format!("https://{address}/sites/none/api/remote/status"), Some(&read)).await.0, 404);
    office.ok(&["key", "revoke", "program"]);
    for secret in [&read, &token] {
        assert_eq!(get(&client, &format!("https://{address}/api/remote/status"), Some(secret)).await.0, 401);
    }
    assert_eq!(office.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_site_is_gone_at_once_and_its_copy_kept_aside() {
    let mut barn = Barn::open("barn", 1);
    barn.scan(3);
    let line = barn.pair("office-1");
    let mut office = Office::new();
    office.ok(&["add", &line]);
    office.start();
    let (address, client) = (office.address().await, office.client());
    caught_up(&office, &client, &address, "barn", &barn).await;

    let told = office.ok(&["remove", "barn"]);
    assert!(told.contains("Its copy is in") && office.state_dir().join("removed").is_dir(), "{told}");
    let (_, body) = get(&client, &format!("https://{address}/office/api/sync-status"), None).await;
    assert_eq!(body["sites"], json!([]));
    let unknown = office.command(&["remove", "barn"]);
    assert_eq!(unknown.status.code(), Some(7), "{unknown:?}");

    office.ok(&["add", &line]);
    caught_up(&office, &client, &address, "barn", &barn).await;
}

#[test]
fn settings_are_printed_and_checked_and_a_wrong_one_is_named() {
    let office = Office::new();
    let file = office.directory.path().join("mirror.toml");
    std::fs::write(&file, office.ok(&["config"])).unwrap();
    office.ok(&["--config", file.to_str().unwrap(), "check"]);
    std::fs::write(&file, "listne = '0.0.0.0:5000'").unwrap();
    let refused = office.command(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("listne"), "{refused:?}");
}

#[test]
fn a_line_that_is_none_is_refused_and_not_repeated() {
    let office = Office::new();
    let refused = office.command(&["add", "herdlinx:1:c2VjcmV0"]);
    assert_eq!(refused.status.code(), Some(7));
    assert!(!String::from_utf8_lossy(&refused.stderr).contains("c2VjcmV0"), "{refused:?}");
    assert_eq!(office.command(&["status"]).status.code(), Some(5));
}

#[test]
fn a_question_makes_no_files() {
    let office = Office::new();
    for question in [&["show", "batches"][..], &["verify", "barn"], &["resync", "barn"], &["key", "list"]] {
        let refused = office.command(question);
        assert_eq!(refused.status.code(), Some(7), "{question:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no office in"), "{refused:?}");
    }
    assert!(!office.state_dir().exists());
}
