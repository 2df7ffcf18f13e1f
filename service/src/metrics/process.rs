//! Metrics of every process: its program, versions and uptime.

use super::families::{Families, Family};
use herd::fold::FOLD_VERSION;
use herd::wire::WIRE_VERSION;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;
use tokio::time::Instant;

const BUILD: Family = Family::new("build", "The program, and which versions of tables and wire it speaks.");
const UPTIME: Family = Family::new("uptime", "Time since the process started.").in_unit("seconds");

/// The program that runs, and the time of its start.
#[derive(Debug)]
pub struct ProcessMetrics {
    program: &'static str,
    version: &'static str,
    started: Instant,
}

impl ProcessMetrics {
    /// Creates the metrics of a program that starts now.
    pub fn new(program: &'static str, version: &'static str) -> Self {
        Self { program, version, started: Instant::now() }
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        let versions = [FOLD_VERSION.to_string(), WIRE_VERSION.to_string()];
        let labels = [
            ("program", self.program),
            ("version", self.version),
            ("fold_version", &versions[0]),
            ("wire_version", &versions[1]),
        ];
        families.info(BUILD, &labels)?;
        families.gauge(UPTIME, self.started.elapsed().as_secs_f64())
    }
}
