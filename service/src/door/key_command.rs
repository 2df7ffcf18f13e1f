//! The `key` command of both programs, and its requests on the control socket.

use super::keys::{KeyError, KeyRing, KeyRow, Scope};
use crate::control::{CommandError, ControlError};
use crate::lifecycle::Exit;
use clap::Subcommand;
use herd::clock::iso_utc;
use herd::pairing::Fingerprint;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Manages the keys that programs present.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum KeyCommand {
    /// Create a key and print its secret once, alone on the last line
    Add {
        /// Name of the key: letters, digits, `.`, `_`, `-`. A key that delivers payloads names their channel
        name: String,
        /// Permission of the key; repeat it for more. No scope includes another
        #[arg(long = "scope", required = true, value_enum)]
        scopes: Vec<Scope>,
    },
    /// Revoke a key at once
    Revoke {
        /// Name of the key
        name: String,
    },
    /// List the keys, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A request about keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyRequest {
    /// Create a key.
    Add {
        /// Its name.
        name: String,
        /// Its scopes, at least one.
        scopes: BTreeSet<Scope>,
    },
    /// Revoke a key.
    Revoke {
        /// Its name.
        name: String,
    },
    /// List the keys.
    List,
}

/// The response to a [`KeyRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyResponse {
    /// The key was created.
    Added {
        /// Its secret, which is stored nowhere.
        secret: String,
    },
    /// The key was revoked.
    Revoked,
    /// All keys.
    Keys(Vec<ListedKey>),
}

/// A key as people see it. Even its hash stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedKey {
    /// Its name.
    pub name: String,
    /// Its scopes.
    pub scopes: BTreeSet<Scope>,
    /// Time of its creation, ISO 8601 in UTC.
    pub made_at: String,
    /// Public key of the office that got the key by a one-time code, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub office: Option<Fingerprint>,
}

/// Reason why a command about keys failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyCommandError {
    /// Neither the process nor the files gave a response.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The result could not be printed. A secret is lost then.
    #[error("cannot print the result: {0}; if this was a new key, revoke it and create it again")]
    Print(#[from] io::Error),
}

impl From<&KeyCommandError> for Exit {
    fn from(error: &KeyCommandError) -> Self {
        match error {
            KeyCommandError::Command(error) => Self::from(error),
            KeyCommandError::Print(_) => Self::Failure,
        }
    }
}

impl KeyCommand {
    /// Runs the command: `ask` gets the response from the running process, or from [`respond`] and the files.
    ///
    /// Prints to `out`; the secret of a new key is the last line, alone. Blocks.
    pub fn run(
        &self,
        ask: impl FnOnce(&KeyRequest) -> Result<KeyResponse, CommandError>,
        out: &mut dyn Write,
    ) -> Result<(), KeyCommandError> {
        self.print(ask(&self.request())?, out)
    }

    fn request(&self) -> KeyRequest {
        match self {
            Self::Add { name, scopes } => {
                KeyRequest::Add { name: name.clone(), scopes: scopes.iter().copied().collect() }
            }
            Self::Revoke { name } => KeyRequest::Revoke { name: name.clone() },
            Self::List { .. } => KeyRequest::List,
        }
    }

    fn print(&self, response: KeyResponse, out: &mut dyn Write) -> Result<(), KeyCommandError> {
        match (self, response) {
            (Self::Add { name, .. }, KeyResponse::Added { secret }) => {
                writeln!(out, "Key `{name}` is active. This is its secret, which is not shown again:")?;
                writeln!(out, "{secret}")?;
            }
            (Self::Revoke { name }, KeyResponse::Revoked) => writeln!(out, "Key `{name}` is revoked.")?,
            (Self::List { json: true }, KeyResponse::Keys(keys)) => writeln!(out, "{}", json!(keys))?,
            (Self::List { json: false }, KeyResponse::Keys(keys)) => print_table(&keys, out)?,
            _ => return Err(CommandError::UnexpectedResponse.into()),
        }
        Ok(out.flush()?)
    }
}

fn print_table(keys: &[ListedKey], out: &mut dyn Write) -> io::Result<()> {
    if keys.is_empty() {
        return writeln!(out, "There are no keys.");
    }
    let width = keys.iter().map(|key| key.name.len()).max().unwrap_or_default();
    for ListedKey { name, scopes, made_at, office } in keys {
        let scopes = scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(",");
        let office = office.map(|office| format!("  paired by one-time code, office {office}")).unwrap_or_default();
        writeln!(out, "{name:width$}  {made_at}  {scopes}{office}")?;
    }
    Ok(())
}

/// Responds to a request about keys. Syncs the disk: call it on a blocking thread from asynchronous code.
pub fn respond(keys: &KeyRing, request: &KeyRequest) -> Result<KeyResponse, ControlError> {
    change_keys(keys, request).map_err(|error| ControlError::new(error_code(&error), error.to_string()))
}

fn change_keys(keys: &KeyRing, request: &KeyRequest) -> Result<KeyResponse, KeyError> {
    Ok(match request {
        KeyRequest::Add { name, scopes } => {
            KeyResponse::Added { secret: keys.add(name, scopes.clone())?.reveal().to_owned() }
        }
        KeyRequest::Revoke { name } => {
            keys.revoke(name)?;
            KeyResponse::Revoked
        }
        KeyRequest::List => KeyResponse::Keys(keys.list().iter().map(ListedKey::from).collect()),
    })
}

impl From<&KeyRow> for ListedKey {
    fn from(row: &KeyRow) -> Self {
        Self { name: row.name.clone(), scopes: row.scopes.clone(), made_at: iso_utc(row.made_at_us), office: None }
    }
}

fn error_code(error: &KeyError) -> &'static str {
    match error {
        KeyError::Name(_) | KeyError::NoScope => "bad_request",
        KeyError::Exists(_) => "key_exists",
        KeyError::Unknown(_) => "key_unknown",
        KeyError::TooMany => "too_many_keys",
        KeyError::NotSaved { .. } | KeyError::Local(_) | KeyError::Randomness(_) => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{DirectError, Request, SOCKET_NAME, ask_or_open, handler, listen};
    use clap::Parser;
    use herd::clock::SystemClock;
    use herd::randomness::SeededRandomness;
    use herd::store::LocalFile;
    use serde_json::Value;
    use std::path::Path;
    use std::sync::Arc;
    use tokio::task::spawn_blocking;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        key: KeyCommand,
    }

    impl Request for KeyRequest {
        type Response = KeyResponse;
    }

    fn parse(line: &[&str]) -> Result<KeyCommand, clap::Error> {
        Line::try_parse_from([&["key"], line].concat()).map(|line| line.key)
    }

    fn open(dir: &Path) -> Result<KeyRing, DirectError> {
        let file = LocalFile::open(dir.join("local.redb"))?;
        KeyRing::load(file, Arc::new(SystemClock::default()), SeededRandomness::new(1)).map_err(DirectError::failed)
    }

    fn run(line: &[&str], dir: &Path) -> Result<String, KeyCommandError> {
        let mut out = Vec::new();
        let socket = dir.join(SOCKET_NAME);
        let ask = |request: &KeyRequest| ask_or_open(&socket, request, || Ok(respond(&open(dir)?, request)?));
        parse(line).unwrap().run(ask, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// Catches a script that tries again forever because a damaged file looks to it like one that is in use.
    #[test]
    fn the_exit_code_of_a_command_tells_a_damaged_file_from_a_locked_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("local.redb"), b"not a database").unwrap();
        let damaged = run(&["list"], dir.path()).unwrap_err();
        assert_eq!(Exit::from(&damaged), Exit::Damaged);
        assert_eq!(Exit::from(&KeyCommandError::Command(CommandError::Locked)), Exit::Locked);
    }

    #[test]
    fn without_a_process_the_commands_work_on_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let printed = run(&["add", "office", "--scope", "read", "--scope", "sync"], dir.path()).unwrap();
        let secret = printed.lines().last().unwrap();
        let found = open(dir.path()).ok().unwrap().check(secret).unwrap();
        assert_eq!(found.scopes, BTreeSet::from([Scope::Read, Scope::Sync]));

        let table = run(&["list"], dir.path()).unwrap();
        assert!(table.starts_with("office  20") && table.trim_end().ends_with("read,sync"), "{table}");
        let list: Value = serde_json::from_str(&run(&["list", "--json"], dir.path()).unwrap()).unwrap();
        assert_eq!(list[0]["name"], "office");
        assert!(list[0].get("hash").is_none());

        assert_eq!(run(&["revoke", "office"], dir.path()).unwrap(), "Key `office` is revoked.\n");
        assert_eq!(run(&["list"], dir.path()).unwrap(), "There are no keys.\n");
        let again = run(&["revoke", "office"], dir.path()).unwrap_err();
        assert!(again.to_string().contains("no key named `office`"), "{again}");
    }

    /// Catches a table that hides which office has a key, and JSON that names one for every key.
    #[test]
    fn a_list_shows_the_office_that_a_key_was_made_for_by_a_code() {
        let key = |name: &str, office| ListedKey {
            name: name.into(),
            scopes: BTreeSet::from([Scope::Sync]),
            made_at: "2026-01-01T00:00:00Z".into(),
            office,
        };
        let keys = [key("desk", Some(Fingerprint([0x0f; 32]))), key("other", None)];
        let mut table = Vec::new();
        print_table(&keys, &mut table).unwrap();
        let expected = format!(
            "desk   2026-01-01T00:00:00Z  sync  paired by one-time code, office {}\nother  2026-01-01T00:00:00Z  sync\n",
            "0f".repeat(32)
        );
        assert_eq!(String::from_utf8(table).unwrap(), expected);
        assert_eq!(json!(keys)[0]["office"], "0f".repeat(32));
        assert!(json!(keys)[1].get("office").is_none());
    }

    #[tokio::test]
    async fn with_a_process_they_take_effect_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Arc::new(open(dir.path()).ok().unwrap());
        let ring = keys.clone();
        let handler = handler(move |request| {
            let keys = ring.clone();
            async move { spawn_blocking(move || respond(&keys, &request)).await.unwrap() }
        });
        let trigger = crate::lifecycle::ShutdownTrigger::default();
        tokio::spawn(listen(&dir.path().join(SOCKET_NAME), handler, trigger.signal()).unwrap());
        let path = dir.path().to_owned();
        let printed =
            spawn_blocking(move || run(&["add", "chute", "--scope", "ingest"], &path)).await.unwrap().unwrap();
        let secret = printed.lines().last().unwrap().to_owned();
        assert!(keys.check(&secret).unwrap().has(Scope::Ingest));
        let path = dir.path().to_owned();
        spawn_blocking(move || run(&["revoke", "chute"], &path)).await.unwrap().unwrap();
        assert_eq!(keys.check(&secret), None);
    }

    #[test]
    fn a_file_that_another_process_is_about_to_close_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut held = Some(LocalFile::open(dir.path().join("local.redb")).unwrap());
        let mut tries = 0;
        let mut open_and_let_go = |request: &KeyRequest| {
            tries += 1;
            let opened = open(dir.path());
            held = None;
            Ok(respond(&opened?, request)?)
        };
        let add = parse(&["add", "a", "--scope", "read"]).unwrap();
        let socket = dir.path().join(SOCKET_NAME);
        let ask = |request: &KeyRequest| ask_or_open(&socket, request, || open_and_let_go(request));
        add.run(ask, &mut Vec::new()).unwrap();
        assert_eq!((tries, open(dir.path()).ok().unwrap().list().len()), (2, 1));
    }

    #[test]
    fn a_request_without_a_scope_or_with_a_wrong_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = open(dir.path()).ok().unwrap();
        for request in [
            KeyRequest::Add { name: "a".into(), scopes: BTreeSet::new() },
            KeyRequest::Add { name: "a b".into(), scopes: BTreeSet::from([Scope::Read]) },
        ] {
            assert_eq!(respond(&keys, &request).unwrap_err().code, "bad_request", "{request:?}");
        }
        for unreadable in [
            json!({"add": {"name": "a"}}),
            json!({"add": {"name": "a", "scopes": ["fly"]}}),
            json!({"revoke": {"name": 5}}),
            json!({"pair": {}}),
        ] {
            assert!(serde_json::from_value::<KeyRequest>(unreadable.clone()).is_err(), "{unreadable}");
        }
    }

    /// Catches a script that cannot tell a name that is taken from one that is wrong, or from a broken disk.
    #[test]
    fn each_reason_of_a_refusal_has_a_code_for_scripts() {
        for (error, code) in [
            (KeyError::Name("a b".into()), "bad_request"),
            (KeyError::NoScope, "bad_request"),
            (KeyError::Exists("a".into()), "key_exists"),
            (KeyError::Unknown("a".into()), "key_unknown"),
            (KeyError::TooMany, "too_many_keys"),
        ] {
            assert_eq!(error_code(&error), code);
            assert_eq!(Exit::from(&error), Exit::Failure);
        }
        let answer_to_another = parse(&["list"]).unwrap().print(KeyResponse::Revoked, &mut Vec::new()).unwrap_err();
        assert!(matches!(answer_to_another, KeyCommandError::Command(CommandError::UnexpectedResponse)));
        assert_eq!(Exit::from(&answer_to_another), Exit::Failure);
    }

    #[test]
    fn a_key_without_a_scope_is_not_created() {
        assert!(parse(&["add", "a"]).is_err());
        assert!(parse(&["add", "a", "--scope", "everything"]).is_err());
        assert!(parse(&["add", "a", "--scope", "admin"]).is_ok());
    }
}
