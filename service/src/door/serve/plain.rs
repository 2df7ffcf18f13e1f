//! The answer to plain HTTP on the port of HTTPS.
//!
//! Without it a client shows an alert of TLS as an answer of HTTP/0.9, and nobody understands that. A browser that asks for a
//! page is sent to HTTPS: people type addresses without `https://`, and the cookie of a session never travels in the clear. A
//! program is told the address instead: one that follows a redirect sends its key in the clear once more with every call.

use crate::door::reply::ApiError;
use axum::http::StatusCode;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Maximum number of bytes that are read of the head of a request.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Maximum number of bytes of a body that are read after the answer, so that the client can read the answer.
const MAX_REST_BYTES: u64 = 1024 * 1024;
/// Maximum length of a host that the answer repeats: a name of DNS and a port.
const MAX_HOST_CHARS: usize = 253 + 6;

/// Reads the head of a request without TLS, and answers it with the address that works. `local` is used if the request
/// names no host. `show` learns of the path and of the refusal.
pub(super) async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    local: SocketAddr,
    show: impl FnOnce(&str, ApiError),
) -> io::Result<()> {
    let head = read_head(stream).await?;
    let refusal = refusal(&head, local);
    let response = if is_of_browser(&head) { redirect(&head, local) } else { response(&refusal) };
    show(path_of(&head), refusal);
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await?;
    // A connection that is closed with unread bytes is reset, and the answer may be lost.
    tokio::io::copy(&mut stream.take(MAX_REST_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while head.len() < MAX_HEAD_BYTES && !is_complete(&head) {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn is_complete(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

/// Returns the path in the first line of a request, without its query; empty if there is none.
fn path_of(head: &str) -> &str {
    let target = head.split_ascii_whitespace().nth(1).unwrap_or_default();
    target.split('?').next().unwrap_or_default()
}

/// Returns the address of HTTPS, without a path.
fn https_address(head: &str, local: SocketAddr) -> String {
    format!("https://{}", host_of(head).map_or_else(|| local.to_string(), str::to_owned))
}

fn refusal(head: &str, local: SocketAddr) -> ApiError {
    let message = format!("this port speaks HTTPS and no plain HTTP: use {}", https_address(head, local));
    ApiError::new(StatusCode::BAD_REQUEST, "https_only", message)
}

/// Returns whether a browser asks for a page, without a key.
fn is_of_browser(head: &str) -> bool {
    let has = |name: &str| headers_of(head).any(|(found, _)| found.eq_ignore_ascii_case(name));
    let accepts_html =
        headers_of(head).any(|(name, value)| name.eq_ignore_ascii_case("accept") && value.contains("text/html"));
    let is_read = head.starts_with("GET ") || head.starts_with("HEAD ");
    is_read && accepts_html && !has("x-api-key") && !has("authorization")
}

fn redirect(head: &str, local: SocketAddr) -> String {
    let target = head.split_ascii_whitespace().nth(1).unwrap_or_default();
    let is_path = target.starts_with('/') && target.chars().all(|c| c.is_ascii_graphic());
    let target = if is_path { target } else { "/" };
    format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}{target}\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        https_address(head, local)
    )
}

fn response(refusal: &ApiError) -> String {
    let body = refusal.to_json().to_string();
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Returns the names and values of the headers.
fn headers_of(head: &str) -> impl Iterator<Item = (&str, &str)> {
    head.lines().skip(1).take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'))
}

/// Returns the host of a request, if it has one that can stand in an address.
fn host_of(head: &str) -> Option<&str> {
    let (_, host) = headers_of(head).find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    let host = host.trim();
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    ((1..=MAX_HOST_CHARS).contains(&host.len()) && host.chars().all(is_host)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "192.168.1.5:8443";

    /// Returns what a client without TLS reads.
    async fn reply_to(head: &str) -> String {
        let (mut client, mut server) = tokio::io::duplex(10_000);
        client.write_all(head.as_bytes()).await.unwrap();
        let mut reply = String::new();
        let target = head.split(' ').nth(1).unwrap();
        let show = |path: &str, refusal: ApiError| {
            assert_eq!((path, refusal.code), (target.split('?').next().unwrap(), "https_only"));
        };
        let (answered, read) = tokio::join!(answer(&mut server, LOCAL.parse().unwrap(), show), async {
            client.shutdown().await.unwrap();
            client.read_to_string(&mut reply).await
        });
        answered.unwrap();
        read.unwrap();
        reply
    }

    /// Catches an answer that names no address, or repeats what a client has made up.
    #[tokio::test]
    async fn the_answer_names_the_host_that_was_asked_or_the_address_of_the_server() {
        for (head, address) in [
            ("GET / HTTP/1.1\r\nhost: barn.local:8443\r\n\r\n", "https://barn.local:8443\""),
            ("GET /?key=1 HTTP/1.1\nHost: [fe80::1]:8443\n\n", "https://[fe80::1]:8443\""),
            ("GET / HTTP/1.0\r\n\r\n", "https://192.168.1.5:8443\""),
            ("GET / HTTP/1.1\r\nHost: \"><script>\r\n\r\n", "https://192.168.1.5:8443\""),
            ("GET / HTTP/1.1\r\nHost: \r\n\r\n", "https://192.168.1.5:8443\""),
            ("GET / HTTP/1.1\r\n\r\nHost: body", "https://192.168.1.5:8443\""),
            (&format!("GET / HTTP/1.1\r\nX: {}\r\nHost: barn\r\n\r\n", "a".repeat(8_000)), "https://barn\""),
        ] {
            let reply = reply_to(head).await;
            assert!(reply.starts_with("HTTP/1.1 400 ") && reply.contains(address), "{head}: {reply}");
        }
    }

    /// Catches a person who types the address and gets JSON, a program that is sent on with its key, and an address that a
    /// client has made up.
    #[tokio::test]
    async fn a_browser_is_sent_to_https_and_a_program_is_not() {
        let html = "Accept: text/html,*/*;q=0.8\r\n";
        for (request, location) in [
            ("GET /animals?q=1 HTTP/1.1\r\nHost: office:5000\r\n", "https://office:5000/animals?q=1"),
            ("HEAD / HTTP/1.1\r\nHost: office:5000\r\n", "https://office:5000/"),
            ("GET //evil.example HTTP/1.1\r\nHost: office:5000\r\n", "https://office:5000//evil.example"),
            ("GET http://evil.example/ HTTP/1.1\r\nHost: office:5000\r\n", "https://office:5000/"),
            ("GET / HTTP/1.0\r\n", "https://192.168.1.5:8443/"),
            ("GET /k\u{e4}lber HTTP/1.1\r\nHost: office:5000\r\n", "https://office:5000/"),
            (&format!("GET / HTTP/1.1\r\nHost: {}\r\n", "a".repeat(259)), &format!("https://{}/", "a".repeat(259))),
            (&format!("GET / HTTP/1.1\r\nHost: {}\r\n", "a".repeat(260)), "https://192.168.1.5:8443/"),
        ] {
            let reply = reply_to(&format!("{request}{html}\r\n")).await;
            assert!(reply.starts_with("HTTP/1.1 307 "), "{request}: {reply}");
            assert!(reply.contains(&format!("\r\nLocation: {location}\r\n")), "{request}: {reply}");
        }
        for request in [
            "POST / HTTP/1.1\r\nHost: office:5000\r\n",
            "GET / HTTP/1.1\r\nHost: office:5000\r\nX-API-Key: k\r\n",
            "GET / HTTP/1.1\r\nHost: office:5000\r\nAuthorization: Bearer t\r\n",
        ] {
            let reply = reply_to(&format!("{request}{html}\r\n")).await;
            assert!(reply.starts_with("HTTP/1.1 400 "), "{request}: {reply}");
        }
        for header in ["Accept: */*", "Accept: application/json", "Content-Type: text/html"] {
            let reply = reply_to(&format!("GET / HTTP/1.1\r\nHost: office:5000\r\n{header}\r\n\r\n")).await;
            assert!(reply.starts_with("HTTP/1.1 400 "), "{header}: {reply}");
        }
    }

    /// Catches a client that gets no answer because it sends too much or does not end its head, and one that loses the
    /// answer because its body was not read.
    #[tokio::test(start_paused = true)]
    async fn a_head_is_read_up_to_8_kib_and_a_body_behind_it_up_to_1_mib() {
        const BODY_BYTES: usize = 1_048_576;
        for (head, is_whole) in
            [("G / H\r\n\r\n", true), ("G / H\n\nx", true), ("G / H\r\nA: b\r\n", false), ("", false)]
        {
            assert_eq!(is_complete(head.as_bytes()), is_whole, "{head:?}");
        }
        let local = LOCAL.parse().unwrap();
        let head = format!("GET / {}", "x".repeat(8_192 - "GET / ".len()));
        for head in [head.as_str(), "POST / HTTP/1.1\r\n\r\n"] {
            let (mut client, mut server) = tokio::io::duplex(64 * 1024);
            let answering = tokio::spawn(async move { answer(&mut server, local, |_, _| ()).await });
            client.write_all(head.as_bytes()).await.unwrap();
            let mut begin = [0; 13];
            tokio::time::timeout(crate::harness::TIMEOUT, client.read_exact(&mut begin))
                .await
                .expect("no answer")
                .unwrap();
            assert_eq!(&begin, b"HTTP/1.1 400 ");
            // The client never ends what it sends.
            client.write_all(&vec![b'x'; BODY_BYTES]).await.unwrap();
            tokio::time::timeout(crate::harness::TIMEOUT, answering).await.expect("it reads on").unwrap().unwrap();
        }
    }
}
