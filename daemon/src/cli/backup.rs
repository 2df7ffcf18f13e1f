//! Runs the commands about backups.

use super::CliError;
use super::exec::open_existing;
use crate::control::{BarnRequest, BarnResponse};
use crate::settings::Settings;
use herd::clock::{Clock as _, SystemClock};
use service::backup::{BackupArgs, BackupRequest, BackupResponse, BackupSource, WriteFromFiles, backup_with};
use service::control::{CommandError, ask, ask_or_open};
use service::process::StateDir;
use std::io::Write;

/// The store of a barn.
struct BarnStore<'a>(&'a Settings);

impl BackupSource for BarnStore<'_> {
    fn start(&mut self, write: &mut WriteFromFiles<'_>) -> Result<BackupResponse, CommandError> {
        let Self(settings) = self;
        let (socket, request) =
            (StateDir::new(&settings.state_dir).socket(), BarnRequest::Backup(BackupRequest::Start));
        let response = ask_or_open(&socket, &request, || {
            let store = open_existing(settings)?;
            Ok(BarnResponse::Backup(BackupResponse::Written(write(&store.reader(), &settings.site)?)))
        });
        about_backup(response?)
    }

    fn request(&mut self, request: BackupRequest) -> Result<BackupResponse, CommandError> {
        let socket = StateDir::new(&self.0.state_dir).socket();
        about_backup(ask(&socket, &BarnRequest::Backup(request)).map_err(CommandError::Ask)?)
    }
}

fn about_backup(response: BarnResponse) -> Result<BackupResponse, CommandError> {
    match response {
        BarnResponse::Backup(response) => Ok(response),
        _ => Err(CommandError::UnexpectedResponse),
    }
}

/// Writes a backup of the store, whether or not the daemon runs.
pub(super) fn backup(settings: &Settings, args: &BackupArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let now = SystemClock::default().read().wall();
    Ok(backup_with(args, &settings.state_dir, now, &mut BarnStore(settings), out)?)
}
