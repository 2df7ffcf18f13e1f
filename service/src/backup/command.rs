//! The command's side of a backup.

use super::error::BackupCommandError;
use super::medium::are_on_one_disk;
use super::prove::{ProgressLines, backup_text};
use super::room::RoomKeeper;
use super::target::{BackupTarget, FinishStep};
use super::transfer::{BackupRequest, BackupResponse};
use crate::control::{AskError, CommandError, DirectError, Request, ask, ask_or_open};
use crate::lifecycle::{min_free_bytes, print_notice};
use herd::backup::{BackupSummary, BackupWriter, copy_log, start_of};
use herd::clock::WallTime;
use herd::store::Reader;
use herd::wire::BackupStart;
use std::fmt;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Size of the buffer in front of the file. A page goes past it.
const BUFFER_BYTES: usize = 64 * 1024;

/// Number of times that a part is requested.
const MAX_ATTEMPTS: u32 = 4;

/// Arguments of a backup.
#[derive(Clone, Debug, clap::Args)]
pub struct BackupArgs {
    /// File to write, best on a stick or another machine's disk: it must outlive the disk of this machine
    pub file: PathBuf,
    /// Overwrite the file if it exists, once the new backup is proved
    #[arg(long)]
    pub force: bool,
}

/// Writes a whole backup from files. The arguments are the open store and the name of its site.
pub type WriteFromFiles<'a> = dyn FnMut(&Reader, &str) -> Result<BackupSummary, DirectError> + 'a;

/// A store, behind a running process or in files.
pub trait BackupSource: Send {
    /// Starts a backup at the running process. If none runs, opens the files and writes the backup with `write`.
    ///
    /// May become the owner of the files, and stay so.
    fn start(&mut self, write: &mut WriteFromFiles<'_>) -> Result<BackupResponse, CommandError>;

    /// Requests a further part from the running process.
    fn request(&mut self, request: BackupRequest) -> Result<BackupResponse, CommandError>;
}

/// The store of a program: behind the control socket of its running process, or in its files.
pub struct ProgramStore<Q: Request, A, O> {
    /// The control socket.
    pub socket: PathBuf,
    /// Makes a request to the process.
    pub request: A,
    /// Makes a response of the process, as from the files.
    pub response: fn(BackupResponse) -> Q::Response,
    /// Returns what a response says about the backup.
    pub backup: fn(Q::Response) -> Option<BackupResponse>,
    /// Opens the files, and returns the name of the site as well.
    pub open: O,
}

impl<Q: Request, A, O> fmt::Debug for ProgramStore<Q, A, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgramStore").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl<Q, A, O> BackupSource for ProgramStore<Q, A, O>
where
    Q: Request,
    A: Fn(BackupRequest) -> Q + Send,
    O: FnMut() -> Result<(Reader, String), DirectError> + Send,
{
    fn start(&mut self, write: &mut WriteFromFiles<'_>) -> Result<BackupResponse, CommandError> {
        let Self { socket, request, response, backup, open } = self;
        let found = ask_or_open(socket, &request(BackupRequest::Start), || {
            let (reader, site) = open()?;
            Ok(response(BackupResponse::Written(write(&reader, &site)?)))
        });
        backup(found?).ok_or(CommandError::UnexpectedResponse)
    }

    fn request(&mut self, part: BackupRequest) -> Result<BackupResponse, CommandError> {
        let response = ask(&self.socket, &(self.request)(part)).map_err(CommandError::Ask)?;
        (self.backup)(response).ok_or(CommandError::UnexpectedResponse)
    }
}

/// Writes a backup to a file and prints what it holds. `state_dir` is where the store is.
pub fn backup_with(
    args: &BackupArgs,
    state_dir: &Path,
    now: WallTime,
    source: &mut dyn BackupSource,
    out: &mut dyn Write,
) -> Result<(), BackupCommandError> {
    let target = BackupTarget::create(&args.file, args.force)?;
    if are_on_one_disk(target.directory(), state_dir) {
        print_notice(format_args!(
            "Warning: {} is on the same disk as {}, and dies with it. Keep a backup on a stick or another machine.",
            args.file.display(),
            state_dir.display()
        ));
    }
    let file = RoomKeeper::new(target.file(), target.directory(), state_dir, min_free_bytes);
    let write = || write_backup(BufWriter::with_capacity(BUFFER_BYTES, file), now, source);
    let written = std::thread::scope(|scope| scope.spawn(write).join());
    let (start, summary) = written.map_err(|_| BackupCommandError::Panicked)??;
    let mut lines = ProgressLines::new("read back");
    target.finish(&summary, &mut |step| {
        if let FinishStep::ReadBack(at) = step {
            lines.show(at);
        }
        Ok(())
    })?;
    writeln!(out, "Wrote {}: {}", args.file.display(), backup_text(&start, &summary))?;
    Ok(out.flush()?)
}

/// Requests a part, again if no response comes: a process may be busy for longer than a request waits, and the parts before
/// may have taken an hour.
fn request_repeatedly(source: &mut dyn BackupSource, part: &BackupRequest) -> Result<BackupResponse, CommandError> {
    for _ in 1..MAX_ATTEMPTS {
        match source.request(part.clone()) {
            Err(CommandError::Ask(AskError::NoResponse { .. } | AskError::Late { .. })) => {}
            response => return response,
        }
    }
    source.request(part.clone())
}

/// Writes a backup, and returns its start and what it holds.
pub(super) fn write_backup<W: Write>(
    mut to: W,
    now: WallTime,
    source: &mut dyn BackupSource,
) -> Result<(BackupStart, BackupSummary), BackupCommandError> {
    let mut lines = ProgressLines::new("written");
    let mut start_in_files = None;
    let response = source.start(&mut |reader, site| {
        let start = start_of(reader, site, now);
        let written = copy_log(reader, &start, &mut to, &mut |at| lines.show(at));
        start_in_files = Some(start);
        written.map_err(DirectError::failed)
    })?;
    let start = match (response, start_in_files) {
        (BackupResponse::Written(summary), Some(start)) => return Ok((start, summary)),
        (BackupResponse::Start(start), _) => start,
        _ => return Err(CommandError::UnexpectedResponse.into()),
    };
    let mut writer = BackupWriter::begin(to, &start)?;
    while !writer.is_complete() {
        let next = BackupRequest::Run { after: writer.position(), end: start.end.sequence };
        let BackupResponse::Run(run) = request_repeatedly(source, &next)? else {
            return Err(CommandError::UnexpectedResponse.into());
        };
        writer.push(run.decode()?)?;
        lines.show(writer.progress());
    }
    let summary = writer.finish()?;
    Ok((start, summary))
}
