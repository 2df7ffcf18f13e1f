//! The demo command, run as a user runs it.
//!
//! Catches: a run that loses payloads or prints a wrong result, a second run that cannot use the state of the first, an
//! interrupted run that ends without its result, a run that goes on although nobody reads it, and a printed `curl` line
//! that does not work.
#![expect(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Exit status and output of a run.
struct RunOutput {
    status: ExitStatus,
    out: String,
    err: String,
}

impl RunOutput {
    /// Parses the last line of standard output, which must be the result.
    fn result(&self) -> Value {
        let last = self.out.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|_| panic!("no result: {}\n{}", self.out, self.err))
    }
}

fn demo(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herdlinx-demo"));
    command.arg("--state").arg(state).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(state: &Path, args: &[&str]) -> RunOutput {
    let output = demo(state, args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    RunOutput { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the demo until it has announced the office, passes the printed lines to `meanwhile`, and then sends SIGINT as a
/// terminal does.
fn run_and_interrupt(state: &Path, args: &[&str], meanwhile: impl FnOnce(&[String])) -> RunOutput {
    let mut child = demo(state, args).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let announced: Vec<String> = lines.by_ref().take(4).map(Result::unwrap).collect();
    // Wait for a few live lines, so that there is traffic to verify.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut err = String::new();
    (0..3).for_each(|_| assert!(stderr.read_line(&mut err).unwrap() > 0, "{announced:?} {err}"));
    meanwhile(&announced);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    stderr.read_to_string(&mut err).unwrap();
    let out = lines.map(Result::unwrap).collect::<Vec<_>>().join("\n");
    RunOutput { status: child.wait().unwrap(), out, err }
}

/// Checks that a run succeeded and that its counts add up, and returns its result.
fn assert_good(output: &RunOutput) -> Value {
    let result = output.result();
    assert!(output.status.success(), "{:?}\n{}\n{}", output.status, output.out, output.err);
    let count = |key: &str| result[key].as_u64().unwrap_or_else(|| panic!("no `{key}` in {result}"));
    assert!(count("kept") > 0, "{result}");
    assert_eq!(count("sent"), count("lost_in_air") + count("heard"), "{result}");
    assert_eq!(count("heard"), count("duplicates") + count("kept") + count("suppressed"), "{result}");
    assert_eq!(count("replicated"), count("kept"), "{result}");
    assert!(count("rejections") <= count("kept"), "{result}");
    assert_eq!((count("lost"), &result["digest_equal"]), (0, &Value::Bool(true)), "{result}");
    assert!(result["lag_ms_p50"].as_f64() <= result["lag_ms_p99"].as_f64(), "{result}");
    result
}

#[test]
fn timed_runs_lose_nothing_and_a_second_run_continues_with_the_same_barn_and_office() {
    let state = tempfile::tempdir().unwrap();
    let first = assert_good(&run(state.path(), &["--seconds", "4", "--rate", "20"]));
    let second = assert_good(&run(state.path(), &["--seconds", "2", "--rate", "100", "--loss", "0.3"]));
    assert_ne!(first["seed"], second["seed"]);
    assert!(second["lost_in_air"].as_u64() > Some(0), "{second}");
    let used = first["seed"].to_string();
    let refused = run(state.path(), &["--seconds", "1", "--seed", &used]);
    assert_eq!((refused.status.code(), refused.out.as_str()), (Some(2), ""), "{}", refused.err);
}

/// Catches `cargo demo | head`, alone or with `2>&1`, that ends with a panic or a message, and not with its children.
#[test]
fn a_closed_output_ends_the_demo_without_a_message() {
    for closes_stderr in [false, true] {
        let state = tempfile::tempdir().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = demo(state.path(), &["--seconds", "60"]);
        if closes_stderr {
            command.stderr(writer.try_clone().unwrap());
        }
        let output = command.stdout(writer).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(141), ""));
        // The barn is gone, so a second run can open its files.
        assert_good(&run(state.path(), &["--seconds", "1"]));
    }
}

#[test]
fn an_interrupted_run_is_still_verified_and_its_curl_line_works_as_printed() {
    let state = tempfile::tempdir().unwrap();
    let output = run_and_interrupt(state.path(), &["--rate", "50"], |announced| {
        let line = announced.iter().find(|line| line.starts_with("curl ")).unwrap();
        let answer = Command::new("sh").arg("-c").arg(line).output().unwrap();
        let answer: Value = serde_json::from_slice(&answer.stdout).unwrap_or_else(|_| panic!("{line}: {answer:?}"));
        assert_eq!(answer["status"], "stored", "{answer}");
    });
    assert_good(&output);
    assert!(output.err.contains("1 payloads of this run that came over other channels"), "{}", output.err);
}
