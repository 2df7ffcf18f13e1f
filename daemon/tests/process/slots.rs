//! The shipped `herdlinxd update` and `herdlinxd slot` on the image of a card, as files: no machine is rebooted here, so
//! the tests play U-Boot and write the kernel's command line.

use crate::barn::{Barn, stderr_text, stdout_text, wait_until};
use daemon::update::keys::SigningKey;
use daemon::update::seal::seal;
use serde_json::{Value, json};
use service::harness::{self, Signal};
use std::fs::{self, File};
use std::io::{Cursor, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const SECTOR_BYTES: u64 = 512;
const SLOT_BYTES: u64 = 6 << 20;
const SLOT_A_OFFSET: u64 = 16 << 20;
const SLOT_B_OFFSET: u64 = SLOT_A_OFFSET + SLOT_BYTES;

/// The image of a card, and the files that a running root would have.
struct CardFiles {
    directory: TempDir,
}

impl CardFiles {
    /// Creates a card that runs slot a.
    fn new() -> Self {
        let card = Self { directory: TempDir::new().unwrap() };
        let mut mbr = [0; 512];
        for (number, offset) in [(1, SLOT_A_OFFSET), (2, SLOT_B_OFFSET)] {
            let entry = &mut mbr[446 + number * 16..][..16];
            let sectors = |bytes: u64| u32::try_from(bytes / SECTOR_BYTES).unwrap().to_le_bytes();
            entry[4] = 0x83;
            entry[8..12].copy_from_slice(&sectors(offset));
            entry[12..].copy_from_slice(&sectors(SLOT_BYTES));
        }
        mbr[510..].copy_from_slice(&[0x55, 0xaa]);
        let disk = File::create(card.path("card.img")).unwrap();
        disk.set_len(SLOT_B_OFFSET + SLOT_BYTES).unwrap();
        disk.write_all_at(&mbr, 0).unwrap();
        fs::write(card.path("key.pem"), SigningKey::generate().unwrap()).unwrap();
        fs::write(card.path("update.pub"), card.key().public_line()).unwrap();
        card.start("herd.slot=a herd.trial=0");
        card
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn key(&self) -> SigningKey {
        SigningKey::load(&self.path("key.pem")).unwrap()
    }

    /// Writes the command line of the kernel, as `slot.cmd` does.
    fn start(&self, command_line: &str) {
        fs::write(self.path("cmdline"), format!("ro rootwait {command_line}\n")).unwrap();
    }

    /// Returns an image that does not compress well.
    fn image() -> Vec<u8> {
        let bytes = (0_u32..).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes());
        let mut image: Vec<u8> = bytes.take(usize::try_from(SLOT_BYTES).unwrap()).collect();
        image[0x438..][..2].copy_from_slice(&[0x53, 0xef]);
        image
    }

    /// Writes a signed update file, and returns its bytes.
    fn write_update(&self, version: &str, key: &SigningKey) -> Vec<u8> {
        self.write_update_of(Self::image(), version, key)
    }

    fn write_update_of(&self, image: Vec<u8>, version: &str, key: &SigningKey) -> Vec<u8> {
        let mut file = Vec::new();
        let version = version.parse().unwrap();
        seal(&mut Cursor::new(image), version, "c0ffee".to_owned(), key, &mut file).unwrap();
        fs::write(self.path("file.update"), &file).unwrap();
        file
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = harness::command(env!("CARGO_BIN_EXE_herdlinxd"));
        command.args(args).arg("--disk").arg(self.path("card.img"));
        command.arg("--kernel-command-line").arg(self.path("cmdline"));
        command.arg("--trial-file").arg(self.path("before-trial.json"));
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    fn update_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(&[&["update"], args].concat());
        command.arg("--public-keys").arg(self.path("update.pub"));
        command
    }

    /// Installs `file.update`.
    fn update(&self, args: &[&str]) -> Output {
        let file = self.path("file.update");
        self.update_command(&[&[file.to_str().unwrap()], args].concat()).output().unwrap()
    }

    /// Starts an update from standard input.
    fn update_from_stdin(&self) -> Child {
        let mut command = self.update_command(&["-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn show(&self) -> Value {
        let output = self.output(&["slot", "show", "--json"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn read(&self, offset: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        File::open(self.path("card.img")).unwrap().read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    /// Returns a directory with a `systemctl` that reports one restart of the daemon more each time, from 0.
    fn systemctl(&self) -> PathBuf {
        let (directory, count) = (self.path("bin"), self.path("restarts"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(&count, "0\n").unwrap();
        let program = directory.join("systemctl");
        let script = "read -r n <$f; echo $((n + 1)) >$f; echo NRestarts=$n; echo ActiveState=active";
        fs::write(&program, format!("#!/bin/sh\nf={}\n{script}\n", count.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        directory
    }

    /// Watches the trial with this daemon, for a second of service.
    fn watch(&self, barn: &Barn) -> Output {
        let state_dir = barn.state_dir();
        let args = ["slot", "watch", "--steady-s", "1", "--state-dir", state_dir.to_str().unwrap()];
        self.command(&args).env("PATH", self.systemctl()).output().unwrap()
    }
}

/// Version of the running program, which is no downgrade.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Catches an update that is not where U-Boot starts it, and answers of `slot` that scripts cannot read.
#[test]
fn an_update_is_on_trial_until_it_is_confirmed_and_back_returns_to_the_old_root() {
    let card = CardFiles::new();
    card.write_update(VERSION, &card.key());
    let before = json!({
        "running": "a", "on_trial": false, "good": "a", "trial_slot": null, "trial_starts_left": null, "copies": [null, null],
    });
    assert_eq!(card.show(), before);
    let output = card.update(&[]);
    assert!(output.status.success(), "{output:?}");
    assert!(stdout_text(&output).contains("is in slot b. It starts at the next reboot"), "{output:?}");
    let progress = stderr_text(&output);
    assert_eq!(progress.matches(" % done ").count(), 10, "{progress}");
    for line in ["\n10 % done (written)", "\n50 % done (written)", "\n60 % done (verified)", "\n100 % done (verified)"]
    {
        assert!(progress.contains(line), "{line}: {progress}");
    }
    assert_eq!(card.read(SLOT_B_OFFSET, SLOT_BYTES), CardFiles::image());
    assert!(card.read(SLOT_A_OFFSET, SLOT_BYTES).iter().all(|byte| *byte == 0));

    card.start("herd.slot=b herd.trial=1");
    let on_trial = json!({
        "running": "b", "on_trial": true, "good": "a", "trial_slot": "b", "trial_starts_left": 3, "copies": [1, null],
    });
    assert_eq!(card.show(), on_trial);
    let refused = card.update(&[]);
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    assert!(stderr_text(&refused).contains("slot b is on trial and not confirmed"), "{refused:?}");
    assert!(card.output(&["slot", "confirm"]).status.success());
    let text = stdout_text(&card.output(&["slot", "show"]));
    assert_eq!(text, "running  b\ngood     b\ntrial    none\ncopies   1, 2\n");
    let nothing_to_do = card.output(&["slot", "watch"]);
    assert!(nothing_to_do.status.success(), "{nothing_to_do:?}");

    // Slot a of this card is empty until an update is written there.
    assert_eq!(card.output(&["slot", "back"]).status.code(), Some(7));
    assert!(card.update(&[]).status.success());
    assert_eq!(card.read(SLOT_A_OFFSET, SLOT_BYTES), CardFiles::image());
    assert!(card.output(&["slot", "back"]).status.success(), "withdraws the pending trial");
    assert_eq!((&card.show()["good"], &card.show()["trial_slot"]), (&json!("b"), &Value::Null));
    assert!(card.output(&["slot", "back"]).status.success(), "begins a trial of the other root");
    assert_eq!((&card.show()["good"], &card.show()["trial_slot"]), (&json!("b"), &json!("a")));
}

/// Catches a reboot that nobody asked for, one that is not begun, and one that failed and passes for begun.
#[test]
fn an_update_reboots_if_asked_and_says_if_that_fails() {
    let card = CardFiles::new();
    card.write_update_of(CardFiles::image()[..8_192].to_vec(), VERSION, &card.key());
    let asked = card.path("asked");
    for (exit, code) in [(0, 0), (3, 1)] {
        let program = card.systemctl().join("systemctl");
        fs::write(&program, format!("#!/bin/sh\necho \"$@\" >{}\nexit {exit}\n", asked.display())).unwrap();
        let file = card.path("file.update");
        let install = |args: &[&str]| {
            let mut command = card.update_command(&[&[file.to_str().unwrap()], args].concat());
            command.env("PATH", card.path("bin")).output().unwrap()
        };
        assert!(install(&[]).status.success() && !asked.exists());
        let rebooted = install(&["--reboot"]);
        assert_eq!(rebooted.status.code(), Some(code), "{rebooted:?}");
        assert_eq!(fs::read_to_string(&asked).unwrap(), "reboot\n");
        assert_eq!(stderr_text(&rebooted).contains("is installed, and the reboot failed (exit status: 3)"), exit != 0);
        assert_eq!(card.show()["trial_slot"], "b", "it is installed either way");
        fs::remove_file(&asked).unwrap();
    }
}

/// Catches a killed update that leaves a root that is half written where something starts it.
#[test]
fn an_update_from_standard_input_survives_a_kill_and_can_be_repeated() {
    let card = CardFiles::new();
    let file = card.write_update(VERSION, &card.key());
    assert!(card.update(&[]).status.success());
    let magic = || card.read(SLOT_B_OFFSET + 0x438, 2);
    assert_eq!(magic(), [0x53, 0xef]);
    for share in [8, 3, 2] {
        let mut child = card.update_from_stdin();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&file[..file.len() / share * (share - 1)]).unwrap();
        wait_until("the slot is being written", || magic() == [0, 0]);
        child.kill().unwrap();
        child.wait().unwrap();
        let state = card.show();
        assert_eq!((&state["good"], &state["trial_slot"]), (&json!("a"), &Value::Null), "{state}");
        assert_eq!(card.output(&["slot", "back"]).status.code(), Some(7), "slot b holds no complete root");
    }
    let mut child = card.update_from_stdin();
    child.stdin.take().unwrap().write_all(&file).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(card.show()["trial_slot"], "b");
    assert_eq!(card.read(SLOT_B_OFFSET, SLOT_BYTES), CardFiles::image());
}

/// Catches a refusal that comes after something was written, or that does not say what to do.
#[test]
fn refused_updates_write_nothing_and_say_why() {
    let card = CardFiles::new();
    let untouched = fs::read(card.path("card.img")).unwrap();
    let assert_refused = |code: i32, reason: &str, args: &[&str]| {
        let output = card.update(args);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(stderr_text(&output).contains(reason), "{output:?}");
        assert!(fs::read(card.path("card.img")).unwrap() == untouched, "{reason}");
    };
    assert_refused(1, "cannot open", &[]);
    fs::write(card.path("file.update"), "PK\x03\x04").unwrap();
    assert_refused(7, "not an update file", &[]);
    let other = SigningKey::from_pem(&SigningKey::generate().unwrap()).unwrap();
    card.write_update(VERSION, &other);
    assert_refused(7, "not signed by a key that this card trusts", &[]);
    card.write_update("0.0.1", &card.key());
    assert_refused(7, "--allow-downgrade installs it all the same", &[]);
    card.start("quiet root=/dev/sda1");
    assert_refused(7, "was not started from a HerdLinx card", &["--allow-downgrade"]);
    let no_slots = card.output(&["slot", "show"]);
    assert_eq!(no_slots.status.code(), Some(7), "{no_slots:?}");

    card.start("herd.slot=a herd.trial=0");
    let file = fs::read(card.path("file.update")).unwrap();
    fs::write(card.path("file.update"), &file[..file.len() / 2]).unwrap();
    let damaged = card.update(&["--allow-downgrade"]);
    assert_eq!(damaged.status.code(), Some(3), "{damaged:?}");
    assert!(stderr_text(&damaged).contains("damaged or incomplete"), "{damaged:?}");
    assert_eq!(card.show()["good"], "a");
    fs::write(card.path("file.update"), file).unwrap();
    assert!(card.update(&["--allow-downgrade"]).status.success());
}

/// Catches a trial that is confirmed although nobody serves, and one that is not although the daemon does.
#[test]
fn a_trial_is_confirmed_by_a_daemon_that_serves_and_by_nothing_else() {
    let (card, barn) = (CardFiles::new(), Barn::new());
    card.write_update(VERSION, &card.key());
    assert!(card.update(&[]).status.success());
    card.start("herd.slot=b herd.trial=1");
    assert_given_up(&card.watch(&barn), "no process answers");
    assert_eq!(card.show()["on_trial"], true);

    // The radio fails, as it did before the update: no daemon was running then.
    let unplugged = [("HERDLINX_RADIO__KIND", "serial"), ("HERDLINX_RADIO__SERIAL__PATH", "/nonexistent/modem")];
    let process = barn.start_with_env(&unplugged);
    let confirmed = card.watch(&barn);
    assert!(confirmed.status.success(), "{confirmed:?}");
    assert_eq!(stdout_text(&confirmed), "Slot b is confirmed. It starts from now on.\n");
    assert_eq!((&card.show()["good"], &card.show()["on_trial"]), (&json!("b"), &json!(false)));
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches an update after which a barn serves the office and hears no reader.
#[test]
fn a_root_whose_radios_all_fail_is_not_confirmed_if_they_worked_before() {
    let (card, barn) = (CardFiles::new(), Barn::new());
    card.write_update(VERSION, &card.key());
    let process = barn.start_with_env(&[("HERDLINX_RADIO__KIND", "simulated")]);
    wait_until("the radio works", || process.status().failing.is_empty());
    assert!(card.update(&["--state-dir", barn.state_dir().to_str().unwrap()]).status.success());
    assert_eq!(process.stop(Signal::TERM), Some(0));

    card.start("herd.slot=b herd.trial=1");
    let unplugged = [("HERDLINX_RADIO__KIND", "serial"), ("HERDLINX_RADIO__SERIAL__PATH", "/nonexistent/modem")];
    let process = barn.start_with_env(&unplugged);
    wait_until("the radio fails", || !process.status().failing.is_empty());
    assert_given_up(&card.watch(&barn), "all radios fail, and one of them worked before");
    assert_eq!(process.stop(Signal::TERM), Some(0));
    let process = barn.start_with_env(&[("HERDLINX_RADIO__KIND", "simulated")]);
    assert!(card.watch(&barn).status.success());
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

fn assert_given_up(watch: &Output, state: &str) {
    assert_eq!(watch.status.code(), Some(1), "{watch:?}");
    let text = stderr_text(watch);
    assert!(text.contains(state), "{text}");
    assert!(text.contains("slot b is not confirmed: the daemon was restarted 6 times"), "{text}");
}
