//! Responses of the running daemon to commands.

use crate::control::{BarnRequest, BarnResponse, BarnStatus, CorrectionOutcome, PacketsResponse, ProbeReport};
use crate::health::Health;
use crate::liveness::LivenessCheck;
use crate::pairing_code::{CodePairing, respond_about_keys};
use crate::recorder::{RecordError, Recorder, RecorderStatus};
use crate::remote::radio_views;
use crate::tap::{Tap, TapPage};
use herd::clock::Clock;
use herd::correction::CorrectionOrder;
use herd::decide::CorrectionRequest;
use herd::fold::FOLD_VERSION;
use herd::query::QueryError;
use herd::store::{LocalFile, Reader};
use service::backup::{self, BackupRequest, BackupResponse};
use service::control::{ControlError, Handler, handler};
use service::door::certificate::Identity;
use service::door::keys::KeyRing;
use service::door::pair::{PairingSource, create_pairing_line};
use service::verify::{VerifyJobs, VerifyState};
use std::sync::Arc;
use std::time::Duration;

/// Channel of corrections that are made on the machine itself.
const LOCAL_CHANNEL: &str = "command line";
/// Name of the one store among the verifications of the process.
const STORE_NAME: &str = "barn";
/// Time that a probe may take. It leaves the socket time to respond ([`RESPONSE_TIMEOUT`](service::control::RESPONSE_TIMEOUT)).
const PROBE_TIMEOUT: Duration = Duration::from_secs(4);

/// The parts of the daemon that responses are made of.
#[derive(Clone)]
pub(super) struct Commands {
    pub(super) barn: PairingSource,
    pub(super) reader: Reader,
    pub(super) local: LocalFile,
    pub(super) keys: Arc<KeyRing>,
    pub(super) health: Health,
    pub(super) liveness: LivenessCheck,
    pub(super) tap: Tap,
    pub(super) identity: Identity,
    pub(super) verify_jobs: VerifyJobs,
    pub(super) recorder: Recorder,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pairing: Arc<CodePairing>,
}

impl Commands {
    pub(super) fn handler(self) -> Handler<BarnRequest> {
        handler(move |request| {
            let commands = self.clone();
            async move {
                match request {
                    BarnRequest::Probe => Ok(BarnResponse::Probed(commands.probe().await)),
                    BarnRequest::Correct(order) => commands.correct(order).await,
                    BarnRequest::Listen { after } => commands.listen(after).await,
                    // The others read and sync the disk.
                    other => tokio::task::spawn_blocking(move || commands.respond(other))
                        .await
                        .unwrap_or_else(|error| Err(ControlError::failed(error))),
                }
            }
        })
    }

    fn respond(&self, request: BarnRequest) -> Result<BarnResponse, ControlError> {
        match request {
            BarnRequest::Status => {
                let status = self.status().map_err(|error| ControlError::new("not_shown", error.to_string()))?;
                Ok(BarnResponse::Status(Box::new(status)))
            }
            BarnRequest::Pair { name } => {
                if let Some(why) = self.identity.failure() {
                    return Err(ControlError::new("no_certificate", format!("the certificate cannot be used: {why}")));
                }
                // A certificate that was replaced has a key of its own.
                let barn = PairingSource { spki_sha256: self.identity.spki_sha256(), ..self.barn.clone() };
                Ok(BarnResponse::PairingLine(create_pairing_line(&self.keys, barn, name.as_deref())?))
            }
            BarnRequest::Verify { start } => self.verify(start).map(BarnResponse::Verify),
            BarnRequest::Show(request) => {
                let response = request.render(&self.reader);
                response.map(BarnResponse::Shown).map_err(|error| ControlError::new("not_shown", error.to_string()))
            }
            BarnRequest::Key(request) => respond_about_keys(&self.local, &self.keys, &request).map(BarnResponse::Key),
            BarnRequest::Backup(request) => self.backup(&request).map(BarnResponse::Backup),
            BarnRequest::Restore | BarnRequest::Recover => Err(barn_is_running()),
            BarnRequest::AcceptLog => Err(log_is_complete()),
            BarnRequest::Probe | BarnRequest::Correct(_) | BarnRequest::Listen { .. } => {
                Err(ControlError::failed("the request belongs to the writer or the radios"))
            }
        }
    }

    fn status(&self) -> Result<BarnStatus, QueryError> {
        let head = self.reader.head();
        let snapshot = self.reader.snapshot()?;
        // Cloned: a borrow holds up the writer, and `failing` borrows again below.
        let RecorderStatus { totals, duplicates, .. } = self.health.recorder.borrow().clone();
        Ok(BarnStatus {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            site: self.barn.site.clone(),
            listen: self.barn.listen,
            spki_sha256: hex::encode(self.identity.spki_sha256()),
            store: head.position.store,
            epoch: head.position.epoch,
            sequence: head.position.sequence,
            digest: head.position.digest,
            folded: head.folded,
            fold_version: FOLD_VERSION,
            fold_digest: head.fold_digest,
            blocked: head.blocked.map(|why| why.to_string()),
            pairing: self.pairing.status(),
            failing: self.health.failing(),
            findings: self.health.findings(),
            backup: self.health.backup.report(),
            radios: radio_views(&self.health),
            totals,
            duplicates,
            missed_events: snapshot.totals()?.missed_events,
            reader_era_proposals: snapshot.reader_era_proposals()?,
            reader_era_moves: snapshot.reader_era_moves()?,
        })
    }

    async fn probe(&self) -> ProbeReport {
        let unresponsive = self.liveness.clone().unresponsive(PROBE_TIMEOUT).await;
        ProbeReport { unresponsive, failing: self.health.failing(), is_deaf: self.health.is_deaf() }
    }

    /// Applies a correction. It takes its turn among the payloads, so it waits for the writer and not for a thread.
    async fn correct(&self, order: CorrectionOrder) -> Result<BarnResponse, ControlError> {
        let receipt = self.recorder.correct(check_order(order)?, self.clock.read()).await;
        let receipt = receipt.map_err(|error| match error {
            // The disk may have accepted it.
            RecordError::Failed(_) | RecordError::Ended => ControlError::failed(error),
            _ => ControlError::new("not_now", error.to_string()),
        })?;
        CorrectionOutcome::try_from(receipt).map(BarnResponse::Corrected)
    }

    /// Returns the packets after a number. Waits for them, and so for no thread.
    async fn listen(&self, after: Option<u64>) -> Result<BarnResponse, ControlError> {
        if self.health.radios.is_empty() {
            let message = "the barn has no radio to listen on: add a [[radio]] to its settings";
            return Err(ControlError::new("no_radio", message));
        }
        let page = match after {
            None => TapPage { packets: Vec::new(), missed: 0, last: self.tap.last() },
            Some(after) => self.tap.after(after).await,
        };
        let radios = radio_views(&self.health);
        Ok(BarnResponse::Packets(PacketsResponse { pid: std::process::id(), page, radios }))
    }

    fn backup(&self, request: &BackupRequest) -> Result<BackupResponse, ControlError> {
        backup::respond(&self.reader, &self.barn.site, self.clock.read().wall(), request)
    }

    fn verify(&self, start: bool) -> Result<VerifyState, ControlError> {
        if start {
            self.verify_jobs.start(STORE_NAME, self.reader.clone()).map_err(|error| {
                ControlError::failed(format!("the thread of the verification could not be started: {error}"))
            })?;
        }
        let not_started = || ControlError::new("not_started", "no verification was started; was the daemon restarted?");
        self.verify_jobs.state(STORE_NAME).ok_or_else(not_started)
    }
}

/// Returns the refusal to replace the log of a running daemon.
fn barn_is_running() -> ControlError {
    let message =
        "the barn is running, and this command replaces its log: stop it first, with `sudo systemctl stop herdlinxd`";
    ControlError::new("running", message)
}

/// Returns the refusal to accept a log that lacks nothing.
pub(crate) fn log_is_complete() -> ControlError {
    ControlError::new("log_complete", "the log lacks nothing that this barn knows of, so there is nothing to accept")
}

/// Checks an order that was made on this machine.
pub(crate) fn check_order(order: CorrectionOrder) -> Result<CorrectionRequest, ControlError> {
    order.checked(LOCAL_CHANNEL).map_err(|error| ControlError::new("bad_request", error.to_string()))
}
