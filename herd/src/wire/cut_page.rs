//! The beginning of a page whose connection was cut.
//!
//! # Decisions
//!
//! - **The source proves what arrived.** The digest of a blob is at its end, so a cut page proves nothing by itself. The
//!   changes that arrived lead to a position, though. A follower asks for the changes after that position, and the source
//!   compares digests before it answers, as for every position. Only then are the changes applied.
//! - A digest after each change was rejected: a page would carry 32 bytes more for each 100. Smaller pages alone were
//!   rejected, too: a link that is cut every 20 kB would spend most of them on handshakes and repetitions.

use super::blob::{BlobError, cut_body};
use super::bodies::{Page, PageEnd};
use crate::position::Position;
use crate::store::{ChangeRun, Changes};

/// Returns the whole changes in the beginning of a page, with the position that they lead to. Nothing proves them.
///
/// Returns `None` if not even the positions of the page have arrived.
pub fn read_cut_page(bytes: &[u8]) -> Result<Option<ChangeRun>, BlobError> {
    let body = match cut_body::<Page>(bytes) {
        Err(BlobError::Truncated { .. }) => return Ok(None),
        body => body?,
    };
    let Ok(((after, _, count), mut rest)) = postcard::take_from_bytes::<(Position, PageEnd, u64)>(body) else {
        return Ok(None);
    };
    let mut changes = Changes::default();
    while (changes.len() as u64) < count {
        // Ends at the first change that has not arrived whole.
        let Ok((change, behind)) = postcard::take_from_bytes::<&[u8]>(rest) else { break };
        changes.push(change);
        rest = behind;
    }
    Ok(Some(ChangeRun::following(after, changes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Sequence;
    use crate::testing::TestBarn;
    use crate::wire::{BarnHead, to_blob};

    /// Catches a cut page that yields half a change, loses a whole one, or leads to a position that its source lacks.
    #[test]
    fn every_beginning_of_a_page_yields_its_whole_changes_and_a_position_of_the_source() {
        let payloads: Vec<_> = (0..9).map(|n| format!("hxb:LOT1:LF{n}:UHF{}", "7".repeat(n * 9))).collect();
        let payloads: Vec<_> = payloads.iter().map(String::as_str).collect();
        let source = TestBarn::with_payloads(&payloads).reader();
        let start = source.position_at(Sequence(1)).unwrap().unwrap();
        let run = source.run_after(start, 100, 1_000_000).unwrap();
        let blob = to_blob(&Page::new(run.clone(), source.head().position.sequence, BarnHead::default()));
        let mut before = 0;
        for length in 0..blob.len() {
            let Some(cut) = read_cut_page(&blob[..length]).unwrap() else {
                assert_eq!(before, 0, "{length} bytes");
                continue;
            };
            assert_eq!(cut.after, start);
            assert_eq!(source.position_at(cut.end.sequence).unwrap(), Some(cut.end), "{length} bytes");
            assert!(cut.changes.iter().eq(run.changes.iter().take(cut.changes.len())), "{length} bytes");
            assert!((before..=before + 1).contains(&cut.changes.len()), "{length} bytes");
            before = cut.changes.len();
        }
        assert_eq!(before, run.changes.len(), "only the digest is missing");
    }

    /// Catches an overflow on a page that begins where no log ends: nothing proves the position of a cut page.
    #[test]
    fn a_page_after_the_largest_sequence_is_read_without_a_panic() {
        let head = TestBarn::default().reader().head().position;
        let after = Position { sequence: Sequence(u64::MAX), ..head };
        let page = Page::new(
            ChangeRun::following(head, [&b"a"[..], b"b"].into_iter().collect()),
            after.sequence,
            BarnHead::default(),
        );
        let blob = to_blob(&Page { after, ..page });
        let cut = read_cut_page(&blob[..blob.len() - 1]).unwrap().unwrap();
        assert_eq!((cut.changes.len(), cut.end.sequence), (2, after.sequence));
    }

    /// Catches something other than a page that is read as one, and a panic.
    #[test]
    fn the_beginning_of_anything_else_is_an_error_or_nothing() {
        assert_eq!(read_cut_page(b""), Ok(None));
        assert!(read_cut_page(b"<!doctype html>").is_err());
        let other = to_blob(&crate::wire::Acknowledgment { durable: TestBarn::default().reader().head().position });
        assert!(matches!(read_cut_page(&other[..40]), Err(BlobError::Kind { found: 2, .. })));
        let body = [&b"HERDLINX\x01\x01\xff\xff\x00\x00"[..], &[0xff; 200]].concat();
        assert_eq!(read_cut_page(&body), Ok(None));
    }
}
