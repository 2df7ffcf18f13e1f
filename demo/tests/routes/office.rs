//! Table of the calls that the office serves: an office that follows a barn over HTTPS, both in this process.

use super::callers::{Caller, Permission};
use super::keyless::check_keyless;
use super::route_list::{ANY, Route, routes_of};
use super::router_barn::golden::Golden;
use super::router_barn::{Barn, clock};
use super::rows::{Row, assert_complete, for_programs, form, get, post};
use super::server::ServerUnderTest;
use axum::Router;
use clap::ValueEnum as _;
use herd::decide::Rules;
use herd::payload::WeightUnit;
use herd::randomness::SeededRandomness;
use herd::store::LocalFile;
use mirror::commands::Commands;
use mirror::follow::FollowSettings;
use mirror::pages::{Browsers, Conventions};
use mirror::people::{People, Role};
use mirror::sites::{AddOptions, LinkState, Office as _, OfficeMetrics, SiteFiles, Sites};
use mirror::zone::Zone;
use service::door::certificate::Identity;
use service::door::keys::{KeyRing, Scope};
use service::door::serve::connections::Connections;
use service::door::serve::{RunningServer, bind, serve};
use service::door::tokens::TokenRing;
use service::harness::wait_until;
use service::verify::VerifyJobs;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Permission for the pages.
const PAGES: Permission = Permission::Pages(&[Scope::Read]);
const CORRECT: Permission = Permission::Keys(&[Scope::Correct, Scope::Admin]);
/// Permission for the forms of corrections.
const OPERATORS: Permission = Permission::Users(Role::Operator);
const OWNERS: Permission = Permission::Users(Role::Owner);

/// A correction that every barn refuses, so that it changes nothing.
const REFUSED_ORDER: &str = r#"{"author":"J. Doe","reason":"seen","idempotency_key":"k1","correction":{"kind":"merge","animal":3,"absorbed":3}}"#;

/// Keys whose values depend on the course and time of the replication.
const VOLATILE: [&str; 6] =
    ["total_syncs", "successful_syncs", "age_ms", "duplicates_age_ms", "barn_heard_at", "token"];

const PAYLOADS: [&str; 4] = [
    "hxb:TEST001:LF999:UHF888",
    "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
    "event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5",
    "invalid:data",
];

/// Returns every call, and a second example of some.
fn rows() -> Vec<Row> {
    let of_site = [
        get("/batches", PAGES),
        get("/batches.csv", PAGES),
        get("/batches/{number}", PAGES).at("/batches/TEST001"),
        get("/batches/by-id/{id}", PAGES).at("/batches/by-id/3"),
        get("/animals", PAGES).at("/animals?limit=1"),
        get("/animals.csv", PAGES),
        get("/animals/eids.txt", PAGES),
        get("/animals/{id}", PAGES).at("/animals/3"),
        get("/lots", PAGES).at("/lots?show=in"),
        get("/lots/{number}", PAGES).at("/lots/LOT2024-001"),
        get("/pens", PAGES),
        get("/log", PAGES),
        get("/payloads", PAGES).at("/payloads?status=error"),
        get("/payloads.csv", PAGES),
        get("/payloads/{sequence}", PAGES).at("/payloads/4"),
        get("/status", PAGES),
        get("/search", PAGES).at("/search?q=LF999"),
        get("/office/api/sync-status", PAGES),
        get("/office/live", PAGES),
        post("/api/corrections", CORRECT, REFUSED_ORDER),
        post("/api/lora/process", CORRECT, ""),
        get("/animals/{id}/correct", Permission::Anyone).at("/animals/3/correct"),
        get("/batches/by-id/{id}/correct", Permission::Anyone).at("/batches/by-id/3/correct"),
        get("/payloads/{sequence}/correct", Permission::Anyone).at("/payloads/5/correct"),
        form("/animals/{id}/correct", OPERATORS, "form_token=FORM_TOKEN&action=merge&key=k2&reason=seen&absorbed=3")
            .at("/animals/3/correct"),
        form("/batches/by-id/{id}/correct", OPERATORS, "form_token=FORM_TOKEN&action=close_batch&key=k3&reason=")
            .at("/batches/by-id/3/correct"),
        form("/payloads/{sequence}/correct", OPERATORS, "form_token=FORM_TOKEN&action=void&key=k4&reason=seen")
            .at("/payloads/5/correct"),
        get("/payloads/reprocess", Permission::Anyone),
        form("/payloads/reprocess", OPERATORS, "form_token=FORM_TOKEN&after=0"),
        form("/status/copy", OWNERS, "form_token=FORM_TOKEN&choice=accept_barn&reason="),
    ];
    let of_office = [
        get("/", PAGES),
        get("/", PAGES).in_html(),
        get("/sites/{site}", PAGES).at("/sites/barn"),
        get("/assets/style.css", Permission::Anyone),
        get("/assets/office.js", Permission::Anyone),
        get("/login", Permission::Anyone).at("/login?next=/batches"),
        form("/login", Permission::Anyone, "name=Ana"),
        form("/logout", Permission::Anyone, "form_token=0"),
        get("/welcome", Permission::Anyone).at("/welcome?code=hxw_unknown"),
        form(
            "/welcome",
            Permission::Anyone,
            "code=hxw_unknown&password=the%20gate%20is%20green&again=the%20gate%20is%20green",
        ),
        get("/users", OWNERS),
        form("/users", OWNERS, "form_token=FORM_TOKEN&action=log_out&name=%3C"),
        get("/pair", OWNERS),
        form("/pair", OWNERS, "form_token=FORM_TOKEN&line=herdlinx%3A1%3A&reason=seen"),
        get("/metrics", Permission::Keys(&[Scope::Read])),
        get("/api/remote/health", Permission::Anyone),
    ];
    let of_site: Vec<_> = of_site.into_iter().chain(for_programs()).collect();
    let named: Vec<_> = of_site.iter().map(|row| row.under("/sites/{site}", "/sites/barn")).collect();
    of_office.into_iter().chain(of_site).chain(named).collect()
}

/// A barn that serves HTTPS, and an office that equals it.
struct Yard {
    barn: Barn,
    _listening: RunningServer,
    sites: Arc<Sites>,
    keys: Arc<KeyRing>,
    tokens: Arc<TokenRing>,
    people: Arc<People>,
    router: Router,
    _directory: tempfile::TempDir,
}

impl Yard {
    async fn open() -> Self {
        let barn = Barn::new(Rules::default());
        for payload in PAYLOADS {
            barn.record(payload).await;
        }
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_generate(directory.path(), &[]).unwrap();
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listening =
            serve(listener, barn.router.clone(), &identity, &Connections::default(), barn.shutdown.signal()).unwrap();
        let of_line = service::door::pair::PairingSource {
            path: String::new(),
            site: "barn".to_owned(),
            listen: listening.addr,
            spki_sha256: identity.spki_sha256(),
            store: barn.reader.store(),
        };
        let line = service::door::pair::pair(&barn.keys, of_line, None).unwrap();

        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let keys = Arc::new(KeyRing::load(local.clone(), clock(), SeededRandomness::new(2)).unwrap());
        let settings = FollowSettings { sync_interval: Duration::from_secs(10), seed: 1 };
        let files = SiteFiles::new(local.clone(), directory.path());
        let (sites, _failures) = Sites::start(files, settings, clock()).await.unwrap();
        sites.add(line, AddOptions::default()).await.unwrap();
        let tokens = TokenRing::load(local.clone(), keys.clone(), clock(), SeededRandomness::new(3)).unwrap();
        let tokens = Arc::new(tokens);
        let people = People::load(local.clone(), clock(), SeededRandomness::new(4)).unwrap();
        let people = Arc::new(people);
        let metrics = OfficeMetrics::new(sites.clone(), directory.path().into());
        let commands = Arc::new(Commands {
            sites: sites.clone(),
            keys: keys.clone(),
            people: people.clone(),
            listen: listening.addr,
            identity,
            verify_jobs: VerifyJobs::default(),
        });
        let router = mirror::run::router(
            &commands,
            metrics,
            clock(),
            Conventions { weight_unit: WeightUnit::Kg, zone: Zone::UTC },
            &tokens,
            &Browsers::new(people.clone(), 5000),
            &Connections::default(),
        );
        let yard = Self { barn, _listening: listening, sites, keys, tokens, people, router, _directory: directory };
        yard.wait_until_equal().await;
        yard
    }

    async fn wait_until_equal(&self) {
        let is_equal = async || {
            let status = self.sites.status("barn").unwrap();
            let equal = status.link == LinkState::Live
                && status.head == Some(self.barn.head())
                && (status.lag_changes, status.unfolded_changes) == (Some(0), Some(0))
                && status.digest_equal == Some(true)
                && status.barn_findings.is_some();
            equal.then_some(())
        };
        let waited = wait_until("the office equals the barn", is_equal).await;
        waited.unwrap_or_else(|error| panic!("{error}: {:?}", self.sites.status("barn").unwrap()));
    }

    /// Returns the routes of the office. A route that passes all calls on to a site's own router is replaced by the
    /// routes of that router.
    fn routes(&self) -> BTreeSet<Route> {
        let handed_to = [self.sites.sync_router("barn"), self.sites.remote_router("barn")];
        let of_site: Vec<Route> = handed_to.iter().flatten().flat_map(routes_of).collect();
        let within = |pattern: &str| {
            let (prefix, own) = pattern.split_at(pattern.find("/api/").expect("only interfaces are passed on"));
            let (own, is_whole) = own.strip_suffix("{*call}").map_or((own, true), |own| (own, false));
            let handed_on = |path: &str| if is_whole { path == own } else { path.starts_with(own) };
            let handed_on = of_site.iter().filter(|(_, path)| handed_on(path));
            handed_on.map(|(method, path)| (method.clone(), format!("{prefix}{path}"))).collect::<Vec<_>>()
        };
        let routes = routes_of(&self.router).into_iter();
        routes.flat_map(|route| if route.0 == ANY { within(&route.1) } else { vec![route] }).collect()
    }

    /// Adds a user of each role, with a session.
    async fn log_in_each_role(&self) -> Vec<Caller> {
        let mut users = Vec::new();
        for role in Role::value_variants() {
            users.push(Caller::logged_in(&self.people, *role).await);
        }
        users
    }

    fn state(&self) -> String {
        format!("{:?} {:?} {:?}", self.sites.status("barn").unwrap().head, self.keys.list(), self.barn.state())
    }
}

#[tokio::test]
async fn the_office_serves_exactly_the_calls_of_its_table() {
    assert_complete(&rows(), &Yard::open().await.routes());
}

#[tokio::test]
async fn each_call_of_the_office_is_answered_according_to_its_caller() {
    let (rows, mut golden, yard) = (rows(), Golden::new("routes_office"), Yard::open().await);
    let (callers, of_every_scope) = (Caller::all(&yard.keys, &yard.tokens), Caller::of_every_scope(&yard.keys));
    let state = || yard.state();
    let served = ServerUnderTest { router: &yard.router, callers: &callers, state: &state, volatile: &VOLATILE };
    for row in &rows {
        served.check_row(row, &mut golden).await;
    }
    // As long as there were no users, the pages were open on this machine.
    let users = yard.log_in_each_role().await;
    let by_users = ServerUnderTest { callers: &users, ..served };
    // A log-out ends the session that the other rows need.
    for row in rows.iter().filter(|row| row.pattern != "/logout") {
        by_users.check_row(row, &mut golden).await;
    }
    served.check_other_methods(&rows, &of_every_scope, &mut golden).await;
    let nowhere =
        ["/nowhere", "/api/sync/nowhere", "/sites/barn/nowhere", "/sites/barn/api/sync/nowhere", "/sites/nobody"];
    served.check_unknown_paths(&nowhere, &of_every_scope, &mut golden).await;
    for key in yard.keys.list() {
        yard.keys.revoke(&key.name).unwrap();
    }
    // Pages have a guard of their own.
    let is_page = |row: &Row| matches!(row.permission, Permission::Pages(_) | Permission::Users(_));
    let programs: Vec<_> = rows.into_iter().filter(|row| !is_page(row)).collect();
    check_keyless(&served, &programs, &[], &yard.keys, &mut golden).await;
    golden.compare();
}
