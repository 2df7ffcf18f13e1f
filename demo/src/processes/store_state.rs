//! Position and digests of the store of a running process, from its control socket.

use super::{Barn, Office, ProcessError};
use daemon::control::BarnStatus;
use herd::position::{Digest, Position, Sequence};
use mirror::sites::SiteSummary;

/// Position and digests of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreState {
    /// Position of the latest durable change.
    pub position: Position,
    /// Latest change in the tables.
    pub folded: Sequence,
    /// Digest over the rows that the fold wrote.
    pub fold_digest: Digest,
}

impl StoreState {
    /// Returns the state of the copy that an office shows of a site, or `None` before the first copy is complete.
    pub fn of_site(site: &SiteSummary) -> Option<Self> {
        let (position, folded, fold_digest) = (site.position?, site.folded?, site.fold_digest?);
        Some(Self { position, folded, fold_digest })
    }
}

impl Barn {
    /// Returns the state of the store. Blocks the thread.
    pub fn store_state(&self) -> Result<StoreState, ProcessError> {
        let BarnStatus { store, epoch, sequence, digest, folded, fold_digest, .. } = self.status()?;
        Ok(StoreState { position: Position { store, epoch, sequence, digest }, folded, fold_digest })
    }
}

impl Office {
    /// Returns the state of the only site, or `None` if no barn is paired. Blocks the thread.
    pub fn site(&self) -> Result<Option<SiteSummary>, ProcessError> {
        Ok(self.status()?.sites.into_iter().next())
    }
}
