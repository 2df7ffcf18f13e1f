//! People and programs at the office's door that should not get in, and texts of readers that should not get out.
//!
//! Catches: a script from a packet that a page runs, a page that somebody sees by a path, a header, a proxy or another's
//! cookie, a form of another page that is taken, an action of a role that may not do it, and a flood of wrong log-ins that lets
//! somebody in or keeps the honest out.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod actions;
mod expiry;
mod log_ins;
mod proxy;
mod texts;
mod tricks;
mod user;
#[path = "../yard/mod.rs"]
mod yard;

use demo::processes::BarnSettings;
use yard::{Yard, own_programs};

/// Opens a barn and an office with these payloads.
async fn yard_with(payloads: &[&str]) -> Yard {
    let yard = Yard::open(&own_programs(), |_| BarnSettings::default()).await;
    for payload in payloads {
        let (status, answer) = yard.deliver(payload).await;
        assert!(matches!(status, 201 | 422), "{payload}: {answer}");
    }
    yard.wait_until_equal().await;
    yard
}
