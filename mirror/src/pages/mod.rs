//! The office's pages: one page struct with two faces, HTML for people and JSON for programs, chosen by `Accept`.
//!
//! Each request is one `Visit`: a site, a snapshot of its store, the face that was asked for. What is
//! shown of the store comes from [`herd::query`]; nothing is counted or judged here. Who may look, TLS and listening
//! are the process's part.
//!
//! | path | shows |
//! |---|---|
//! | `/` | whether the barn is alive, head counts, open batches; with several sites, which there are |
//! | `/batches`, `/batches/{number}`, `/batches/by-id/{id}` | batches; a number is percent-decoded, never an id |
//! | `/animals`, `/animals/{id}` | animals; one with tags, weights and history, what was corrected among it |
//! | `/payloads`, `/payloads/{sequence}` | what came; one change of the log |
//! | `/status` | what a person has to decide, the link to the barn, event counters, what was never heard |
//! | `/search?q=` | leads to the animal of a tag or lid, else to the batch of a number |
//! | `/office/api/sync-status` | how the sync goes, JSON in either face |
//! | `/batches.csv`, `/animals.csv`, `/payloads.csv` | the same lists for a spreadsheet |
//!
//! All of them stand under `/sites/{site}` too, and without it while exactly one site is paired.

mod animals;
mod asked;
mod batches;
mod face;
mod frame;
mod home;
mod payloads;
mod reply;
mod search;
mod sheet;
mod state;
mod status;
mod sync_status;
mod visit;
mod words;

pub use state::{HeardDuplicates, LinkState, Office, SiteStatus};

use asked::Asked;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use herd::clock::Clock;
use std::sync::Arc;
use visit::{Show, Visitors};

/// The pages of all sites of `office`. `clock` tells how old things are.
pub fn router(office: Arc<dyn Office>, clock: Arc<dyn Clock>) -> Router {
    let visitors = Visitors::new(office, clock);
    Router::new()
        .route("/", get(home::first))
        .route("/office/api/sync-status", get(sync_status::all))
        .route("/assets/style.css", get(style))
        .merge(of_site())
        .route("/sites/{site}", shown(home::site))
        .route("/sites/{site}/office/api/sync-status", get(sync_status::one))
        .nest("/sites/{site}", of_site())
        .fallback(reply::nothing_here)
        .method_not_allowed_fallback(reply::not_by_this_method)
        .with_state(visitors)
}

fn of_site() -> Router<Visitors> {
    Router::new()
        .route("/batches", shown(batches::list))
        .route("/batches/{number}", shown(batches::by_number))
        .route("/batches/by-id/{id}", shown(batches::by_id))
        .route("/batches.csv", shown(batches::sheet))
        .route("/animals", shown(animals::list))
        .route("/animals.csv", shown(animals::sheet))
        .route("/animals/{id}", shown(animals::one))
        .route("/payloads", shown(payloads::list))
        .route("/payloads.csv", shown(payloads::sheet))
        .route("/payloads/{sequence}", shown(payloads::one))
        .route("/status", shown(status::page))
        .route("/search", shown(search::search))
}

fn shown(show: Show) -> MethodRouter<Visitors> {
    get(move |State(visitors): State<Visitors>, asked: Asked| visitors.visit(asked, show))
}

/// The one style sheet; it holds no address of another machine.
async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, include_str!("../../assets/style.css")).into_response()
}

#[cfg(test)]
mod tests;
