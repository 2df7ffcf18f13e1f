//! The process on one screen.

mod commands;
mod parts;
mod routes;

pub(crate) use commands::{corrected, pair_answer, requested};
pub use parts::{RunError, STOP_WITHIN};
pub use routes::Routes;

use crate::disk::DiskGauge;
use crate::health::Health;
use crate::ingest::Ingest;
use crate::open::Opened;
use crate::pair::Barn;
use crate::prove::Prover;
use crate::pulse::Pulse;
use crate::recorder::{Recorder, RecorderSeams};
use crate::settings::Settings;
use crate::status_line::status_line;
use crate::tap::Tap;
use commands::Commands;
use futures::FutureExt as _;
use herd::clock::{Clock, SystemClock};
use herd::randomness::SystemRandomness;
use parts::Parts;
use service::control::{SOCKET_NAME, listen};
use service::door::key_command::with_key_commands;
use service::door::serve::{bind, serve};
use service::door::tokens::TokenRing;
use service::lifecycle::shutdown_on_signals;
use service::supervisor::{Supervisor, Watchdog, attend, tell_opening};
use std::sync::Arc;

/// Runs the barn until it is told to stop, or until a part of it ends. Needs a multi-threaded tokio runtime.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    let stop = shutdown_on_signals().map_err(RunError::Signals)?;
    let stopping = stop.signal();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let supervisor = Supervisor::of_process();
    let listener = bind(settings.listen)?;
    let opened = match Opened::open_aloud(&settings, &*clock, tell_opening(supervisor.clone(), stopping.clone())) {
        Err(error) if error.is_broken_off() => {
            tracing::info!("stopped: {error}");
            return Ok(());
        }
        opened => opened?,
    };
    let barn = Barn { listen: listener.local_addr().map_err(RunError::Address)?, ..opened.barn(&settings) };
    let Opened { local, keys, identity, store } = opened;
    let reader = store.reader();
    let tokens = Arc::new(TokenRing::load(local.clone(), keys.clone(), clock.clone(), SystemRandomness)?);

    let disk = DiskGauge::of_directory(&settings.state_dir);
    let (recorder, writer) = Recorder::on_thread(store, RecorderSeams { disk: disk.clone(), local: Some(local) })?;
    let mut parts = Parts::new(stop, recorder.clone(), writer);
    let tap = Tap::default();
    let radios = parts.start_radios(&settings, &clock, &tap)?;

    let health = Health { reader: reader.clone(), recorder: recorder.status(), disk, radios };
    let commands = Commands {
        barn: barn.clone(),
        reader: reader.clone(),
        keys: keys.clone(),
        health: health.clone(),
        tap,
        identity: identity.clone(),
        prover: Prover::new(reader.clone(), settings.state_dir.clone()),
        recorder: recorder.clone(),
        clock: clock.clone(),
    };
    let answer = with_key_commands(keys, commands.answerer());
    let control = listen(&settings.state_dir.join(SOCKET_NAME), answer, stopping.clone())?;
    parts.add("the control socket", control.map(Ok));
    parts.add("the watch over the certificate", identity.clone().watch_files(stopping.clone()).map(Ok));

    let (pulse, line_of) = (Pulse::new(recorder.clone(), health.radios.clone()), health.clone());
    let reader_group = settings.reader_group.as_str().into();
    let ingest = Ingest { recorder, reader, clock, reader_group, shutdown: stopping.clone() };
    let routes = Routes { site: barn.site.clone(), ingest, health, tokens };
    let serving = serve(listener, routes.router(), &identity, stopping.clone())?;
    tracing::info!(address = %serving.addr, site = barn.site, store = %barn.store, "listening over HTTPS");
    parts.add("the HTTPS server", async { Ok(serving.wait().await?) });
    let (status, silent) = (move || status_line(&line_of), move |within| pulse.clone().silent(within));
    let attending = attend(supervisor, Watchdog::of_process(), status, silent, stopping.clone());
    parts.add("the supervisor's attendance", attending.map(Ok));

    parts.run(stopping).await
}
