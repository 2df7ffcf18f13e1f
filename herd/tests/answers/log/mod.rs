//! A log of mixed changes, determined by a seed: payloads of a busy yard, with operators who correct them.
//!
//! Every text goes through [`Store::append`](herd::store::Store::append), every correction through its JSON form and
//! [`Store::correct`](herd::store::Store::correct). The generator reads nothing but receipts and public queries.
//!
//! | file | holds |
//! |---|---|
//! | `visits` | ordinary traffic: arrivals, check-ins, scans, repairs, exports, repeats, late events |
//! | `malformed` | texts that are no events, and events that contradict what is known |
//! | `operators` | corrections of every kind, alone and on top of each other |
//! | `extremes` | long histories, large batches, numbers that recur, counters at their ends |
//! | `cases` | the payloads of the case table |

mod barn;
mod cases;
mod chance;
mod extremes;
mod malformed;
mod operators;
mod visits;
mod yard;

pub(crate) use barn::{Barn, STORE};

use crate::ledger::{Ledger, Question};
use crate::walk::json;
use herd::query::{PageLimit, PayloadFilter};
use yard::Yard;

/// Version of the generator. A new one gives other logs, so it needs new golden files.
const GENERATOR: u32 = 1;
/// Number of times in a log that the day's end comes.
const DAYS: u64 = 24;
/// Number of moments in a log at which totals and newest payloads are asked for.
const MOMENTS: u64 = 64;

/// The size of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogPlan {
    pub(crate) name: &'static str,
    pub(crate) seed: u64,
    /// Minimum number of changes.
    pub(crate) changes: u64,
}

impl LogPlan {
    /// Returns the lines about the log in its golden file.
    pub(crate) fn lines(&self, barn: &Barn) -> Vec<String> {
        let position = barn.store().head().position;
        vec![
            format!("log {}, generator {GENERATOR}, seed {}, {} changes", self.name, self.seed, position.sequence),
            format!("chain {}", position.digest),
        ]
    }

    /// Records the log. The receipts go into `ledger`.
    pub(crate) fn record(&self, ledger: &mut Ledger) -> Barn {
        let mut yard = Yard::new(self.seed, ledger);
        yard.play_cases();
        let (mut days, mut moments) = (0, 0);
        while yard.barn.changes() < self.changes {
            yard.play_turn();
            let done = yard.barn.changes();
            if done * DAYS / self.changes > days {
                days += 1;
                yard.end_day(days);
            }
            if done * MOMENTS / self.changes > moments {
                moments += 1;
                ask_moment(&mut yard);
            }
        }
        yard.flush();
        yard.accept_reused_id();
        yard.correct_many_tags();
        yard.reprocess_all();
        yard.barn
    }
}

/// Asks for the answers that show most of what the fold counts.
fn ask_moment(yard: &mut Yard<'_>) {
    yard.flush();
    let snapshot = yard.barn.store().reader().snapshot().unwrap();
    let newest = snapshot.payloads(None, PageLimit::new(20).unwrap(), PayloadFilter::All);
    let answer = format!("{} {} {}", json(snapshot.totals()), json(snapshot.reader_era_proposals()), json(newest));
    yard.ledger.enter(Question::Moment, &yard.barn.changes(), &answer);
}
