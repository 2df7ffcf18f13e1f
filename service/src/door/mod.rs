//! The HTTPS door of a process: API keys, tokens, the guard in front of routes, error replies, TLS, and the server.
//!
//! | module | holds |
//! |---|---|
//! | [`secret`] | the text that a caller presents |
//! | [`keys`] | named API keys and their scopes |
//! | [`tokens`], [`token_route`] | short-lived stand-ins for a key, and the route that issues them |
//! | [`auth`] | the guards that let a request in, and how long its access lasts |
//! | [`reply`] | error replies, and extractors that reject a request with one |
//! | [`upgrade`] | the step from a request to a WebSocket |
//! | [`certificate`] | the TLS identity and its files |
//! | [`serve`] | the server and its limits |
//! | [`key_command`] | the `key` command |
//! | [`pair`] | the pairing line |

pub mod auth;
pub mod certificate;
pub mod key_command;
pub mod keys;
pub mod pair;
pub mod reply;
pub mod secret;
pub mod serve;
pub mod token_route;
pub mod tokens;
pub mod upgrade;
