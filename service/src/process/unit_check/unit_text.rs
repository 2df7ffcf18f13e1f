//! The text of the copied unit.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// A copy of a unit that runs `check --here` once, instead of the service.
pub(super) struct UnitCopy<'a> {
    /// The unit file with all its drop-ins, in their order.
    pub(super) original: &'a str,
    pub(super) original_name: &'a str,
    pub(super) name: &'a str,
    /// Program of the service, for a unit whose `ExecStart=` does not name `run`.
    pub(super) program: &'a str,
    /// File that gets the standard output of the check.
    pub(super) stdout: &'a Path,
    pub(super) stderr: &'a Path,
}

impl Display for UnitCopy<'_> {
    /// Writes the original, and after it the lines that make it a check. Later lines override earlier ones.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { original, original_name, name, program, stdout, stderr } = self;
        let command = check_command(original).unwrap_or_else(|| format!("/usr/bin/{program} check --here"));
        let (stdout, stderr) = (stdout.display(), stderr.display());
        writeln!(
            f,
            "{original}
# The lines above are those of {original_name}. Those below run a check instead of the service.
[Unit]
Description=Check of the settings of {original_name}
OnFailure=
OnSuccess=
FailureAction=none
SuccessAction=none
[Service]
Type=oneshot
RemainAfterExit=no
Restart=no
WatchdogSec=0
TimeoutStartSec=30s
ExecCondition=
ExecStartPre=
ExecStart=
ExecStart={command}
ExecStartPost=
ExecReload=
ExecStop=
ExecStopPost=
StandardInput=null
StandardOutput=file:{stdout}
StandardError=file:{stderr}
# The service's own directory must not be removed when the check ends.
RuntimeDirectoryPreserve=yes
BindReadOnlyPaths=-/run/credentials/{name}:/run/credentials/{original_name}"
        )
    }
}

/// Returns the command of the last `ExecStart=` with `check --here` in place of `run`.
fn check_command(unit: &str) -> Option<String> {
    let joined = unit.replace("\\\n", " ");
    let assignments = joined.lines().filter_map(|line| line.split_once('='));
    let mut commands = assignments.filter(|(key, _)| key.trim() == "ExecStart").map(|(_, command)| command.trim());
    let command = commands.rfind(|command| !command.is_empty())?;
    let mut words: Vec<_> = command.split_whitespace().collect();
    let run = words.iter().rposition(|word| *word == "run")?;
    words.splice(run..=run, ["check", "--here"]);
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy_of(original: &str) -> String {
        let (stdout, stderr) = (Path::new("/run/c/stdout"), Path::new("/run/c/stderr"));
        let names = ("herdlinxd.service", "herdlinxd-check-7.service", "herdlinxd");
        let (original_name, name, program) = names;
        UnitCopy { original, original_name, name, program, stdout, stderr }.to_string()
    }

    /// Catches a copy that starts the service itself, or restarts a failed check for ever.
    #[test]
    fn the_last_lines_of_the_copy_make_it_a_check() {
        let shipped = include_str!("../../../../systemd/herdlinxd.service");
        let copy = copy_of(shipped);
        let added = copy.strip_prefix(shipped).unwrap();
        for line in ["Type=oneshot", "Restart=no", "ExecStartPre=", "ExecStart=/usr/bin/herdlinxd check --here"] {
            assert!(added.lines().any(|found| found == line), "{line} is missing: {added}");
        }
    }

    /// Catches a check of other settings than those that the service starts with.
    #[test]
    fn the_command_of_the_last_drop_in_counts() {
        let dropped_in = "[Service]\nExecStart=/usr/bin/herdlinxd run\n# edit\n[Service]\nExecStart=\nExecStart = \n\
            ExecStart=/usr/bin/herdlinxd --config \\\n  /data/run/my.toml run --state-dir /data/run\n";
        let expected = "/usr/bin/herdlinxd --config /data/run/my.toml check --here --state-dir /data/run";
        assert_eq!(check_command(dropped_in).unwrap(), expected);
    }

    #[test]
    fn a_command_without_run_is_replaced_by_the_installed_program() {
        assert_eq!(check_command("ExecStart=/opt/wrapper"), None);
        assert!(copy_of("ExecStart=/opt/wrapper").contains("\nExecStart=/usr/bin/herdlinxd check --here\n"));
    }

    /// Catches a certificate that the service would find and the check would not.
    #[test]
    fn credentials_appear_where_the_service_sees_them() {
        let line = "BindReadOnlyPaths=-/run/credentials/herdlinxd-check-7.service:/run/credentials/herdlinxd.service";
        assert!(copy_of("").contains(line));
    }
}
