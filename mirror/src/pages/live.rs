//! `GET /office/live`: a stream of server-sent events, by which an open page follows a site.
//!
//! | event | sent | data |
//! |---|---|---|
//! | `line` | first, and whenever the live line has changed | the line as HTML; `id` is the last change that is shown |
//! | `heartbeat` | every 5 s | the last change that is shown; the line is still right |
//! | `end` | last | `shutdown`, `site_removed`, or `logged_out` if the session, key or token has ended |
//!
//! # Decisions
//!
//! - **A heartbeat has a name**, because a script cannot see the comments by which most servers keep a stream open. A page that
//!   misses it says that it is not connected: then the stream was cut, or the computer slept.
//! - **Nothing is queued for a page.** It gets the newest line, at most every [`PAUSE`]; what lay between is skipped.
//! - **The state of the link is looked at every [`LOOK_INTERVAL`]**, the head of the copy is waited for. A watch on everything
//!   that the line shows was rejected: the age of the barn's report passes its limit without an event.
//! - **A stream ends with its session.** It asks at each look, so a log-out elsewhere shows within a second.
//! - **Not the WebSocket of programs**: that sends what happened, and a page would have to make its line of it.

use super::error::PageError;
use super::live_line::{LastRead, LiveFacts};
use super::request::PageRequest;
use super::site_request::PagesState;
use super::streams::Place;
use askama::Template as _;
use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream::unfold;
use herd::position::Sequence;
use herd::store::{Head, Reader};
use service::door::reply::ApiError;
use service::lifecycle::Shutdown;
use service::sync::live::HEARTBEAT_INTERVAL;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Path of the stream of a site.
pub(super) const LIVE_PATH: &str = "/office/live";
/// Interval at which the state of the link and the session are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Minimum time between two lines of a stream.
const PAUSE: Duration = Duration::from_millis(250);
/// `Retry-After` if there are too many streams.
const RETRY_AFTER_S: u32 = 30;

/// Tells whether whoever opened a stream may still see it. The guard of the pages puts it into the request.
#[derive(Clone)]
pub(crate) struct StillAllowed(Arc<dyn Fn() -> bool + Send + Sync>);

impl StillAllowed {
    pub(crate) fn new(is_allowed: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_allowed))
    }

    pub(crate) fn holds(&self) -> bool {
        (self.0)()
    }
}

/// Returns whether a path is that of a stream, whose access has to be checked while it is open.
pub(crate) fn is_live_path(path: &str) -> bool {
    path.ends_with(LIVE_PATH)
}

/// Reason why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Shutdown,
    SiteRemoved,
    LoggedOut,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shutdown => "shutdown",
            Self::SiteRemoved => "site_removed",
            Self::LoggedOut => "logged_out",
        })
    }
}

/// The stream of one page.
struct Stream {
    pages: PagesState,
    site: String,
    prefix: String,
    allowed: Option<StillAllowed>,
    shutdown: Shutdown,
    /// The line that was sent last.
    sent: Option<LiveFacts>,
    next_heartbeat: Instant,
    has_ended: bool,
    _place: Place,
}

/// The facts at one look.
struct Look {
    facts: LiveFacts,
    /// Head of the copy that is shown.
    head: Option<watch::Receiver<Head>>,
}

/// Opens the stream of the site that the path names, or of the only one.
pub(super) async fn stream(
    State(pages): State<PagesState>,
    allowed: Option<Extension<StillAllowed>>,
    request: PageRequest,
) -> Result<Response, PageError> {
    let opened = Stream::open(pages, allowed.map(|Extension(allowed)| allowed), &request);
    let stream = opened.map_err(|error| request.error(error))?;
    let events = unfold(stream, async |mut stream| {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    Ok(Sse::new(events).into_response())
}

impl Stream {
    fn open(pages: PagesState, allowed: Option<StillAllowed>, request: &PageRequest) -> Result<Self, ApiError> {
        request.reject_query()?;
        let (site, prefix) = pages.site_of_page(request)?;
        pages.status(&site)?;
        let not_found = || ApiError::not_found(format!("no site {site:?} is paired with this office"));
        let shutdown = pages.office.shutdown(&site).ok_or_else(not_found)?;
        let user = request.user.as_ref().map(|user| &user.name);
        let too_many = || {
            let message = "too many pages of this office are open; close some, or look without the live line";
            ApiError::unavailable("busy", message, RETRY_AFTER_S)
        };
        let place = pages.streams.open(user).ok_or_else(too_many)?;
        let next_heartbeat = Instant::now() + HEARTBEAT_INTERVAL;
        let stream = Self {
            pages,
            site,
            prefix,
            allowed,
            shutdown,
            sent: None,
            next_heartbeat,
            has_ended: false,
            _place: place,
        };
        Ok(stream)
    }

    /// Waits for the next event; `None` after the last one.
    async fn next(&mut self) -> Option<Event> {
        if self.has_ended {
            return None;
        }
        let shutdown = self.shutdown.clone();
        let event = tokio::select! {
            biased;
            () = shutdown.requested() => Err(End::Shutdown),
            event = self.next_line() => event,
        };
        Some(event.unwrap_or_else(|end| {
            self.has_ended = true;
            Event::default().event("end").data(end.to_string())
        }))
    }

    /// Waits until the line has changed, or a heartbeat is due.
    async fn next_line(&mut self) -> Result<Event, End> {
        if self.sent.is_some() {
            sleep(PAUSE).await;
        }
        loop {
            let Look { facts, head } = self.look().await?;
            let as_of = facts.as_of().map(|as_of| as_of.to_string()).unwrap_or_default();
            if self.sent.as_ref() != Some(&facts) {
                let line = self.render(&facts);
                self.sent = Some(facts);
                return Ok(Event::default().event("line").id(as_of).data(line));
            }
            if self.next_heartbeat <= Instant::now() {
                self.next_heartbeat = Instant::now() + HEARTBEAT_INTERVAL;
                return Ok(Event::default().event("heartbeat").data(as_of));
            }
            self.wait(head).await;
        }
    }

    fn render(&self, facts: &LiveFacts) -> String {
        let line = facts.line(&self.pages.conventions.zone, self.pages.now_us()).render();
        // A line break would end the data of the event.
        let line = line.inspect_err(|error| tracing::error!(%error, "failed to render the live line"));
        line.unwrap_or_default().replace(['\r', '\n'], " ")
    }

    /// Reads what the line shows now, on a blocking thread.
    async fn look(&self) -> Result<Look, End> {
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.holds()) {
            return Err(End::LoggedOut);
        }
        let status = self.pages.office.status(&self.site).ok_or(End::SiteRemoved)?;
        let (reader, now_us) = (self.pages.office.reader(&self.site).ok(), self.pages.now_us());
        let head = reader.as_ref().map(|reader| {
            let mut head = reader.subscribe();
            head.mark_unchanged();
            head
        });
        let read = tokio::task::spawn_blocking(move || reader.and_then(|reader| last_read(&reader)));
        let (as_of, read) = read.await.ok().flatten().unzip();
        let facts = LiveFacts::new(&status, &self.prefix, as_of, read.flatten(), now_us);
        Ok(Look { facts, head })
    }

    /// Waits for a change of the copy, the next look or the heartbeat.
    async fn wait(&self, head: Option<watch::Receiver<Head>>) {
        let changed = async {
            // Without a copy, or with one that is being replaced, there is nothing to wait for.
            let Some(mut head) = head else { return std::future::pending().await };
            if head.changed().await.is_err() {
                return std::future::pending().await;
            }
            // The change is shown once it is in the tables, which follow the log.
            let _shown = timeout(PAUSE, head.wait_for(|head| head.unfolded() == 0)).await;
        };
        let next_look = (Instant::now() + LOOK_INTERVAL).min(self.next_heartbeat);
        tokio::select! {
            () = changed => {}
            () = sleep_until(next_look) => {}
        }
    }
}

/// Returns the last change that a copy shows, and the last read up to it. A copy that cannot be read shows nothing.
fn last_read(reader: &Reader) -> Option<(Sequence, Option<LastRead>)> {
    let snapshot = reader.snapshot().ok()?;
    Some((snapshot.folded().ok()?, LastRead::find(&snapshot).ok()?))
}
