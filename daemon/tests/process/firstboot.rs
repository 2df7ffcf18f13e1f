//! `herdlinxd firstboot` as the card's units run it, and the barn that starts after it.

use crate::barn::{Barn, stderr_text, stdout_text};
use crate::process::Process;
use service::card::{CardText, Encoding};
use service::door::certificate::spki_sha256_of_file;
use service::harness::{Signal, command};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Output;

const API_KEY: &str = "hxb_9Tt4JqYwZk1n0mXv7cR2sLdPaHgUeBfOyNiM3VxQ5Ww";

/// Reads a file as people write it.
fn card_file(name: &str) -> String {
    fs::read_to_string(format!("{}/../service/src/card/tests/broken/{name}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

impl Barn {
    /// Lays out a card and a root. The state directory of the root is that of the barn.
    fn with_card(file: Option<&[u8]>) -> Self {
        let barn = Self::new();
        for directory in ["card", "state", "root/var/lib", "root/usr/share/zoneinfo/America"] {
            fs::create_dir_all(barn.path(directory)).unwrap();
        }
        fs::write(barn.path("root/usr/share/zoneinfo/America/Denver"), "TZif").unwrap();
        symlink(barn.state_dir(), barn.path("root/var/lib/herdlinx")).unwrap();
        if let Some(bytes) = file {
            fs::write(barn.path("card/herdlinx.toml"), bytes).unwrap();
        }
        barn
    }

    /// Runs the command with the umask of its unit.
    fn first_boot(&self, args: &[&str]) -> Output {
        let mut command = command("sh");
        command.args(["-c", "umask 077 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_herdlinxd"), "firstboot", "--card"]);
        command.arg(self.path("card")).arg("--root").arg(self.path("root")).args(args).output().unwrap()
    }

    fn result(&self) -> String {
        fs::read_to_string(self.path("card/herdlinx-result.txt")).unwrap()
    }

    fn start_from_card(&self) -> Process<'_> {
        self.start_with_settings(self.path("root/var/lib/herdlinx-card/herdlinxd.toml").to_str().unwrap())
    }
}

/// Catches a key of the card that does not open the barn, settings that the daemon refuses, and a fingerprint of another
/// key than the one that the barn has.
#[test]
fn a_barn_starts_with_the_settings_of_its_card() {
    let barn = Barn::with_card(Some(card_file("good").as_bytes()));
    let applied = barn.first_boot(&[]);
    assert!(applied.status.success(), "{}", stderr_text(&applied));
    assert!(stdout_text(&applied).contains("herdlinx-north-barn.local"));
    // Other users read what stands there: the daemon its settings, timesyncd its server.
    for (name, mode) in [("", 0o755), ("herdlinxd.toml", 0o644), ("timesyncd.conf", 0o644), ("applied.json", 0o600)] {
        let found = fs::metadata(barn.path("root/var/lib/herdlinx-card").join(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
    let process = barn.start_from_card();
    let (status, answer) = process.get_with_key(API_KEY, "/api/remote/status");
    assert_eq!(status, 200, "{answer}");
    assert!(answer.to_string().contains("North Barn"), "{answer}");
    // Without a network the wait ends with what is known: the fingerprint.
    let result = barn.first_boot(&["--result", "--wait", "1s"]);
    assert!(result.status.success(), "{}", stderr_text(&result));
    let spki = spki_sha256_of_file(&barn.state_dir().join("tls/certificate.pem")).unwrap();
    assert!(barn.result().contains(&hex::encode(spki)), "{}", barn.result());
    assert!(!barn.result().contains("not known yet"), "{}", barn.result());
    assert_eq!(barn.result(), stdout_text(&result));
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a file, as people write it, that keeps the barn from starting, or that is refused without its line.
#[test]
fn the_barn_serves_whatever_is_on_its_card() {
    let utf16 = CardText { text: card_file("good").replace('\n', "\r\n"), encoding: Encoding::Utf16Le }.encode();
    let windows = card_file("good").replace('\n', "\r\n").into_bytes();
    let text = |name: &str| Some(card_file(name).into_bytes());
    let cases: [(&str, Option<Vec<u8>>, i32, &str); 11] = [
        (
            "typo",
            text("typo"),
            2,
            "line 3: there is no key `timezone` above the first section: did you mean `time_zone`?",
        ),
        ("curly quotes", text("curly"), 2, "line 1: curly quotes"),
        ("blanked, but nothing was applied", text("blanked"), 2, "line 6: `password` is empty"),
        ("tabs", text("tabs"), 2, "line 5: the value of `network` contains a tab"),
        ("no country", text("no_country"), 2, "line 3: [wifi] needs `country`: add the line country = \"US\""),
        ("key length", text("key_length"), 2, "line 12: the value of `api_key` has 39 characters, but a key has 47"),
        ("Windows line ends", Some(windows), 0, "herdlinx.toml is applied."),
        ("UTF-16", Some(utf16), 0, "herdlinx.toml is applied."),
        ("empty", text("empty"), 0, "herdlinx.toml sets nothing"),
        ("missing", None, 0, "herdlinx.toml is missing"),
        ("sections swapped", text("swapped"), 2, "line 4: `country` is in [ssh] but belongs in [wifi]"),
    ];
    for (name, file, code, message) in cases {
        let barn = Barn::with_card(file.as_deref());
        let output = barn.first_boot(&[]);
        assert_eq!(output.status.code(), Some(code), "{name}: {}", stderr_text(&output));
        assert!(barn.result().contains(message), "{name}: {}", barn.result());
        let process = barn.start_from_card();
        // The barn answers, and tries to listen, although this machine has no radio chip. Its card may have brought a key.
        let has_key = message == "herdlinx.toml is applied.";
        assert_eq!(process.get("/nowhere").0, if has_key { 404 } else { 403 }, "{name}");
        assert_eq!(process.status().radios.len(), 1, "{name}");
        assert_eq!(process.stop(Signal::TERM), Some(0), "{name}");
    }
}

/// Catches a template that the program itself refuses.
#[test]
fn the_template_is_printed_and_sets_nothing() {
    let barn = Barn::new();
    let template = barn.output(&["firstboot", "--template"]);
    assert!(template.status.success() && stdout_text(&template).contains("#site = "), "{template:?}");
    let barn = Barn::with_card(Some(&template.stdout));
    assert_eq!(barn.first_boot(&[]).status.code(), Some(0));
    assert!(barn.result().contains("sets nothing"), "{}", barn.result());
}

/// Catches a card whose key makes a lost file of keys a whole one, and with it a barn that has forgotten every revocation.
#[test]
fn the_card_stores_no_key_in_a_file_that_lost_its_keys() {
    let barn = Barn::with_card(Some(card_file("good").as_bytes()));
    barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    assert_eq!(barn.start().stop(Signal::TERM), Some(0));
    fs::write(barn.state_dir().join("local.redb"), b"").unwrap();
    let applied = barn.first_boot(&[]);
    assert!(!applied.status.success() && stderr_text(&applied).contains("the file is damaged"), "{applied:?}");
    let process = barn.start_from_card();
    assert_eq!(process.get("/api/remote/health").1["failing"][0], "keys");
    assert_eq!(process.get_with_key(API_KEY, "/api/remote/status").1["error"], "keys_damaged");
    assert_eq!(process.stop(Signal::TERM), Some(0));
}
