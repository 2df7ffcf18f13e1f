//! Responses to commands, with and without a running mirror.

use super::*;
use crate::follow::FollowSettings;
use crate::people::command::{UserRequest, UserResponse};
use herd::randomness::SeededRandomness;
use herd::store::LocalFile;
use service::door::key_command::{KeyRequest, KeyResponse};
use std::time::Duration;

/// The directory of an office, and its files.
struct Office {
    directory: tempfile::TempDir,
    local: LocalFile,
    files: SiteFiles,
}

impl Office {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let files = SiteFiles::new(local.clone(), directory.path());
        Self { directory, local, files }
    }

    /// Returns the response of the files, or the code of the refusal.
    fn ask(&self, request: OfficeRequest) -> Result<OfficeResponse, String> {
        respond_from_files(&self.files, 0, request, &mut |_| {}).map_err(|error| match error {
            DirectError::Refused(refused) => refused.code,
            other => panic!("{other}"),
        })
    }

    /// Starts the mirror.
    async fn commands(&self) -> Arc<Commands> {
        let clock = Arc::new(SystemClock::default());
        let settings = FollowSettings { sync_interval: Duration::from_secs(10), seed: 1 };
        let (sites, _failures) = Sites::start(self.files.clone(), settings, clock.clone()).await.unwrap();
        Arc::new(Commands {
            sites,
            keys: Arc::new(KeyRing::load(self.local.clone(), clock.clone(), SeededRandomness::new(1)).unwrap()),
            people: Arc::new(People::load(self.local.clone(), clock, SeededRandomness::new(2)).unwrap()),
            listen: "127.0.0.1:5000".parse().unwrap(),
            identity: Identity::load_or_generate(self.directory.path(), &[]).unwrap(),
            verify_jobs: VerifyJobs::default(),
        })
    }
}

fn line(site: &str, store: u8) -> String {
    let addresses = vec!["127.0.0.1:9".to_owned(), "[fe80::1%eth0]:5001".to_owned()];
    let store = herd::position::StoreId([store; 16]);
    Pairing { site: site.into(), addresses, spki_sha256: [7; 32], store, key: "hxb_1".into() }.to_string()
}

fn add(line: String) -> OfficeRequest {
    OfficeRequest::Add { line, name: None, authority: None, addresses: Vec::new() }
}

/// Catches a refusal that a script takes for another one, and a command that is answered as if it were carried out.
#[test]
fn the_files_answer_what_needs_no_process_and_refuse_the_rest() {
    let office = Office::new();
    let text = str::to_owned;
    let give_back =
        |cursor| OfficeRequest::GiveBack { site: text("north"), author: text("a"), reason: text("r"), cursor };
    for (request, code) in [
        (OfficeRequest::Status, "not_running"),
        (give_back(None), "not_running"),
        (add("herdlinx:1:x".into()), "bad_line"),
        (OfficeRequest::Prepare { site: "north".parse().unwrap(), code: text("x"), addresses: Vec::new() }, "bad_code"),
        (OfficeRequest::Resync { site: text("north") }, "unknown_site"),
        (OfficeRequest::Remove { site: text("north") }, "unknown_site"),
        (OfficeRequest::Verify { site: text("north"), start: true }, "unknown_site"),
        (OfficeRequest::User(UserRequest::List), "failed"),
        (OfficeRequest::Key(KeyRequest::List), "failed"),
    ] {
        assert_eq!(office.ask(request.clone()).unwrap_err(), code, "{request:?}");
    }

    let Ok(OfficeResponse::Paired(paired)) = office.ask(add(line("north", 1))) else { panic!("not paired") };
    assert_eq!((paired.site.as_str(), paired.is_new, paired.changed.len()), ("north", true, 0));
    assert_eq!((paired.addresses.len(), paired.unusable.len()), (1, 1));
    assert_eq!(paired.trust, format!("the public key {}", "07".repeat(32)));
    let Ok(OfficeResponse::Paired(again)) = office.ask(add(line("north", 1))) else { panic!("not paired") };
    assert_eq!((again.is_new, again.changed.len()), (false, 0));

    let verify = OfficeRequest::Verify { site: text("north"), start: true };
    assert_eq!(office.ask(verify).unwrap_err(), "no_copy");
    let cancel = || OfficeRequest::CancelResync { site: text("north") };
    assert_eq!(office.ask(cancel()).unwrap_err(), "refused", "nothing is being made");
    let started = office.ask(OfficeRequest::Resync { site: text("north") });
    assert!(matches!(started, Ok(OfficeResponse::CopyStarted { copy }) if copy == "copy-1"));
    assert_eq!(office.ask(cancel()).unwrap_err(), "refused", "it is the only copy");
    let removed = office.ask(OfficeRequest::Remove { site: text("north") });
    assert!(matches!(removed, Ok(OfficeResponse::Removed { moved_to: Some(_) })));

    let code = PairingCode::generate(&mut SeededRandomness::new(1)).unwrap().to_string();
    let addresses = vec!["barn:5001".parse().unwrap()];
    let prepare = OfficeRequest::Prepare { site: "south".parse().unwrap(), code, addresses };
    assert!(matches!(office.ask(prepare), Ok(OfficeResponse::Prepared)));
    assert!(matches!(office.ask(OfficeRequest::Remove { site: text("south") }), Ok(OfficeResponse::Canceled)));
}

/// Catches a running mirror that gives what it does not have, and a refusal whose code says something else.
#[tokio::test]
async fn a_running_mirror_answers_from_its_sites_keys_and_users() {
    let office = Office::new();
    office.ask(add(line("north", 1))).unwrap();
    let commands = office.commands().await;
    let ask = async |request| commands.handler()(request).await.map_err(|refused: ControlError| refused.code);
    let site = || "north".to_owned();
    let Ok(OfficeResponse::Status(status)) = ask(OfficeRequest::Status).await else { panic!("no status") };
    assert_eq!((status.pid, status.listen.port(), status.sites.len()), (std::process::id(), 5000, 1));
    assert_eq!((status.sites[0].name.as_str(), status.prepared.len()), ("north", 0));

    let give_back = |author: &str| OfficeRequest::GiveBack {
        site: site(),
        author: author.to_owned(),
        reason: "old card".to_owned(),
        cursor: None,
    };
    let verify = |start| OfficeRequest::Verify { site: site(), start };
    for (request, code) in [
        (verify(true), "no_copy"),
        (verify(false), "no_copy"),
        (OfficeRequest::Backup { site: site(), only_here: false, part: BackupRequest::Start }, "no_copy"),
        (give_back(" "), "bad_order"),
        (OfficeRequest::Resync { site: "east".into() }, "unknown_site"),
        (OfficeRequest::CancelResync { site: site() }, "refused"),
        (add("x".into()), "bad_line"),
    ] {
        assert_eq!(ask(request.clone()).await.unwrap_err(), code, "{request:?}");
    }
    let Ok(OfficeResponse::GivenBack(nothing)) = ask(give_back("Ana")).await else { panic!("no copy to give back") };
    assert_eq!(nothing, GiveBackProgress::default());

    let pair = |name: Option<&str>| OfficeRequest::Pair { site: site(), name: name.map(str::to_owned) };
    let Ok(OfficeResponse::PairingLine(first)) = ask(pair(None)).await else { panic!("no line") };
    let pairing: Pairing = first.parse().unwrap();
    assert_eq!((pairing.site.as_str(), pairing.store.0), ("north", [1; 16]));
    assert!(pairing.addresses.iter().all(|address| address.ends_with("/sites/north")), "{pairing:?}");
    let Ok(OfficeResponse::Key(KeyResponse::Keys(keys))) = ask(OfficeRequest::Key(KeyRequest::List)).await else {
        panic!("no keys")
    };
    assert_eq!(keys.len(), 1);
    let Ok(OfficeResponse::User(UserResponse::Users(users))) = ask(OfficeRequest::User(UserRequest::List)).await else {
        panic!("no users")
    };
    assert_eq!(users, []);
}

/// Catches a failure of the disk that is told as a refusal, and the other way round.
#[test]
fn failures_of_the_files_are_no_refusals() {
    let files = |action| crate::copies::CopiesError::Files {
        action,
        path: "x".into(),
        source: std::io::ErrorKind::Other.into(),
    };
    assert!(matches!(direct(SiteFilesError::Copies(files("list"))), DirectError::Failed(_)));
    assert!(matches!(direct(SiteFilesError::Sites(SitesError::TooMany)), DirectError::Refused(_)));
    for (error, code) in [
        (SiteFilesError::Copies(files("list")), "failed"),
        (SiteFilesError::Copies(crate::copies::CopiesError::NothingUnfinished), "refused"),
        (SiteFilesError::Sites(SitesError::Unknown { name: "x".into(), paired: "none".into() }), "unknown_site"),
        (SiteFilesError::Sites(SitesError::TooMany), "refused"),
        (SiteFilesError::Prepared(PreparedError::TooMany), "refused"),
    ] {
        assert_eq!(refusal(&error).code, code, "{error}");
    }
    assert_eq!(ControlError::from(SiteCommandError::ShuttingDown("x".into())).code, "failed");
}

/// Catches a command that is carried out at another site than the operator means.
#[test]
fn the_only_site_is_the_default() {
    let text = str::to_owned;
    assert_eq!(site_or_only(None, &[]).unwrap_err().code, "no_site");
    assert_eq!(site_or_only(None, &[text("a"), text("b")]).unwrap_err().code, "which_site");
    assert_eq!(site_or_only(None, &[text("a")]).unwrap(), "a");
    assert_eq!(site_or_only(Some(text("b")), &[text("a")]).unwrap(), "b");
}
