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
/// Name of the disk among the parts.
const DISK: &str = "disk";
/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;
/// Advice about what another user owns.
const OWNER_ADVICE: &str = "run the program as the owner, or change the owner (`chown`)";

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
    const PART: &str = "memory limit";
    if controllers.split_whitespace().any(|controller| controller == "memory") {
        return Finding::ok(PART, "the kernel can limit the memory of a unit (`MemoryMax`)");
    }
    Finding::warn(PART, "the kernel has no memory control group, so `MemoryMax` of the unit has no effect").with_advice(
        "on Raspberry Pi OS append ` cgroup_enable=memory` to the line in /boot/firmware/cmdline.txt and reboot",
    )
}

fn state_dir(path: &Path) -> Finding {
    const PART: &str = "state_dir";
    let shown = path.display();
    let metadata = match metadata_if_exists(PART, path) {
        Ok(Some(metadata)) => metadata,
        Ok(None) => return Finding::warn(PART, format!("{shown} does not exist yet; the first start creates it")),
        Err(finding) => return finding,
    };
    if !metadata.is_dir() {
        return Finding::fail(PART, format!("{shown} is not a directory"))
            .with_advice("set `state_dir` to another path");
    }
    if access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Finding::fail(PART, format!("this user may not write to {shown}")).with_advice(OWNER_ADVICE);
    }
    if metadata.permissions().mode() & OTHERS != 0 {
        return Finding::warn(PART, format!("{shown} is open to other users"))
            .with_advice("`chmod 700` it: it holds keys");
    }
    Finding::ok(PART, format!("only this user can open {shown}"))
}

/// Returns the metadata of a file, or `None` if it does not exist. The error is a finding about `part`.
fn metadata_if_exists(part: &str, path: &Path) -> Result<Option<Metadata>, Finding> {
    match metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Finding::fail(part, format!("cannot read {}: {error}", path.display()))
            .with_advice("run the program as the owner")),
    }
}

fn disk(state_dir: &Path) -> Finding {
    // Before the first start, the directory in which it will be created.
    let place = state_dir.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    match free_disk(place) {
        Ok(free) => disk_finding(free.free_bytes, min_free_bytes(free.total_bytes)),
        Err(error) => Finding::fail(DISK, error.to_string()),
    }
}

fn disk_finding(free_bytes: u64, needed_bytes: u64) -> Finding {
    let mib = |bytes: u64| bytes / (1 << 20);
    let found = format!("{} MiB free, {} MiB needed", mib(free_bytes), mib(needed_bytes));
    match free_bytes {
        bytes if bytes < needed_bytes => {
            Finding::fail(DISK, found).with_advice("make room: nothing is recorded until then")
        }
        bytes if bytes < 2 * needed_bytes => Finding::warn(DISK, found).with_advice("make room before it runs out"),
        _ => Finding::ok(DISK, found),
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
    const PART: &str = "key file";
    let shown = path.display();
    let metadata = match metadata_if_exists(PART, path) {
        Ok(Some(metadata)) => metadata,
        Ok(None) => {
            return Finding::warn(PART, format!("{shown} does not exist yet; the first key or start creates it"));
        }
        Err(finding) => return finding,
    };
    if metadata.permissions().mode() & OTHERS != 0 {
        let found = format!("{shown} is open to other users, but holds the hashes of the API keys");
        return Finding::fail(PART, found).with_advice("`chmod 600` it");
    }
    if access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
        return Finding::fail(PART, format!("this user may not open {shown}")).with_advice(OWNER_ADVICE);
    }
    Finding::ok(PART, format!("only this user can open {shown}"))
}

fn certificate(settings: &Settings, clock: &dyn Clock) -> Finding {
    const PART: &str = "certificate";
    let generated = settings.state_dir.join(TLS_DIRECTORY);
    let configured = settings.tls.files();
    let is_generated = configured.is_none();
    let files = configured.unwrap_or_else(|| IdentityFiles::in_directory(&generated));
    let shown = files.certificate.display().to_string();
    if is_generated && matches!(metadata_if_exists(PART, &files.certificate), Ok(None)) {
        return Finding::warn(PART, format!("{shown} does not exist yet; the first start creates it"));
    }
    let identity = match Identity::load(files) {
        Ok(identity) => identity,
        Err(error) => return Finding::fail(PART, error.to_string()),
    };
    let ends_us = identity.not_after_s().saturating_mul(1_000_000);
    let found = format!("{shown}, valid until {}", iso_utc(ends_us));
    if ends_us < clock.read().received_at_us {
        let advice = "offices pin the key and still accept it, but other programs do not: replace it";
        return Finding::warn(PART, found).with_advice(advice);
    }
    Finding::ok(PART, found)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use crate::open::BarnFiles;
    use herd::clock::{RawReading, SystemClock};
    use herd::testing::ManualClock;
    use service::settings::TlsSettings;
    use std::fs::{Permissions, set_permissions};

    #[test]
    fn the_files_of_a_barn_that_was_opened_once_are_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: directory.path().join("state"), ..Settings::default() };
        drop(BarnFiles::open(&settings).unwrap());
        let findings = check(&settings, &SystemClock::default());
        for part in ["state_dir", "key file", "certificate"] {
            let finding = findings.iter().find(|finding| finding.part == part).unwrap();
            assert_eq!(finding.level, Level::Ok, "{finding:?}");
        }
        // The year 3000.
        let late = ManualClock::at(RawReading { received_at_us: 32_503_680_000_000_000, ..RawReading::default() });
        let expired = certificate(&settings, &late);
        assert!(expired.level == Level::Warn && expired.advice.unwrap().contains("replace it"), "{expired:?}");
        let tls = TlsSettings { certificate: Some("/nowhere/c".into()), key: Some("/nowhere/k".into()) };
        let missing = certificate(&Settings { tls, ..settings }, &late);
        assert!(missing.level == Level::Fail && missing.found.contains("/nowhere/c"), "{missing:?}");
    }

    /// Catches a place that no barn can use and that passes for one of before the first start.
    #[test]
    fn a_state_directory_that_cannot_be_used_is_told_from_a_missing_one() {
        let directory = tempfile::tempdir().unwrap();
        let (path, file) = (directory.path().join("state"), directory.path().join("file"));
        std::fs::write(&file, "").unwrap();
        for (place, level, text) in [
            (path, Level::Warn, "does not exist yet"),
            (file.clone(), Level::Fail, "is not a directory"),
            (file.join("state"), Level::Fail, "cannot read"),
        ] {
            let finding = state_dir(&place);
            assert!(finding.level == level && finding.found.contains(text), "{finding:?}");
            assert_eq!(finding.part, "state_dir");
        }
        let keys = key_file(&file.join("local.redb"));
        assert!((keys.level, keys.part.as_str()) == (Level::Fail, "key file"), "{keys:?}");
        set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(key_file(&file).level, Level::Ok);
    }

    #[test]
    fn a_disk_warns_at_twice_what_is_needed_and_fails_below_it() {
        const MIB: u64 = 1 << 20;
        for (free_bytes, level) in [
            (0, Level::Fail),
            (100 * MIB - 1, Level::Fail),
            (100 * MIB, Level::Warn),
            (200 * MIB - 1, Level::Warn),
            (200 * MIB, Level::Ok),
        ] {
            assert_eq!(disk_finding(free_bytes, 100 * MIB).level, level, "{free_bytes}");
        }
        assert_eq!(disk_finding(300 * MIB, 100 * MIB).found, "300 MiB free, 100 MiB needed");
    }

    #[test]
    fn a_clock_that_no_time_server_set_is_a_warning() {
        for (synchronized, level) in [(true, Level::Ok), (false, Level::Warn)] {
            let reading = RawReading { received_at_us: 1_705_314_920_000_000, synchronized, ..RawReading::default() };
            let finding = clock_finding(&ManualClock::at(reading));
            assert!(finding.level == level && finding.found.starts_with("2024-01-15T10:35:20.000Z, "), "{finding:?}");
        }
    }

    /// Catches a unit whose limit silently has no effect.
    #[test]
    fn a_kernel_without_the_memory_controller_is_reported() {
        assert_eq!(memory_limit("cpuset cpu io memory pids\n").level, Level::Ok);
        let missing = memory_limit("cpuset cpu io pids\n");
        assert_eq!(missing.level, Level::Warn);
        assert!(missing.advice.unwrap().contains("cgroup_enable=memory"));
    }
}
