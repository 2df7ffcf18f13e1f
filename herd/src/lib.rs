//! See the README.

pub mod payload;
