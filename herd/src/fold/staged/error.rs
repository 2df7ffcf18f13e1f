//! Failure to read rows.

/// Reason why a row could not be read. The tables can always be rebuilt from the log.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The file could not be read.
    #[error("cannot read table `{table}` of tables.redb: {why}. The next start rebuilds the tables from the log")]
    Storage {
        /// Name of the table.
        table: &'static str,
        /// Message of the storage.
        why: String,
    },
    /// The file is sound, but can no longer be read: it was closed, or a write of it has failed.
    #[error("cannot read table `{table}` of tables.redb any more: {why}. The next start reads it again")]
    Closed {
        /// Name of the table.
        table: &'static str,
        /// Message of the storage.
        why: String,
    },
    /// The row is not an encoded value of its table's type.
    #[error("cannot decode a row of table `{table}` (key {key}). The next start rebuilds the tables from the log")]
    Damaged {
        /// Name of the table.
        table: &'static str,
        /// Key of the row in hexadecimal.
        key: String,
    },
}

impl RowsError {
    /// Returns whether the file is damaged, so that the tables have to be folded again.
    pub(crate) fn is_damage(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }
}
