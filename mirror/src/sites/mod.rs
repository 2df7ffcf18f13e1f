//! The sites of this office: which there are, and the following of each.

mod files;
mod following;
mod metrics;
mod name;
mod office;
mod register;
mod running;
mod site_api;
mod status;
mod view;

pub use crate::follow::LinkState;
pub use files::{SiteFiles, SiteFilesError};
pub use following::WriterFailed;
pub use metrics::OfficeMetrics;
pub use name::{MAX_NAME_CHARS, NoName, SiteName};
pub use office::Office;
pub use register::{AddOptions, Added, MAX_SITES, Outcome, Register, Site, SitesError};
pub use running::{CommandFailed, Sites};
pub use status::{BarnDuplicates, SiteStatus, SiteSummary};
