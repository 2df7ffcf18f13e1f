//! A barn and an office as processes, and what the bench asks of both.

use super::{Budget, Failed, store};
use crate::processes::{Barn, BarnSettings, Client, Office, OfficeSettings, Programs};
use anyhow::Context as _;
use daemon::control::BarnStatus;
use herd::position::{Digest, Position, Sequence};
use herd::wire::{Acknowledgement, BlobKind, Page, blob_kind, from_blob, to_blob};
use mirror::link::{HttpsChannel, HttpsLink, Trust};
use service::sync::link::{Link as _, LiveChannel as _, LiveResponse};
use service::sync::query::position_text;
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two looks at how far a copy has come: the error of a time that is measured by looking.
pub const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// An opening of the live connection must be answered by then.
const OPEN_TIMEOUT_MS: u64 = 10_000;
/// A page that was caused must be there by then.
const PAGE_WITHIN: Duration = Duration::from_secs(10);

/// Where a store stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The last change that is durable.
    pub position: Position,
    /// The last change in the tables.
    pub folded: Sequence,
    /// The digest over all that the fold wrote.
    pub fold_digest: Digest,
}

/// A barn and its office.
#[derive(Debug)]
pub struct Yard {
    /// The source.
    pub barn: Barn,
    /// The replica.
    pub office: Office,
}

impl Yard {
    /// Both, in `directory`; nothing runs yet.
    pub fn new(programs: &Programs, directory: &Path) -> Result<Self, Failed> {
        let barn = Barn::new(programs, &directory.join("barn"), &BarnSettings::default())?;
        let office = Office::new(programs, &directory.join("office"), &OfficeSettings::default())?;
        Ok(Self { barn, office })
    }

    /// Starts both, and pairs them.
    pub async fn start_paired(&mut self, budget: Budget) -> Result<(), Failed> {
        self.barn.start().await?;
        self.office.start().await?;
        self.office.add(&self.barn.pair()?)?;
        self.await_equal(budget).await?;
        Ok(())
    }

    /// Waits until the office shows all that the barn holds, and tells when it did. Both digests must be equal then.
    pub async fn await_equal(&mut self, budget: Budget) -> Result<Instant, Failed> {
        let status = self.barn.status()?;
        let BarnStatus { store, epoch, sequence, digest, folded, fold_digest, .. } = status;
        let barn = Standing { position: Position { store, epoch, sequence, digest }, folded, fold_digest };
        loop {
            let office = self.office_standing()?;
            let now = Instant::now();
            if let Some(office) = office.filter(|office| office.folded >= barn.folded) {
                anyhow::ensure!(office == barn, "the office stands at {office:?}, the barn at {barn:?}");
                return Ok(now);
            }
            self.office.check_running()?;
            if budget.is_spent() {
                return Err(Late { office: office.map(|office| office.folded), barn: barn.folded }.into());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Where the copy stands that the office shows; none before there is one.
    pub fn office_standing(&self) -> Result<Option<Standing>, Failed> {
        let Some(site) = self.office.status()?.sites.into_iter().next() else { return Ok(None) };
        if let Some(why) = site.stopped_because {
            anyhow::bail!("the office follows no more: {why}");
        }
        let (Some(position), Some(folded), Some(fold_digest)) = (site.position, site.folded, site.fold_digest) else {
            return Ok(None);
        };
        Ok(Some(Standing { position, folded, fold_digest }))
    }

    /// A client that may post payloads at the barn.
    pub fn poster(&self) -> Result<Client, Failed> {
        Ok(self.barn.client(&self.barn.key("bench", &["ingest"])?)?)
    }

    /// Follows the office itself, on its live connection.
    pub async fn follow_office(&self) -> Result<Follower, Failed> {
        let standing = self.office_standing()?.context("the office shows no copy")?;
        let key = self.office.key("follower", &["sync"])?;
        let address = self.office.address().to_string().parse()?;
        let link = HttpsLink::new(vec![address], &Trust::Pin(self.office.spki_sha256()?), &key)?;
        let path = format!("{}?{}", service::sync::link::LIVE_PATH, position_text(&standing.position));
        match link.open_live(&path, OPEN_TIMEOUT_MS).await? {
            LiveResponse::Open(channel) => Ok(Follower { channel, at: standing.position.sequence }),
            LiveResponse::Refused(answer) => {
                anyhow::bail!("the office refused: {} {}", answer.status, String::from_utf8_lossy(&answer.body))
            }
        }
    }
}

/// Fills the store of a barn that has not been started, as far as the budget goes; gives how many changes it holds.
pub fn fill(barn: &Barn, seed: u64, changes: usize, budget: Budget) -> Result<usize, Failed> {
    let mut source = store::source(barn.state_dir())?;
    let before = source.head().position.sequence.0;
    store::fill(&mut source, seed, changes, budget)?;
    Ok(usize::try_from(source.head().position.sequence.0 - before)?)
}

/// A copy was not whole in the time of its part: a figure of a slow machine, and no failure.
#[derive(Debug, thiserror::Error)]
#[error("the time of this part was too short on this machine: the office {}, the barn holds {barn}", came(*.office))]
pub struct Late {
    /// The last change in the office's tables.
    office: Option<Sequence>,
    /// The last one in the barn's.
    barn: Sequence,
}

/// A first copy is shown once it is whole; one that is caught up shows how far it came.
fn came(office: Option<Sequence>) -> String {
    office.map_or("shows no whole copy yet".to_owned(), |folded| format!("came to change {folded}"))
}

/// A follower of the office, which learns of a change once the office's tables hold it.
#[derive(Debug)]
pub struct Follower {
    channel: HttpsChannel,
    /// The last change that it has heard of.
    pub at: Sequence,
}

impl Follower {
    /// Waits for `sequence` and tells when it came.
    pub async fn await_sequence(&mut self, sequence: Sequence) -> Result<Instant, Failed> {
        while self.at < sequence {
            let blob = tokio::time::timeout(PAGE_WITHIN, self.channel.receive()).await;
            let blob = blob.with_context(|| format!("change {sequence} did not come within {PAGE_WITHIN:?}"))??;
            let blob = blob.context("the office closed the live connection")?;
            if blob_kind(&blob)? != BlobKind::Page {
                continue;
            }
            let came = Instant::now();
            let page: Page = from_blob(&blob)?;
            self.at = page.end.end.sequence;
            self.channel.send(to_blob(&Acknowledgement { durable: page.end.end }).into()).await?;
            if self.at >= sequence {
                return Ok(came);
            }
        }
        Ok(Instant::now())
    }
}
