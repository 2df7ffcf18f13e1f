//! The processes that the demo, the end-to-end tests and the bench are made of.

use demo::processes::{Barn, BarnSettings, Office, OfficeSettings, Programs};
use serde_json::json;

fn programs() -> Programs {
    Programs::Own(env!("CARGO_BIN_EXE_herdlinx-demo").into())
}

#[tokio::test]
async fn what_is_posted_at_the_barn_is_at_the_office_and_both_go_on_after_a_kill_and_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let mut barn = Barn::new(&programs(), &directory.path().join("barn"), &BarnSettings::default()).unwrap();
    let mut office = Office::new(&programs(), &directory.path().join("office"), &OfficeSettings::default()).unwrap();
    barn.start().await.unwrap();
    office.start().await.unwrap();
    office.add(&barn.pair().unwrap()).unwrap();

    let poster = barn.client(&barn.key("chute", &["ingest"]).unwrap()).unwrap();
    let post = async |text: &str| poster.post_json("/api/lora/receive", &json!({ "payload": text })).await;
    assert_eq!(post("hxb:ONE:LF1:UHF1").await.unwrap().status, 201);
    let address = barn.address();
    barn.kill();
    assert!(post("hxb:TWO:LF2:UHF2").await.is_err());
    barn.start().await.unwrap();
    assert_eq!(barn.address(), address);
    assert_eq!(post("hxb:TWO:LF2:UHF2").await.unwrap().status, 201);

    let pages = office.visitor().unwrap();
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let page = pages.get("/batches", "application/json").await.unwrap();
        if page.text().contains("ONE") && page.text().contains("TWO") {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "waited too long; last: {}", page.text());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(office.terminate().await.unwrap().code(), Some(0));
    assert_eq!(barn.terminate().await.unwrap().code(), Some(0));
}
