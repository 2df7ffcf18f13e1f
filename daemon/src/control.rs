//! The control protocol of `herdlinxd`: requests of the command line, and responses of the running daemon or the files.

use crate::pairing_code::PairingStatus;
use crate::recorder::{DuplicateStats, RecorderTotals};
use crate::recover_report::RecoverReport;
use crate::tap::TapPage;
use herd::backup::BackupSummary;
use herd::correction::CorrectionOrder;
use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
use herd::query::{ReaderEraMoves, ReaderEraProposal};
use herd::store::CorrectionReceipt;
use herd::wire::HealthFinding;
use serde::{Deserialize, Serialize};
use service::backup::{BackupReport, BackupRequest, BackupResponse};
use service::control::{ControlError, Request};
use service::door::key_command::{KeyRequest, KeyResponse};
use service::remote::RadioView;
use service::show::{ShowRequest, ShowResponse};
use service::verify::VerifyState;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A request to the daemon.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BarnRequest {
    /// State of the process, the store and the radios.
    Status,
    /// Creates a key for an office.
    Pair {
        /// Name of the key; `office-1`, `office-2`, ... by default.
        name: Option<String>,
    },
    /// Probes the writer and the loops of the radios, as the watchdog does.
    Probe,
    /// Corrects a record.
    Correct(CorrectionOrder),
    /// Returns the packets after a number, or the latest number.
    Listen {
        /// A number from an earlier response.
        after: Option<u64>,
    },
    /// Verifies the store.
    Verify {
        /// True to start a verification unless one is running; false to return the state only.
        start: bool,
    },
    /// Shows what the store holds.
    Show(ShowRequest),
    /// Manages API keys.
    Key(KeyRequest),
    /// Reads the log for a backup.
    Backup(BackupRequest),
    /// Restores a backup. A running daemon refuses: its log is in use.
    Restore,
    /// Recovers a damaged log. A running daemon refuses: its log is in use.
    Recover,
    /// Accepts a log that lacks changes. A running daemon refuses: its log lacks none.
    AcceptLog,
}

/// The response to a [`BarnRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BarnResponse {
    /// To [`BarnRequest::Status`].
    Status(Box<BarnStatus>),
    /// To [`BarnRequest::Pair`]: the pairing line, which holds a key.
    PairingLine(String),
    /// To [`BarnRequest::Probe`].
    Probed(ProbeReport),
    /// To [`BarnRequest::Correct`].
    Corrected(CorrectionOutcome),
    /// To [`BarnRequest::Listen`].
    Packets(PacketsResponse),
    /// To [`BarnRequest::Verify`].
    Verify(VerifyState),
    /// To [`BarnRequest::Show`].
    Shown(ShowResponse),
    /// To [`BarnRequest::Key`].
    Key(KeyResponse),
    /// To [`BarnRequest::Backup`].
    Backup(BackupResponse),
    /// To [`BarnRequest::Restore`].
    Restored(Box<RestoreReport>),
    /// To [`BarnRequest::Recover`].
    Recovered(Box<RecoverReport>),
    /// To [`BarnRequest::AcceptLog`]: the position at which the next epoch began.
    LogAccepted(Position),
}

impl Request for BarnRequest {
    type Response = BarnResponse;
}

/// Result of a [`BarnRequest::Restore`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RestoreReport {
    /// Content of the backup.
    pub summary: BackupSummary,
    /// Position after the change that began the next epoch.
    pub head: Position,
    /// Last change that this machine had recorded in this history, if it was after the backup.
    #[serde(rename = "had")]
    pub last_recorded: Option<Sequence>,
    /// The pairing line, or why there is none yet.
    pub pairing: Result<String, String>,
}

/// Result of a [`BarnRequest::Probe`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Parts that did not answer in time.
    pub unresponsive: Vec<String>,
    /// Failing parts, one word each.
    pub failing: Vec<String>,
    /// True if there are radios and all of them are failing.
    pub is_deaf: bool,
}

/// State of a running daemon.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BarnStatus {
    /// Process id.
    pub pid: u32,
    /// Version of the program.
    pub version: String,
    /// Name of the barn.
    pub site: String,
    /// Address of the HTTPS server.
    pub listen: SocketAddr,
    /// SHA-256 of the TLS public key, in hexadecimal.
    pub spki_sha256: String,
    /// Identity of the history.
    pub store: StoreId,
    /// Epoch of the head.
    pub epoch: Epoch,
    /// Last durable change.
    pub sequence: Sequence,
    /// Chain digest after it.
    pub digest: Digest,
    /// Last change in the tables.
    pub folded: Sequence,
    /// Version of the fold.
    pub fold_version: u32,
    /// Fold digest after the last change in the tables.
    pub fold_digest: Digest,
    /// Reason why the tables do not follow the log, if they do not.
    pub blocked: Option<String>,
    /// Failing parts, one word each.
    pub failing: Vec<String>,
    /// Parts that fail or need a look, in sentences.
    pub findings: Vec<HealthFinding>,
    /// The nightly backups; `None` if no directory is set.
    pub backup: Option<BackupReport>,
    /// State of the one-time pairing code.
    pub pairing: PairingStatus,
    /// The radios, in the order of the settings.
    pub radios: Vec<RadioView>,
    /// Totals since the start of the process.
    #[serde(rename = "counts")]
    pub totals: RecorderTotals,
    /// Duplicates by channel.
    pub duplicates: BTreeMap<String, DuplicateStats>,
    /// Event counters that were skipped.
    pub missed_events: u64,
    /// Reader groups for which the barn proposes a new era.
    pub reader_era_proposals: Vec<ReaderEraProposal>,
    /// Orders that move payloads into a reader era.
    pub reader_era_moves: Vec<ReaderEraMoves>,
}

/// Packets that the radios received after a number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PacketsResponse {
    /// Process id: another process counts from 1 again.
    pub pid: u32,
    /// The packets.
    #[serde(flatten)]
    pub page: TapPage,
    /// The radios, in the order of the settings.
    pub radios: Vec<RadioView>,
}

/// Outcome of an applied correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionOutcome {
    /// Recorded as this change.
    Applied(Sequence),
    /// Recorded as this change before, under the same idempotency key.
    AlreadyApplied(Sequence),
}

impl TryFrom<CorrectionReceipt> for CorrectionOutcome {
    type Error = ControlError;

    fn try_from(receipt: CorrectionReceipt) -> Result<Self, ControlError> {
        match receipt {
            CorrectionReceipt::Kept { sequence } => Ok(Self::Applied(sequence)),
            CorrectionReceipt::Duplicate { of } => Ok(Self::AlreadyApplied(of)),
            CorrectionReceipt::Refused(refused) => Err(ControlError::new(refused.code(), refused.to_string())),
        }
    }
}
