//! The demo as its users run it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// How a run ended, and what it printed.
struct Ran {
    status: ExitStatus,
    out: String,
    err: String,
}

impl Ran {
    /// The last line of standard output, which must be the result.
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

fn ran(state: &Path, args: &[&str]) -> Ran {
    let output = demo(state, args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

/// Runs until the office is announced, lets `meanwhile` see the lines, and sends SIGINT as a terminal does.
fn interrupted(state: &Path, args: &[&str], meanwhile: impl FnOnce(&[String])) -> Ran {
    let mut child = demo(state, args).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let announced: Vec<String> = lines.by_ref().take(4).map(Result::unwrap).collect();
    // Some of the live line, so that there is traffic to prove.
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut err = String::new();
    (0..3).for_each(|_| assert!(told.read_line(&mut err).unwrap() > 0, "{announced:?} {err}"));
    meanwhile(&announced);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    told.read_to_string(&mut err).unwrap();
    let out = lines.map(Result::unwrap).collect::<Vec<_>>().join("\n");
    Ran { status: child.wait().unwrap(), out, err }
}

/// All that a good run's counts must fulfill.
fn assert_good(ran: &Ran) -> Value {
    let result = ran.result();
    assert!(ran.status.success(), "{:?}\n{}\n{}", ran.status, ran.out, ran.err);
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
fn runs_that_end_by_themselves_lose_nothing_and_a_second_one_goes_on_in_the_same_barn_and_office() {
    let state = tempfile::tempdir().unwrap();
    let first = assert_good(&ran(state.path(), &["--seconds", "4", "--rate", "20"]));
    let second = assert_good(&ran(state.path(), &["--seconds", "2", "--rate", "100", "--loss", "0.3"]));
    assert_ne!(first["seed"], second["seed"]);
    assert!(second["lost_in_air"].as_u64() > Some(0), "{second}");
    let used = first["seed"].to_string();
    let refused = ran(state.path(), &["--seconds", "1", "--seed", &used]);
    assert_eq!((refused.status.code(), refused.out.as_str()), (Some(2), ""), "{}", refused.err);
}

#[test]
fn a_run_that_is_interrupted_is_proved_all_the_same_and_its_curl_line_works_as_printed() {
    let state = tempfile::tempdir().unwrap();
    let ran = interrupted(state.path(), &["--rate", "50"], |announced| {
        let line = announced.iter().find(|line| line.starts_with("curl ")).unwrap();
        let answer = Command::new("sh").arg("-c").arg(line).output().unwrap();
        let answer: Value = serde_json::from_slice(&answer.stdout).unwrap_or_else(|_| panic!("{line}: {answer:?}"));
        assert_eq!(answer["status"], "stored", "{answer}");
    });
    assert_good(&ran);
    assert!(ran.err.contains("1 payloads of this run that others delivered"), "{}", ran.err);
}
