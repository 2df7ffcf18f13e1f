//! `POST /api/lora/process` at the office: the barn of a site reprocesses its rejected payloads. An office that follows this
//! one sends it, and so do programs.

use super::{BarnResponse, Forwarder};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use herd::store::MAX_REPROCESSED;
use serde::Deserialize;
use service::door::auth::{Access, Caller};
use service::door::reply::{ApiError, StrictQuery};

/// Path on which rejected payloads are reprocessed, at the barn and at the office.
pub(super) const REPROCESS_PATH: &str = "/api/lora/process";

/// Range of the rejected payloads to reprocess, as the barn takes it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReprocessQuery {
    /// Start after this payload.
    #[serde(default)]
    pub(super) after: u64,
    /// Maximum number of payloads; the barn's own limit if it is not given.
    pub(super) limit: Option<usize>,
}

impl ReprocessQuery {
    /// Returns the path of the call with this query.
    pub(super) fn path(self) -> String {
        let limit = self.limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
        format!("{REPROCESS_PATH}?after={}{limit}", self.after)
    }

    fn checked(self) -> Result<Self, ApiError> {
        match self.limit {
            Some(limit) if !(1..=MAX_REPROCESSED).contains(&limit) => {
                Err(ApiError::bad_request(format!("`limit` must be 1 to {MAX_REPROCESSED}")))
            }
            _ => Ok(self),
        }
    }
}

pub(super) async fn at_only_site(
    State(forwarder): State<Forwarder>,
    caller: Caller,
    access: Access,
    StrictQuery(query): StrictQuery<ReprocessQuery>,
) -> Result<BarnResponse, ApiError> {
    let (site, query) = (forwarder.sites.only_name()?, query.checked()?);
    access.begin_write()?;
    forwarder.send_reprocess(&site, caller.name(), query).await
}

pub(super) async fn at_named_site(
    State(forwarder): State<Forwarder>,
    caller: Caller,
    access: Access,
    site: Result<Path<String>, PathRejection>,
    StrictQuery(query): StrictQuery<ReprocessQuery>,
) -> Result<BarnResponse, ApiError> {
    let Path(site) = site.map_err(|_| ApiError::bad_request("the path is not UTF-8 once it is percent-decoded"))?;
    let query = query.checked()?;
    access.begin_write()?;
    forwarder.send_reprocess(&site, caller.name(), query).await
}
