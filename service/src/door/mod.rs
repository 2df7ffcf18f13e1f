//! How a process that serves a store is reached: keys, the check at the door, the form of its answers, TLS, the server.

pub mod auth;
pub mod certificate;
pub mod key_command;
pub mod keys;
pub mod reply;
pub mod request_times;
pub mod serve;
pub mod token_route;
pub mod tokens;
pub mod upgrade;
