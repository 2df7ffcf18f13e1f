//! Every answer to every payload, and the comparison with the logs at the end.

use super::SoakError;
use crate::processes::{Client, LogExport, Reply};
use herd::change::Change;
use herd::position::Position;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Message of an answer to a call whose key was valid at its beginning, and was revoked before its end.
const REVOKED_MEANWHILE: &str = "this key was revoked, or its token has ended";

/// Answer of the barn to one payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Recorded as the change with this sequence.
    Stored(u64),
    /// Recorded before as the change with this sequence.
    Duplicate(u64),
    /// Recorded as a rejection with this sequence.
    Rejected(u64),
    /// Counted and not recorded, because the channel has delivered too many rejections.
    Suppressed,
    /// Not recorded. The text is the code of the error.
    Refused(String),
    /// No answer, or one that does not say whether the payload was recorded.
    Unknown,
}

impl Answer {
    /// Returns the answer for each of `count` payloads of one call.
    pub(super) fn of(reply: Option<&Reply>, count: usize) -> Vec<Self> {
        let Some((reply, body)) = reply.and_then(|reply| Some((reply, reply.json().ok()?))) else {
            return vec![Self::Unknown; count];
        };
        match body["results"].as_array() {
            Some(results) if results.len() == count => results.iter().map(Self::of_body).collect(),
            _ if count == 1 || reply.status >= 400 => vec![Self::of_body(&body); count],
            _ => vec![Self::Unknown; count],
        }
    }

    fn of_body(body: &Value) -> Self {
        let (word, sequence) = (body["status"].as_str(), body["payload_id"].as_u64());
        match (word, sequence, body["error"].as_str()) {
            (Some("stored"), Some(sequence), _) => Self::Stored(sequence),
            (Some("duplicate"), Some(sequence), _) => Self::Duplicate(sequence),
            (Some("rejected"), Some(sequence), _) => Self::Rejected(sequence),
            (_, _, Some("rejections_suppressed")) => Self::Suppressed,
            // The commit took too long, and may still come.
            (_, _, Some("busy") | None) => Self::Unknown,
            // The key was revoked while the barn recorded: the call ends at once, and the commit goes on.
            (_, _, Some("unauthorized")) if body["message"] == REVOKED_MEANWHILE => Self::Unknown,
            (_, _, Some(code)) => Self::Refused(code.to_owned()),
        }
    }

    /// Returns true if the sender need not send the payload again.
    pub(super) fn is_final(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Unknown)
    }

    fn name(&self) -> String {
        match self {
            Self::Stored(_) => "stored (201)".into(),
            Self::Duplicate(_) => "duplicate (409)".into(),
            Self::Rejected(_) => "rejected (422)".into(),
            Self::Suppressed => "suppressed (429)".into(),
            Self::Refused(code) => format!("refused ({code})"),
            Self::Unknown => "none".into(),
        }
    }
}

/// Knowledge about one payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    /// The change that the barn named.
    kept_as: Option<u64>,
    /// True if a call had no answer, so that the payload may have been recorded.
    is_uncertain: bool,
}

/// All payloads that were sent, and the answers to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    entries: HashMap<String, Entry>,
    counts: BTreeMap<String, u64>,
    contradictions: Contradictions,
}

/// Places of the payloads in a log: the first sequence and the number of times.
pub(super) type Contents = HashMap<Vec<u8>, (u64, u64)>;

impl Ledger {
    /// Notes an answer.
    pub(super) fn note(&mut self, text: &str, answer: &Answer) {
        *self.counts.entry(answer.name()).or_default() += 1;
        let entry = self.entries.entry(text.to_owned()).or_default();
        match (answer, entry.kept_as) {
            (Answer::Stored(_), Some(_)) => self.contradictions.note("were answered as stored twice", text),
            (Answer::Duplicate(now) | Answer::Rejected(now), Some(before)) if *now != before => {
                self.contradictions.note("were answered with two different changes", text);
            }
            (Answer::Duplicate(_), None) if !entry.is_uncertain => {
                self.contradictions.note("were answered as duplicates although they were new", text);
            }
            (Answer::Stored(now) | Answer::Duplicate(now) | Answer::Rejected(now), None) => entry.kept_as = Some(*now),
            (Answer::Unknown, _) => entry.is_uncertain = true,
            _ => {}
        }
    }

    /// Returns the number of payloads that the barn must hold.
    pub(super) fn kept(&self) -> usize {
        self.entries.values().filter(|entry| entry.kept_as.is_some()).count()
    }

    /// Returns the number of distinct payloads.
    pub(super) fn sent(&self) -> usize {
        self.entries.len()
    }

    /// Returns the number of answers of each kind.
    pub(super) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Returns a sentence for each kind of answer that contradicts an earlier one.
    pub(super) fn faults(&self) -> Vec<String> {
        self.contradictions.sentences("payloads")
    }

    /// Compares the answers with a log, and returns a sentence for each kind of difference. `place` names the log.
    pub(super) fn compare(&self, place: &str, log: &Contents) -> Vec<String> {
        let mut differences = Contradictions::default();
        for (text, entry) in &self.entries {
            let difference = match (log.get(text.as_bytes()), entry) {
                (None, Entry { kept_as: Some(_), .. }) => "were answered as kept and are missing",
                (Some((_, 2..)), _) => "are there more than once",
                (Some((at, _)), Entry { kept_as: Some(kept_as), .. }) if at != kept_as => {
                    "are another change than the one that was answered"
                }
                (Some(_), Entry { kept_as: None, is_uncertain: false }) => "were refused and are there",
                _ => continue,
            };
            differences.note(difference, text);
        }
        for text in log.keys().map(|raw| String::from_utf8_lossy(raw)) {
            if !self.entries.contains_key(&*text) {
                differences.note("were never sent", &text);
            }
        }
        differences.sentences(&format!("payloads at the {place}"))
    }
}

/// Number of payloads for each kind of contradiction, with an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Contradictions(BTreeMap<&'static str, (u64, String)>);

impl Contradictions {
    fn note(&mut self, kind: &'static str, text: &str) {
        self.0.entry(kind).or_insert_with(|| (0, text.to_owned())).0 += 1;
    }

    fn sentences(&self, payloads: &str) -> Vec<String> {
        self.0.iter().map(|(kind, (count, text))| format!("{count} {payloads} {kind}, such as {text:?}")).collect()
    }
}

/// Reads the payloads of a log after `after`, and verifies its chain.
pub(super) async fn fetch_contents(client: &Client, after: &Position) -> Result<Contents, SoakError> {
    let (mut contents, mut export) = (Contents::new(), LogExport::open(client, after).await?);
    while let Some(page) = export.next().await? {
        for (change, sequence) in page.changes.iter().zip(page.after.sequence.0 + 1..) {
            if let Change::Received(received) = Change::from_bytes(change)? {
                contents.entry(received.raw).or_insert((sequence, 0)).1 += 1;
            }
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log(of: &[(&str, u64, u64)]) -> Contents {
        of.iter().map(|(text, at, count)| (text.as_bytes().to_vec(), (*at, *count))).collect()
    }

    fn ledger(of: &[(&str, Answer)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (text, answer) in of {
            ledger.note(text, answer);
        }
        ledger
    }

    #[test]
    fn a_log_with_everything_that_was_kept_and_perhaps_what_had_no_answer_has_no_differences() {
        let ledger = ledger(&[
            ("a", Answer::Stored(1)),
            ("b", Answer::Unknown),
            ("b", Answer::Duplicate(2)),
            ("c", Answer::Unknown),
            ("d", Answer::Refused("stopping".into())),
            ("e", Answer::Rejected(3)),
        ]);
        let whole = [("a", 1, 1), ("b", 2, 1), ("e", 3, 1)];
        for uncertain in [&[][..], &[("c", 4, 1)]] {
            assert_eq!(ledger.compare("barn", &log(&[&whole[..], uncertain].concat())), Vec::<String>::new());
        }
        assert_eq!((ledger.kept(), ledger.sent(), ledger.faults().len()), (3, 5, 0));
    }

    #[test]
    fn each_kind_of_difference_is_found() {
        let ledger = ledger(&[("a", Answer::Stored(1)), ("b", Answer::Unknown), ("c", Answer::Refused("x".into()))]);
        for (wrong, found) in [
            (log(&[]), "missing"),
            (log(&[("a", 1, 2)]), "more than once"),
            (log(&[("a", 2, 1)]), "another change"),
            (log(&[("a", 1, 1), ("b", 2, 2)]), "more than once"),
            (log(&[("a", 1, 1), ("c", 2, 1)]), "refused"),
            (log(&[("a", 1, 1), ("z", 2, 1)]), "never sent"),
        ] {
            let sentences = ledger.compare("office", &wrong);
            assert!(sentences.len() == 1 && sentences[0].contains(found), "{found}: {sentences:?}");
        }
    }

    #[test]
    fn only_a_refusal_before_the_call_began_says_that_nothing_was_recorded() {
        let answer = |code: &str, message: &str| Answer::of_body(&json!({ "error": code, "message": message }));
        assert_eq!(answer("unauthorized", "this key is not known here"), Answer::Refused("unauthorized".into()));
        assert_eq!(answer("unauthorized", REVOKED_MEANWHILE), Answer::Unknown);
        assert_eq!(answer("busy", "later"), Answer::Unknown);
        assert_eq!(answer("stopping", "later"), Answer::Refused("stopping".into()));
    }

    #[test]
    fn answers_that_contradict_each_other_are_faults() {
        for answers in [
            [("a", Answer::Stored(1)), ("a", Answer::Stored(2))],
            [("a", Answer::Stored(1)), ("a", Answer::Duplicate(2))],
            [("a", Answer::Duplicate(1)), ("b", Answer::Stored(1))],
        ] {
            assert_eq!(ledger(&answers).faults().len(), 1, "{answers:?}");
        }
        assert_eq!(ledger(&[("a", Answer::Stored(1)), ("a", Answer::Duplicate(1))]).faults().len(), 0);
    }
}
