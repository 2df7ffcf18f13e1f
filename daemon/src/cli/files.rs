//! The files of a barn that does not run, for commands.

use crate::open::open_store;
use crate::settings::Settings;
use herd::clock::SystemClock;
use herd::store::{LOG_FILE, Store, StoreError};
use service::control::DirectError;

/// Opens the store if it exists: a question must not create one.
///
/// The certificate is left alone. If it is a credential of the service, it exists only while the service runs.
pub(super) fn open_existing(settings: &Settings) -> Result<Store, DirectError> {
    if !settings.state_dir.join(LOG_FILE).exists() {
        return Err(DirectError::failed(StoreError::Missing { place: settings.state_dir.clone() }));
    }
    open_store(settings, &SystemClock::default()).map_err(DirectError::failed)
}
