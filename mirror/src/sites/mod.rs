//! The sites of this office: which there are, and the following of each.
mod name;
mod register;

pub use name::{MAX_NAME_CHARS, NoName, SiteName};
pub use register::{AddOptions, Added, MAX_SITES, Outcome, Register, Site, SitesError};
