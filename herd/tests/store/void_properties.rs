//! Properties of voids in random histories.
//!
//! Catches: a void that leaves broken tables or an animal without an event, that changes animals without a reason, or that
//! depends on which of two events was voided first.

use crate::herd_view::HerdView;
use crate::invariants::all_hold;
use crate::paper::Paper;
use crate::property;
use crate::steps::{SentPayload, Step, steps};
use crate::voids::{heads_have_events, live_events, played, successor, voiding, without_marks};
use herd::change::Correction;
use herd::decide::{CorrectionRequest, Decision, Rules};
use herd::position::Sequence;
use proptest::prelude::*;
use proptest::sample::{Index, select};

impl Paper {
    /// Voids one of the events that count, if there is one. Prefers events that merged two animals.
    pub(crate) fn void_one(&mut self, which: Index) {
        let herd = self.herd();
        let mut live = live_events(self, &herd);
        if which.index(2) == 0 {
            let is_join = |of: u64| self.changes[usize::try_from(of - 1).unwrap()].previous().len() > 1;
            let joins: Vec<_> = live.iter().copied().filter(|(of, _)| is_join(*of)).collect();
            live = if joins.is_empty() { live } else { joins };
        }
        if !live.is_empty() {
            let (of, _) = *which.get(&live);
            assert!(self.step(&voiding(of), &Rules::default()).is_some(), "{of} is not voided");
        }
    }
}

/// Returns whether an operator merges an animal whose last change is `last`.
fn merges_one_touched_by(step: &Step, herd: &HerdView, last: Sequence) -> bool {
    let Step::Correct(CorrectionRequest { correction: Correction::Merge { animal, absorbed }, .. }) = step else {
        return false;
    };
    [animal, absorbed].into_iter().any(|id| herd.animals.get(&id.0).is_some_and(|animal| animal.last == last))
}

proptest! {
    #![proptest_config(property::cases(120))]

    /// The changes before the voided event are applied as decided, so this claims that a replay equals the history.
    #[test]
    fn voiding_the_last_event_leaves_the_herd_as_it_was_before(steps in steps(40)) {
        let mut paper = Paper::new();
        let rules = Rules::default();
        for step in &steps {
            let before = paper.herd();
            let decision = paper.step(step, &rules);
            let accepted = paper.herd().totals.accepted > before.totals.accepted;
            if !matches!((step, decision), (Step::Send(_), Some(Decision::Keep(_)))) || !accepted {
                continue;
            }
            let last = paper.rows.folded().0;
            let kept = paper.changes.len();
            prop_assert!(paper.step(&voiding(last), &rules).is_some());
            let after = paper.herd();
            all_hold(&after).map_err(TestCaseError::fail)?;
            prop_assert_eq!(without_marks(&after), without_marks(&before), "after the void of {:?}", step);
            // Continue without the void, so that the history grows.
            paper = paper.cut(kept);
        }
    }

    /// Later events are decided again, so this claims that a second decision equals the first: the herd is that of a history
    /// with a rejected payload in the place of the event.
    ///
    /// Not claimed if an operator merges the animal while the event is its last change: the merged animal has the status of
    /// the one that was touched last.
    #[test]
    fn an_event_without_effect_that_is_voided_was_never_there(
        steps in steps(40), at in any::<Index>(), tag in select(vec!["lf:A", "lf:B", "lf:C", "epc:U1", "epc:U2", "epc:U3"]),
    ) {
        let rules = Rules::default();
        let (first, rest) = steps.split_at(at.index(steps.len()));
        let (mut paper, mut without) = (played(first), played(first));
        let before = without_marks(&paper.herd());
        let sent = |text: &str| {
            Step::Send(SentPayload { raw: text.into(), channel: "radio1", reader_group: "other" })
        };
        paper.step(&sent(&format!("event:hxbchi900000|{tag}")), &rules);
        without.step(&sent("no event"), &rules);
        let brought_nothing = paper.rows.folded();
        prop_assert_eq!(without.rows.folded(), brought_nothing);
        if without_marks(&paper.herd()) != before {
            return Ok(());
        }
        let is_void = |step: &Step| matches!(step, Step::Correct(request) if matches!(request.correction, Correction::Void { .. }));
        for step in rest.iter().filter(|step| !is_void(step)) {
            if !merges_one_touched_by(step, &paper.herd(), brought_nothing) {
                paper.step(step, &rules);
                without.step(step, &rules);
            }
        }
        prop_assert_eq!(paper.rows.folded(), without.rows.folded());
        prop_assert!(paper.step(&voiding(brought_nothing.0), &rules).is_some());
        let after = paper.herd();
        all_hold(&after).map_err(TestCaseError::fail)?;
        prop_assert_eq!(without_marks(&after), without_marks(&without.herd()));
    }

    #[test]
    fn any_event_may_be_voided_and_every_animal_has_an_event(steps in steps(50), which in any::<[Index; 4]>()) {
        let mut paper = played(&steps);
        heads_have_events(&paper, &paper.herd()).map_err(TestCaseError::fail)?;
        for index in which {
            paper.void_one(index);
            let herd = paper.herd();
            all_hold(&herd).map_err(TestCaseError::fail)?;
            heads_have_events(&paper, &herd).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn animals_without_events_leave_nothing_behind(steps in steps(50)) {
        let mut paper = played(&steps);
        let mut live = live_events(&paper, &paper.herd());
        live.reverse();
        for (of, _) in live {
            prop_assert!(paper.step(&voiding(of), &Rules::default()).is_some(), "{} is not voided", of);
        }
        let herd = paper.herd();
        all_hold(&herd).map_err(TestCaseError::fail)?;
        prop_assert_eq!(herd.heads().count(), 0);
        prop_assert!(herd.owners.is_empty() && herd.tags.is_empty() && herd.lids.is_empty(), "{:#?}", herd);
        prop_assert!(herd.memberships.is_empty() && herd.totals.open_batches == 0, "{:#?}", herd);
    }

    /// Not claimed for two animals, or for one that is split: a tag that was read beside the one and is worn by the other
    /// stays where it is.
    #[test]
    fn two_events_of_an_animal_may_be_voided_in_either_order(
        steps in steps(40), one in any::<Index>(), other in any::<Index>(),
    ) {
        let paper = played(&steps);
        let herd = paper.herd();
        let live = live_events(&paper, &herd);
        if live.is_empty() {
            return Ok(());
        }
        let (one, animal) = *one.get(&live);
        let of_it = |id: u64| successor(&herd, id) == successor(&herd, animal);
        let own: Vec<u64> = live.iter().filter(|(_, id)| of_it(*id)).map(|(of, _)| *of).collect();
        let other = *other.get(&own);
        let kept = paper.changes.len();
        let mut ends = Vec::new();
        for [first, second] in [[one, other], [other, one]] {
            let mut paper = Paper { changes: paper.changes.clone(), now: paper.now, boot: paper.boot, ..Paper::new() }.cut(kept);
            paper.step(&voiding(first), &Rules::default());
            if !paper.herd().heads().map(|(id, _)| id).eq(herd.heads().map(|(id, _)| id)) {
                return Ok(());
            }
            paper.step(&voiding(second), &Rules::default());
            ends.push(without_marks(&paper.herd()));
        }
        prop_assert_eq!(&ends[0], &ends[1], "{} and {}", one, other);
    }
}
