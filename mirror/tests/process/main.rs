//! The shipped `herdlinx-mirror` as a process, against a barn on loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails by a panic")]

mod barn;
mod damage;
mod office;
mod resync;
mod second_office;
mod slow_link;
mod supervisor;
mod times;

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

/// Returns the state of all sites.
async fn sync_status(client: &Client, address: &str) -> Value {
    let (status, body) = get(client, &format!("https://{address}/office/api/sync-status"), None).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// A barn, and a running office whose copy of it is complete.
struct FollowedBarn {
    barn: Barn,
    office: Office,
    address: String,
    client: Client,
}

/// Starts an office that follows a barn with `animals` animals, and waits until the copy is complete.
async fn pair_and_follow(animals: u64) -> FollowedBarn {
    let mut barn = Barn::open("barn", 1);
    barn.scan(animals);
    let mut office = Office::new();
    office.run(&["add", &barn.pair("office-1")]);
    office.start();
    let (address, client) = (office.address().await, office.client());
    wait_until_copied(&office, &client, &address, "barn", &barn).await;
    FollowedBarn { barn, office, address, client }
}

/// Waits until the office reports that its copy of `site` is at the position of the barn.
async fn wait_until_copied(office: &Office, client: &Client, address: &str, site: &str, barn: &Barn) {
    let expected = json!(barn.position());
    office
        .wait_until("the copy is at the position of the barn", async || {
            let body = sync_status(client, address).await;
            let sites = body["sites"].as_array().unwrap();
            sites.iter().find(|one| one["name"] == site && one["position"] == expected).map(|_| ())
        })
        .await;
}

/// Catches a pairing that needs a restart, or that a restart loses.
#[tokio::test(flavor = "multi_thread")]
async fn sites_added_before_and_during_a_run_are_followed_and_a_restart_keeps_them() {
    let (mut north, mut south) = (Barn::open("north", 1), Barn::open("south", 2));
    north.scan(30);
    south.scan(2_000);
    let mut office = Office::new();

    let line = north.pair("office-1");
    let output = office.run(&["add", &line]);
    assert!(output.starts_with("Paired with `north`"), "{output}");
    office.start();
    let (address, client) = (office.address().await, office.client());
    wait_until_copied(&office, &client, &address, "north", &north).await;

    let output = office.run(&["add", &south.pair("office-1"), "--name", "creek"]);
    assert!(output.starts_with("Paired with `creek`"), "{output}");
    wait_until_copied(&office, &client, &address, "creek", &south).await;
    let output = office.run(&["add", &line]);
    assert!(output.contains("nothing changed"), "{output}");

    north.scan(5);
    wait_until_copied(&office, &client, &address, "north", &north).await;
    assert_eq!(office.stop().code(), Some(0), "{}", office.log());

    south.scan(7);
    office.start();
    let address = office.address().await;
    wait_until_copied(&office, &client, &address, "north", &north).await;
    wait_until_copied(&office, &client, &address, "creek", &south).await;
    assert_eq!(office.stop().code(), Some(0));
}

/// Catches a follower that does not connect again after the barn's server was away.
#[tokio::test(flavor = "multi_thread")]
async fn the_office_catches_up_with_a_barn_that_was_away() {
    let FollowedBarn { barn, mut office, address, client } = pair_and_follow(10).await;

    let mut barn = barn.restart_server().await;
    barn.scan(10);
    wait_until_copied(&office, &client, &address, "barn", &barn).await;
    let log = office.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("sync: ") && line.contains(" to the barn")).collect();
    let [away, back] = lines.as_slice() else { panic!("one line at either end of the absence: {log}") };
    for (line, parts) in [
        (away, ["WARN", "barn}: sync: lost the connection to the barn", "cause=", "present_s="]),
        (back, ["INFO", "barn}: sync: connected to the barn again", "cause=", "away_s="]),
    ] {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    assert_eq!(office.stop().code(), Some(0));
}

/// Catches metrics of an office that leave its sites out.
#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_of_an_office_are_those_of_its_sites_and_of_its_disk() {
    let FollowedBarn { barn: _running, mut office, address, client } = pair_and_follow(3).await;
    let page = client.get(format!("https://{address}/metrics")).send().await.unwrap().text().await.unwrap();
    for sample in [
        "herdlinx_head_sequence{site=\"barn\"} 4",
        "herdlinx_syncs_total{site=\"barn\",outcome=\"failed\"} 0",
        "herdlinx_synced_changes_total{site=\"barn\"} 4",
        "herdlinx_site_followed{site=\"barn\"} 1",
        "herdlinx_sync_pages_total{site=\"barn\"} 0",
        "herdlinx_disk_free_bytes ",
    ] {
        assert!(page.lines().any(|line| line.starts_with(sample)), "{sample}: {page}");
    }
    assert_eq!(office.stop().code(), Some(0));
}

/// Catches a `last_sync_time` that stands still on a quiet link, and an office that SIGHUP ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_link_is_a_contact_with_each_heartbeat() {
    let FollowedBarn { barn: _running, mut office, address, client } = pair_and_follow(3).await;
    let quiet = async || {
        let site = sync_status(&client, &address).await["sites"][0].clone();
        (site["last_sync_time"].as_str().unwrap().to_owned(), site["total_records_synced"].clone())
    };
    office.signal(service::harness::Signal::HUP);
    let (before, records) = quiet().await;
    let moved = office.wait_until("the time of the last contact moves", async || {
        let (now, same) = quiet().await;
        assert_eq!(same, records);
        (now > before).then_some(())
    });
    moved.await;
    assert_eq!(sync_status(&client, &address).await["last_sync_time"].as_str().unwrap()[..10], before[..10]);
    assert_eq!(office.stop().code(), Some(0));
}

/// Catches a moment without a copy during a resync, and a copy that differs from the barn after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_resync_swaps_in_a_complete_copy_that_verifies_with_and_without_a_process() {
    let FollowedBarn { barn, mut office, address, client } = pair_and_follow(500).await;

    let output = office.run(&["resync", "barn"]);
    assert!(output.contains("copy-2"), "{output}");
    let current = office.state_dir().join("sites/barn/current");
    office
        .wait_until("the new copy is swapped in", async || {
            // The site shows a complete copy at every check.
            let (status, body) = get(&client, &format!("https://{address}/office/api/sync-status"), None).await;
            assert!(status == 200 && body["sites"][0]["position"] == json!(barn.position()), "{body}");
            std::fs::read_link(&current).ok().filter(|to| to.ends_with("copy-2")).map(|_| ())
        })
        .await;
    for running in [true, false] {
        let output = office.run(&["verify", "barn"]);
        assert!(output.contains("the log holds 501 changes") && output.contains("rows hashed again"), "{output}");
        let shown = office.run(&["show", "batches", "--json"]);
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

/// Catches a resync that is forgotten if no process runs when it is requested.
#[tokio::test(flavor = "multi_thread")]
async fn a_resync_requested_without_a_process_is_done_at_the_next_start() {
    let FollowedBarn { barn, mut office, client, .. } = pair_and_follow(20).await;
    office.stop();

    assert!(office.run(&["resync", "barn"]).contains("copy-2"));
    let site = office.state_dir().join("sites/barn");
    assert!(std::fs::read_link(site.join("current")).unwrap().ends_with("copy-1") && site.join("copy-2").is_dir());
    office.start();
    let address = office.address().await;
    office
        .wait_until("the new copy is complete", async || {
            std::fs::read_link(site.join("current")).ok().filter(|to| to.ends_with("copy-2"))
        })
        .await;
    wait_until_copied(&office, &client, &address, "barn", &barn).await;
    assert_eq!(office.stop().code(), Some(0));
}

/// Catches a follower that overwrites a copy with another history.
#[tokio::test(flavor = "multi_thread")]
async fn a_divergent_barn_stops_the_follower_and_leaves_the_copy_unchanged_until_an_operator_decides() {
    let FollowedBarn { barn, mut office, address, client } = pair_and_follow(10).await;

    // The same store id with other animals, as after an operator has reinstalled the barn.
    let mut other = Barn::open("barn", 1);
    other.skip(1_000);
    other.scan(25);
    let output = office.run(&["add", &other.pair("office-2")]);
    assert!(output.contains("it now uses the new addresses, trust, key"), "{output}");
    let url = format!("https://{address}/office/api/sync-status");
    let site = office
        .wait_until("the follower stops", async || {
            let (_, body) = get(&client, &url, None).await;
            Some(body["sites"][0].clone()).filter(|site| site["link"] == "stopped")
        })
        .await;
    assert_eq!((&site["running"], &site["position"]), (&json!(false), &json!(barn.position())));
    let reason = site["stopped_because"].as_str().unwrap();
    assert!(reason.contains("clones of one card") && reason.contains("resync barn"), "{reason}");
    assert_eq!(get(&client, &format!("https://{address}/batches/LOT1"), None).await.1["cattle_count"], 10);

    office.run(&["resync", "barn"]);
    wait_until_copied(&office, &client, &address, "barn", &other).await;
    assert_eq!(get(&client, &format!("https://{address}/batches/LOT1"), None).await.1["cattle_count"], 25);
    assert!(office.state_dir().join("sites/barn/copy-1").is_dir(), "the old copy is kept");
    assert_eq!(office.stop().code(), Some(0));
}

/// Catches a sync interface of the office that lets in callers without a key, or after the key is revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_this_mirror_needs_a_key_with_the_scope_sync() {
    let FollowedBarn { barn, office, address, client } = pair_and_follow(3).await;

    let (sync, read) = (office.key("second-office", "sync"), office.key("program", "read"));
    let stranger = office.client_without_key();
    for path in ["/api/sync/schema", "/sites/barn/api/sync/schema"] {
        let url = format!("https://{address}{path}");
        assert_eq!(get(&stranger, &url, None).await.0, 401, "{path}: callers on loopback need a key, too");
        assert_eq!(get(&client, &url, Some(&read)).await.0, 403, "{path}");
        let (status, body) = get(&client, &url, Some(&sync)).await;
        assert!(status == 200 && body["data"]["state"]["position"] == json!(barn.position()), "{path}: {body}");
    }
    assert_eq!(get(&client, &format!("https://{address}/sites/none/api/sync/schema"), Some(&sync)).await.0, 404);
    office.run(&["key", "revoke", "second-office"]);
    assert_eq!(get(&client, &format!("https://{address}/api/sync/schema"), Some(&sync)).await.0, 401);
}

/// Catches a read interface of the office that differs from the barn's, and a token that outlives its key.
#[tokio::test(flavor = "multi_thread")]
async fn programs_read_a_site_with_a_key_or_its_token_until_the_key_is_revoked() {
    let FollowedBarn { barn, mut office, address, client } = pair_and_follow(3).await;

    let (sync, read) = (office.key("second-office", "sync"), office.key("program", "read"));
    let stranger = office.client_without_key();
    let post = stranger.post(format!("https://{address}/sites/barn/api/remote/auth/token")).bearer_auth(&read);
    let issued: Value = serde_json::from_str(&post.send().await.unwrap().text().await.unwrap()).unwrap();
    let token = issued["token"].as_str().unwrap().to_owned();
    for base in ["", "/sites/barn"] {
        let url = |path: &str| format!("https://{address}{base}{path}");
        let status = url("/api/remote/status");
        assert_eq!(get(&stranger, &status, None).await.0, 401, "{base}: callers on loopback need a key, too");
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
    assert_eq!(
        get(&client, &format!("https://{address}/batches"), Some(&token)).await.0,
        200,
        "pages accept the token, too"
    );
    assert_eq!(get(&client, &format!("https://{address}/sites/none/api/remote/status"), Some(&read)).await.0, 404);
    office.run(&["key", "revoke", "program"]);
    for secret in [&read, &token] {
        assert_eq!(get(&client, &format!("https://{address}/api/remote/status"), Some(secret)).await.0, 401);
    }
    assert_eq!(office.stop().code(), Some(0));
}

/// Catches a removal that deletes the copy, takes effect only after a restart, or prevents a new pairing.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_site_disappears_immediately_and_its_copy_is_kept() {
    let mut barn = Barn::open("barn", 1);
    barn.scan(3);
    let line = barn.pair("office-1");
    let mut office = Office::new();
    office.run(&["add", &line]);
    office.start();
    let (address, client) = (office.address().await, office.client());
    wait_until_copied(&office, &client, &address, "barn", &barn).await;

    let output = office.run(&["remove", "barn"]);
    assert!(output.contains("Its copy is in") && office.state_dir().join("removed").is_dir(), "{output}");
    let (_, body) = get(&client, &format!("https://{address}/office/api/sync-status"), None).await;
    assert_eq!(body["sites"], json!([]));
    let unknown = office.output(&["remove", "barn"]);
    assert_eq!(unknown.status.code(), Some(7), "{unknown:?}");

    office.run(&["add", &line]);
    wait_until_copied(&office, &client, &address, "barn", &barn).await;
}

/// Catches a printed settings file that `check` refuses, and a misspelled key that it accepts.
#[test]
fn the_printed_settings_are_valid_and_an_unknown_key_is_named() {
    let office = Office::new();
    let file = office.directory.path().join("mirror.toml");
    std::fs::write(&file, office.run(&["config"])).unwrap();
    office.run(&["--config", file.to_str().unwrap(), "check"]);
    std::fs::write(&file, "listne = '0.0.0.0:5000'").unwrap();
    let refused = office.output(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("listne"), "{refused:?}");
}

/// Catches an error message that prints the secret of a damaged pairing line.
#[test]
fn an_invalid_pairing_line_is_refused_and_not_printed() {
    let office = Office::new();
    let refused = office.output(&["add", "herdlinx:1:c2VjcmV0"]);
    assert_eq!(refused.status.code(), Some(7));
    assert!(!String::from_utf8_lossy(&refused.stderr).contains("c2VjcmV0"), "{refused:?}");
    assert_eq!(office.output(&["status"]).status.code(), Some(5));
}

/// Catches a command that creates a state directory only to read from it.
#[test]
fn commands_that_only_read_create_no_files() {
    let office = Office::new();
    for command in [&["show", "batches"][..], &["verify", "barn"], &["resync", "barn"], &["key", "list"]] {
        let refused = office.output(command);
        assert_eq!(refused.status.code(), Some(7), "{command:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no office in"), "{refused:?}");
    }
    assert!(!office.state_dir().exists());
}

/// Catches `show ... | head` that ends with an error about a broken pipe, and a closed output that passes for success.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_output_ends_every_command_without_a_message() {
    let FollowedBarn { mut office, .. } = pair_and_follow(3).await;
    for command in [
        &["--help"][..],
        &["config"],
        &["check"],
        &["status"],
        &["key", "list"],
        &["key", "add", "program", "--scope", "read"],
        &["show", "animals"],
        &["show", "batches", "--csv"],
    ] {
        let output = office.output_into_closed_pipe(command);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), stderr), (Some(141), String::new()), "{command:?}");
    }
    assert_eq!(office.stop().code(), Some(0));
}

/// Catches an office that after an upgrade of its fold calls its whole copy unfinished, or does not show it again.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_office_shows_the_whole_copy_that_it_has_and_never_calls_it_unfinished() {
    let FollowedBarn { mut barn, mut office, client, .. } = pair_and_follow(2_000).await;
    office.stop();
    let copy = herd::store::Directory::new(office.state_dir().join("sites/barn/copy-1")).unwrap();
    herd::store::set_fold_version(&copy, herd::fold::FOLD_VERSION - 1).unwrap();
    barn.scan(1);

    office.start();
    let address = office.address().await;
    office
        .wait_until("the copy is shown again", async || {
            let (_, first) = get(&client, &format!("https://{address}/"), None).await;
            let (status, page) = get(&client, &format!("https://{address}/batches/LOT1"), None).await;
            assert_ne!(first["site_status"]["link"], "copying", "{first}");
            assert!(status == 200 || page["error"] == "copy_opening", "{page}");
            (status == 200).then_some(())
        })
        .await;
    wait_until_copied(&office, &client, &address, "barn", &barn).await;
    let (_, page) = get(&client, &format!("https://{address}/batches/LOT1"), None).await;
    assert_eq!(page["cattle_count"], 2_001);
    assert_eq!(office.stop().code(), Some(0));
}
