//! Commands about keys: the same words and answers through the running process and on its files.

use super::keys::{KeyError, KeyRing, KeyRow, Scope};
use crate::control::{Answer, Answerer, CommandError, ControlError, DirectError, or_direct};
use clap::Subcommand;
use herd::clock::iso_utc;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Makes, takes away and lists the keys that programs present.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum KeyCommand {
    /// Make a key; its secret is printed once, alone on the last line
    Add {
        /// A name for it: letters, digits, `.`, `_`, `-`. The name of a key that delivers payloads is their channel
        name: String,
        /// What it is good for; give it more than once for more. No scope includes another
        #[arg(long = "scope", required = true, value_enum)]
        scopes: Vec<Scope>,
    },
    /// Take a key away; it opens nothing from then on
    Revoke {
        /// Its name
        name: String,
    },
    /// List the keys, without their secrets
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Why a command about keys failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyCommandError {
    /// Neither the process nor the files gave an answer.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The answer lacks what it should hold.
    #[error("the answer lacks `{0}`; is the process of another version?")]
    Incomplete(&'static str),
    /// The result could not be printed. If it was a secret, it is lost: revoke the key and make it anew.
    #[error("printing the result: {0}; if this was a new key, revoke it and make it again")]
    Print(#[from] std::io::Error),
}

impl KeyCommand {
    /// Carries it out: through the process that answers at `socket`, or on the keys that `open` finds in the files.
    /// Prints to `out`; the secret of a new key is the last line, alone. Blocks.
    pub fn run(
        &self,
        socket: &Path,
        mut open: impl FnMut() -> Result<KeyRing, DirectError>,
        out: &mut dyn Write,
    ) -> Result<(), KeyCommandError> {
        let request = self.request();
        let answer = or_direct(socket, &request, || {
            let keys = open()?;
            let answer = answer_key_command(&keys, &request);
            Ok(answer.unwrap_or_else(|| Err(ControlError::unknown_command(&request)))?)
        })?;
        self.print(&answer, out)
    }

    fn request(&self) -> Value {
        match self {
            Self::Add { name, scopes } => json!({"command": "key_add", "name": name, "scopes": scopes}),
            Self::Revoke { name } => json!({"command": "key_revoke", "name": name}),
            Self::List { .. } => json!({"command": "key_list"}),
        }
    }

    fn print(&self, answer: &Answer, out: &mut dyn Write) -> Result<(), KeyCommandError> {
        match self {
            Self::Add { name, .. } => {
                let secret = answer.get("secret").and_then(Value::as_str);
                let secret = secret.ok_or(KeyCommandError::Incomplete("secret"))?;
                writeln!(out, "The key `{name}` is good from now on. This is its secret; it is not shown again:")?;
                writeln!(out, "{secret}")?;
            }
            Self::Revoke { name } => writeln!(out, "The key `{name}` opens nothing any more.")?,
            Self::List { json } => {
                let keys = answer.get("keys").and_then(Value::as_array).ok_or(KeyCommandError::Incomplete("keys"))?;
                if *json { writeln!(out, "{}", json!(keys))? } else { print_table(keys, out)? }
            }
        }
        Ok(out.flush()?)
    }
}

fn print_table(keys: &[Value], out: &mut dyn Write) -> std::io::Result<()> {
    if keys.is_empty() {
        return writeln!(out, "There are no keys.");
    }
    let text = |key: &Value, field: &str| key[field].as_str().unwrap_or_default().to_owned();
    let width = keys.iter().map(|key| text(key, "name").len()).max().unwrap_or_default();
    for key in keys {
        let scopes = key["scopes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let scopes = scopes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
        writeln!(out, "{:width$}  {}  {scopes}", text(key, "name"), text(key, "made_at"))?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(tag = "command")]
enum KeyRequest {
    #[serde(rename = "key_add")]
    Add { name: String, scopes: BTreeSet<Scope> },
    #[serde(rename = "key_revoke")]
    Revoke { name: String },
    #[serde(rename = "key_list")]
    List {},
}

fn is_key_command(request: &Value) -> bool {
    let command = request.get("command").and_then(Value::as_str);
    command.is_some_and(|command| ["key_add", "key_revoke", "key_list"].contains(&command))
}

/// Answers requests about keys on a blocking thread, and leaves all others to `others`.
pub fn with_key_commands(keys: Arc<KeyRing>, others: Answerer) -> Answerer {
    Arc::new(move |request| {
        if !is_key_command(&request) {
            return others(request);
        }
        let keys = Arc::clone(&keys);
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || {
                answer_key_command(&keys, &request).unwrap_or_else(|| Err(ControlError::unknown_command(&request)))
            });
            found
                .await
                .unwrap_or_else(|error| Err(ControlError::new("failed", format!("the command was cut: {error}"))))
        })
    })
}

/// Answers a request of the control socket if it is about keys; `None` if it is about something else. A change syncs
/// the disk: from asynchronous code, call it on a blocking thread.
pub fn answer_key_command(keys: &KeyRing, request: &Value) -> Option<Result<Answer, ControlError>> {
    if !is_key_command(request) {
        return None;
    }
    let request = match KeyRequest::deserialize(request) {
        Ok(request) => request,
        Err(error) => return Some(Err(ControlError::new("bad_request", error.to_string()))),
    };
    Some(answer(keys, request).map_err(|error| ControlError::new(error_code(&error), error.to_string())))
}

fn answer(keys: &KeyRing, request: KeyRequest) -> Result<Answer, KeyError> {
    let (field, value) = match request {
        KeyRequest::Add { name, scopes } => ("secret", keys.add(&name, scopes)?.reveal().into()),
        KeyRequest::Revoke { name } => {
            keys.revoke(&name)?;
            ("revoked", name.into())
        }
        KeyRequest::List {} => ("keys", keys.list().iter().map(shown).collect()),
    };
    Ok(Answer::from_iter([(field.to_owned(), value)]))
}

/// A key as people see it: even its hash stays where it is.
fn shown(row: &KeyRow) -> Value {
    json!({"name": row.name, "scopes": row.scopes, "made_at": iso_utc(row.made_at_us)})
}

fn error_code(error: &KeyError) -> &'static str {
    match error {
        KeyError::Name(_) | KeyError::NoScope => "bad_request",
        KeyError::Exists(_) => "key_exists",
        KeyError::Unknown(_) => "key_unknown",
        KeyError::TooMany => "too_many_keys",
        KeyError::Local(_) | KeyError::Randomness(_) => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{SOCKET_NAME, answerer, listen};
    use clap::Parser;
    use herd::clock::SystemClock;
    use herd::randomness::SeededRandomness;
    use herd::store::LocalFile;
    use tokio::task::spawn_blocking;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        key: KeyCommand,
    }

    fn parsed(line: &[&str]) -> Result<KeyCommand, clap::Error> {
        Line::try_parse_from([&["key"], line].concat()).map(|line| line.key)
    }

    fn open(dir: &Path) -> Result<KeyRing, DirectError> {
        let file = LocalFile::open(dir.join("local.redb"))?;
        KeyRing::load(file, Arc::new(SystemClock::default()), SeededRandomness::new(1)).map_err(DirectError::failed)
    }

    fn run(line: &[&str], dir: &Path) -> Result<String, KeyCommandError> {
        let mut out = Vec::new();
        parsed(line).unwrap().run(&dir.join(SOCKET_NAME), || open(dir), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
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

        run(&["revoke", "office"], dir.path()).unwrap();
        assert_eq!(run(&["list"], dir.path()).unwrap(), "There are no keys.\n");
        let again = run(&["revoke", "office"], dir.path()).unwrap_err();
        assert!(again.to_string().contains("no key named `office`"), "{again}");
    }

    #[tokio::test]
    async fn with_a_process_they_work_on_it_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Arc::new(open(dir.path()).ok().unwrap());
        let others = answerer(async |request| Err(ControlError::unknown_command(&request)));
        let answer = with_key_commands(Arc::clone(&keys), others);
        let trigger = crate::lifecycle::ShutdownTrigger::default();
        let stopping = trigger.signal();
        tokio::spawn(listen(&dir.path().join(SOCKET_NAME), answer, stopping).unwrap());
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
        let open_and_let_go = || {
            tries += 1;
            let opened = open(dir.path());
            held = None;
            opened
        };
        let add = parsed(&["add", "a", "--scope", "read"]).unwrap();
        add.run(&dir.path().join(SOCKET_NAME), open_and_let_go, &mut Vec::new()).unwrap();
        assert_eq!((tries, open(dir.path()).ok().unwrap().list().len()), (2, 1));
    }

    #[test]
    fn requests_about_other_things_are_left_to_others_and_wrong_ones_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = open(dir.path()).ok().unwrap();
        assert_eq!(answer_key_command(&keys, &json!({"command": "pair"})), None);
        assert_eq!(answer_key_command(&keys, &json!([])), None);
        for request in [
            json!({"command": "key_add", "name": "a"}),
            json!({"command": "key_add", "name": "a", "scopes": ["fly"]}),
            json!({"command": "key_add", "name": "a", "scopes": []}),
            json!({"command": "key_revoke", "name": 5}),
        ] {
            let refused = answer_key_command(&keys, &request).unwrap().unwrap_err();
            assert_eq!(refused.error, "bad_request", "{request}");
        }
    }

    #[test]
    fn a_key_is_not_made_without_saying_what_it_is_good_for() {
        assert!(parsed(&["add", "a"]).is_err());
        assert!(parsed(&["add", "a", "--scope", "everything"]).is_err());
        assert!(parsed(&["add", "a", "--scope", "admin"]).is_ok());
    }
}
