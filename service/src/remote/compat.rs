//! Payloads and animals with the keys of the original beside ours.

use herd::change::BatchId;
use herd::query::{BatchTraitValues, MemberView, NumberedBatch, PayloadView};
use serde::Serialize;

/// A payload.
///
/// A payload is judged when it arrives, so all its times are the same. If a later change reversed the decision,
/// `accepted_by` or `voided_by` names that change.
#[derive(Debug, Serialize)]
pub(super) struct BufferedPayload {
    #[serde(flatten)]
    payload: PayloadView,
    raw_payload: String,
    /// `hxb` or `hxe`, by the kind of the event; `None` for a rejection.
    source_type: Option<&'static str>,
    batch_number: Option<String>,
    lf_tag: Option<String>,
    uhf_tag: Option<String>,
    batch_id: Option<BatchId>,
    error_message: Option<String>,
    processed_at: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

impl From<PayloadView> for BufferedPayload {
    fn from(payload: PayloadView) -> Self {
        let event = payload.event.as_ref();
        let at = || payload.received_at.clone();
        Self {
            raw_payload: payload.payload.clone(),
            source_type: event.map(|event| if event.kind == "export" { "hxe" } else { "hxb" }),
            batch_number: event.and_then(|event| event.batch_number.clone()),
            lf_tag: event.and_then(|event| event.lf.as_ref()).map(|tag| tag.text.clone()),
            uhf_tag: event.and_then(|event| event.epc.as_ref()).map(|tag| tag.text.clone()),
            batch_id: payload.batch,
            error_message: payload.reason_text.clone(),
            processed_at: at(),
            created_at: at(),
            updated_at: at(),
            payload,
        }
    }
}

/// An animal of a batch.
#[derive(Debug, Serialize)]
struct Cattle {
    #[serde(flatten)]
    member: MemberView,
    batch_id: BatchId,
    sex: Option<String>,
    lf_tag: Option<String>,
    uhf_tag: Option<String>,
    induction_date: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

impl Cattle {
    fn new(batch_id: BatchId, member: MemberView) -> Self {
        let animal = &member.animal;
        Self {
            batch_id,
            sex: animal.traits.sex.as_ref().map(ToString::to_string),
            lf_tag: animal.lf.as_ref().map(|tag| tag.text.clone()),
            uhf_tag: animal.epc.as_ref().map(|tag| tag.text.clone()),
            induction_date: animal.first_seen.clone(),
            created_at: animal.first_seen.clone(),
            updated_at: animal.last_seen.clone(),
            member,
        }
    }
}

/// A batch with a page of its animals.
#[derive(Debug, Serialize)]
pub(super) struct CattleBatch {
    #[serde(flatten)]
    batch: NumberedBatch,
    #[serde(flatten)]
    traits: BatchTraitValues,
    cattle: Vec<Cattle>,
}

impl CattleBatch {
    pub(super) fn new(batch: NumberedBatch, traits: BatchTraitValues, members: Vec<MemberView>) -> Self {
        let id = batch.batch.id;
        let cattle = members.into_iter().map(|member| Cattle::new(id, member)).collect();
        Self { batch, traits, cattle }
    }
}
