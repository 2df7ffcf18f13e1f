//! Pages of the office: HTML for people and JSON for programs, chosen by `Accept`.
//!
//! Each page is one struct with two faces (`page.rs`). What it shows of a store comes from [`herd::query`]: nothing is
//! counted or judged here, so pages, API and commands cannot disagree. Authentication, TLS and listening belong to the
//! process around it.
//!
//! Lists are paged by key. Offsets were rejected: an offset walks over everything that it skips, and entries that arrive
//! meanwhile push others across the edge of a page.
//!
//! | path | shows |
//! |---|---|
//! | `/` | figures of today, or of another day, of the only site; the list of sites if there are several |
//! | `/batches`, `/batches/{number}`, `/batches/by-id/{id}` | batches; a number is percent-decoded and never an id |
//! | `/animals`, `/animals/{id}` | animals by filters, in any order; one with tags, weights and history, including its corrections |
//! | `/lots`, `/lots/{number}` | lots in and out; one lot with its head, also on paper |
//! | `/pens` | pens with the head in them |
//! | `/payloads`, `/payloads/{sequence}` | received payloads, called reads; one change of the log |
//! | `/log` | corrections, and for owners sign-ins |
//! | `/status` | the site itself: pending decisions, link, pairing, divergence, event counters, missed events |
//! | `/search?q=` | all meanings of a text; redirects if there is exactly one |
//! | `/office/api/sync-status` | state of replication, always as JSON |
//! | `/office/live` | a stream of events, by which an open page stays current (`live`) |
//! | `POST` to `/animals/{id}/correct`, `/batches/by-id/{id}/correct`, `/payloads/{sequence}/correct` | takes a form with a correction, and leads back to the page (`forms`), as a `GET` does |
//! | `/login`, `/logout`, `/welcome` | logging in and out; choosing a password, by a link |
//! | `/users` | the users and the keys of programs, for owners, who also change them there |
//! | `/pair` | takes a pairing line from an owner (`owners`) |
//! | `POST` to `/status/copy` | takes an owner's choice between two copies of a site (`owners`) |
//! | `/batches.csv`, `/animals.csv`, `/payloads.csv` | the same lists for a spreadsheet |
//! | `/animals/eids.txt` | the EIDs of a list of animals, 15 digits a line |
//!
//! Every path also exists below `/sites/{site}`. Without that prefix it is of the only site. If there are several, it leads
//! people to the site that was paired first, and `/search` searches all of them.

mod animal_list;
mod animal_query;
mod animal_sheet;
mod animals;
mod batches;
mod browsers;
mod conventions;
mod error;
mod escape;
mod figures;
mod format;
mod forms;
mod frame;
mod head;
mod list;
mod live;
mod live_line;
mod log;
mod login;
mod lots;
mod media_type;
mod own_form;
mod owners;
mod page;
mod paths;
mod payloads;
mod pens;
mod reads;
mod request;
mod search;
mod senders;
mod site_request;
mod sites_list;
mod status;
mod streams;
mod sync_status;
mod today;
mod users;

pub use browsers::Browsers;
pub use conventions::Conventions;
pub(crate) use forms::correction_routes;
pub(crate) use live::{StillAllowed, is_live_path};
pub(crate) use login::ask_to_log_in;
pub use login::login_routes;
pub(crate) use own_form::is_of_own_page;
pub(crate) use owners::owner_routes;
pub(crate) use users::users_routes;

use crate::sites::Office;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::{MethodRouter, get};
use error::PageError;
use herd::clock::Clock;
use request::PageRequest;
use service::door::reply::{ApiError, unknown_path};
use site_request::{PagesState, SitePage};
use std::sync::Arc;

/// Returns the routes of the pages of all sites. The `clock` is what ages are measured against, `conventions` how
/// HTML shows weights and times, and `browsers` whose sign-ins owners see.
pub fn router(office: Arc<dyn Office>, clock: Arc<dyn Clock>, conventions: Conventions, browsers: &Browsers) -> Router {
    let state = PagesState::new(office, clock, conventions).with_people(browsers.people.clone());
    Router::new()
        .route("/", get(sites_list::office))
        .route("/office/api/sync-status", get(sync_status::office))
        .route(live::LIVE_PATH, get(live::stream))
        .route("/search", get(search::office))
        .merge(site_routes())
        .route("/sites/{site}", site_page(today::page))
        .route("/sites/{site}/search", site_page(search::search))
        .route("/sites/{site}/office/api/sync-status", get(sync_status::site))
        .route("/sites/{site}/office/live", get(live::stream))
        .nest("/sites/{site}", site_routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

fn site_routes() -> Router<PagesState> {
    Router::new()
        .route("/batches", site_page(batches::list))
        .route("/batches/{number}", site_page(batches::by_number))
        .route("/batches/by-id/{id}", site_page(batches::by_id))
        .route("/batches.csv", site_page(batches::csv))
        .route("/animals", site_page(animal_list::list))
        .route("/animals.csv", site_page(animal_sheet::csv))
        .route("/animals/eids.txt", site_page(animal_sheet::eids))
        .route("/animals/{id}", site_page(animals::by_id))
        .route("/lots", site_page(lots::list))
        .route("/lots/{number}", site_page(lots::by_number))
        .route("/pens", site_page(pens::list))
        .route("/log", site_page(log::page))
        .route("/payloads", site_page(reads::list))
        .route("/payloads.csv", site_page(reads::csv))
        .route("/payloads/{sequence}", site_page(payloads::by_sequence))
        .route("/status", site_page(status::page))
}

fn site_page(page: SitePage) -> MethodRouter<PagesState> {
    get(move |State(state): State<PagesState>, request: PageRequest| state.respond(request, page))
}

async fn not_found(uri: Uri, request: PageRequest) -> PageError {
    request.error(unknown_path(uri.path()))
}

async fn method_not_allowed(request: PageRequest) -> PageError {
    let message = "pages are only read: ask with GET";
    request.error(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message))
}

#[cfg(test)]
mod tests;
