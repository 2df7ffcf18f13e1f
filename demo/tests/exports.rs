//! Exports for other programs: the full export and the sheets of `show`, at the barn and at its office.
//!
//! Catches: an office whose tables differ from its barn's, and a command whose output differs between the stopped files
//! and the running process.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod yard;

use demo::processes::{Barn, BarnSettings, Office};
use herd::wire::{BlobKind, blob_kind, blob_length};
use service::sync::link::BLOB_TYPE;
use service::sync::serve::FULL_EXPORT_PATH;
use yard::{Yard, own_programs};

const LISTS: [&str; 5] = ["batches", "animals", "payloads", "gaps", "counters"];

fn payloads() -> impl Iterator<Item = String> {
    let scans = (0..40).map(|n| format!("hxb:LOT{}:12400022416{n:04}:UHF{n}", n % 7));
    let exports = (0..9).map(|n| format!("hxe:OUT{}:12400022416{n:04}:UHF{n}", n % 2));
    let check_ins = (0..30).map(|n| format!("event:hxbchi{:06}|lid:{n}|weight:{n}.25", n * 3));
    scans.chain(exports).chain(check_ins).chain((0..9).map(|n| format!("noise {n}")))
}

fn printed(barn: &Barn, office: &Office) -> Vec<String> {
    let mut sheets = Vec::new();
    for (list, form) in LISTS.iter().flat_map(|list| ["--csv", "--json"].map(|form| (*list, form))) {
        let of_barn = barn.run(&["show", list, form, "--limit", "30"]).unwrap();
        assert_eq!(office.run(&["show", list, form, "--limit", "30"]).unwrap(), of_barn, "{list} {form}");
        sheets.push(of_barn);
    }
    sheets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn barn_and_office_export_the_same_tables_and_sheets_whether_running_or_stopped() {
    let mut yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    for payload in payloads() {
        yard.deliver(&payload).await;
    }
    let kept = yard.wait_until_equal().await;
    let auditor = yard.barn.client(&yard.barn.key("auditor", &["sync"]).unwrap()).unwrap();
    let at_barn = auditor.get(FULL_EXPORT_PATH, "application/json").await.unwrap().expect(200).unwrap();
    let at_office = yard.pages.get(FULL_EXPORT_PATH, "application/json").await.unwrap().expect(200).unwrap();
    assert_eq!(at_office.text(), at_barn.text());
    let export = at_barn.json().unwrap();
    assert_eq!(export["count"]["payloads"], kept.received().count());
    let batches = export["tables"]["batches"].as_array().unwrap();
    assert_eq!((batches.len(), &batches[0]["source"]), (9, &"Export (HXE)".into()));

    let blobs = auditor.get(FULL_EXPORT_PATH, BLOB_TYPE).await.unwrap().expect(200).unwrap();
    let first = blob_length(&blobs.body).unwrap().unwrap();
    assert_eq!(blob_kind(&blobs.body[..first]).unwrap(), BlobKind::Page);

    let running = printed(&yard.barn, &yard.office);
    yard.office.terminate().await.unwrap();
    yard.barn.terminate().await.unwrap();
    assert_eq!(printed(&yard.barn, &yard.office), running);
}
