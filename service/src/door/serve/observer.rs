//! The seam through which a process learns of every answer of its server, also of those that no route gave.

use axum::response::Response;
use std::net::IpAddr;

/// An answer, as an observer sees it before it is sent.
#[derive(Clone, Copy, Debug)]
pub struct ObservedAnswer<'a> {
    /// Peer of the connection. An IPv6 peer is a network of 64 bits.
    pub peer: IpAddr,
    /// Path of the request.
    pub path: &'a str,
    /// The answer. Its extensions hold the [`Caller`](crate::door::auth::Caller) that a guard has let in, and the
    /// [`Refusal`](crate::door::reply::Refusal) of an error reply.
    pub response: &'a Response,
}

/// Observes the answers of a server. It runs before each answer is sent, so it must not wait.
pub trait AnswerObserver: Send + Sync {
    /// Takes note of an answer.
    fn observe(&self, answer: ObservedAnswer<'_>);
}
