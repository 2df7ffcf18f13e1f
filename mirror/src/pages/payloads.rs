//! What came out of the air, and one change of the log.

use super::asked::{limit, refusal};
use super::frame::Frame;
use super::sheet::kept;
use super::visit::{List, Visit};
use super::words;
use askama::Template;
use axum::response::Response;
use herd::correction::CorrectionForm;
use herd::position::Sequence;
use herd::query::{
    ChangeBody, ChangeView, CorrectionView, KindName, PayloadFilter, PayloadStatus, PayloadView, QueryError, TotalsView,
};
use herd::store::Snapshot;
use serde::{Deserialize, Serialize};
use service::door::reply::ApiError;

const PART: &str = "/payloads";

/// The filter as it stands in the URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    #[default]
    All,
    Processed,
    Error,
}

impl Status {
    const CHOICES: [(Self, &'static str); 3] =
        [(Self::All, "All"), (Self::Processed, "Events"), (Self::Error, "Rejected")];

    fn filter(self) -> PayloadFilter {
        match self {
            Self::All => PayloadFilter::All,
            Self::Processed => PayloadFilter::Status(PayloadStatus::Processed),
            Self::Error => PayloadFilter::Status(PayloadStatus::Error),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Processed => "processed",
            Self::Error => "error",
        }
    }

    fn count(self, of: &TotalsView) -> u64 {
        match self {
            Self::All => of.received,
            Self::Processed => of.accepted,
            Self::Error => of.rejected,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    before: Option<u64>,
    limit: Option<u64>,
    #[serde(default)]
    status: Status,
}

#[derive(Template, Serialize)]
#[template(path = "payloads.html")]
struct PayloadsPage {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    totals: TotalsView,
    #[serde(skip)]
    status: Status,
    #[serde(skip)]
    limit: u64,
    #[serde(flatten)]
    list: List<PayloadView>,
}

impl PayloadsPage {
    /// Value in the URL, word, count, and whether it is the one shown.
    fn choices(&self) -> impl Iterator<Item = (&'static str, &'static str, u64, bool)> {
        let shown = self.status;
        Status::CHOICES
            .into_iter()
            .map(move |(status, word)| (status.as_str(), word, status.count(&self.totals), status == shown))
    }
}

/// Payloads, the latest first.
pub(super) fn list(visit: &Visit) -> Result<Response, ApiError> {
    read(visit).map(|page| visit.show(&page))
}

/// The same for a spreadsheet.
pub(super) fn sheet(visit: &Visit) -> Result<Response, ApiError> {
    let page = read(visit)?;
    let path = |next| format!("/payloads.csv?status={}&before={next}&limit={}", page.status.as_str(), page.limit);
    let next = page.list.next.map(|next| visit.path(&path(next)));
    Ok(kept(&page.list.data, "attachment; filename=\"payloads.csv\"", next))
}

fn read(visit: &Visit) -> Result<PayloadsPage, ApiError> {
    let query: ListQuery = visit.asked.query()?;
    let limit = limit(query.limit)?;
    let snapshot = visit.snapshot()?;
    let before = query.before.map(Sequence);
    let page = snapshot.payloads(before, limit, query.status.filter()).map_err(refusal)?;
    let totals = snapshot.totals().map_err(refusal)?;
    Ok(PayloadsPage {
        frame: visit.frame("Payloads", PART, Some(totals.as_of)),
        list: List::new(page, totals.as_of),
        status: query.status,
        limit: limit.entries() as u64,
        totals,
    })
}

/// The query knows no key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoKeys {}

#[derive(Template, Serialize)]
#[template(path = "payload.html")]
struct PayloadPage {
    #[serde(skip)]
    frame: Frame,
    #[serde(flatten)]
    change: ChangeView,
    #[serde(skip)]
    later: Later,
}

/// A change, and the correction that it is, where a person made it.
type Decision = (Sequence, Option<CorrectionView>);

/// What later changes made of the payload that a change is about.
#[derive(Default)]
struct Later {
    accepted: Option<Decision>,
    voided: Option<Decision>,
}

impl Later {
    fn of(snapshot: &Snapshot, change: &ChangeView) -> Result<Self, QueryError> {
        let payload = match &change.body {
            ChangeBody::Received { payload, .. } => Some(payload.id),
            ChangeBody::Reprocessed { event, .. } | ChangeBody::Corrected { event: Some(event), .. } => Some(event.of),
            _ => None,
        };
        let Some(payload) = payload.map_or(Ok(None), |payload| snapshot.payload(payload))? else {
            return Ok(Self::default());
        };
        let accepted = decision(snapshot, payload.accepted_by)?;
        Ok(Self { accepted, voided: decision(snapshot, payload.voided_by)? })
    }
}

fn decision(snapshot: &Snapshot, by: Option<Sequence>) -> Result<Option<Decision>, QueryError> {
    by.map(|by| Ok((by, snapshot.correction(by)?))).transpose()
}

impl PayloadPage {
    fn form(&self) -> Option<&CorrectionForm> {
        match &self.change.body {
            ChangeBody::Corrected { correction, .. } => Some(&correction.correction),
            _ => None,
        }
    }

    /// The notes that the correction wrote.
    fn notes(&self) -> Option<&str> {
        match self.form() {
            Some(CorrectionForm::EditBatch { notes, .. }) => notes.as_deref(),
            _ => None,
        }
    }

    /// The payload that the correction accepted or voided.
    fn spoken_of(&self) -> Option<u64> {
        match self.form() {
            Some(CorrectionForm::Void { payload } | CorrectionForm::AcceptRejected { payload, .. }) => Some(*payload),
            _ => None,
        }
    }
}

/// One change of the log, of whatever kind.
pub(super) fn one(visit: &Visit) -> Result<Response, ApiError> {
    visit.asked.query::<NoKeys>()?;
    let sequence = Sequence(visit.asked.number("sequence")?);
    let snapshot = visit.snapshot()?;
    let change = snapshot.change_view(sequence).map_err(refusal)?;
    let change = change.ok_or_else(|| ApiError::not_found(format!("this copy holds no change {sequence}")))?;
    let later = Later::of(&snapshot, &change).map_err(refusal)?;
    let as_of = snapshot.folded().map_err(|error| refusal(error.into()))?;
    let title = match change.body {
        ChangeBody::Received { .. } => format!("Payload {sequence}"),
        _ => format!("Change {sequence}"),
    };
    Ok(visit.show(&PayloadPage { frame: visit.frame(title, PART, Some(as_of)), change, later }))
}
