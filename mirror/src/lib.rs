//! The office: follows barns over HTTPS, keeps a verified copy of each, and serves the copies.
//!
//! | module | content |
//! |---|---|
//! | [`cli`], [`settings`] | command line and settings |
//! | [`run`], [`control`], [`commands`] | the running process, its control protocol, and the responses to commands |
//! | [`sites`] | the paired barns: their list, copies, followers and status |
//! | [`copies`], [`give_back`] | directory of one site's copies; what only they hold, returned to the barn |
//! | [`follow`] | replication of one barn into a copy |
//! | [`link`] | HTTPS and WebSocket connections to a barn |
//! | [`pages`] | web pages, each also as JSON |
//! | [`people`] | the people who may open the pages: users, sessions, links to choose a password |
//! | [`prepare`] | the settings file of a barn's card, with its one-time code |
//! | [`zone`] | the time zone of the office |
//! | `day` | the days of the office, in its zone |
//! | `corrections` | corrections, forwarded to the barn |
//! | `doors` | access control of all HTTP routes |
//!
//! Settings, as an example:
//! ```
//! use mirror::settings::Settings;
//!
//! let settings = Settings::default();
//! assert_eq!(settings.listen.port(), 5000);
//! ```
pub mod cli;
pub mod commands;
pub mod control;
pub mod copies;
mod corrections;
mod day;
mod doors;
pub mod follow;
pub mod give_back;
pub mod link;
pub mod pages;
pub mod people;
pub mod prepare;
pub mod run;
pub mod settings;
pub mod sites;
pub mod zone;
