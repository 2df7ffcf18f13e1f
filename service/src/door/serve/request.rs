//! The rules of every request, whatever its route: a host, a body that is read, and headers and room for the answer.

use super::budget::{AnswerBody, Claim};
use super::cap::Cap;
use super::connection::{Connection, Permission, RequestProgress};
use super::drain::{self, SharedBody};
use crate::door::reply::ApiError;
use axum::Extension;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// `Retry-After` for a body or an answer that found no room.
const RETRY_AFTER_S: u32 = 5;

/// Passes a request to its route, and the answer to its peer.
pub(super) async fn pass(Extension(connection): Extension<Connection>, request: Request, next: Next) -> Response {
    let mut progress = connection.begin_request();
    let uri = request.uri().clone();
    let mut response = match with_host(request) {
        Ok(request) => run(&connection, request, next).await,
        Err(refusal) => refusal.into_response(),
    };
    if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        connection.count(Cap::Keys);
    }
    connection.show_answer(uri.path(), &response);
    if let Some(permission) = response.extensions_mut().remove::<Permission>() {
        progress.require(permission);
    }
    add_headers(response.headers_mut());
    with_room(response, progress)
}

/// Runs the route, and then reads what it has left of the request's body.
async fn run(connection: &Connection, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let Ok(claim) = Claim::for_body(connection, &request.body().size_hint()).await else {
        connection.count(Cap::BodyBytes);
        return busy("too many bodies are being read; send it again");
    };
    let awaits_go_ahead = request.headers().contains_key(header::EXPECT);
    let (head, body) = request.into_parts();
    let body = SharedBody::new(body);
    let response = next.run(Request::from_parts(head, Body::new(body.clone()))).await;
    // What is drained is not kept.
    drop(claim);
    drain::drain(&body, awaits_go_ahead).await;
    response
}

/// Checks that the request names its host once. HTTP/2 names it in the URI; it is copied to where HTTP/1.1 has it.
fn with_host(mut request: Request) -> Result<Request, ApiError> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        // RFC 9112, 3.2.
        return Err(ApiError::bad_request("a request of HTTP/1.1 has the header `Host` exactly once"));
    }
    if hosts == 0
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    Ok(request)
}

fn add_headers(headers: &mut HeaderMap) {
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Returns the answer with a body that has claimed its bytes, or a refusal if there is no room for it.
fn with_room(response: Response, progress: RequestProgress) -> Response {
    let (head, body) = response.into_parts();
    let connection = progress.connection().clone();
    let size = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let claim = match size {
        Some(0) => return Response::from_parts(head, body),
        Some(bytes) => Claim::now(&connection, bytes),
        None => return Response::from_parts(head, Body::new(AnswerBody::new(body, None, progress))),
    };
    let Some(claim) = claim else {
        connection.count(Cap::AnswerBytes);
        let mut refusal = busy("too many answers wait to be taken; read those first, then ask again");
        add_headers(refusal.headers_mut());
        return refusal;
    };
    Response::from_parts(head, Body::new(AnswerBody::new(body, Some(claim), progress)))
}

fn busy(message: &str) -> Response {
    ApiError::unavailable("busy", message, RETRY_AFTER_S).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a page whose links lead elsewhere, because a route does not see which host was asked.
    #[test]
    fn a_route_sees_the_host_of_a_request_of_every_version() {
        for (version, uri, hosts, expected) in [
            (Version::HTTP_2, "https://barn:5001/x", &[][..], Ok(Some("barn:5001"))),
            (Version::HTTP_2, "https://barn:5001/x", &["office"], Ok(Some("office"))),
            (Version::HTTP_2, "/x", &[], Ok(None)),
            (Version::HTTP_11, "/x", &["barn"], Ok(Some("barn"))),
            (Version::HTTP_11, "https://barn/x", &[], Err(StatusCode::BAD_REQUEST)),
            (Version::HTTP_11, "/x", &["barn", "office"], Err(StatusCode::BAD_REQUEST)),
            (Version::HTTP_10, "/x", &[], Ok(None)),
            (Version::HTTP_10, "/x", &["barn", "office"], Err(StatusCode::BAD_REQUEST)),
        ] {
            let request = Request::get(uri).version(version);
            let request = hosts.iter().fold(request, |request, host| request.header(header::HOST, *host));
            let checked = with_host(request.body(Body::empty()).unwrap()).map_err(|error| error.status);
            let seen = checked.map(|request| request.headers().get(header::HOST).cloned());
            let expected = expected.map(|host| host.map(HeaderValue::from_static));
            assert_eq!(seen, expected, "{version:?} {uri} {hosts:?}");
        }
    }
}
