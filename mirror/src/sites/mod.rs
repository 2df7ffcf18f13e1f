//! The sites of this office: the list of paired barns, the copies and the follower of each, and the barns that were
//! prepared and have not paired yet.
//!
//! Nothing here depends on the pages. They read a site through [`Office`] and [`SiteStatus`].

mod catalogs;
mod command_error;
mod details;
mod files;
mod follower;
mod metrics;
mod name;
mod office;
mod prepared;
mod register;
mod running_sites;
mod site_api;
mod status;
mod view;

pub use crate::follow::{Arrival, Arrivals, LinkState};
pub use catalogs::{Catalogs, NoCatalogError};
pub use command_error::SiteCommandError;
pub use details::SiteDetails;
pub use files::{HISTORY, SITES_DIRECTORY, SiteFiles, SiteFilesError};
pub use follower::WriterError;
pub use metrics::OfficeMetrics;
pub use name::{MAX_NAME_CHARS, SiteName, SiteNameError};
pub use office::Office;
pub use prepared::{
    MAX_PREPARED, OfficeIdentity, PREPARED_LIFETIME_DAYS, PreparedError, PreparedSite, PreparedSites, PreparedSummary,
};
pub use register::{AddOptions, MAX_SITES, PairingOutcome, PairingReceipt, Register, Site, SitesError};
pub use running_sites::{FollowerError, Removal, Sites};
pub use status::{BarnDuplicates, DivergedHistories, SiteStatus, SiteSummary};
