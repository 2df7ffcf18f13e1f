//! Payloads and animals with the keys that the original gave them, beside ours.

use herd::change::BatchId;
use herd::query::{BatchTraitValues, MemberView, NumberedBatch, PayloadView};
use serde::Serialize;

/// A payload. A decision is made when a payload comes, so that all its times are one; where a later change decided
/// otherwise, `accepted_by` and `voided_by` lead to it.
#[derive(Debug, Serialize)]
pub(super) struct BufferedPayload {
    #[serde(flatten)]
    payload: PayloadView,
    raw_payload: String,
    /// `hxb` or `hxe`, as of the batch that it names or would name; none for a rejection.
    source_type: Option<&'static str>,
    batch_number: Option<String>,
    lf_tag: Option<String>,
    uhf_tag: Option<String>,
    batch_id: Option<BatchId>,
    error_message: Option<String>,
    processed_at: String,
    created_at: String,
    updated_at: String,
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
    updated_at: String,
}

impl Cattle {
    fn of(batch_id: BatchId, member: MemberView) -> Self {
        let animal = &member.animal;
        Self {
            batch_id,
            sex: animal.traits.sex.clone(),
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
pub(super) struct BatchOfCattle {
    #[serde(flatten)]
    found: NumberedBatch,
    #[serde(flatten)]
    traits: BatchTraitValues,
    cattle: Vec<Cattle>,
}

impl BatchOfCattle {
    pub(super) fn new(found: NumberedBatch, traits: BatchTraitValues, members: Vec<MemberView>) -> Self {
        let id = found.batch.id;
        let cattle = members.into_iter().map(|member| Cattle::of(id, member)).collect();
        Self { found, traits, cattle }
    }
}
