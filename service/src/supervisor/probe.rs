//! A question to a part of the process that only the part itself can answer, in the place where it waits for work.
//!
//! The answer shows that the part's loop is running. A thread that merely reports that it is alive would do so while
//! nothing is recorded.

use std::convert::Infallible;
use tokio::sync::watch;

/// Creates a probe and the target that the part holds.
pub fn probe() -> (Probe, ProbeTarget) {
    let (questions, questioned) = watch::channel(0);
    let (answers, answered) = watch::channel(0);
    (Probe { questions, answered }, ProbeTarget { questioned, answers })
}

/// Asks one part. However often it asks, a single number is pending.
#[derive(Debug)]
pub struct Probe {
    questions: watch::Sender<u64>,
    answered: watch::Receiver<u64>,
}

impl Probe {
    /// Returns when the part has answered a question from after this call. Cancel-safe.
    ///
    /// A part that has ended counts as an answer. Its end is reported elsewhere, and it does not hang.
    pub async fn ask(&self) {
        let mut number = 0;
        self.questions.send_modify(|questions| {
            *questions += 1;
            number = *questions;
        });
        let answered = self.answered.clone().wait_for(|answered| *answered >= number).await.is_ok();
        tracing::trace!(number, answered, "probe finished");
    }
}

/// The probed part's side, which answers.
#[derive(Debug)]
pub struct ProbeTarget {
    questioned: watch::Receiver<u64>,
    answers: watch::Sender<u64>,
}

impl ProbeTarget {
    /// Waits for `work` and answers probes meanwhile. A part uses this wherever it may wait for long.
    pub async fn answer_while<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            never = self.answer() => match never {},
            done = work => done,
        }
    }

    async fn answer(&mut self) -> Infallible {
        while self.questioned.changed().await.is_ok() {
            let number = *self.questioned.borrow_and_update();
            self.answers.send_replace(number);
        }
        // The probe is gone.
        std::future::pending().await
    }
}
