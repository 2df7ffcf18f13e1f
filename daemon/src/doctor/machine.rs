//! How the machine is: disk, clock, and the files that the barn keeps.

use super::Finding;
use crate::settings::Settings;
use herd::clock::{Clock, iso_utc};
use rustix::fs::{Access, access};
use service::door::certificate::{Identity, IdentityFiles};
use service::lifecycle::{free_disk, min_free_bytes};
use service::process::{LOCAL_FILE, TLS_DIRECTORY};
use std::fs::{Metadata, metadata};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Others than the owner.
const OTHERS: u32 = 0o077;

pub(super) fn look(settings: &Settings, clock: &dyn Clock) -> Vec<Finding> {
    vec![
        state_dir(&settings.state_dir),
        disk(&settings.state_dir),
        told_time(clock),
        key_file(&settings.state_dir.join(LOCAL_FILE)),
        certificate(settings, clock),
    ]
}

fn state_dir(path: &Path) -> Finding {
    const WHAT: &str = "state_dir";
    let shown = path.display();
    let found = match there(path) {
        Ok(Some(found)) => found,
        Ok(None) => return Finding::warn(WHAT, format!("{shown} is not there; the first start makes it")),
        Err(finding) => return Finding { what: WHAT.to_owned(), ..finding },
    };
    if !found.is_dir() {
        return Finding::fail(WHAT, format!("{shown} is no directory")).advising("set `state_dir` to another place");
    }
    if access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let advice = "run the program as the user who owns it, or give it to that user (`chown`)";
        return Finding::fail(WHAT, format!("{shown} may not be written by this user")).advising(advice);
    }
    if found.permissions().mode() & OTHERS != 0 {
        return Finding::warn(WHAT, format!("{shown} is open to other users"))
            .advising("`chmod 700` it: it holds keys");
    }
    Finding::ok(WHAT, format!("{shown} belongs to this user alone"))
}

/// What lies there, if something does.
fn there(path: &Path) -> Result<Option<Metadata>, Finding> {
    match metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Finding::fail("", format!("{} cannot be looked at: {error}", path.display()))
            .advising("run the program as the user who owns it")),
    }
}

fn disk(state_dir: &Path) -> Finding {
    const WHAT: &str = "disk";
    // Before the first start, the one that it will be on.
    let place = state_dir.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    let free = match free_disk(place) {
        Ok(free) => free,
        Err(error) => return Finding::fail(WHAT, error.to_string()),
    };
    let needed_bytes = min_free_bytes(free.total_bytes);
    let mib = |bytes: u64| bytes / (1 << 20);
    let said = format!("{} MiB are free, {} MiB must be", mib(free.free_bytes), mib(needed_bytes));
    match free.free_bytes {
        bytes if bytes < needed_bytes => {
            Finding::fail(WHAT, said).advising("make room: nothing is taken in until there is")
        }
        bytes if bytes < 2 * needed_bytes => Finding::warn(WHAT, said).advising("make room before it runs out"),
        _ => Finding::ok(WHAT, said),
    }
}

fn told_time(clock: &dyn Clock) -> Finding {
    let now = clock.read();
    let said = iso_utc(now.received_at_us);
    if now.synchronized {
        return Finding::ok("clock", format!("{said}, set from a time server since the start of the machine"));
    }
    Finding::warn("clock", format!("{said}, and nobody says that it is right"))
        .advising("let systemd-timesyncd set it (`timedatectl`); payloads are kept in order without it")
}

fn key_file(path: &Path) -> Finding {
    const WHAT: &str = "key file";
    let shown = path.display();
    let found = match there(path) {
        Ok(Some(found)) => found,
        Ok(None) => return Finding::warn(WHAT, format!("{shown} is not there; the first key or start makes it")),
        Err(finding) => return Finding { what: WHAT.to_owned(), ..finding },
    };
    if found.permissions().mode() & OTHERS != 0 {
        let others = format!("{shown} is open to other users, and holds what keys are checked by");
        return Finding::fail(WHAT, others).advising("`chmod 600` it");
    }
    if access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
        let advice = "run the program as the user who owns it, or give it to that user (`chown`)";
        return Finding::fail(WHAT, format!("{shown} may not be opened by this user")).advising(advice);
    }
    Finding::ok(WHAT, format!("{shown} belongs to this user alone"))
}

fn certificate(settings: &Settings, clock: &dyn Clock) -> Finding {
    const WHAT: &str = "certificate";
    let made = settings.state_dir.join(TLS_DIRECTORY);
    let own = settings.tls.files();
    let is_made = own.is_none();
    let files =
        own.unwrap_or_else(|| IdentityFiles { certificate: made.join("certificate.pem"), key: made.join("key.pem") });
    let shown = files.certificate.display().to_string();
    if is_made && matches!(there(&files.certificate), Ok(None)) {
        return Finding::warn(WHAT, format!("{shown} is not there; the first start makes it"));
    }
    let identity = match Identity::load(files) {
        Ok(identity) => identity,
        Err(error) => return Finding::fail(WHAT, error.to_string()),
    };
    let ends_us = identity.not_after_s().saturating_mul(1_000_000);
    let said = format!("{shown}, good until {}", iso_utc(ends_us));
    if ends_us < clock.read().received_at_us {
        let advice = "offices pin the key and do not mind; other programs refuse it: put a newer one there";
        return Finding::warn(WHAT, said).advising(advice);
    }
    Finding::ok(WHAT, said)
}
