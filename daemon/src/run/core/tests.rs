use super::*;
use crate::open::{open_keys, open_store};
use crate::settings::{RadioKind, RadioSettings};
use herd::clock::SystemClock;
use herd::position::Sequence;
use herd::store::TABLES_FILE;
use radio::SimulatedSettings;
use service::lifecycle::ShutdownTrigger;
use std::path::Path;
use std::time::Instant;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Settings with one radio, which hears one packet at once.
fn settings_with_radio(directory: &Path) -> Settings {
    let script = directory.join("script");
    std::fs::write(&script, "+0 hxb:LOT1:LF1:UHF1\n").unwrap();
    let simulated = SimulatedSettings { script: Some(script), ..SimulatedSettings::default() };
    let radio = RadioSettings { kind: RadioKind::Simulated, simulated: Some(simulated), ..RadioSettings::default() };
    Settings { state_dir: directory.join("state"), radio: vec![radio], ..Settings::default() }
}

/// Catches a start that opens the radios only after it has folded the tables, and so is deaf for as long as that takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_packet_heard_while_the_tables_are_folded_is_recorded_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings_with_radio(directory.path());
    drop(open_keys(&settings).unwrap());
    drop(open_store(&settings, &SystemClock::default()).unwrap());
    std::fs::remove_file(settings.state_dir.join(TABLES_FILE)).unwrap();

    let files = BarnFiles::open(&settings).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let tap = Tap::default();
    let air = tap.clone();
    let fold_until_heard = move |_: &OpenProgress<'_>| {
        let deadline = Instant::now() + TIMEOUT;
        while air.last() == 0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        ControlFlow::Continue(())
    };
    let trigger = ShutdownTrigger::default();
    let started = start(&settings, &files, &clock, &tap, &BackupStates::default(), trigger.signal(), fold_until_heard)
        .await
        .unwrap();
    assert_eq!(tap.last(), 1, "the radio heard nothing while the tables were folded");
    let mut head = started.health.reader.subscribe();
    let recorded = head.wait_for(|head| head.position.sequence == Sequence(2));
    timeout(TIMEOUT, recorded).await.expect("the packet is recorded").unwrap();
    trigger.request();
    started.recording.shut_down().await.unwrap();
}

/// Catches a deaf barn that goes on as if the script of its radio were over, or ends because it is.
#[tokio::test(start_paused = true)]
async fn a_radio_that_crashed_ends_the_process_and_one_whose_script_is_over_does_not() {
    let trigger = ShutdownTrigger::default();
    let (recorder, _writer) = Recorder::before_store();
    let mut radios = JoinSet::new();
    radios.spawn(async { ReceiveEnd::RadioClosed });
    let mut recording = Recording { shutdown: trigger.signal(), recorder, writer: None, radios };
    assert!(timeout(TIMEOUT, recording.failed()).await.is_err());
    recording.radios.spawn(async { ReceiveEnd::RadioCrashed });
    let failed = timeout(TIMEOUT, recording.failed()).await.expect("the process ends");
    assert!(matches!(failed, RunError::Part(PartError::Ended("a radio"))), "{failed}");
}
