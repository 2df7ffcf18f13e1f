//! The ends of a command line: from arguments to settings, from a result to an exit code.
//!
//! A reader that has enough, such as `head`, closes the output. That ends a command without a message, with the code that
//! shells report for programs that `SIGPIPE` ends. The signal itself is ignored in every Rust program, and to change that
//! takes `unsafe`. To look for broken pipes in errors was rejected: one on a socket is a failure.

use crate::lifecycle::Exit;
use clap::Parser;
use std::ffi::OsString;
use std::fmt::Display;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::Builder;

/// Time that blocking tasks, such as a read for a command, may hold up the end of the runtime.
const RUNTIME_TIMEOUT: Duration = Duration::from_millis(200);

/// Maximum number of threads for blocking tasks: four times those that calls over HTTPS may use. Each thread keeps memory.
const MAX_BLOCKING_THREADS: usize = 32;

/// Flags that set a setting.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SettingFlags {
    /// Set `state_dir`, overriding file and environment
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub state_dir: Option<PathBuf>,
    /// Set `listen`, overriding file and environment
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
}

impl SettingFlags {
    /// Returns the highest layer of the settings.
    pub fn layer(&self) -> toml::Table {
        let mut table = toml::Table::new();
        if let Some(directory) = &self.state_dir {
            table.insert("state_dir".to_owned(), directory.to_string_lossy().into_owned().into());
        }
        if let Some(address) = self.listen {
            table.insert("listen".to_owned(), address.to_string().into());
        }
        table
    }
}

/// Parses the arguments, the first of which is the program, and runs the command.
///
/// Results go to stdout; an error is printed to stderr and becomes the exit code.
pub fn main_with<C: Parser, E: Display>(
    args: impl IntoIterator<Item = OsString>,
    run: impl FnOnce(C, &mut dyn Write) -> Result<(), E>,
) -> ExitCode
where
    for<'a> Exit: From<&'a E>,
{
    let command = match C::try_parse_from(args) {
        Ok(command) => command,
        // Help and version arrive as an error too.
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            return match error.print() {
                Ok(()) => exit.into(),
                Err(closed) if closed.kind() == io::ErrorKind::BrokenPipe => Exit::OutputClosed.into(),
                Err(_) => Exit::Failure.into(),
            };
        }
    };
    let mut output = Output { to: io::stdout().lock(), is_closed: false };
    match run(command, &mut output) {
        _ if output.is_closed => Exit::OutputClosed.into(),
        Ok(()) => Exit::Success.into(),
        Err(error) => {
            // There is no other place to report an error of stderr.
            let _ = writeln!(io::stderr(), "{}: {error}", C::command().get_name());
            Exit::from(&error).into()
        }
    }
}

/// The standard output, which remembers that its reader closed it.
struct Output<W> {
    to: W,
    is_closed: bool,
}

impl<W> Output<W> {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.is_closed |= result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        result
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.to.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.to.flush();
        self.note(result)
    }
}

/// Runs a future on a runtime with threads of its own.
pub fn in_runtime<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_multi_thread().enable_all().max_blocking_threads(MAX_BLOCKING_THREADS).build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SettingsError;

    /// A command, as the programs have them.
    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        settings: SettingFlags,
    }

    fn run(arguments: &[&str], result: Result<(), SettingsError>) -> ExitCode {
        let arguments = ["program"].iter().chain(arguments).map(OsString::from);
        main_with::<Command, _>(arguments, |_, _| result)
    }

    /// Catches a script that takes a failed command for one that is done, and the reverse.
    #[test]
    fn the_exit_code_tells_what_became_of_the_command() {
        let refused = || Err(SettingsError::value("keep", "0", "1 or more"));
        assert_eq!(run(&[], Ok(())), Exit::Success.into());
        assert_eq!(run(&[], refused()), Exit::Usage.into());
        assert_eq!(run(&["--help"], refused()), Exit::Success.into());
        assert_eq!(run(&["--no-such-flag"], Ok(())), Exit::Usage.into());
    }

    /// Catches a flag that is accepted and has no effect.
    #[test]
    fn each_flag_is_a_setting_of_the_highest_layer() {
        let flags = |arguments: &[&str]| {
            let arguments = ["program"].iter().chain(arguments);
            Command::try_parse_from(arguments).unwrap().settings.layer().to_string()
        };
        assert_eq!(flags(&[]), "");
        let all = flags(&["--state-dir", "/data", "--listen", "127.0.0.1:7"]);
        assert_eq!(all, "listen = \"127.0.0.1:7\"\nstate_dir = \"/data\"\n");
    }

    /// An output whose writes and flushes have this end.
    struct Pipe(Option<io::ErrorKind>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.map_or(Ok(bytes.len()), |kind| Err(kind.into()))
        }

        fn flush(&mut self) -> io::Result<()> {
            self.write(&[]).map(drop)
        }
    }

    /// Catches a message about `head`, which has had enough, and a full disk that is hidden.
    #[test]
    fn only_a_broken_pipe_counts_as_a_reader_that_has_enough() {
        for (end, is_closed) in
            [(None, false), (Some(io::ErrorKind::StorageFull), false), (Some(io::ErrorKind::BrokenPipe), true)]
        {
            let mut output = Output { to: Pipe(end), is_closed: false };
            assert_eq!(output.write(b"a list").ok(), end.is_none().then_some(6));
            assert_eq!(output.is_closed, is_closed, "{end:?}");
            let mut output = Output { to: Pipe(end), is_closed: false };
            assert_eq!(output.flush().is_ok(), end.is_none());
            assert_eq!(output.is_closed, is_closed, "{end:?}");
            output.to = Pipe(None);
            output.write_all(b"more").unwrap();
            assert_eq!(output.is_closed, is_closed, "it stays closed");
        }
    }

    #[test]
    fn a_runtime_returns_what_its_work_returns() {
        assert_eq!(in_runtime(async { tokio::task::spawn_blocking(|| 7).await.unwrap() }).unwrap(), 7);
    }
}
