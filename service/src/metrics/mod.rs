//! `GET /metrics`: the state of a process as OpenMetrics text 1.0, or in the text format 0.0.4 if the request asks for it.
//!
//! A scrape reads the state that the parts of the process hold anyway. Counters of its own were rejected, because they
//! would be a second truth. Only figures that no part needs are collected for it: durations, and the sizes of commit
//! groups.
//!
//! Names start with `herdlinx_`, contain the unit, and end in `_total` if they count. The number of labels is bounded:
//! sites, radios and keys are named by an operator, reasons and routes by the program.

mod connections;
mod families;
mod process;
mod request_times;
mod route;
mod stores;
#[cfg(test)]
mod tests;
mod text_format;

pub use families::{Families, Family, NO_LABELS};
pub use process::ProcessMetrics;
pub use prometheus_client::collector::Collector;
pub use prometheus_client::encoding::DescriptorEncoder;
pub use request_times::RequestTimes;
pub use route::{METRICS_PATH, router};
pub use stores::{encode_deliveries, encode_stores};
