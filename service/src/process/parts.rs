//! The parts of a running process, and the order in which they shut down.

use crate::lifecycle::{Shutdown, ShutdownTrigger};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;

/// Time from the request to the end of the process, whatever its peers do.
///
/// A supervisor is promised 5 s, and the runtime itself needs a moment.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(4_500);

/// A part ended that only a shutdown ends.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// It returned.
    #[error("{0} ended by itself")]
    Ended(&'static str),
    /// It panicked: a bug, whose place is in the log.
    #[error("{name} was aborted: {source}")]
    Aborted {
        /// The part.
        name: &'static str,
        /// The panic.
        #[source]
        source: JoinError,
    },
}

/// The work that a process exists for: the radios and the writer of a barn, the sites of an office.
pub trait Core: Send {
    /// Reason why it cannot go on.
    type Error: Send;

    /// Waits until it cannot go on. Cancel-safe.
    fn failed(&mut self) -> impl Future<Output = Self::Error> + Send;

    /// Ends it in order, after the shutdown has been requested.
    fn shut_down(self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The end of a process.
#[derive(Debug)]
pub struct End<E> {
    /// Reason why it ended; `Ok` if the shutdown was requested.
    pub cause: Result<(), E>,
    /// Outcome of the ordered shutdown; `None` if it took longer than [`SHUTDOWN_TIMEOUT`].
    pub shutdown: Option<Result<(), E>>,
}

/// The parts around a [`Core`]: tasks that run until the shutdown.
#[derive(Debug)]
pub struct Parts<E> {
    trigger: ShutdownTrigger,
    tasks: JoinSet<Result<(), E>>,
    names: HashMap<Id, &'static str>,
}

impl<E: From<PartError> + std::fmt::Display + Send + 'static> Parts<E> {
    /// Creates an empty set whose parts end with the signal of `trigger`.
    pub fn new(trigger: ShutdownTrigger) -> Self {
        Self { trigger, tasks: JoinSet::new(), names: HashMap::new() }
    }

    /// Returns the signal on which each part must end.
    pub fn shutdown(&self) -> Shutdown {
        self.trigger.signal()
    }

    /// Starts a part that can fail.
    pub fn add(&mut self, name: &'static str, part: impl Future<Output = Result<(), E>> + Send + 'static) {
        let task = self.tasks.spawn(part);
        self.names.insert(task.id(), name);
    }

    /// Starts a part that cannot fail.
    pub fn add_infallible(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        self.add(name, async {
            part.await;
            Ok(())
        });
    }

    /// Runs until the shutdown is requested, or the core or a part ends. Then shuts everything down.
    ///
    /// The parts see the request at the same moment as the core, so they end while the core does.
    pub async fn run(mut self, mut core: impl Core<Error = E>) -> End<E> {
        let shutdown = self.shutdown();
        let cause = tokio::select! {
            () = shutdown.requested() => Ok(()),
            error = core.failed() => Err(error),
            Some(ended) = self.tasks.join_next_with_id() => match self.result_of(ended) {
                // The request came just before this part saw it.
                (_, Ok(())) if shutdown.is_requested() => Ok(()),
                (name, Ok(())) => Err(PartError::Ended(name).into()),
                (_, Err(error)) => Err(error),
            },
        };
        if let Err(error) = &cause {
            tracing::error!(%error, "shutting down");
        }
        self.trigger.request();
        let all = async {
            let core = core.shut_down().await;
            let parts = self.joined().await;
            core.and(parts)
        };
        End { cause, shutdown: timeout(SHUTDOWN_TIMEOUT, all).await.ok() }
    }

    /// Waits for all parts. Returns the first error; the others are logged.
    async fn joined(&mut self) -> Result<(), E> {
        let mut first = Ok(());
        while let Some(ended) = self.tasks.join_next_with_id().await {
            match self.result_of(ended) {
                (name, Ok(())) => tracing::debug!("{name} has ended"),
                (_, Err(error)) if first.is_ok() => first = Err(error),
                (name, Err(error)) => tracing::warn!(%error, "{name} did not end well"),
            }
        }
        first
    }

    fn result_of(&self, ended: Result<(Id, Result<(), E>), JoinError>) -> (&'static str, Result<(), E>) {
        let name_of = |id| self.names.get(&id).copied().unwrap_or("a part");
        match ended {
            Ok((id, result)) => (name_of(id), result),
            Err(source) => {
                let name = name_of(source.id());
                (name, Err(PartError::Aborted { name, source }.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A core that never fails, and takes `slow` to shut down.
    struct TestCore {
        slow: Duration,
        ended: Arc<AtomicBool>,
    }

    impl Core for TestCore {
        type Error = PartError;

        async fn failed(&mut self) -> PartError {
            std::future::pending().await
        }

        async fn shut_down(self) -> Result<(), PartError> {
            tokio::time::sleep(self.slow).await;
            self.ended.store(true, Ordering::Relaxed);
            Ok(())
        }
    }

    fn core(slow: Duration) -> (TestCore, Arc<AtomicBool>) {
        let ended = Arc::new(AtomicBool::new(false));
        (TestCore { slow, ended: ended.clone() }, ended)
    }

    fn parts() -> (Parts<PartError>, ShutdownTrigger) {
        let trigger = ShutdownTrigger::default();
        (Parts::new(trigger.clone()), trigger)
    }

    /// Catches a process that answers requests after its core has gone, or that leaves without its core.
    #[tokio::test(start_paused = true)]
    async fn a_requested_shutdown_ends_the_core_and_all_parts() {
        let (mut parts, trigger) = parts();
        let shutdown = parts.shutdown();
        parts.add_infallible("a part", async move { shutdown.requested().await });
        trigger.request();
        let (core, ended) = core(Duration::from_secs(1));
        let end = parts.run(core).await;
        assert!(end.cause.is_ok() && matches!(end.shutdown, Some(Ok(()))), "{end:?}");
        assert!(ended.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_by_itself_ends_the_process_and_is_named() {
        let (mut parts, _trigger) = parts();
        let shutdown = parts.shutdown();
        parts.add_infallible("the server", std::future::ready(()));
        parts.add_infallible("another", async move { shutdown.requested().await });
        let (core, ended) = core(Duration::ZERO);
        let end = parts.run(core).await;
        assert!(matches!(end.cause, Err(PartError::Ended("the server"))), "{end:?}");
        assert!(ended.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_panics_ends_the_process_and_is_named() {
        let (mut parts, _trigger) = parts();
        parts.add_infallible("the server", async { panic!("a bug") });
        let end = parts.run(core(Duration::ZERO).0).await;
        assert!(matches!(end.cause, Err(PartError::Aborted { name: "the server", .. })), "{end:?}");
    }

    /// Catches a requested shutdown that is reported as a failure because a part saw the request first. Which one is seen
    /// first is random, so it is tried often.
    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_with_the_request_is_no_failure() {
        for _ in 0..40 {
            let (mut parts, trigger) = parts();
            parts.add_infallible("the server", std::future::ready(()));
            tokio::task::yield_now().await;
            trigger.request();
            let end = parts.run(core(Duration::ZERO).0).await;
            assert!(end.cause.is_ok(), "{end:?}");
        }
    }

    /// Catches a failure of the shutdown that nobody hears of, or that a later one hides.
    #[tokio::test(start_paused = true)]
    async fn the_first_part_that_does_not_end_well_is_the_outcome_of_the_shutdown() {
        let (mut parts, trigger) = parts();
        for (name, after_s) in [("a part", 3), ("the first", 1), ("another", 2)] {
            let shutdown = parts.shutdown();
            parts.add(name, async move {
                shutdown.requested().await;
                tokio::time::sleep(Duration::from_secs(after_s)).await;
                if after_s < 3 { Err(PartError::Ended(name)) } else { Ok(()) }
            });
        }
        trigger.request();
        let end = parts.run(core(Duration::ZERO).0).await;
        assert!(end.cause.is_ok() && matches!(end.shutdown, Some(Err(PartError::Ended("the first")))), "{end:?}");
    }

    /// Catches a supervisor that has to kill the process because a peer does not let go.
    #[tokio::test(start_paused = true)]
    async fn a_part_that_does_not_end_holds_the_process_no_longer_than_the_timeout() {
        let (mut parts, trigger) = parts();
        parts.add_infallible("a stuck part", std::future::pending());
        trigger.request();
        let start = tokio::time::Instant::now();
        let end = parts.run(core(Duration::ZERO).0).await;
        assert!(end.cause.is_ok() && end.shutdown.is_none(), "{end:?}");
        assert_eq!(start.elapsed(), SHUTDOWN_TIMEOUT);
    }
}
