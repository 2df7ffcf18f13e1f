//! What the running process answers to commands, besides those about keys.

use crate::corrections::told;
use crate::health::Health;
use crate::pair::{Barn, PairError, pair};
use crate::prove::Prover;
use crate::recorder::{Recorder, RecorderStatus};
use crate::remote::radio_view;
use crate::tap::{Seen, Tap};
use herd::clock::Clock;
use herd::correction::CorrectionOrder;
use herd::decide::CorrectionRequest;
use herd::fold::FOLD_VERSION;
use herd::query::QueryError;
use herd::store::{CorrectionReceipt, Reader};
use serde::Deserialize as _;
use serde_json::{Value, json};
use service::control::{Answer, Answerer, ControlError, answerer};
use service::door::certificate::Identity;
use service::door::keys::{KeyError, KeyRing};
use service::show::{ShowRequest, show};
use std::sync::Arc;

/// What a correction comes through that is made on the machine itself.
const LOCAL_CHANNEL: &str = "command line";

/// What the answers are made of.
#[derive(Clone)]
pub(super) struct Commands {
    pub(super) barn: Barn,
    pub(super) reader: Reader,
    pub(super) keys: Arc<KeyRing>,
    pub(super) health: Health,
    pub(super) tap: Tap,
    pub(super) identity: Identity,
    pub(super) prover: Prover,
    pub(super) recorder: Recorder,
    pub(super) clock: Arc<dyn Clock>,
}

impl Commands {
    pub(super) fn answerer(self) -> Answerer {
        answerer(move |request| {
            let commands = self.clone();
            async move {
                match request.get("command").and_then(Value::as_str) {
                    Some("correct") => commands.correct(&request).await,
                    Some("listen") => commands.listen(&request).await,
                    // They read and sync the disk.
                    _ => {
                        let answering = tokio::task::spawn_blocking(move || commands.answer(&request));
                        answering.await.unwrap_or_else(|error| Err(ControlError::new("failed", error.to_string())))
                    }
                }
            }
        })
    }

    fn answer(&self, request: &Value) -> Result<Answer, ControlError> {
        match request.get("command").and_then(Value::as_str) {
            Some("status") => self.status().map_err(|error| ControlError::new("not_shown", error.to_string())),
            Some("pair") => self.pair(request),
            Some("verify_start") => self.prover.start(),
            Some("verify_look") => self.prover.look(),
            Some("show") => {
                let asked = ShowRequest::deserialize(request)
                    .map_err(|error| ControlError::new("bad_request", error.to_string()))?;
                show(&self.reader, &asked).map_err(|error| ControlError::new("not_shown", error.to_string()))
            }
            _ => Err(ControlError::unknown_command(request)),
        }
    }

    fn status(&self) -> Result<Answer, QueryError> {
        let head = self.reader.head();
        let snapshot = self.reader.snapshot()?;
        // Cloned, as what is borrowed here holds the writer up, and is borrowed again below.
        let RecorderStatus { counts, duplicates, .. } = self.health.recorder.borrow().clone();
        let radios: Vec<_> = self.health.radios.iter().map(radio_view).collect();
        let status = json!({
            "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
            "site": self.barn.site,
            "addr": self.barn.listen.to_string(),
            "spki_sha256": hex::encode(self.identity.spki_sha256()),
            "store": head.position.store,
            "epoch": head.position.epoch,
            "sequence": head.position.sequence,
            "digest": head.position.digest,
            "folded": head.folded,
            "fold_version": FOLD_VERSION,
            "fold_digest": head.fold_digest,
            "blocked": head.blocked.map(|why| why.to_string()),
            "failing": self.health.failing(),
            "radios": radios,
            "counts": counts,
            "duplicates": duplicates,
            "missed_events": snapshot.totals()?.missed_events,
            "reader_era_proposals": snapshot.reader_era_proposals()?,
        });
        Ok(match status {
            Value::Object(status) => status,
            _ => Answer::new(),
        })
    }

    /// Takes its turn among the payloads, so that it waits for the writer and not for a thread.
    async fn correct(&self, request: &Value) -> Result<Answer, ControlError> {
        let request = requested(request)?;
        let receipt = self.recorder.correct(request, self.clock.read()).await;
        corrected(receipt.map_err(|error| ControlError::new("not_now", error.to_string()))?)
    }

    /// What the radios heard after the number that is asked with; without one, from which number on to ask. Waits for
    /// news, and so for no thread.
    async fn listen(&self, request: &Value) -> Result<Answer, ControlError> {
        if self.health.radios.is_empty() {
            let message = "the barn has no radio that could be listened to: add a [[radio]] to its settings";
            return Err(ControlError::new("no_radio", message));
        }
        let seen = match request.get("after").filter(|after| !after.is_null()) {
            None => Seen { packets: Vec::new(), missed: 0, last: self.tap.last() },
            Some(after) => {
                let number = after.as_u64();
                let wrong = || ControlError::new("bad_request", "`after` is a number that an answer gave");
                self.tap.after(number.ok_or_else(wrong)?).await
            }
        };
        let radios: Vec<_> = self.health.radios.iter().map(radio_view).collect();
        let Seen { packets, missed, last } = seen;
        let packets: Vec<_> = packets.iter().map(|packet| json!(**packet)).collect();
        let answer =
            json!({"packets": packets, "missed": missed, "last": last, "radios": radios, "pid": std::process::id()});
        Ok(answer.as_object().cloned().unwrap_or_default())
    }

    fn pair(&self, request: &Value) -> Result<Answer, ControlError> {
        let name = request.get("name").and_then(Value::as_str);
        // A certificate that was replaced meanwhile has a key of its own.
        let barn = Barn { spki_sha256: self.identity.spki_sha256(), ..self.barn.clone() };
        pair_answer(&self.keys, barn, name)
    }
}

/// The answer to `pair`, from the process or from the files.
pub(crate) fn pair_answer(keys: &KeyRing, barn: Barn, name: Option<&str>) -> Result<Answer, ControlError> {
    let pairing = pair(keys, barn, name).map_err(|error| {
        let code = match &error {
            PairError::Key(KeyError::Exists(_)) => "key_exists",
            PairError::Key(KeyError::Name(_)) => "bad_request",
            _ => "failed",
        };
        ControlError::new(code, error.to_string())
    })?;
    Ok(Answer::from_iter([("line".to_owned(), pairing.to_string().into())]))
}

/// What the operator asks for, from a request to the process or to the files.
pub(crate) fn requested(request: &Value) -> Result<CorrectionRequest, ControlError> {
    let bad = |text: String| ControlError::new("bad_request", text);
    let order = request.get("order").ok_or_else(|| bad("the request lacks `order`".to_owned()))?;
    let order = CorrectionOrder::deserialize(order).map_err(|error| bad(error.to_string()))?;
    order.checked(LOCAL_CHANNEL).map_err(|error| bad(error.to_string()))
}

/// The answer to `correct`, from the process or from the files.
pub(crate) fn corrected(receipt: CorrectionReceipt) -> Result<Answer, ControlError> {
    let told = told(receipt).map_err(|refused| ControlError::new(refused.code, refused.message))?;
    Ok(told.1.as_object().cloned().unwrap_or_default())
}
