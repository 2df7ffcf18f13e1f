//! A question to a part of the process that only the part itself answers, where it waits for its next work: an answer
//! shows that its loop goes round.

use std::convert::Infallible;
use tokio::sync::watch;

/// A way to ask, and the part's own end.
pub fn probe() -> (Asker, Answerer) {
    let (asked, to_answer) = watch::channel(0);
    let (answers, answered) = watch::channel(0);
    (Asker { asked, answered }, Answerer { asked: to_answer, answers })
}

/// Asks one part. However often it asks, one number waits.
#[derive(Debug)]
pub struct Asker {
    asked: watch::Sender<u64>,
    answered: watch::Receiver<u64>,
}

impl Asker {
    /// Returns when the part has answered a question that was put after this call. A part that is gone has answered:
    /// its end is told elsewhere, and no sign of a part that hangs. Cancel-safe.
    pub async fn ask(&self) {
        let mut number = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        let answer = self.answered.clone().wait_for(|answered| *answered >= number).await.is_ok();
        tracing::trace!(number, answer, "a part was asked whether it lives");
    }
}

/// The end of the part that is asked.
#[derive(Debug)]
pub struct Answerer {
    asked: watch::Receiver<u64>,
    answers: watch::Sender<u64>,
}

impl Answerer {
    /// Waits for `work`, and answers meanwhile: what a part waits with wherever it may wait for long.
    pub async fn while_waiting<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            never = self.answer() => match never {},
            done = work => done,
        }
    }

    async fn answer(&mut self) -> Infallible {
        while self.asked.changed().await.is_ok() {
            let asked = *self.asked.borrow_and_update();
            self.answers.send_replace(asked);
        }
        // Whoever asked is gone.
        std::future::pending().await
    }
}
