//! How the barn is, in a line for whoever says `systemctl status`.

use crate::health::Health;
use crate::receive::ListenedRadio;
use crate::recorder::RecordError;
use herd::clock::iso_utc;
use herd::store::grouped;

/// What is wrong first, then how far the log is, when the last payload came, and how each radio is.
pub fn status_line(health: &Health) -> String {
    let head = health.reader.head();
    let (trouble, last_payload_at_us) = {
        let recorder = health.recorder.borrow();
        (recorder.trouble.clone(), recorder.last_payload_at_us)
    };
    let last = last_payload_at_us
        .map_or("no payload since the start".to_owned(), |at| format!("last payload {}", iso_utc(at)));
    let mut parts = Vec::new();
    // The disk's trouble may be over before the next payload shows it, so the disk is asked itself.
    let other_trouble = trouble.filter(|trouble| !matches!(trouble, RecordError::Disk(_))).map(|it| it.to_string());
    let disk = health.disk.check().err().map(|full| full.to_string());
    parts.extend(disk.or(other_trouble).map(|why| format!("NOTHING IS KEPT: {why}")));
    parts.extend(head.blocked.map(|why| format!("the tables stand at change {}: {why}", grouped(head.folded.0))));
    parts.push(format!("change {}", grouped(head.position.sequence.0)));
    parts.push(last);
    parts.extend(health.radios.iter().map(radio_words));
    parts.join("; ")
}

fn radio_words(radio: &ListenedRadio) -> String {
    let state = radio.state.borrow();
    match state.why() {
        Some(why) => format!("{} {}: {why}", radio.name, state.word()),
        None => format!("{} {}", radio.name, state.word()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{DiskGauge, Room};
    use crate::receive::RadioState;
    use crate::worlds::{World, scan};
    use herd::decide::Rules;
    use service::supervisor::probe;
    use std::sync::Arc;
    use tokio::sync::watch;

    #[tokio::test]
    async fn the_line_tells_the_head_the_last_payload_and_each_radio_and_trouble_comes_first() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let state = watch::Sender::new(RadioState::Listening);
        let radio = ListenedRadio {
            name: "chute".into(),
            state: state.subscribe(),
            counters: radio::Counters::default(),
            transmitter: None,
            asker: Arc::new(probe().0),
        };
        let (reader, recorder) = (world.reader.clone(), world.recorder.status());
        let mut health = Health { reader, recorder, disk: DiskGauge::plenty(), radios: vec![radio] };
        assert_eq!(status_line(&health), "change 1; no payload since the start; chute listening");

        world.recorder.record(scan(1)).await.unwrap();
        state.send_replace(RadioState::Failing("no answer from /dev/spidev0.0".into()));
        let last = "last payload 2024-01-15T10:35:20.000Z";
        let failing = "chute failing: no answer from /dev/spidev0.0";
        assert_eq!(status_line(&health), format!("change 2; {last}; {failing}"));

        health.disk = DiskGauge::new(|| Ok(Room { free_bytes: 1, needed_bytes: 2 }));
        let line = status_line(&health);
        assert!(line.starts_with("NOTHING IS KEPT: the disk has 1 bytes free") && line.ends_with(failing), "{line}");
    }
}
