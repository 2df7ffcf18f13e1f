//! A replay: a disk after each of the operations that another one recorded.

use super::image::{FileOperation, Image};
use super::{MemoryDisk, lock};
use crate::store::Disk;
use std::io;
use std::sync::{Arc, Mutex};

/// An operation that changed a disk.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Create(String),
    Rename(String, String),
    Remove(String),
    File(String, FileOperation),
}

/// The operations of a disk, in order. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Recording(Arc<Mutex<Vec<Operation>>>);

impl Recording {
    pub(super) fn push(&self, operation: Operation) {
        lock(&self.0).push(operation);
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    pub(super) fn operations(&self) -> Vec<Operation> {
        lock(&self.0).clone()
    }
}

/// A disk on which recorded operations are run one by one. Names of files are durable at once: a directory is synced when
/// a file is created, renamed or removed.
#[derive(Debug)]
pub struct Replay {
    disk: MemoryDisk,
    operations: std::vec::IntoIter<Operation>,
}

impl Replay {
    pub(super) fn new(disk: MemoryDisk, operations: Vec<Operation>) -> Self {
        Self { disk, operations: operations.into_iter() }
    }

    /// Returns the disk after the operations so far. Take it through one of the `after_...` functions before a store opens
    /// it, because that writes.
    pub fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    /// Returns the disk as a restarted process finds it if the next operation is a sync and fails: the kernel's cache has
    /// what the disk never gets. Returns `None` if the next operation is no sync.
    pub fn after_failed_sync(&self) -> Option<MemoryDisk> {
        let Some(Operation::File(name, FileOperation::Sync)) = self.operations.as_slice().first() else { return None };
        let disk = self.disk.after_kill();
        disk.alter(name, Image::fail_sync).then_some(disk)
    }

    /// Runs the next operation. Returns whether there was one.
    ///
    /// # Errors
    /// Fails if an operation is not possible, which the recording disk would have refused.
    pub fn step(&mut self) -> io::Result<bool> {
        let Some(operation) = self.operations.next() else { return Ok(false) };
        match operation {
            Operation::Create(name) => drop(self.disk.open_file(&name)),
            Operation::Rename(from, to) => self.disk.rename(&from, &to).map_err(io::Error::other)?,
            Operation::Remove(name) => self.disk.remove(&name).map_err(io::Error::other)?,
            Operation::File(name, operation) => self.disk.open_file(&name).run(operation)?,
        }
        Ok(true)
    }
}
