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
use std::io::{self, StdoutLock, Write};
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
    let mut output = Output { stdout: io::stdout().lock(), is_closed: false };
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
struct Output<'a> {
    stdout: StdoutLock<'a>,
    is_closed: bool,
}

impl Output<'_> {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.is_closed |= result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        result
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.stdout.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.stdout.flush();
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
