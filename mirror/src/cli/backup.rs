//! Runs `backup`.

use super::CliError;
use super::files::open_local;
use crate::commands::open_copy;
use crate::control::{OfficeRequest, OfficeResponse};
use crate::settings::Settings;
use crate::sites::SiteFiles;
use herd::clock::{Clock as _, SystemClock};
use service::backup::{BackupArgs, BackupRequest, BackupResponse, BackupSource, WriteFromFiles, backup_with};
use service::control::{CommandError, ask, ask_or_open};
use service::process::StateDir;
use std::io::Write;
use std::path::PathBuf;

/// The copy of a site.
struct SiteCopy<'a> {
    settings: &'a Settings,
    site: String,
}

impl SiteCopy<'_> {
    fn socket(&self) -> PathBuf {
        StateDir::new(&self.settings.state_dir).socket()
    }

    fn about(&self, part: BackupRequest) -> OfficeRequest {
        OfficeRequest::Backup { site: self.site.clone(), part }
    }
}

impl BackupSource for SiteCopy<'_> {
    fn start(&mut self, write: &mut WriteFromFiles<'_>) -> Result<BackupResponse, CommandError> {
        let response = ask_or_open(&self.socket(), &self.about(BackupRequest::Start), || {
            let files = SiteFiles::new(open_local(self.settings, false)?, &self.settings.state_dir);
            let store = open_copy(&files, &self.site)?;
            Ok(OfficeResponse::Backup(BackupResponse::Written(write(&store.reader(), &self.site)?)))
        });
        about_backup(response?)
    }

    fn request(&mut self, request: BackupRequest) -> Result<BackupResponse, CommandError> {
        about_backup(ask(&self.socket(), &self.about(request)).map_err(CommandError::Ask)?)
    }
}

fn about_backup(response: OfficeResponse) -> Result<BackupResponse, CommandError> {
    match response {
        OfficeResponse::Backup(response) => Ok(response),
        _ => Err(CommandError::UnexpectedResponse),
    }
}

/// Writes a backup of a site's copy, whether or not the mirror runs.
pub(super) fn backup(
    settings: &Settings,
    site: String,
    args: &BackupArgs,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let now = SystemClock::default().read().wall();
    Ok(backup_with(args, &settings.state_dir, now, &mut SiteCopy { settings, site }, out)?)
}
