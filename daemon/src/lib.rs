//! `herdlinxd`, the barn daemon: receives, records and serves payloads. It is the source of one history.
//!
//! | modules | content |
//! |---|---|
//! | [`receive`], [`ingest`], [`corrections`] | ways in: radios, payloads over HTTPS, corrections over HTTPS |
//! | [`recorder`], [`disk`], [`era_moves`] | the writer of the store, its queue and its counters; free space; orders that take many steps |
//! | [`tap`], [`listen`] | packets as they are received, for `herdlinxd listen` |
//! | [`health`], [`status_line`], [`liveness`], [`metrics`], [`remote`] | the state of the process, for people, systemd, Prometheus and programs |
//! | [`settings`], [`open`], [`closed_doors`], [`boot`], [`log_position`], [`run`] | the settings, the files, and the running process |
//! | [`restore`], [`recover`], [`recover_report`], [`staging`], [`give_back`], [`lost_end`] | a barn out of a backup or a damaged log; what an office returns and shows |
//! | [`firstboot`] | the settings on a flashed card, before the daemon starts |
//! | [`slots`], [`update`] | the two roots of a card: which one starts, and how a new one is installed |
//! | [`cli`], [`control`], [`doctor`] | the command line and its protocol; diagnosis |
//! | [`pairing_code`] | pairing with an office by the one-time code of the card |

pub mod boot;
pub mod cli;
pub mod closed_doors;
pub mod control;
pub mod corrections;
pub mod disk;
pub mod doctor;
pub mod era_moves;
pub mod firstboot;
pub mod give_back;
pub mod health;
pub mod ingest;
pub mod listen;
pub mod liveness;
pub mod log_position;
pub mod lost_end;
pub mod metrics;
pub mod open;
pub mod pairing_code;
mod receipt_log;
pub mod receive;
pub mod recorder;
pub mod recover;
pub mod recover_report;
pub mod remote;
pub mod restore;
pub mod run;
pub mod settings;
pub mod slots;
pub mod staging;
pub mod status_line;
pub mod tap;
#[cfg(test)]
mod test_world;
pub mod update;
