//! The binaries as they are shipped, built if they are out of date.

use demo::processes::Programs;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Sources of the binaries.
const SOURCES: [&str; 6] = ["radio", "herd", "service", "daemon", "mirror", "Cargo.lock"];

/// Environment variable that names a directory with both binaries, built for another architecture or for a package. It
/// does not start with `HERDLINX_`, because such variables are settings.
const BUILT_ELSEWHERE: &str = "DEMO_SHIPPED_DIR";

/// Returns `herdlinxd` and `herdlinx-mirror` from the directory that [`BUILT_ELSEWHERE`] names, as they are. If it is
/// not set, returns those beside the demo's own executable, and builds them if they are missing or older than their
/// sources.
pub(crate) fn shipped_programs() -> Programs {
    if let Some(directory) = std::env::var_os(BUILT_ELSEWHERE) {
        let [daemon, mirror] = named_in(Path::new(&directory));
        return Programs::Shipped { daemon, mirror };
    }
    let directory = Path::new(env!("CARGO_BIN_EXE_herdlinx-demo")).parent().unwrap();
    let [daemon, mirror] = named_in(directory);
    let newest = SOURCES.iter().filter_map(|name| newest_below(&root().join(name))).max();
    if [&daemon, &mirror].iter().any(|binary| changed_at(binary) < newest) {
        build(directory);
    }
    Programs::Shipped { daemon, mirror }
}

fn named_in(directory: &Path) -> [PathBuf; 2] {
    ["herdlinxd", "herdlinx-mirror"].map(|name| directory.join(name))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn build(into: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "-p", "herdlinx-daemon", "-p", "herdlinx-mirror", "--target-dir"]);
    cargo.arg(into.parent().unwrap()).current_dir(root());
    if into.file_name() == Some(OsStr::new("release")) {
        cargo.arg("--release");
    }
    let built = cargo.status().unwrap();
    assert!(built.success(), "{cargo:?}: {built}");
}

/// Returns the modification time, or `None` if the file is missing.
fn changed_at(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn newest_below(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return changed_at(path);
    }
    std::fs::read_dir(path).unwrap().filter_map(|entry| newest_below(&entry.unwrap().path())).max()
}
