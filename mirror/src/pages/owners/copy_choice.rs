//! The choice of an owner between the copy that is shown and a new one, as the page of a site asks it.
//!
//! # Decisions
//!
//! - **To accept the barn's history is to make a new copy beside the shown one** (`resync`). What only the shown one holds stays
//!   here, until it is given back.
//! - **To keep the old copy discards a new one that is being made** (`resync --cancel`). While there is none, the old copy is
//!   shown anyway, and the log alone has the choice.

use super::{Owners, refusal};
use crate::control::{OfficeRequest, OfficeResponse};
use crate::pages::error::PageError;
use crate::pages::format;
use crate::pages::own_form::OwnForm;
use crate::pages::page::redirect;
use crate::pages::request::PageRequest;
use crate::pages::senders::Senders;
use crate::people::{LoggedIn, Role};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, post};
use herd::change::Acceptance;
use serde::Deserialize;
use service::control::ControlError;
use service::door::reply::ApiError;

/// Maximum size of a form: a reason, each byte of which may take three.
pub(super) const MAX_FORM_BYTES: usize = 8 * 1024;
const OWNERS: Senders = Senders {
    least: Role::Owner,
    role: "only an owner of this office chooses between copies of a site",
    key: "an API key does not choose between copies; `herdlinx-mirror resync` does, on the office's machine",
};

/// The copy that is to be shown, named as in the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    AcceptBarn,
    KeepOld,
}

#[derive(Deserialize)]
struct ChoiceForm {
    form_token: String,
    choice: Choice,
    #[serde(default)]
    reason: String,
}

/// Returns the route of the form of a site.
pub(super) fn route() -> MethodRouter<Owners> {
    post(choose)
}

async fn choose(
    State(owners): State<Owners>,
    request: PageRequest,
    headers: HeaderMap,
    OwnForm { form, media_type, .. }: OwnForm<ChoiceForm, MAX_FORM_BYTES>,
) -> Response {
    let refuse = |error| PageError { media_type, error }.into_response();
    let (site, prefix) = match owners.pages.site_of_page(&request) {
        Ok(site) => site,
        Err(error) => return refuse(error),
    };
    let page = format!("{prefix}/status");
    let owner = match OWNERS.sender(&owners.browsers, &headers, &form.form_token, (media_type, &page)) {
        Ok(owner) => owner,
        Err(answer) => return *answer,
    };
    match send(&owners, &owner, &site, &form).await {
        Ok(()) => redirect(&page),
        Err(error) => refuse(error),
    }
}

/// Runs the command that the choice means.
async fn send(owners: &Owners, owner: &LoggedIn, site: &str, form: &ChoiceForm) -> Result<(), ApiError> {
    let acceptance = Acceptance::checked(owner.name.as_str(), &form.reason);
    let acceptance = acceptance.map_err(|error| ApiError::bad_request(format::without_keys(&error.to_string())))?;
    let is_copying = owners.pages.status(site)?.copied.is_some();
    let (by, reason, choice) = (&owner.name, &acceptance.reason, form.choice);
    let answer = match choice {
        Choice::AcceptBarn => (owners.commands)(OfficeRequest::Resync { site: site.to_owned() }).await,
        Choice::KeepOld if is_copying => (owners.commands)(OfficeRequest::CancelResync { site: site.to_owned() }).await,
        Choice::KeepOld => {
            tracing::info!(%by, reason, site, ?choice, "copy of a site chosen on a page");
            return Ok(());
        }
    };
    match answer {
        Ok(OfficeResponse::CopyStarted { copy } | OfficeResponse::CopyCanceled { copy }) => {
            tracing::info!(%by, reason, site, ?choice, copy, "copy of a site chosen on a page");
            Ok(())
        }
        Ok(_) => Err(refusal(ControlError::failed("the choice was answered with something else"))),
        Err(error) => {
            tracing::warn!(%by, reason, site, ?choice, %error, "copy of a site not chosen");
            Err(refusal(error))
        }
    }
}
