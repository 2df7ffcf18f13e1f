//! Authentication: the guard in front of routes, and how long the access of a caller lasts.
//!
//! Keys and tokens are accepted in headers only. In a URL they would end up in logs.

mod access;
mod guard;

pub use access::{Access, Authenticator};
pub use guard::{Caller, Guard, KEY_HEADER, require, require_any};

#[cfg(test)]
mod tests;
