//! The tables of a store: rows in memory above a file that is written behind.
//!
//! ```text
//! the fold      typed rows, changed in place        StagedRows, of the folder alone
//!   | sealed with each commit
//! generation    encoded rows, by version            Generation: the current one, and one that is being flushed
//!   | flushed, durably, on a thread of its own
//! tables.redb   blocks of rows                      TablesFile
//! ```
//!
//! # Decisions
//!
//! - **A commit writes no table.** It publishes its rows in memory, in a *generation*. A lone payload cost 600,000
//!   instructions in redb for its tables, although nobody had to wait for them: the log is durable, and a restart folds
//!   again what the file lacks.
//! - **A generation is frozen and flushed when it has the size that the disk says or [`FLUSH_CHANGES`], also while traffic
//!   never pauses.** After a kill, at most two generations are folded again. One durable transaction writes it. If the next
//!   one is full before that is done, the writer waits: memory is bounded by two generations and one group.
//! - **Readers see rows by version.** A [`View`] is a position, the generations of that moment, and the file in a read
//!   transaction that all views since the last flush share. Opening one copies nothing, and never waits for the disk. The
//!   lock of a generation is held for one row, or for the rows of one page; the writer takes it for [`PUBLISHED_AT_ONCE`]
//!   rows at a time. An immutable map of maps would need no lock, but would copy a path of nodes for each row of a lone
//!   payload, which costs more than the fold.
//! - **Old versions stay while a view is open.** They count as bytes of the generation, so that a view that is held for long
//!   leads to earlier flushes and not to more memory. A commit of few rows lets no view open while it adds them, so that the
//!   rows before need not stay for one. What a view holds is at most two generations, and the pages that redb
//!   has replaced since; hold it briefly, never across network I/O.
//! - **A flush that nobody waits for leaves a full disk alone,** and looks for room each second. The writer waits for a flush
//!   only when two generations are full, or to settle.
//! - **A flush that fails stops the writer.** The log has everything, readers still see everything, and the next start
//!   folds what the file lacks.
//! - **Tests step the flushes.** On a disk in memory there is no thread; a frozen generation is flushed when a test says so,
//!   or when the writer needs the room. So crash images cover every interleaving of log and flush, and a seed replays it.
//! - **Rows are packed into blocks,** because redb takes about as long for a row as for a block of twenty; see `blocks`.

mod blocks;
mod damage;
mod file;
mod flusher;
mod generation;
mod view;

pub use file::TABLES_FILE;
#[cfg(any(test, feature = "testing"))]
pub use file::set_fold_version;
pub(super) use file::{FileReader, StoredState, TablesFile, TablesState};
pub(super) use flusher::{Tables, TablesWriter};
pub(super) use view::View;

/// Number of changes after which a generation is flushed, however small it is. It bounds what a start after a kill folds.
pub const FLUSH_CHANGES: u64 = 50_000;
