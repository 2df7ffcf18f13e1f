//! Responses to commands, from the running mirror or, if none runs, from its files.

use crate::control::{OfficeRequest, OfficeResponse, OfficeStatus, PairedResponse};
use crate::give_back::{GiveBackCursor, GiveBackError, GiveBackProgress, HeldCopies};
use crate::link::Trust;
use crate::people::{People, command as user_command};
use crate::sites::{
    AddOptions, PairingOutcome, PairingReceipt, PreparedError, Removal, Site, SiteCommandError, SiteFiles,
    SiteFilesError, Sites, SitesError,
};
use herd::change::Acceptance;
use herd::clock::{Clock as _, SystemClock};
use herd::pairing::{Pairing, PairingCode, PairingCodeError, PairingError, SITE_PATH};
use herd::store::{Directory, Reader, Store};
use service::backup::{self, BackupRequest};
use service::control::{ControlError, DirectError, Handler, handler};
use service::door::certificate::Identity;
use service::door::key_command;
use service::door::keys::KeyRing;
use service::door::pair::{PairingSource, create_pairing_line};
use service::show::{ShowError, ShowRequest, ShowResponse};
use service::sync::NotServedError;
use service::verify::{VerifyJobs, VerifyState, verify_files};
use std::net::SocketAddr;
use std::sync::Arc;

/// The parts of the running mirror that responses are made of.
#[derive(Debug)]
pub struct Commands {
    /// The sites.
    pub sites: Arc<Sites>,
    /// The API keys.
    pub keys: Arc<KeyRing>,
    /// The users.
    pub people: Arc<People>,
    /// Address of the HTTPS server.
    pub listen: SocketAddr,
    /// Certificate and key of the HTTPS server.
    pub identity: Identity,
    /// Verifications in this process.
    pub verify_jobs: VerifyJobs,
}

impl Commands {
    /// Returns the responder for the control socket and the pages.
    pub fn handler(self: &Arc<Self>) -> Handler<OfficeRequest> {
        let commands = self.clone();
        handler(move |request| {
            let commands = commands.clone();
            async move {
                // The socket drops a command that takes too long. A removal dropped half-way would leave half a site,
                // so each command runs in a task of its own.
                let response = tokio::spawn(async move { commands.respond(request).await });
                response.await.unwrap_or_else(|error| Err(ControlError::failed(error)))
            }
        })
    }

    async fn respond(&self, request: OfficeRequest) -> Result<OfficeResponse, ControlError> {
        match request {
            OfficeRequest::Status => Ok(OfficeResponse::Status(self.status())),
            OfficeRequest::Add { line, name, authority, addresses } => {
                let options = AddOptions { name, authority, addresses };
                Ok(paired(&self.sites.add(parse_line(&line)?, options).await?))
            }
            OfficeRequest::Pair { site, name } => self.pair(&site, name).await,
            OfficeRequest::Prepare { site, code, addresses } => {
                self.sites.prepare(site, parse_code(&code)?, addresses).await?;
                Ok(OfficeResponse::Prepared)
            }
            OfficeRequest::Remove { site } => Ok(match self.sites.remove(site).await? {
                Removal::Prepared => OfficeResponse::Canceled,
                Removal::Site(moved_to) => OfficeResponse::Removed { moved_to },
            }),
            OfficeRequest::Resync { site } => {
                Ok(OfficeResponse::CopyStarted { copy: self.sites.resync(site).await?.to_string() })
            }
            OfficeRequest::CancelResync { site } => {
                Ok(OfficeResponse::CopyCanceled { copy: self.sites.cancel_resync(site).await?.to_string() })
            }
            OfficeRequest::Verify { site, start } => self.verify(&site, start).map(OfficeResponse::Verify),
            OfficeRequest::Backup { site, part, only_here } => self.backup(site, part, only_here).await,
            OfficeRequest::GiveBack { site, author, reason, cursor } => {
                self.give_back(&site, &author, &reason, cursor).await.map(OfficeResponse::GivenBack)
            }
            OfficeRequest::Show { site, request } => self.show(site, request).await,
            OfficeRequest::Key(request) => {
                let keys = self.keys.clone();
                let response = tokio::task::spawn_blocking(move || key_command::respond(&keys, &request));
                response.await.map_err(ControlError::failed)?.map(OfficeResponse::Key)
            }
            OfficeRequest::User(request) => {
                let people = self.people.clone();
                let response = tokio::task::spawn_blocking(move || user_command::respond(&people, &request));
                Ok(OfficeResponse::User(response.await.map_err(ControlError::failed)??))
            }
        }
    }

    async fn show(&self, site: Option<String>, request: ShowRequest) -> Result<OfficeResponse, ControlError> {
        let site = site_or_only(site, &self.sites.names())?;
        let reader = self.reader(&site)?;
        let response = tokio::task::spawn_blocking(move || request.render(&reader));
        let response = response.await.map_err(ControlError::failed)?.map_err(|error| not_shown(&error))?;
        let trouble = self.sites.summary(&site).and_then(|summary| summary.barn_trouble);
        let note = trouble.map(|trouble| format!("`{site}`: {trouble}"));
        Ok(OfficeResponse::Shown(ShowResponse { note, ..response }))
    }

    async fn pair(&self, site: &str, name: Option<String>) -> Result<OfficeResponse, ControlError> {
        let source = source_of(&self.sites.find(site).await?, self.listen, self.identity.spki_sha256());
        let keys = self.keys.clone();
        let line = tokio::task::spawn_blocking(move || create_pairing_line(&keys, source, name.as_deref()));
        Ok(OfficeResponse::PairingLine(line.await.map_err(ControlError::failed)??))
    }

    async fn backup(&self, site: String, part: BackupRequest, only_here: bool) -> Result<OfficeResponse, ControlError> {
        let held = if only_here { Some(self.sites.held_copies(&site).await?) } else { None };
        let shown = if only_here { None } else { Some(self.reader(&site)?) };
        let respond = move || {
            let reader = match (held, shown) {
                (Some(held), _) => held.open_only_here().map_err(|error| not_given_back(&error))?,
                (None, shown) => shown.ok_or_else(|| no_copy(&site))?,
            };
            backup::respond(&reader, &site, SystemClock::default().read().wall(), &part)
        };
        let response = tokio::task::spawn_blocking(respond).await.map_err(ControlError::failed)?;
        response.map(OfficeResponse::Backup)
    }

    /// Gives back one page of what only this office holds.
    async fn give_back(
        &self,
        site: &str,
        author: &str,
        reason: &str,
        cursor: Option<GiveBackCursor>,
    ) -> Result<GiveBackProgress, ControlError> {
        let acceptance = Acceptance::checked(author, reason);
        let acceptance = acceptance.map_err(|error| ControlError::new("bad_order", error.to_string()))?;
        let held = self.sites.held_copies(site).await?;
        let first = || held.begin().map_err(|error| not_given_back(&error.into()));
        let Some(cursor) = cursor.map_or_else(first, |cursor| Ok(Some(cursor)))? else {
            return Ok(GiveBackProgress::default());
        };
        let link = self.sites.link(site).await?;
        let done = held.step(&link, cursor, &acceptance).await.map_err(|error| not_given_back(&error))?;
        self.sites.note_given_back(site, &done);
        Ok(done)
    }

    fn status(&self) -> OfficeStatus {
        let sites = self.sites.names().iter().filter_map(|name| self.sites.summary(name)).collect();
        OfficeStatus { pid: std::process::id(), listen: self.listen, sites, prepared: self.sites.prepared() }
    }

    /// Returns the served copy of a site.
    fn reader(&self, site: &str) -> Result<Reader, ControlError> {
        self.sites.reader(site).map_err(|reason| match reason {
            NotServedError::NoCopy => no_copy(site),
            NotServedError::Opening(progress) => {
                ControlError::new("copy_opening", format!("`{site}` is not shown yet: {progress}"))
            }
            NotServedError::Unreadable => ControlError::new("not_readable", format!("`{site}`: {reason}")),
        })
    }

    fn verify(&self, site: &str, start: bool) -> Result<VerifyState, ControlError> {
        let reader = self.reader(site)?;
        if start {
            self.verify_jobs
                .start(site, reader)
                .map_err(|error| ControlError::failed(format!("cannot start the verification's thread: {error}")))?;
        }
        let not_started = || {
            let message = format!("no verification of `{site}` was started; was the mirror restarted?");
            ControlError::new("not_started", message)
        };
        self.verify_jobs.state(site).ok_or_else(not_started)
    }
}

/// Responds from the files, while no process has them open.
pub fn respond_from_files(
    files: &SiteFiles,
    now_us: i64,
    request: OfficeRequest,
    progress: &mut dyn FnMut(String),
) -> Result<OfficeResponse, DirectError> {
    Ok(match request {
        OfficeRequest::Status | OfficeRequest::GiveBack { .. } => {
            let message = "no mirror runs here: start it with `herdlinx-mirror run`";
            return Err(ControlError::new("not_running", message).into());
        }
        OfficeRequest::Add { line, name, authority, addresses } => {
            let options = AddOptions { name, authority, addresses };
            paired(&files.add(&parse_line(&line)?, &options, now_us).map_err(direct)?)
        }
        OfficeRequest::Prepare { site, code, addresses } => {
            files.prepare(site, &parse_code(&code)?, addresses, now_us).map_err(direct)?;
            OfficeResponse::Prepared
        }
        OfficeRequest::Remove { site } if files.forget_prepared(&site).map_err(direct)? => OfficeResponse::Canceled,
        OfficeRequest::Remove { site } => {
            OfficeResponse::Removed { moved_to: files.remove(&site, now_us).map_err(direct)? }
        }
        OfficeRequest::Resync { site } => {
            OfficeResponse::CopyStarted { copy: files.begin_copy(&site).map_err(direct)?.to_string() }
        }
        OfficeRequest::CancelResync { site } => {
            OfficeResponse::CopyCanceled { copy: files.cancel_copy(&site).map_err(direct)?.to_string() }
        }
        OfficeRequest::Verify { site, .. } => {
            let site = files.find(&site).map_err(direct)?;
            let report = verify_files(&complete_copy(files, &site)?, progress);
            OfficeResponse::Verify(VerifyState::Finished(report.map_err(DirectError::failed)?))
        }
        OfficeRequest::Show { site, request } => show_from_files(files, site, &request)?,
        OfficeRequest::Backup { .. } => {
            return Err(ControlError::failed("a backup from the files is written by its command").into());
        }
        OfficeRequest::Key(_) | OfficeRequest::User(_) | OfficeRequest::Pair { .. } => {
            return Err(ControlError::failed("commands about keys and users do not use the files of the sites").into());
        }
    })
}

/// Returns what an office that follows the copy of a site must know of it, besides a key.
pub fn source_of(site: &Site, listen: SocketAddr, spki_sha256: [u8; 32]) -> PairingSource {
    let (name, store) = (site.name.to_string(), site.store);
    PairingSource { path: format!("{SITE_PATH}{name}"), site: name, listen, spki_sha256, store }
}

/// Returns the directory of a site's complete copy.
fn complete_copy(files: &SiteFiles, site: &Site) -> Result<Directory, DirectError> {
    let copies = files.copies(&site.name).map_err(direct)?;
    let current = copies.current().map_err(DirectError::failed)?;
    let current = current.ok_or_else(|| no_copy(site.name.as_str()))?;
    Directory::new(copies.path(current)).map_err(DirectError::failed)
}

/// Opens the complete copy of a site, while no process has it open.
pub fn open_copy(files: &SiteFiles, site: &str) -> Result<Store, DirectError> {
    let site = files.find(site).map_err(direct)?;
    Store::open_replica(&complete_copy(files, &site)?, site.store).map_err(DirectError::failed)
}

/// Opens the kept copy of a site that holds what nobody else does, while no process has it open.
pub fn open_only_here(files: &SiteFiles, site: &str) -> Result<Reader, DirectError> {
    let shown = open_copy(files, site)?;
    let copies = files.copies(&files.find(site).map_err(direct)?.name).map_err(direct)?;
    let held = HeldCopies { copies, shown: Some(shown.reader()) };
    Ok(held.open_only_here().map_err(|error| not_given_back(&error))?)
}

fn show_from_files(
    files: &SiteFiles,
    site: Option<String>,
    request: &ShowRequest,
) -> Result<OfficeResponse, DirectError> {
    let names: Vec<_> = files.list().map_err(direct)?.into_iter().map(|site| site.name.to_string()).collect();
    let store = open_copy(files, &site_or_only(site, &names)?)?;
    let response = request.render(&store.reader()).map_err(|error| not_shown(&error))?;
    Ok(OfficeResponse::Shown(response))
}

/// Returns the named site, or the only one.
fn site_or_only(site: Option<String>, names: &[String]) -> Result<String, ControlError> {
    match (site, names) {
        (Some(site), _) => Ok(site),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(ControlError::new("no_site", "no barn is paired yet: run `herdlinx-mirror add '<line>'`")),
        (None, several) => {
            let message = format!("choose the site with --site, one of {}", several.join(", "));
            Err(ControlError::new("which_site", message))
        }
    }
}

fn no_copy(site: &str) -> ControlError {
    ControlError::new("no_copy", format!("there is no complete copy of `{site}` yet"))
}

fn not_given_back(error: &GiveBackError) -> ControlError {
    ControlError::new("not_given_back", error.to_string())
}

fn not_shown(error: &ShowError) -> ControlError {
    ControlError::new("not_shown", error.to_string())
}

fn parse_line(line: &str) -> Result<Pairing, ControlError> {
    line.parse().map_err(|error: PairingError| ControlError::new("bad_line", error.to_string()))
}

fn parse_code(code: &str) -> Result<PairingCode, ControlError> {
    code.parse().map_err(|error: PairingCodeError| ControlError::new("bad_code", error.to_string()))
}

fn paired(receipt: &PairingReceipt) -> OfficeResponse {
    let (is_new, changed) = match &receipt.outcome {
        PairingOutcome::New => (true, Vec::new()),
        PairingOutcome::Known { changed } => (false, changed.iter().map(ToString::to_string).collect()),
    };
    let trust = match &receipt.site.trust {
        Trust::Pin(spki_sha256) => format!("the public key {}", hex::encode(spki_sha256)),
        Trust::Authority(path) => format!("the authority in {}", path.display()),
    };
    OfficeResponse::Paired(PairedResponse {
        site: receipt.site.name.clone(),
        is_new,
        changed,
        addresses: receipt.site.addresses.clone(),
        trust,
        unusable: receipt.unusable.iter().map(ToString::to_string).collect(),
    })
}

fn refusal(error: &SiteFilesError) -> ControlError {
    let code = match error {
        SiteFilesError::Sites(SitesError::Unknown { .. }) => "unknown_site",
        SiteFilesError::Copies(error) if error.is_refusal() => "refused",
        SiteFilesError::Sites(SitesError::Local(_))
        | SiteFilesError::Prepared(PreparedError::Local(_))
        | SiteFilesError::Copies(_) => "failed",
        SiteFilesError::Sites(_) | SiteFilesError::Prepared(_) => "refused",
    };
    ControlError::new(code, error.to_string())
}

impl From<SiteCommandError> for ControlError {
    fn from(error: SiteCommandError) -> Self {
        match &error {
            SiteCommandError::Files(files) => refusal(files),
            _ => Self::failed(error),
        }
    }
}

/// Converts an error, and keeps errors of the files apart from refusals: they have exit codes of their own.
pub fn direct(error: SiteFilesError) -> DirectError {
    match error {
        SiteFilesError::Sites(SitesError::Local(local)) | SiteFilesError::Prepared(PreparedError::Local(local)) => {
            local.into()
        }
        SiteFilesError::Copies(copies) if !copies.is_refusal() => DirectError::failed(copies),
        other => refusal(&other).into(),
    }
}

#[cfg(test)]
mod tests;
