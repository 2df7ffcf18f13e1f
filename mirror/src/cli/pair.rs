//! Runs `pair`.

use super::CliError;
use super::files::open_local;
use crate::commands::{direct, source_of};
use crate::control::{OfficeRequest, OfficeResponse};
use crate::settings::Settings;
use crate::sites::SiteFiles;
use herd::clock::SystemClock;
use herd::randomness::SystemRandomness;
use service::control::{CommandError, DirectError, ask_or_open};
use service::door::keys::KeyRing;
use service::door::pair::create_pairing_line;
use service::process::StateDir;
use std::io::Write;
use std::sync::Arc;

/// Prints a pairing line for the copy of a site, whether or not the mirror runs.
pub(super) fn pair(settings: &Settings, site: &str, name: Option<&str>, out: &mut dyn Write) -> Result<(), CliError> {
    let directory = StateDir::new(&settings.state_dir);
    let request = OfficeRequest::Pair { site: site.to_owned(), name: name.map(str::to_owned) };
    let response = ask_or_open(&directory.socket(), &request, || {
        let local = open_local(settings, false)?;
        let keys = KeyRing::load(local.clone(), Arc::new(SystemClock::default()), SystemRandomness);
        let keys = keys.map_err(DirectError::failed)?;
        let found = SiteFiles::new(local, &settings.state_dir).find(site).map_err(direct)?;
        let identity = directory.identity(&settings.tls).map_err(DirectError::failed)?;
        let source = source_of(&found, settings.listen, identity.spki_sha256());
        Ok(OfficeResponse::PairingLine(create_pairing_line(&keys, source, name)?))
    })?;
    let OfficeResponse::PairingLine(line) = response else { return Err(CommandError::UnexpectedResponse.into()) };
    let text = "Give this line to `herdlinx-mirror add` at the other office. It holds a key and is not shown again:";
    Ok(writeln!(out, "{text}\n{line}").and_then(|()| out.flush())?)
}
