//! The read interface for programs gives the same answers at barn and office.
//!
//! Catches: an office whose answers differ from its barn's, a token that is lost when the process restarts, and a token
//! that outlives its key.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::{BarnSettings, Client};
use serde_json::{Value, json};
use yard::{Yard, own_programs, pages, until};

/// Paths whose answers do not depend on the process that gives them.
const SHARED_PATHS: [&str; 8] = [
    "/api/remote/batches",
    "/api/remote/batches?source_type=hxe",
    "/api/remote/batches/2?limit=2",
    "/api/remote/payloads?limit=3",
    "/api/lora/payloads?status=error",
    "/api/remote/payloads?status=processing",
    "/api/remote/payloads/2",
    "/api/remote/payloads/5",
];

async fn token_of(client: &Client) -> String {
    let made = client.post_json("/api/remote/auth/token", &json!({"user_id": 1})).await.unwrap().expect(200).unwrap();
    made.json().unwrap()["token"].as_str().unwrap().to_owned()
}

async fn data(client: &Client, path: &str) -> Value {
    pages::json(client, path).await.unwrap_or_else(|status| panic!("{path}: {status}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn barn_and_office_give_the_same_answers_and_a_token_outlives_the_process_but_not_its_key() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    let texts = ["hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2", "hxb:LOT1:LF3:UHF3", "noise", "hxe:OUT1:LF2:UHF2"];
    for text in texts {
        yard.deliver(text).await;
    }
    assert_eq!(yard.deliver(texts[0]).await.0, 409);
    yard.wait_until_equal().await;

    let key = yard.barn.client(&yard.barn.key("screen", &["read"]).unwrap()).unwrap();
    let at_barn = yard.barn.client(&token_of(&key).await).unwrap();
    let at_office = yard.office.client(&token_of(&yard.pages).await).unwrap();
    for path in SHARED_PATHS {
        assert_eq!(data(&at_barn, path).await, data(&at_office, path).await, "{path}");
    }
    let (barn, office) = (data(&at_barn, "/api/remote/status").await, data(&at_office, "/api/remote/status").await);
    assert_eq!((&barn["data"]["role"], &office["data"]["role"]), (&json!("source"), &json!("replica")));
    for same in ["position", "folded", "fold_digest", "totals", "cattle", "total_payloads", "processing_rate"] {
        assert_eq!(barn["data"][same], office["data"][same], "{same}");
    }
    let duplicates = data(&at_barn, "/api/lora/payloads?status=duplicate").await;
    assert_eq!((&duplicates["data"][0]["of"], &duplicates["data"][0]["channel"]), (&json!(2), &json!("chute-1")));
    until("the office learns of the duplicate", async || {
        let status = data(&at_office, "/api/lora/buffer-status").await;
        (status["data"]["duplicates"] == 1).then_some(())
    })
    .await;

    yard.barn.terminate().await.unwrap();
    yard.barn.start().await.unwrap();
    assert_eq!(data(&at_barn, "/api/lora/buffer-status").await["data"]["duplicates"], 1);
    yard.barn.run(&["key", "revoke", "screen"]).unwrap();
    assert_eq!(pages::json(&at_barn, "/api/remote/status").await, Err(401));
}
