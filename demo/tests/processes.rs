//! Processes of a barn and an office, as the demo, the end-to-end tests and the bench start them.
//!
//! Catches: a killed barn that comes back at another address or loses a payload, an office that does not follow it, a
//! demo that fails because another program listens on the port of its last run, and a process that does not exit with 0
//! on SIGTERM.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

use demo::processes::{Barn, BarnSettings, Office, OfficeSettings, ProcessError, Programs};
use mirror::control::{OfficeRequest, OfficeResponse};
use serde_json::{Value, json};
use service::control::{SOCKET_NAME, ask};
use service::harness::{TIMEOUT, wait_until, wait_until_within};
use service::lifecycle::Exit;
use service::show::{ListRequest, ShowRequest};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

fn programs() -> Programs {
    Programs::Own(env!("CARGO_BIN_EXE_herdlinx-demo").into())
}

/// Starts a barn and an office in `directory`, and pairs them.
async fn paired(directory: &Path) -> (Barn, Office) {
    paired_with(directory, &BarnSettings::default()).await
}

/// Starts a barn with these settings and an office in `directory`, and pairs them.
async fn paired_with(directory: &Path, settings: &BarnSettings) -> (Barn, Office) {
    let mut barn = Barn::new(&programs(), &directory.join("barn"), settings).unwrap();
    let mut office = Office::new(&programs(), &directory.join("office"), &OfficeSettings::default()).unwrap();
    barn.start().await.unwrap();
    office.start().await.unwrap();
    office.add(&barn.pair().unwrap()).unwrap();
    (barn, office)
}

#[tokio::test]
async fn posted_payloads_reach_the_office_across_a_kill_of_the_barn_and_both_shut_down_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let (mut barn, mut office) = paired(directory.path()).await;

    let poster = barn.client(&barn.key("chute", &["ingest"]).unwrap()).unwrap();
    let post = async |text: &str| poster.post_json("/api/lora/receive", &json!({ "payload": text })).await;
    assert_eq!(post("hxb:ONE:LF1:UHF1").await.unwrap().status, 201);
    let address = barn.address();
    barn.kill();
    assert!(post("hxb:TWO:LF2:UHF2").await.is_err());
    barn.start().await.unwrap();
    assert_eq!(barn.address(), address);
    assert_eq!(post("hxb:TWO:LF2:UHF2").await.unwrap().status, 201);

    let pages = office.reader().unwrap();
    let both = async || {
        let page = pages.get("/batches", "application/json").await.unwrap();
        (page.text().contains("ONE") && page.text().contains("TWO")).then_some(())
    };
    wait_until("the office shows both payloads", both).await.unwrap();
    assert_eq!(office.terminate().await.unwrap().code(), Some(0));
    assert_eq!(barn.terminate().await.unwrap().code(), Some(0));
}

/// Returns the state of the office's only site once its link is `link`.
async fn site_with_link(office: &Office, link: &str) -> Value {
    let site = async || {
        let site = office.sync_status().await.unwrap()["sites"][0].clone();
        (site["link"] == link).then_some(site)
    };
    wait_until(&format!("the link is {link}"), site).await.unwrap()
}

/// Catches an office that says "live" of a barn which itself reports that it hears nothing, and one that goes on with that
/// after the barn is well.
#[tokio::test]
async fn an_office_repeats_what_its_barn_reports_of_itself() {
    let directory = tempfile::tempdir().unwrap();
    let port = directory.path().join("no-such-port");
    let radios = format!("[[radio]]\nname = 'chute'\nkind = 'serial'\nserial = {{ path = '{}' }}\n", port.display());
    let settings = BarnSettings { radios, ..BarnSettings::default() };
    let (mut barn, office) = paired_with(directory.path(), &settings).await;
    // Until the port was looked for, the barn reports that it is about to.
    let why = async || Some(barn.status().unwrap().radios.remove(0)).filter(|radio| radio.state == "failing")?.why;
    let why = wait_until("the radio fails", why).await.unwrap();
    let trouble = format!("connected, but the barn reports: chute: {why}");
    let is_told = async || (site_with_link(&office, "unwell").await["barn_trouble"] == trouble).then_some(());
    wait_until("the office has the barn's words", is_told).await.unwrap();
    let pages = office.reader().unwrap();
    let text = async |path: &str, accept: &str| pages.get(path, accept).await.unwrap().text();
    let home = text("/", "text/html").await;
    assert!(home.contains("Barn unwell") && home.contains("the barn reports: chute"), "{home}");
    let metrics = text("/metrics", "*/*").await;
    for line in ["herdlinx_site_live{site=\"barn\"} 0", "herdlinx_barn_finding{site=\"barn\",part=\"chute\"} 1"] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    let summary = office.status().unwrap().sites.remove(0);
    assert_eq!((summary.link.as_str(), summary.barn_trouble.as_deref()), ("unwell", Some(trouble.as_str())));
    let list = ListRequest { limit: 1, next: None, json: true, csv: false };
    let show = OfficeRequest::Show { site: None, request: ShowRequest::Animals(list) };
    let OfficeResponse::Shown(shown) = ask(&office.state_dir().join(SOCKET_NAME), &show).unwrap() else {
        panic!("another response")
    };
    assert_eq!(shown.note, Some(format!("`barn`: {trouble}")));

    barn.terminate().await.unwrap();
    let settings = BarnSettings { port: barn.address().port(), ..BarnSettings::default() };
    let mut barn = Barn::new(&programs(), barn.state_dir(), &settings).unwrap();
    barn.start().await.unwrap();
    let site = site_with_link(&office, "live").await;
    assert_eq!(site["barn_trouble"], Value::Null);
    assert!(site["barn_findings"].as_array().unwrap().iter().all(|finding| finding["failing"] == false), "{site}");
}

/// Catches an operator who cannot ask a process what is wrong, because strangers hold all of its file descriptors.
#[tokio::test]
async fn commands_get_through_while_connections_hold_all_descriptors() {
    let directory = tempfile::tempdir().unwrap();
    let (barn, office) = paired(directory.path()).await;
    for (pid, address, name) in
        [(barn.pid(), barn.address(), "the barn"), (office.pid(), office.address(), "the office")]
    {
        let pid = pid.unwrap().to_string();
        let descriptors = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        let limit = descriptors() + 20;
        let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={limit}")]).status().unwrap();
        assert!(limited.success());
        let strangers: Vec<_> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
        let all_held = async || (descriptors() >= limit).then_some(());
        wait_until("connections hold all descriptors", all_held).await.unwrap();
        match name {
            "the barn" => drop(barn.status().unwrap()),
            _ => drop(office.status().unwrap()),
        }
        // Otherwise the command has waited until the server had enough of a stranger.
        strangers[0].set_nonblocking(true).unwrap();
        let still_open = strangers[0].peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        assert!(still_open, "{name} answered only after a connection had ended");
    }
}

/// Catches a file that other users of the machine can read or replace, because a program was started by hand.
#[tokio::test]
async fn the_files_of_both_processes_are_for_their_owner_alone_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let (barn, office) = paired(directory.path()).await;
    let poster = barn.client(&barn.key("chute", &["ingest"]).unwrap()).unwrap();
    poster.post_json("/api/lora/receive", &json!({ "payload": "hxb:ONE:LF1:UHF1" })).await.unwrap();
    let pages = office.reader().unwrap();
    let shown = async || pages.get("/batches", "application/json").await.unwrap().text().contains("ONE").then_some(());
    wait_until("the office shows the payload", shown).await.unwrap();
    // Files that the test has written itself.
    let is_own = |path: &Path| path.extension().is_some_and(|it| it == "toml" || it == "log");
    let mut directories = vec![barn.state_dir().to_owned(), office.state_dir().to_owned()];
    let mut checked = 0;
    while let Some(next) = directories.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let found = std::fs::symlink_metadata(&path).unwrap();
            if found.is_dir() {
                directories.push(path.clone());
            }
            // A link has no mode of its own. The last six bits are those of the group and of others.
            let is_closed = found.is_symlink() || found.permissions().mode().is_multiple_of(0o100);
            assert!(is_own(&path) || is_closed, "{}: {found:?}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked} files");
}

#[tokio::test]
async fn a_barn_whose_port_is_taken_starts_on_a_free_one_and_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    let other_program = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = other_program.local_addr().unwrap();
    let settings = BarnSettings { port: taken.port(), ..BarnSettings::default() };
    let mut barn = Barn::new(&programs(), &directory.path().join("barn"), &settings).unwrap();
    match barn.start().await {
        Err(ProcessError::Exited { status, .. }) => assert_eq!(status.code(), Some(Exit::CannotListen as i32)),
        other => panic!("the port is taken, and yet: {other:?}"),
    }

    barn.start_on_any_port().await.unwrap();
    let address = barn.address();
    assert!(address != taken && address.port() != 0, "{address}");
    assert_eq!(barn.terminate().await.unwrap().code(), Some(0));
    barn.start().await.unwrap();
    assert_eq!(barn.address(), address);
    assert_eq!(barn.terminate().await.unwrap().code(), Some(0));
}

/// Catches a barn that shuts everybody out for good because its disk failed for a moment at its start.
#[tokio::test]
async fn a_barn_whose_keys_could_not_be_opened_ends_for_a_new_start_once_they_can() {
    let directory = tempfile::tempdir().unwrap();
    let mut barn = Barn::new(&programs(), &directory.path().join("barn"), &BarnSettings::default()).unwrap();
    barn.start().await.unwrap();
    let device = barn.client(&barn.key("chute", &["ingest"]).unwrap()).unwrap();
    let post = async |text: &str| device.post_json("/api/lora/receive", &json!({ "payload": text })).await.unwrap();
    assert_eq!(post("hxb:ONE:LF1:UHF1").await.status, 201);
    assert_eq!(barn.terminate().await.unwrap().code(), Some(0));

    let (file, aside) = (barn.state_dir().join("local.redb"), directory.path().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    barn.start().await.unwrap();
    let refused = post("hxb:TWO:LF2:UHF2").await;
    assert!(refused.status == 503 && refused.text().contains("local.redb"), "{}", refused.text());
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    let ended = async || match barn.check_running() {
        Err(ProcessError::Exited { status, .. }) => Some(status.code()),
        _ => None,
    };
    let code = wait_until_within(TIMEOUT * 3, "the barn ends for a new start", ended).await.unwrap();
    assert_eq!(code, Some(Exit::Failure as i32), "systemd starts it again");
    barn.kill();
    barn.start().await.unwrap();
    assert_eq!(post("hxb:TWO:LF2:UHF2").await.status, 201);
}
