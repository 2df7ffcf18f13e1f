//! A running site: its task, and the way in which commands reach it.
//!
//! The task takes no command while it opens a copy, which may last an hour, or fills a new one. So nothing that concerns
//! other sites waits for its reply:
//!
//! - **One command about a copy at a time.** A second one is refused until the site has replied to the first.
//! - **A caller waits for the reply for a few seconds.** The command stays queued after that, and the caller is told so.
//! - **A site is removed only once its task has ended,** because a task that was aborted leaves a thread behind that still
//!   opens files by their paths. The next site with that name would take them for its own.

use super::super::command_error::SiteCommandError;
use super::super::follower::{CopyReply, MAX_QUEUED_COMMANDS, SiteCommand, WriterError};
use super::super::name::SiteName;
use super::super::view::SiteView;
use crate::copies::CopyNumber;
use axum::Router;
use futures::FutureExt as _;
use service::control::RESPONSE_TIMEOUT;
use service::lifecycle::ShutdownTrigger;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Timeout for a site's task to shut down. The parts of the task have shorter timeouts, except the opening of a copy.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(4);
/// Timeout for the reply to a command. Shorter than that of the control socket, so that the operator is told the reason.
const REPLY_TIMEOUT: Duration = RESPONSE_TIMEOUT.saturating_sub(Duration::from_secs(1));

/// Reason why a site can no longer be followed. Only a restart of the process mends it.
#[derive(Debug, thiserror::Error)]
pub enum FollowerError {
    /// A copy can no longer be written.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// The task panicked: a bug, whose place is in the log.
    #[error("the task that follows `{site}` panicked: {message}")]
    Panicked {
        /// Name of the site.
        site: SiteName,
        /// Message of the panic.
        message: String,
    },
}

/// Runs the task of a site. A panic becomes an error: nothing else would tell of it until the shutdown.
pub(super) async fn catch_panic(
    site: SiteName,
    task: impl Future<Output = Result<(), WriterError>>,
) -> Result<(), FollowerError> {
    match AssertUnwindSafe(task).catch_unwind().await {
        Ok(ended) => Ok(ended?),
        Err(payload) => Err(FollowerError::Panicked { site, message: message(payload.as_ref()) }),
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a message").to_owned()
}

/// A site with its task and its routers.
pub(super) struct RunningSite {
    /// Time of the first pairing, in microseconds since the Unix epoch.
    pub(super) paired_at_us: i64,
    pub(super) view: Arc<SiteView>,
    pub(super) sync: Router,
    pub(super) remote: Router,
    pub(super) commands: Commands,
    pub(super) shutdown: ShutdownTrigger,
    pub(super) task: JoinHandle<()>,
}

impl RunningSite {
    /// Requests the shutdown. Returns true if the task ends in time; otherwise it ends after the current step.
    pub(super) async fn shut_down_in_time(&mut self) -> bool {
        self.shutdown.request();
        timeout(SHUTDOWN_TIMEOUT, &mut self.task).await.is_ok()
    }

    /// Shuts the site down with the process, which does not wait longer.
    pub(super) async fn shut_down(mut self) {
        if !self.shut_down_in_time().await {
            tracing::warn!(site = %self.view.name, "the site did not shut down in time; aborting it");
            self.task.abort();
        }
    }
}

/// Sender of commands to the task of a site.
#[derive(Clone)]
pub(super) struct Commands {
    site: SiteName,
    queue: mpsc::Sender<SiteCommand>,
    /// Locked until the site has replied to a command about a copy.
    copying: Arc<Mutex<()>>,
}

impl Commands {
    /// Creates the sender to a site, and the queue of its task.
    pub(super) fn new(site: SiteName) -> (Self, mpsc::Receiver<SiteCommand>) {
        let (queue, commands) = mpsc::channel(MAX_QUEUED_COMMANDS);
        (Self { site, queue, copying: Arc::default() }, commands)
    }

    /// Queues a command. Does not wait for the site.
    pub(super) fn send(&self, command: SiteCommand) -> Result<(), SiteCommandError> {
        self.queue.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => SiteCommandError::Busy(self.site.clone()),
            TrySendError::Closed(_) => self.shutting_down(),
        })
    }

    /// Sends a command about a copy, and waits for the reply for at most [`REPLY_TIMEOUT`].
    pub(super) async fn send_about_copy(
        &self,
        command: fn(CopyReply) -> SiteCommand,
    ) -> Result<CopyNumber, SiteCommandError> {
        let turn = self.copying.clone().try_lock_owned().map_err(|_| SiteCommandError::Busy(self.site.clone()))?;
        let (sender, reply) = oneshot::channel();
        self.send(command(sender))?;
        // A task of its own keeps the turn until the reply, even if the caller has left.
        let reply = tokio::spawn(async move {
            let reply = reply.await;
            drop(turn);
            reply
        });
        match timeout(REPLY_TIMEOUT, reply).await {
            Ok(reply) => Ok(reply?.map_err(|_| self.shutting_down())??),
            Err(_) => Err(SiteCommandError::StillQueued(self.site.clone())),
        }
    }

    fn shutting_down(&self) -> SiteCommandError {
        SiteCommandError::ShuttingDown(self.site.to_string())
    }
}
