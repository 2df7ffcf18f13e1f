//! Calls over a separate TCP connection, which an upgrade to a WebSocket needs.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use service::harness::TIMEOUT;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Sends a request without a body, and returns the answer. The answer to an upgrade ends before the first frame.
pub(crate) async fn send(router: Router, request: &Request<Body>) -> Response<Vec<u8>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let response = timeout(TIMEOUT, exchange(TcpStream::connect(address).await.unwrap(), request)).await;
    serving.abort();
    response.expect("no answer in time")
}

async fn exchange(stream: TcpStream, request: &Request<Body>) -> Response<Vec<u8>> {
    let mut stream = BufReader::new(stream);
    let first = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n", request.method(), request.uri());
    let headers = request.headers().iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
    let text: String = std::iter::once(first).chain(headers).chain(["\r\n".to_owned()]).collect();
    stream.write_all(text.as_bytes()).await.unwrap();
    let head = line(&mut stream).await;
    let mut response = Response::builder().status(head.split(' ').nth(1).unwrap());
    let mut length = 0;
    while let Some((name, value)) = line(&mut stream).await.split_once(": ") {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        }
        response = response.header(name, value);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    response.body(body).unwrap()
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line.trim_end().to_owned()
}
