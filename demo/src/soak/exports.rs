//! Programs that read a whole log, slowly.

use crate::processes::{Client, LogExport, LogExportError};
use herd::position::Position;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Maximum number of readers at a time. A further one waits.
const MAX_READERS: usize = 4;
/// Pause of a reader before each page.
const PAUSE: Duration = Duration::from_millis(500);
/// Time after which a reader leaves.
const PATIENCE: Duration = Duration::from_secs(90);

/// End of an export.
#[derive(Debug)]
enum Outcome {
    Complete,
    CutOff,
    Abandonment,
    /// The content was wrong, with the reason.
    Fault(LogExportError),
}

/// Readers at work, and the ends of those before.
#[derive(Debug, Default)]
pub(super) struct Exports {
    readers: JoinSet<Outcome>,
    counts: BTreeMap<&'static str, u64>,
    faults: Vec<String>,
}

impl Exports {
    /// Starts a reader. If too many read already, waits for one of them, which takes at most about [`PATIENCE`].
    pub(super) async fn begin(&mut self, client: Client, after: Position) {
        while self.readers.len() >= MAX_READERS {
            self.note_next().await;
        }
        self.readers.spawn(async move {
            match read(&client, &after).await {
                Ok(outcome) => outcome,
                // A stop, a kill or a reader's own connection explains it.
                Err(error) if error.is_cut() => Outcome::CutOff,
                Err(error) => Outcome::Fault(error),
            }
        });
    }

    async fn note_next(&mut self) {
        let name = match self.readers.join_next().await {
            None => return,
            Some(Ok(Outcome::Complete)) => "complete and verified",
            Some(Ok(Outcome::CutOff)) => "refused or broken off",
            Some(Ok(Outcome::Abandonment)) => "left by the reader",
            Some(Ok(Outcome::Fault(error))) => {
                self.faults.push(format!("an export had wrong content: {error}"));
                "wrong"
            }
            Some(Err(error)) => {
                self.faults.push(format!("a reader panicked: {error}"));
                "wrong"
            }
        };
        *self.counts.entry(name).or_default() += 1;
    }

    /// Waits for all readers. Returns the number of exports of each outcome, and the faults.
    pub(super) async fn finish(mut self) -> (BTreeMap<&'static str, u64>, Vec<String>) {
        while !self.readers.is_empty() {
            self.note_next().await;
        }
        (self.counts, self.faults)
    }
}

async fn read(client: &Client, after: &Position) -> Result<Outcome, LogExportError> {
    let (start, mut export) = (Instant::now(), LogExport::open(client, after).await?);
    while export.next().await?.is_some() {
        if start.elapsed() > PATIENCE {
            return Ok(Outcome::Abandonment);
        }
        sleep(PAUSE).await;
    }
    Ok(Outcome::Complete)
}
