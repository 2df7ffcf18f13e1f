//! A barn and its office, with somebody who may correct the barn's records.

use crate::yard::{Yard, own_programs, pages};
use demo::processes::{BarnSettings, Client};
use serde_json::{Value, json};
use std::path::Path;

/// Name under all corrections.
pub(crate) const AUTHOR: &str = "J. Doe";
pub(crate) const CORRECTIONS: &str = "/api/corrections";

/// A yard, with a client that may correct its records.
pub(crate) struct CorrectionYard {
    pub(crate) yard: Yard,
    pub(crate) operator: Client,
}

impl CorrectionYard {
    pub(crate) async fn open() -> Self {
        Self::with_radios(|_| "[[radio]]\nkind = 'none'\n".to_owned()).await
    }

    /// Opens a yard whose barn has radios with these settings, which may name files of the directory.
    pub(crate) async fn with_radios(radios: impl FnOnce(&Path) -> String) -> Self {
        let settings = |directory: &Path| BarnSettings { radios: radios(directory), ..BarnSettings::default() };
        let yard = Yard::open(&own_programs(), settings).await;
        let operator = yard.barn.client(&yard.barn.key("operator", &["correct"]).unwrap()).unwrap();
        Self { yard, operator }
    }

    /// Delivers a payload, accepted or not, and returns its sequence.
    pub(crate) async fn record(&self, payload: &str) -> u64 {
        self.yard.deliver(payload).await.1["payload_id"].as_u64().unwrap()
    }

    pub(crate) async fn send(&self, key: &str, correction: &Value) -> (u16, Value) {
        let request = json!({"author": AUTHOR, "reason": reason(correction), "idempotency_key": key,
            "correction": correction});
        let answer = self.operator.post_json(CORRECTIONS, &request).await.unwrap();
        (answer.status, answer.json().unwrap())
    }

    /// Sends a correction twice under one idempotency key, which must make one change. Waits until the office equals
    /// the barn, and returns the sequence of the change.
    pub(crate) async fn correct(&self, correction: Value) -> u64 {
        let key = correction.to_string().chars().take(64).collect::<String>();
        let (status, made) = self.send(&key, &correction).await;
        assert_eq!((status, &made["status"]), (201, &json!("corrected")), "{correction}: {made}");
        let (status, again) = self.send(&key, &correction).await;
        assert_eq!((status, &again["status"]), (200, &json!("already_corrected")), "{correction}: {again}");
        assert_eq!(made["sequence"], again["sequence"]);
        let sequence = made["sequence"].as_u64().unwrap();
        assert_eq!(self.yard.barn.status().unwrap().sequence.0, sequence, "one change");
        self.yard.wait_until_equal().await;
        sequence
    }

    pub(crate) async fn office(&self, path: &str) -> Value {
        pages::json(&self.yard.pages, path).await.unwrap()
    }

    /// Returns the office's entry for a change in the history of an animal.
    pub(crate) async fn history_entry(&self, animal: u64, sequence: u64) -> Value {
        let mut page = self.office(&format!("/animals/{animal}")).await;
        let history = page["history"].as_array_mut().unwrap();
        let entry = history.iter_mut().find(|entry| entry["sequence"] == sequence);
        entry.unwrap_or_else(|| panic!("change {sequence} is not in the history of {animal}")).take()
    }
}

/// Returns the reason that a correction is sent with.
pub(crate) fn reason(correction: &Value) -> String {
    format!("why {}", correction["kind"].as_str().unwrap())
}
