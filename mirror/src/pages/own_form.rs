//! Requests that our own pages have sent: their forms, and those that become a WebSocket.
//!
//! The browser says where a request comes from (`Sec-Fetch-Site`, else `Origin`), and a request that says neither is refused.
//! A form of a session carries a text of that session besides, which its route compares.

use super::error::PageError;
use super::media_type::MediaType;
use axum::body::HttpBody as _;
use axum::extract::{ConnectInfo, Form, FromRequest, Request};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use service::door::reply::{ApiError, BODY_READ_TIMEOUT};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::time::timeout;

/// A form of one of our own pages, of at most `MAX_BYTES`.
pub(super) struct OwnForm<T, const MAX_BYTES: usize> {
    pub(super) form: T,
    /// Address of the browser.
    pub(super) peer: IpAddr,
    pub(super) media_type: MediaType,
}

impl<T: DeserializeOwned, S: Send + Sync, const MAX_BYTES: usize> FromRequest<S> for OwnForm<T, MAX_BYTES> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let media_type = MediaType::negotiate(request.headers());
        let refuse = |error| PageError { media_type, error };
        if !is_of_own_page(&request) {
            return Err(refuse(foreign_form("this form was not sent by a page of this office; open the page again")));
        }
        // Nobody has said who they are, so a body must not take much room or time.
        if request.body().size_hint().exact().is_none_or(|bytes| bytes > MAX_BYTES as u64) {
            let message = "this form is too large, or does not say how large it is";
            return Err(refuse(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_form", message)));
        }
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip());
        let Ok(form) = timeout(BODY_READ_TIMEOUT, Form::from_request(request, state)).await else {
            let message = "the form did not arrive in time; send it again";
            return Err(refuse(ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)));
        };
        match form {
            Ok(Form(form)) => Ok(Self { form, peer, media_type }),
            Err(error) => {
                Err(refuse(ApiError::new(error.status(), "bad_form", "this form cannot be read; open the page again")))
            }
        }
    }
}

/// Returns the answer to a form of another page.
pub(super) fn foreign_form(message: &str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "foreign_form", message)
}

/// Returns whether a request comes from a page of this origin, by what the browser says. A page cannot set these headers.
pub(crate) fn is_of_own_page(request: &Request) -> bool {
    if let Some(site) = request.headers().get("sec-fetch-site") {
        return site == "same-origin";
    }
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.strip_prefix("https://"));
    // HTTP/2 has the host in the URI.
    let host = request.uri().authority().map(Authority::as_str).or_else(|| text(header::HOST));
    origin.is_some() && origin == host
}
