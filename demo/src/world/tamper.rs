//! Alterations of messages, which plants make.

use super::chance::Chance;
use super::plant::Plant;
use bytes::Bytes;
use herd::position::Position;
use herd::store::{ChangeRun, Changes, Reader};
use herd::wire::{Page, from_blob, to_blob};
use service::sync::query::ChangesQuery;

/// Share of pages that are altered, in percent.
const ALTERED_PERCENT: u8 = 5;

/// Returns a page as it arrives under a plant that alters pages.
pub(super) fn altered(plant: Option<Plant>, chance: &mut Chance, blob: Bytes) -> Bytes {
    let (Some(Plant::SkippedChange | Plant::RepeatedPage), Ok(page)) = (plant, from_blob::<Page>(&blob)) else {
        return blob;
    };
    if page.changes.len() < 2 || !chance.percent(ALTERED_PERCENT) {
        return blob;
    }
    let changes: Changes = match plant {
        Some(Plant::SkippedChange) => page.changes.iter().skip(1).collect(),
        _ => page.changes.iter().chain(page.changes.iter()).collect(),
    };
    let run = ChangeRun::following(page.after, changes);
    to_blob(&Page::new(run, page.end.head, page.end.barn)).into()
}

/// A position that a source takes for its own, although the digest differs.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrustedPosition {
    asked: Position,
    own: Position,
}

impl TrustedPosition {
    /// Returns the position that a source without comparison takes for the asked one, if they differ.
    pub(super) fn of(path_and_query: &str, source: &Reader) -> Option<(Self, String)> {
        let (path, _) = path_and_query.split_once('?')?;
        let query = ChangesQuery::from_uri(&path_and_query.parse().ok()?).ok()?;
        let asked = query.position?;
        let own = source.position_at(asked.sequence).ok()??;
        let trusted = Self { asked, own };
        let path = format!("{path}{}", ChangesQuery { position: Some(own), ..query }.to_text());
        (own != asked).then_some((trusted, path))
    }

    /// Returns a page after the own position as one after the asked one.
    pub(super) fn answer(&self, blob: Bytes) -> Bytes {
        let Ok(page) = from_blob::<Page>(&blob) else { return blob };
        if page.after != self.own {
            return blob;
        }
        let run = ChangeRun::following(self.asked, page.changes);
        to_blob(&Page::new(run, page.end.head, page.end.barn)).into()
    }
}
