//! The files of an office that does not run, for commands.

use crate::settings::Settings;
use crate::sites::HISTORY;
use herd::store::LocalFile;
use service::control::{ControlError, DirectError};
use service::process::StateDir;

/// Opens `local.redb`. Pairing, preparing a card and adding a key are possible before the first start, so they create it if
/// necessary; other commands do not.
pub(super) fn open_local(settings: &Settings, creates: bool) -> Result<LocalFile, DirectError> {
    let directory = StateDir::new(&settings.state_dir);
    if creates {
        directory.create().map_err(DirectError::failed)?;
    } else if !directory.local_file().exists() {
        let place = settings.state_dir.display();
        let message = format!("there is no office in {place}: check `state_dir`, or pair a barn with `add`");
        return Err(ControlError::new("no_office", message).into());
    }
    Ok(directory.open_local(&HISTORY)?)
}
