//! The process on one screen.

mod commands;
mod parts;

pub(crate) use commands::pair_answer;
pub use parts::{RunError, STOP_WITHIN};

use crate::disk::DiskGauge;
use crate::health::{self, Health};
use crate::ingest::{self, Ingest};
use crate::metrics;
use crate::open::Opened;
use crate::pair::Barn;
use crate::prove::Prover;
use crate::recorder::{Recorder, RecorderSeams};
use crate::settings::Settings;
use axum::Router;
use commands::Commands;
use futures::FutureExt as _;
use herd::clock::{Clock, SystemClock};
use herd::control::{SOCKET_NAME, listen};
use herd::door::auth::require;
use herd::door::key_command::with_key_commands;
use herd::door::keys::{KeyRing, Scope};
use herd::door::reply::with_fallbacks;
use herd::door::request_times::RequestTimes;
use herd::door::serve::{bind, serve};
use herd::lifecycle::stop_on_signals;
use herd::sync::{OwnStore, Served as _};
use parts::Parts;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs the barn until it is told to stop, or until a part of it ends. Needs a multi-threaded tokio runtime.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    let (stop, stopping) = stop_on_signals().map_err(RunError::Signals)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let listener = bind(settings.listen)?;
    let opened = Opened::open(&settings, &*clock)?;
    let barn = Barn { listen: listener.local_addr().map_err(RunError::Address)?, ..opened.barn(&settings) };
    let Opened { local, keys, identity, store } = opened;
    let reader = store.reader();

    let disk = DiskGauge::of_directory(&settings.state_dir);
    let (recorder, writer) = Recorder::on_thread(store, RecorderSeams { disk: disk.clone(), local: Some(local) })?;
    let mut parts = Parts::new(stop, recorder.clone(), writer);
    let radios = parts.start_radios(&settings, &clock)?;

    let health = Health { reader: reader.clone(), recorder: recorder.status(), disk, radios };
    let commands = Commands {
        barn: barn.clone(),
        reader: reader.clone(),
        keys: keys.clone(),
        health: health.clone(),
        identity: identity.clone(),
        prover: Prover::new(reader.clone(), settings.state_dir.clone()),
    };
    let answer = with_key_commands(keys.clone(), commands.answerer());
    let control = listen(&settings.state_dir.join(SOCKET_NAME), answer, stopping.clone())?;
    parts.add("the control socket", control.map(Ok));
    parts.add("the watch over the certificate", identity.clone().watch_files(stopping.clone()).map(Ok));

    let reader_group = settings.reader_group.as_str().into();
    let ingest = Ingest { recorder, reader, clock, reader_group, shutdown: stopping.clone() };
    let serving = serve(listener, router(ingest, health, &keys, &stopping), &identity, stopping.clone())?;
    tracing::info!(address = %serving.addr, site = barn.site, store = %barn.store, "listening over HTTPS");
    parts.add("the HTTPS server", async { Ok(serving.ended().await?) });

    parts.run(stopping).await
}

/// Everything that is served, each part behind the keys that it asks for.
pub fn router(ingest: Ingest, health: Health, keys: &Arc<KeyRing>, stopping: &watch::Receiver<bool>) -> Router {
    let status = health.recorder.clone();
    let duplicates = move || status.borrow().duplicates.values().map(|channel| channel.count).sum();
    let served = Arc::new(OwnStore::new(ingest.reader.clone(), duplicates));
    let times = RequestTimes::default();
    let metrics = metrics::router(&ingest, &health, served.deliveries(), &times, keys);
    let sync = herd::sync::serve::router(served.clone(), stopping.clone());
    let events = herd::events::router(served, stopping.clone());
    let routes = ingest::router(ingest, keys.clone())
        .merge(require(keys.clone(), Scope::Sync).protect(sync))
        .merge(require(keys.clone(), Scope::Read).protect(events))
        .merge(metrics)
        .merge(health::router(health));
    times.watch(with_fallbacks(routes))
}
