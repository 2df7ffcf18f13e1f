//! Checks of the machine: disk, clock, and the files of the barn.

use super::Finding;
use crate::settings::Settings;
use herd::clock::{Clock, iso_utc};
use rustix::fs::{Access, access};
use service::door::certificate::{Identity, IdentityFiles};
use service::lifecycle::{free_disk, min_free_bytes};
use service::process::{LOCAL_FILE, TLS_DIRECTORY};
use std::fs::{Metadata, metadata, read_to_string};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Controllers of the kernel's control groups, if it has the second version of them.
const CONTROLLERS: &str = "/sys/fs/cgroup/cgroup.controllers";
/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

pub(super) fn check(settings: &Settings, clock: &dyn Clock) -> Vec<Finding> {
    let mut findings = vec![
        state_dir(&settings.state_dir),
        disk(&settings.state_dir),
        clock_finding(clock),
        key_file(&settings.state_dir.join(LOCAL_FILE)),
        certificate(settings, clock),
    ];
    // Other machines have no second version of control groups, or none at all. The unit then sets no limits either way.
    if let Ok(controllers) = read_to_string(CONTROLLERS) {
        findings.push(memory_limit(&controllers));
    }
    findings
}

/// Reports whether the unit's `MemoryMax=` has an effect. Raspberry Pi OS switches the controller off by default.
fn memory_limit(controllers: &str) -> Finding {
    const WHAT: &str = "memory limit";
    if controllers.split_whitespace().any(|controller| controller == "memory") {
        return Finding::ok(WHAT, "the kernel can limit the memory of a unit (`MemoryMax`)");
    }
    Finding::warn(WHAT, "the kernel has no memory control group, so `MemoryMax` of the unit has no effect").with_advice(
        "on Raspberry Pi OS append ` cgroup_enable=memory` to the line in /boot/firmware/cmdline.txt and reboot",
    )
}

fn state_dir(path: &Path) -> Finding {
    const WHAT: &str = "state_dir";
    let shown = path.display();
    let metadata = match metadata_if_exists(path) {
        Ok(Some(metadata)) => metadata,
        Ok(None) => return Finding::warn(WHAT, format!("{shown} does not exist yet; the first start creates it")),
        Err(finding) => return Finding { what: WHAT.to_owned(), ..finding },
    };
    if !metadata.is_dir() {
        return Finding::fail(WHAT, format!("{shown} is not a directory"))
            .with_advice("set `state_dir` to another path");
    }
    if access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let advice = "run the program as the owner, or change the owner (`chown`)";
        return Finding::fail(WHAT, format!("this user may not write to {shown}")).with_advice(advice);
    }
    if metadata.permissions().mode() & OTHERS != 0 {
        return Finding::warn(WHAT, format!("{shown} is open to other users"))
            .with_advice("`chmod 700` it: it holds keys");
    }
    Finding::ok(WHAT, format!("only this user can open {shown}"))
}

/// Returns the metadata of a file, or `None` if it does not exist. The error is a finding without the name of the part.
fn metadata_if_exists(path: &Path) -> Result<Option<Metadata>, Finding> {
    match metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Finding::fail("", format!("cannot read {}: {error}", path.display()))
            .with_advice("run the program as the owner")),
    }
}

fn disk(state_dir: &Path) -> Finding {
    const WHAT: &str = "disk";
    // Before the first start, the directory in which it will be created.
    let place = state_dir.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    let free = match free_disk(place) {
        Ok(free) => free,
        Err(error) => return Finding::fail(WHAT, error.to_string()),
    };
    let needed_bytes = min_free_bytes(free.total_bytes);
    let mib = |bytes: u64| bytes / (1 << 20);
    let found = format!("{} MiB free, {} MiB needed", mib(free.free_bytes), mib(needed_bytes));
    match free.free_bytes {
        bytes if bytes < needed_bytes => {
            Finding::fail(WHAT, found).with_advice("make room: nothing is recorded until then")
        }
        bytes if bytes < 2 * needed_bytes => Finding::warn(WHAT, found).with_advice("make room before it runs out"),
        _ => Finding::ok(WHAT, found),
    }
}

fn clock_finding(clock: &dyn Clock) -> Finding {
    let now = clock.read();
    let time = iso_utc(now.received_at_us);
    if now.synchronized {
        return Finding::ok("clock", format!("{time}, synchronized with a time server since the boot"));
    }
    Finding::warn("clock", format!("{time}, not synchronized with a time server"))
        .with_advice("enable systemd-timesyncd (`timedatectl`); payloads keep their order without it")
}

fn key_file(path: &Path) -> Finding {
    const WHAT: &str = "key file";
    let shown = path.display();
    let metadata = match metadata_if_exists(path) {
        Ok(Some(metadata)) => metadata,
        Ok(None) => {
            return Finding::warn(WHAT, format!("{shown} does not exist yet; the first key or start creates it"));
        }
        Err(finding) => return Finding { what: WHAT.to_owned(), ..finding },
    };
    if metadata.permissions().mode() & OTHERS != 0 {
        let found = format!("{shown} is open to other users, but holds the hashes of the API keys");
        return Finding::fail(WHAT, found).with_advice("`chmod 600` it");
    }
    if access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
        let advice = "run the program as the owner, or change the owner (`chown`)";
        return Finding::fail(WHAT, format!("this user may not open {shown}")).with_advice(advice);
    }
    Finding::ok(WHAT, format!("only this user can open {shown}"))
}

fn certificate(settings: &Settings, clock: &dyn Clock) -> Finding {
    const WHAT: &str = "certificate";
    let generated = settings.state_dir.join(TLS_DIRECTORY);
    let configured = settings.tls.files();
    let is_generated = configured.is_none();
    let files = configured.unwrap_or_else(|| IdentityFiles {
        certificate: generated.join("certificate.pem"),
        key: generated.join("key.pem"),
    });
    let shown = files.certificate.display().to_string();
    if is_generated && matches!(metadata_if_exists(&files.certificate), Ok(None)) {
        return Finding::warn(WHAT, format!("{shown} does not exist yet; the first start creates it"));
    }
    let identity = match Identity::load(files) {
        Ok(identity) => identity,
        Err(error) => return Finding::fail(WHAT, error.to_string()),
    };
    let ends_us = identity.not_after_s().saturating_mul(1_000_000);
    let found = format!("{shown}, valid until {}", iso_utc(ends_us));
    if ends_us < clock.read().received_at_us {
        let advice = "offices pin the key and still accept it, but other programs do not: replace it";
        return Finding::warn(WHAT, found).with_advice(advice);
    }
    Finding::ok(WHAT, found)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::memory_limit;

    /// Catches a unit whose limit silently has no effect.
    #[test]
    fn a_kernel_without_the_memory_controller_is_reported() {
        assert_eq!(memory_limit("cpuset cpu io memory pids\n").level, Level::Ok);
        let missing = memory_limit("cpuset cpu io pids\n");
        assert_eq!(missing.level, Level::Warn);
        assert!(missing.advice.unwrap().contains("cgroup_enable=memory"));
    }
}
