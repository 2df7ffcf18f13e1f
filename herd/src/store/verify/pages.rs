//! The pages of the log's file: those that lead to its rows, and those that count what is free.
//!
//! redb has a digest of each page, and compares none while it reads. Damage to a page that holds a row is found by the digests
//! of the row. Damage to one that counts free pages shows much later: a new row is laid over an old one, or nothing can be
//! written any more.
//!
//! # Decisions
//!
//! - **The file is written to as well, in memory.** A start that has read a damaged count writes it once more when it stops,
//!   with a right digest. The next transactions use what it counts, and then it shows.

use super::super::disk::{begin_write, open_error, open_guarded};
use super::super::error::storage;
use super::super::guarded::{GuardedDatabase, guarded};
use super::super::{Disk, LOG_CACHE_BYTES, LOG_FILE, ReadOnlyDisk, StoreError};
use super::VerifyError;
use redb::StorageError::Corrupted;
use redb::{Database, DatabaseError, TableDefinition};

/// A table of the attempts to write.
const ATTEMPTS: TableDefinition<'_, u64, u64> = TableDefinition::new("attempts");
/// Number of transactions after which all pages have been used that were waiting to be.
const MAX_ATTEMPTS: u64 = 3;

/// Compares the digests of all pages that redb needs, and counts the free ones again. The file stays as it is.
pub(super) fn verify_pages(disk: &dyn Disk) -> Result<(), VerifyError> {
    // A check puts right in memory what the attempts are to use, so each has a look of its own.
    let mut attempts = [0, MAX_ATTEMPTS].into_iter();
    let checked = attempts.try_for_each(|attempts| check_after(&ReadOnlyDisk::over(disk), attempts));
    checked.map_err(|error| match error {
        StoreError::DamagedFile { why, .. } => VerifyError::Pages { why },
        error => error.into(),
    })
}

fn check_after(looked: &ReadOnlyDisk, attempts: u64) -> Result<(), StoreError> {
    let mut database = open_guarded(looked, LOG_FILE, LOG_CACHE_BYTES)?;
    let checked = guarded(LOG_FILE, || {
        (0..attempts).try_for_each(|attempt| write(&database, attempt))?;
        check(&mut database)
    });
    drop(GuardedDatabase::new(database, LOG_FILE));
    checked
}

fn check(database: &mut Database) -> Result<(), StoreError> {
    match database.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) => Err(damaged("its free pages are counted wrong".to_owned())),
        Err(DatabaseError::Storage(Corrupted(why))) => Err(damaged(why)),
        Err(error) => Err(open_error(error, LOG_FILE.to_owned())),
    }
}

fn write(database: &Database, attempt: u64) -> Result<(), StoreError> {
    let written = || -> Result<(), redb::Error> {
        let transaction = begin_write(database)?;
        transaction.open_table(ATTEMPTS)?.insert(attempt, attempt)?;
        Ok(transaction.commit()?)
    };
    written().map_err(|error| match error {
        redb::Error::Corrupted(why) => damaged(why),
        error => storage("write", LOG_FILE)(error),
    })
}

fn damaged(why: String) -> StoreError {
    StoreError::DamagedFile { file: LOG_FILE.to_owned(), why }
}
