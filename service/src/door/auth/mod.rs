//! Authentication: the guards in front of routes, and how long the access of a caller lasts.
//!
//! Keys and tokens are accepted in headers only. In a URL they would end up in logs.
//!
//! A connection ends with the key or token that opened it. Checking keys only when a request arrives was rejected: a
//! revoked office would be fed for as long as its live connection stays open.

mod access;
mod guard;
mod keyless;

pub use access::{Access, Authenticator};
pub use guard::{Caller, Guard, KEY_HEADER, has_key, require, require_any};
pub use keyless::KeylessGuard;

#[cfg(test)]
mod tests;
