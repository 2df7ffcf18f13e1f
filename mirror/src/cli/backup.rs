//! Runs `backup`.

use super::CliError;
use super::files::open_local;
use crate::commands::{open_copy, open_only_here};
use crate::control::{OfficeRequest, OfficeResponse};
use crate::settings::Settings;
use crate::sites::SiteFiles;
use herd::clock::{Clock as _, SystemClock};
use service::backup::{BackupArgs, ProgramStore, backup_with};
use service::process::StateDir;
use std::io::Write;

/// Writes a backup of a site's copy, whether or not the mirror runs.
pub(super) fn backup(
    settings: &Settings,
    site: &str,
    only_here: bool,
    args: &BackupArgs,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let now = SystemClock::default().read().wall();
    let mut copy = ProgramStore {
        socket: StateDir::new(&settings.state_dir).socket(),
        request: |part| OfficeRequest::Backup { site: site.to_owned(), only_here, part },
        response: OfficeResponse::Backup,
        backup: |response| match response {
            OfficeResponse::Backup(response) => Some(response),
            _ => None,
        },
        open: || {
            let files = SiteFiles::new(open_local(settings, false)?, &settings.state_dir);
            let reader = if only_here { open_only_here(&files, site)? } else { open_copy(&files, site)?.reader() };
            Ok((reader, site.to_owned()))
        },
    };
    Ok(backup_with(args, &settings.state_dir, now, &mut copy, out)?)
}
