//! Errors of building and following.

use crate::fold::RowsError;
use crate::query::QueryError;
use crate::store::StoreError;

/// Why a catalog could not be built or brought up to date. One that was being brought up to date must be built anew.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The store could not be read.
    #[error("cannot read the store for the catalog of its animals: {0}")]
    Store(#[from] StoreError),
    /// The tables could not be read.
    #[error("cannot read the tables for the catalog of its animals: {0}")]
    Rows(#[from] RowsError),
    /// A query failed.
    #[error("cannot read the history of an animal for the catalog: {0}")]
    Query(#[from] QueryError),
    /// There are more animals than a catalog holds.
    #[error("the site has more than {max} animals, which is too many for lists by lot, pen and tag")]
    TooManyAnimals {
        /// The limit.
        max: usize,
    },
    /// The snapshot is older than the catalog, or of another history.
    #[error("the copy was replaced, so the catalog of its animals must be built anew")]
    OtherHistory,
    /// The caller ended the building.
    #[error("the catalog is no longer needed")]
    Canceled,
}
