//! The calls of cargo-mutants.

use super::MutantsError;
use super::report::Outcomes;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Version of cargo-mutants that is installed.
const VERSION: &str = "27.1.0";
/// Shortest time after which the tests of a mutant count as hanging, in seconds.
const MIN_TIMEOUT_S: u64 = 60;
/// That time as a multiple of the time of the unchanged tests. A busy machine may be that much slower for a while.
const TIMEOUT_FACTOR: u64 = 4;
/// Time after which an unchanged test program is killed, in seconds.
const MAX_UNCHANGED_S: u64 = 1_800;
/// Time after which a test program is killed, beyond that after which its mutant counts as hanging, in seconds.
/// cargo-mutants sends SIGTERM, which a program ignores once one of its tests has waited for that signal.
const KILL_AFTER_S: u64 = 5;
/// Arguments for `cargo test`. Documentation examples would add a build and a minute to each mutant, and repeat what tests
/// claim. A test program starts no further test after a failure, with [`UNSTABLE`]; a caught mutant then ends after half
/// the time.
const TEST_ARGUMENTS: [&str; 4] = ["--tests", "--", "-Zunstable-options", "--fail-fast"];
/// Makes a stable test program take unstable options. Only the program gets it: Cargo would build everything anew.
const UNSTABLE: &str = "RUSTC_BOOTSTRAP=1";
/// Exit codes of cargo-mutants after a run: nothing survived, something did, or some tests did not end.
const EXITS_AFTER_RUN: [i32; 3] = [0, 2, 3];

/// cargo-mutants and the clone that it mutates.
#[derive(Debug)]
pub(super) struct CargoMutants {
    program: PathBuf,
    /// Directory of the clone, its build, and the results.
    place: PathBuf,
}

impl CargoMutants {
    /// Installs the program if it is missing, and clones the last commit.
    pub(super) fn prepare(root: &Path) -> Result<Self, MutantsError> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let target = std::path::absolute(&target).unwrap_or(target);
        let tool = Self { program: target.join("tools/bin/cargo-mutants"), place: target.join("mutants") };
        tool.install(&target.join("tools"))?;
        let tree = tool.tree();
        if tree.exists() {
            remove(&tree)?;
        }
        run(Command::new("git").args(["clone", "--quiet", "--shared"]).arg(root).arg(&tree))?;
        Ok(tool)
    }

    fn install(&self, tools: &Path) -> Result<(), MutantsError> {
        let printed = Command::new(&self.program).args(["mutants", "--version"]).output();
        if printed.is_ok_and(|printed| String::from_utf8_lossy(&printed.stdout).trim().ends_with(VERSION)) {
            return Ok(());
        }
        let package = format!("cargo-mutants@{VERSION}");
        let mut install = cargo();
        install.args(["install", "--quiet", "--locked", "--debug", "--force", "--root"]).arg(tools).arg(package);
        run(install.env("CARGO_TARGET_DIR", tools.join("build")))?;
        remove(&tools.join("build"))
    }

    fn tree(&self) -> PathBuf {
        self.place.join("tree")
    }

    /// Returns the names of all mutants of a crate.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, MutantsError> {
        let printed = run(self.mutants(name).arg("--list").stdout(Stdio::piped()))?;
        Ok(printed.lines().map(str::to_owned).collect())
    }

    /// Tries some mutants of a crate, of which `all` is the list, one after the other.
    pub(super) fn run(&self, name: &str, all: &[String], mutants: &[String]) -> Result<Outcomes, MutantsError> {
        let timeout_s = self.time_tests(name)?.as_secs();
        let results = self.place.join(name);
        leave_out(&results, all, mutants)?;
        let mut command = self.mutants(name);
        // In place: a copy of the tree would be built from nothing.
        command.args(["--in-place", "--iterate", "--baseline", "skip"]);
        command.arg(format!("--cargo-arg={}", runner(timeout_s + KILL_AFTER_S)));
        command.args(["--timeout", &timeout_s.to_string(), "--output"]).arg(&results);
        command.arg("--").args(TEST_ARGUMENTS);
        let status = command.status().map_err(|source| MutantsError::Start { command: shown(&command), source })?;
        if !status.code().is_some_and(|code| EXITS_AFTER_RUN.contains(&code)) {
            return Err(MutantsError::Command { command: shown(&command) });
        }
        read_outcomes(&results.join("mutants.out"))
    }

    /// Runs the tests of the unchanged crate as those of a mutant, which must pass, and returns the time that a mutant gets
    /// for them. If they were run otherwise, what fails each run would pass for caught mutants.
    fn time_tests(&self, name: &str) -> Result<Duration, MutantsError> {
        let test = || {
            let mut command = self.with_build(cargo());
            command.args(["test", "--quiet", "--package", &package(name), &runner(MAX_UNCHANGED_S)]);
            command.current_dir(self.tree()).stdout(io::stderr());
            command
        };
        run(test().args(["--tests", "--no-run"]))?;
        let began = Instant::now();
        run(test().args(TEST_ARGUMENTS))?;
        Ok((began.elapsed() * u32::try_from(TIMEOUT_FACTOR).unwrap_or(1)).max(Duration::from_secs(MIN_TIMEOUT_S)))
    }

    fn mutants(&self, name: &str) -> Command {
        let mut command = self.with_build(Command::new(&self.program));
        command.args(["mutants", "--colors", "never", "--package", &package(name), "--dir"]).arg(self.tree());
        command
    }

    /// Makes a build of mutants cheap: nothing is debugged, and all of them share one directory.
    fn with_build(&self, mut command: Command) -> Command {
        command.env("CARGO_TARGET_DIR", self.place.join("build"));
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "1");
        // Those of a run under Cargo point to this checkout.
        command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH");
        command
    }
}

/// Returns the argument that makes Cargo run test programs with [`UNSTABLE`], and kill them after a time.
fn runner(killed_after_s: u64) -> String {
    format!("--config=target.'cfg(all())'.runner=['env','{UNSTABLE}','timeout','--signal=KILL','{killed_after_s}']")
}

fn remove(folder: &Path) -> Result<(), MutantsError> {
    fs::remove_dir_all(folder).map_err(|source| file_error("remove", folder, source))
}

fn file_error(action: &'static str, path: &Path, source: io::Error) -> MutantsError {
    MutantsError::File { action, path: path.into(), source }
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command that must succeed, and returns what it printed if that is captured.
fn run(command: &mut Command) -> Result<String, MutantsError> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|source| MutantsError::Start { command: shown(command), source })?;
    if !output.status.success() {
        return Err(MutantsError::Command { command: shown(command) });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the program and its first arguments.
fn shown(command: &Command) -> String {
    const ARGUMENTS: usize = 6;
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(ARGUMENTS));
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Returns the package of a crate's directory.
fn package(name: &str) -> String {
    format!("herdlinx-{name}")
}

/// Makes cargo-mutants leave out the mutants that were not chosen, as if an earlier run had caught them. Its own filter by name
/// lets each mutant pass that deletes a field of a struct.
fn leave_out(results: &Path, all: &[String], chosen: &[String]) -> Result<(), MutantsError> {
    let folder = results.join("mutants.out");
    if results.exists() {
        remove(results)?;
    }
    fs::create_dir_all(&folder).map_err(|source| file_error("create", &folder, source))?;
    let chosen: BTreeSet<_> = chosen.iter().collect();
    let others = all.iter().filter(|mutant| !chosen.contains(mutant)).flat_map(|mutant| [mutant, "\n"]);
    let others: String = others.collect();
    let path = folder.join("caught.txt");
    fs::write(&path, others).map_err(|source| file_error("write", &path, source))
}

fn read_outcomes(folder: &Path) -> Result<Outcomes, MutantsError> {
    let names = |file: &str| -> Result<Vec<String>, MutantsError> {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).map_err(|source| file_error("read", &path, source))?;
        Ok(text.lines().map(str::to_owned).collect())
    };
    Ok(Outcomes {
        caught: names("caught.txt")?.len(),
        timeouts: names("timeout.txt")?.len(),
        unviable: names("unviable.txt")?.len(),
        survivors: names("missed.txt")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a run of other mutants than the chosen ones, or one that an earlier result shortens.
    #[test]
    fn all_but_the_chosen_mutants_are_left_out() {
        let place = tempfile::tempdir().unwrap();
        let (results, all) = (place.path().join("herd"), ["a", "b (1)", "c", "d"].map(str::to_owned));
        for (chosen, others) in [(&all[..2], "c\nd\n"), (&all[1..3], "a\nd\n"), (&all[..], "")] {
            leave_out(&results, &all, chosen).unwrap();
            assert_eq!(fs::read_to_string(results.join("mutants.out/caught.txt")).unwrap(), others);
            fs::write(results.join("mutants.out/unviable.txt"), "b (1)\n").unwrap();
        }
    }

    /// Catches a result that is counted in the wrong column.
    #[test]
    fn each_file_of_a_result_is_its_outcome() {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in
            [("caught.txt", "a\nb\nc\n"), ("missed.txt", "d\n"), ("timeout.txt", ""), ("unviable.txt", "e\nf\n")]
        {
            fs::write(folder.path().join(file), text).unwrap();
        }
        let expected = Outcomes { caught: 3, timeouts: 0, unviable: 2, survivors: vec!["d".to_owned()] };
        assert_eq!(read_outcomes(folder.path()).unwrap(), expected);
    }
}
