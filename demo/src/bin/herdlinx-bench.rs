//! The bench: measures this machine's floor and the program in one run, and prints ratios as JSON.

use demo::bench::{floor, rate, store};
use serde_json::json;
use std::time::Duration;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("herdlinx-bench-").tempdir_in(".")?;
    let floor = floor::fdatasync(directory.path(), 2_000)?;
    let sync_rate = rate(1, floor.percentile(50)).max(1.0);
    eprintln!("floor: {}", floor.to_json());
    let recorder = store::recorder_rates(directory.path(), 2_000, 200_000, sync_rate).await?;
    eprintln!("recorder: {recorder}");
    let mut copies = Vec::new();
    for changes in [100_000, 1_000_000] {
        let sub = directory.path().join(changes.to_string());
        copies.push(tokio::task::block_in_place(|| store::copies(&sub, changes))?);
        eprintln!("copies: {}", copies[copies.len() - 1]);
    }
    let result = json!({ "fdatasync": floor.to_json(), "recorder": recorder, "copies": copies });
    #[expect(clippy::print_stdout, reason = "the figures are the product of this program")]
    {
        println!("{}", serde_json::to_string_pretty(&result)?);
    }
    let _ = Duration::ZERO;
    Ok(())
}
