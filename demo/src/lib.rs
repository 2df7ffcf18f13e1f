//! A whole barn and office on simulated hardware.
pub mod bench;
pub mod cli;
pub mod demo;
pub mod processes;
pub mod world;
