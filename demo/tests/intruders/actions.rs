//! Every action, tried by everybody: without a log-in, with a key, and with each role.

use super::yard_with;
use crate::user::User;
use reqwest::Response;
use std::fmt::Write as _;

/// Answer of the door to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The log-in page, or the way to it.
    LogIn,
    /// The action is not for this role, or not for keys.
    Refused,
    /// The action was carried out, or is refused for another reason than who asks for it.
    LetIn,
}

use Outcome::{LetIn, LogIn, Refused};

/// Outcomes for nobody, for a key of all scopes for reading and correcting, a viewer, an operator and an owner.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], [Outcome; 5]);

const CORRECTED: [Outcome; 5] = [LogIn, Refused, Refused, LetIn, LetIn];
const MANAGED: [Outcome; 5] = [LogIn, Refused, Refused, Refused, LetIn];

/// The forms of all pages: path, action, further fields, outcomes. Animal and batch 2 are those of the first payload.
const FORMS: [Row; 19] = [
    ("/animals/2/correct", "weigh", &[("weight", "250"), ("weighed_at", "2026-01-01T08:00")], CORRECTED),
    ("/animals/2/correct", "reweigh", &[("weight", "250"), ("weighing", "3")], CORRECTED),
    ("/animals/2/correct", "retag", &[("kind", "lf"), ("tag", "982000123456789")], CORRECTED),
    ("/animals/2/correct", "move_pen", &[("pen", "P9")], CORRECTED),
    ("/animals/2/correct", "move_batch", &[("batch", "L9")], CORRECTED),
    ("/animals/2/correct", "merge", &[("other", "4")], CORRECTED),
    ("/animals/2/correct", "died", &[], CORRECTED),
    ("/batches/by-id/2/correct", "edit_batch", &[("notes", "late")], CORRECTED),
    ("/batches/by-id/2/correct", "close_batch", &[], CORRECTED),
    ("/payloads/3/correct", "void", &[], CORRECTED),
    ("/payloads/3/correct", "accept", &[], CORRECTED),
    ("/payloads/reprocess", "reprocess", &[], CORRECTED),
    ("/pair", "pair", &[("line", "herdlinx:1:abc")], MANAGED),
    ("/status/copy", "keep", &[("choice", "keep_old")], MANAGED),
    ("/users", "add", &[("name", "Nina"), ("role", "viewer")], MANAGED),
    ("/users", "change_role", &[("name", "Nina"), ("role", "viewer")], MANAGED),
    ("/users", "link", &[("name", "Nina")], MANAGED),
    ("/users", "log_out", &[("name", "Nina")], MANAGED),
    ("/users", "remove", &[("name", "Nina")], MANAGED),
];

fn outcome(response: &Response) -> Outcome {
    let to_login = response.headers().get("location").is_some_and(|to| to.to_str().unwrap().starts_with("/login"));
    match response.status().as_u16() {
        401 => LogIn,
        303 if to_login => LogIn,
        403 => Refused,
        200 | 303 | 400 | 404 | 409 | 410 | 422 => LetIn,
        other => panic!("status {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_is_carried_out_for_those_who_may_and_for_nobody_else() {
    let yard = yard_with(&[
        "event:hxbind000001|lot:L1|lid:1|pen:P1",
        "event:hxbchi000002|lid:1|weight:245.5",
        "event:hxbind000003|lot:L1|lid:2|pen:P1",
    ])
    .await;
    let key = yard.office.key("all", &["read", "sync", "correct"]).unwrap();
    let users = [
        User::nobody(&yard.office),
        User::nobody(&yard.office),
        User::add(&yard.office, "Vera", "viewer").await,
        User::add(&yard.office, "Otto", "operator").await,
        User::add(&yard.office, "Olga", "owner").await,
    ];
    let mut wrong = String::new();
    for (path, action, more, expected) in FORMS {
        let mut found = Vec::new();
        for (n, user) in users.iter().enumerate() {
            let before = (yard.barn.status().unwrap().sequence, yard.office.run(&["user", "list", "--json"]).unwrap());
            let idempotency_key = format!("k-{action}-{n}");
            let fixed = [
                ("form_token", user.form_token.as_str()),
                ("action", action),
                ("key", idempotency_key.as_str()),
                ("reason", "as seen"),
            ];
            let form = user.form(path, &[&fixed, more].concat()).header("Sec-Fetch-Site", "same-origin");
            let form = if n == 1 { form.header("X-API-Key", &key) } else { form };
            let outcome = outcome(&form.send().await.unwrap());
            let after = (yard.barn.status().unwrap().sequence, yard.office.run(&["user", "list", "--json"]).unwrap());
            assert!(outcome == LetIn || before == after, "{action} of {n} was {outcome:?}, and done");
            found.push(outcome);
        }
        if found != expected {
            let _ = writeln!(wrong, "{path} {action}: {found:?}");
        }
    }
    assert_eq!(wrong, "");
    let pages = ["/", "/animals", "/animals/2", "/animals.csv", "/payloads/3", "/log", "/status", "/search?q=1"];
    for path in pages {
        for (user, expected) in users.iter().zip([LogIn, LogIn, LetIn, LetIn, LetIn]) {
            assert_eq!(outcome(&user.get(path).await), expected, "{path}");
        }
    }
    for (user, expected) in users.iter().zip([LogIn, LogIn, Refused, Refused, LetIn]) {
        assert_eq!(outcome(&user.get("/users").await), expected);
    }
}
