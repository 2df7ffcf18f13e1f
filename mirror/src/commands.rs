//! What operators ask of the office: the same requests and answers through the running process and on its files.

use crate::link::{Address, Trust};
use crate::sites::{
    AddOptions, Added, CommandFailed, Outcome, Site, SiteFiles, SiteFilesError, SiteName, Sites, SitesError,
};
use crate::verifying::{Standing, Verifications, scratch_place, told, with_scratch};
use herd::pairing::Pairing;
use herd::store::{Directory, Phase, Progress, Store, verify_disk};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::control::{Answer, ControlError, DirectError};
use service::show::{ShowError, ShowRequest, show};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A request, as it crosses the control socket.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Where the process listens, and how its sites are.
    Status {},
    /// Pair with a barn.
    Add {
        /// The line that the barn printed. It holds a key.
        line: String,
        /// A name of the operator's choice.
        name: Option<SiteName>,
        /// Certificates to trust in instead of the pinned key; an absolute path.
        authority: Option<PathBuf>,
        /// Where to find the barn instead of where the line says.
        addresses: Vec<Address>,
    },
    /// Forget a site.
    Remove {
        /// Its name.
        site: String,
    },
    /// Copy a site anew.
    Resync {
        /// Its name.
        site: String,
    },
    /// Verify a site's copy, or ask how that stands.
    Verify {
        /// Its name.
        site: String,
        /// Begin anew, unless one is under way; else only ask.
        begin: bool,
    },
    /// Show what a site's copy holds.
    Show {
        /// Its name; none while one site is paired.
        site: Option<String>,
        /// What to show of it.
        asked: ShowRequest,
    },
}

/// What the answers of a running process are made of.
#[derive(Debug)]
pub struct RunningOffice {
    /// The sites.
    pub sites: Arc<Sites>,
    /// Where HTTPS is served.
    pub listen: SocketAddr,
    /// The verifications under way.
    pub verifications: Verifications,
}

/// Answers a request in the running process.
pub async fn answer(office: Arc<RunningOffice>, request: Value) -> Result<Answer, ControlError> {
    let request = read(&request)?;
    // Dropped half-way (the socket waits 5 s), a removal would leave a site half removed: it goes on by itself.
    tokio::spawn(async move { office.answer(request).await }).await.unwrap_or_else(|cut| Err(failed(&cut)))
}

fn read(request: &Value) -> Result<Request, ControlError> {
    const KNOWN: [&str; 6] = ["status", "add", "remove", "resync", "verify", "show"];
    let command = request.get("command").and_then(Value::as_str);
    if command.is_none_or(|command| !KNOWN.contains(&command)) {
        return Err(ControlError::unknown_command(request));
    }
    // The message of a refused request may quote its values, and a line holds a key.
    Request::deserialize(request).map_err(|_| {
        ControlError::new(
            "bad_request",
            "the request has keys or values that this process does not know; is it of the same version?",
        )
    })
}

impl RunningOffice {
    async fn answer(&self, request: Request) -> Result<Answer, ControlError> {
        match request {
            Request::Status {} => Ok(self.status()),
            Request::Add { line, name, authority, addresses } => {
                let added = self.sites.add(read_line(&line)?, AddOptions { name, authority, addresses }).await;
                Ok(told_added(&added?))
            }
            Request::Remove { site } => Ok(told_removed(&site, self.sites.remove(site.clone()).await?.as_deref())),
            Request::Resync { site } => Ok(told_resync(&self.sites.resync(site).await?.to_string())),
            Request::Verify { site, begin } => self.verify(&site, begin),
            Request::Show { site, asked } => self.show(site, asked).await,
        }
    }

    async fn show(&self, site: Option<String>, asked: ShowRequest) -> Result<Answer, ControlError> {
        let site = one_of(site, &self.sites.names())?;
        let reader = self.sites.reader(&site).ok_or_else(|| no_copy(&site))?;
        tokio::task::spawn_blocking(move || show(&reader, &asked))
            .await
            .map_err(|cut| failed(&cut))?
            .map_err(|error| not_shown(&error))
    }

    fn status(&self) -> Answer {
        let sites: Vec<Value> = self.sites.names().iter().filter_map(|name| self.sites.summary(name)).collect();
        map(json!({"pid": std::process::id(), "listen": self.listen, "sites": sites}))
    }

    fn verify(&self, site: &str, begin: bool) -> Result<Answer, ControlError> {
        let reader = self.sites.reader(site);
        let reader =
            reader.ok_or_else(|| ControlError::new("no_copy", format!("there is no whole copy of `{site}`")))?;
        if begin {
            self.verifications.begin(site, reader);
        }
        let never = || ControlError::new("not_begun", format!("no verification of `{site}` was begun"));
        Ok(match self.verifications.standing(site).ok_or_else(never)? {
            Standing::Ended(told) => map(told),
            Standing::UnderWay(progress) => map(told_progress(progress)),
        })
    }
}

/// Answers a request on the files, while no process has them.
pub fn answer_directly(
    files: &SiteFiles,
    state_dir: &Path,
    now_us: i64,
    request: &Request,
    progress: &mut dyn FnMut(Progress),
) -> Result<Answer, DirectError> {
    Ok(match request.clone() {
        Request::Status {} => {
            let message = "no process runs here: start it with `herdlinx-mirror run`";
            return Err(ControlError::new("not_running", message).into());
        }
        Request::Add { line, name, authority, addresses } => {
            let options = AddOptions { name, authority, addresses };
            told_added(&files.add(&read_line(&line)?, &options, now_us).map_err(direct)?)
        }
        Request::Remove { site } => told_removed(&site, files.remove(&site, now_us).map_err(direct)?.as_deref()),
        Request::Resync { site } => told_resync(&files.begin_copy(&site).map_err(direct)?.to_string()),
        Request::Verify { site, .. } => verify_directly(files, state_dir, &site, progress)?,
        Request::Show { site, asked } => show_directly(files, site, &asked)?,
    })
}

/// The directory of a site's whole copy.
fn whole_copy(files: &SiteFiles, site: &Site) -> Result<Directory, DirectError> {
    let copies = files.copies(&site.name).map_err(direct)?;
    let current = copies.current().map_err(DirectError::failed)?;
    let current = current.ok_or_else(|| no_copy(site.name.as_str()))?;
    Directory::new(copies.path(current)).map_err(DirectError::failed)
}

fn show_directly(files: &SiteFiles, site: Option<String>, asked: &ShowRequest) -> Result<Answer, DirectError> {
    let names: Vec<_> = files.list().map_err(direct)?.into_iter().map(|site| site.name.to_string()).collect();
    let site = files.find(&one_of(site, &names)?).map_err(direct)?;
    let store = Store::open_replica(&whole_copy(files, &site)?, site.store).map_err(DirectError::failed)?;
    Ok(show(&store.reader(), asked).map_err(|error| not_shown(&error))?)
}

/// The named site, or the only one.
fn one_of(site: Option<String>, names: &[String]) -> Result<String, ControlError> {
    match (site, names) {
        (Some(site), _) => Ok(site),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(ControlError::new("no_site", "no barn is paired yet: `herdlinx-mirror add '<line>'`")),
        (None, several) => {
            let message = format!("name the site with --site, one of {}", several.join(", "));
            Err(ControlError::new("which_site", message))
        }
    }
}

fn no_copy(site: &str) -> ControlError {
    ControlError::new("no_copy", format!("there is no whole copy of `{site}` yet"))
}

fn not_shown(error: &ShowError) -> ControlError {
    ControlError::new("not_shown", error.to_string())
}

fn verify_directly(
    files: &SiteFiles,
    state_dir: &Path,
    site: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Answer, DirectError> {
    let site = files.find(site).map_err(direct)?;
    let disk = whole_copy(files, &site)?;
    let scratch = scratch_place(state_dir, site.name.as_str());
    Ok(map(told(&with_scratch(&scratch, |scratch| verify_disk(&disk, scratch, progress)))))
}

fn read_line(line: &str) -> Result<Pairing, ControlError> {
    line.parse().map_err(|error: herd::pairing::PairingError| ControlError::new("bad_line", error.to_string()))
}

/// The answer with these keys.
fn map(value: Value) -> Answer {
    match value {
        Value::Object(map) => map,
        other => Answer::from_iter([("value".to_owned(), other)]),
    }
}

fn told_added(added: &Added) -> Answer {
    let (outcome, changed) = match &added.outcome {
        Outcome::New => ("new", Vec::new()),
        Outcome::Known { changed } => ("known", changed.clone()),
    };
    let trust = match &added.site.trust {
        Trust::Pin(spki_sha256) => format!("the public key {}", hex::encode(spki_sha256)),
        Trust::Authority(path) => format!("the authority in {}", path.display()),
    };
    map(json!({
        "site": added.site.name,
        "outcome": outcome,
        "changed": changed,
        "addresses": added.site.addresses,
        "trust": trust,
        "unusable": added.unusable.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

fn told_removed(site: &str, moved_to: Option<&Path>) -> Answer {
    map(json!({"site": site, "moved_to": moved_to}))
}

fn told_resync(copy: &str) -> Answer {
    map(json!({"copy": copy}))
}

/// How far a verification is.
pub fn told_progress(progress: Progress) -> Value {
    let phase = match progress.phase {
        Phase::Chain => "checking the chain of the log",
        Phase::Fold => "folding the tables again",
        Phase::Rows => "comparing the tables",
    };
    json!({"done": false, "phase": phase, "finished": progress.done, "of": progress.of})
}

fn failed(error: &dyn std::error::Error) -> ControlError {
    ControlError::new("failed", error.to_string())
}

fn refusal(error: &SiteFilesError) -> ControlError {
    let code = match error {
        SiteFilesError::Sites(SitesError::Unknown { .. }) => "unknown_site",
        SiteFilesError::Sites(SitesError::Local(_)) | SiteFilesError::Copies(_) => "failed",
        SiteFilesError::Sites(_) => "refused",
    };
    ControlError::new(code, error.to_string())
}

impl From<CommandFailed> for ControlError {
    fn from(error: CommandFailed) -> Self {
        match &error {
            CommandFailed::Files(files) => refusal(files),
            CommandFailed::Stopping(_) | CommandFailed::Cut(_) => failed(&error),
        }
    }
}

/// What failed in the files themselves stays that error, so that its exit code can tell damage from refusal.
fn direct(error: SiteFilesError) -> DirectError {
    match error {
        SiteFilesError::Sites(SitesError::Local(local)) => local.into(),
        SiteFilesError::Copies(copies) => DirectError::failed(copies),
        other @ SiteFilesError::Sites(_) => refusal(&other).into(),
    }
}
