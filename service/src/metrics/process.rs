//! What every process tells: which program it is, and since when.

use super::{Collector, DescriptorEncoder, Families, Family};
use herd::fold::FOLD_VERSION;
use herd::wire::WIRE_VERSION;
use std::fmt;
use tokio::time::Instant;

const BUILD: Family = Family::new("build", "The program, and which versions of tables and wire it speaks.");
const UPTIME: Family = Family::new("uptime", "Since the start of this process.").in_unit("seconds");

/// The program, from its start on.
#[derive(Debug)]
pub struct ProcessMetrics {
    program: &'static str,
    version: &'static str,
    started: Instant,
}

impl ProcessMetrics {
    /// This program has started now.
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
