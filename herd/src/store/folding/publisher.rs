//! Publication: what readers see of a store.

use super::super::tables::{Tables, TablesState};
use super::super::{Head, StoreError};
use crate::change::ChangeError;
use crate::fold::SealedRow;
use crate::position::Position;
use tokio::sync::watch;

/// Rows of folded changes that nobody sees yet, and the state of the tables with them.
#[derive(Debug)]
pub(in super::super) struct Sealed {
    pub(super) rows: Vec<SealedRow>,
    pub(super) state: TablesState,
    pub(super) blocked: Option<ChangeError>,
}

/// Shows readers what is durable and what is folded. Clones share it.
#[derive(Clone, Debug)]
pub(in super::super) struct Publisher {
    tables: Tables,
    head: watch::Sender<Head>,
}

impl Publisher {
    /// Publishes the state of a store that was opened: its log ends at `position`, and its tables are in `state`.
    pub(in super::super) fn new(tables: Tables, position: Position, state: &TablesState) -> Self {
        let (folded, fold_digest) = (state.folded, state.sum.digest());
        Self { tables, head: watch::Sender::new(Head { position, folded, fold_digest, blocked: None }) }
    }

    /// Returns the tables.
    pub(in super::super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Returns the current head.
    pub(in super::super) fn head(&self) -> Head {
        self.head.borrow().clone()
    }

    /// Returns a channel that receives each new head.
    pub(in super::super) fn subscribe(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// Publishes a commit of which log and fold are done: the tables visible, then the head published.
    pub(in super::super) fn commit(&self, position: Position, sealed: Sealed) {
        self.publish(Some(position), Some(sealed));
    }

    /// Publishes rows whose changes the log has.
    pub(in super::super) fn show_tables(&self, sealed: Sealed) {
        self.publish(None, Some(sealed));
    }

    /// Publishes a new end of the log, rows whose changes the log has, or both at once.
    pub(super) fn publish(&self, position: Option<Position>, sealed: Option<Sealed>) {
        let shown = sealed.map(|Sealed { rows, state, blocked }| {
            self.tables.publish(rows, &state);
            (state, blocked)
        });
        self.head.send_modify(|head| {
            if let Some(position) = position {
                head.position = position;
            }
            if let Some((state, blocked)) = shown {
                (head.folded, head.fold_digest, head.blocked) = (state.folded, state.sum.digest(), blocked);
            }
        });
    }

    /// Returns the failure of the flushes, if they have failed.
    pub(in super::super) fn check_flushes(&self) -> Result<(), StoreError> {
        self.tables.check()
    }
}
