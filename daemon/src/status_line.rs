//! The status of the barn in one line, as `systemctl status` shows it.

use crate::health::Health;
use crate::pairing_code::PairingStatus;
use crate::receive::RadioHandle;
use crate::recorder::RecordError;
use herd::clock::iso_utc_if_set;
use herd::store::grouped;

/// Returns the errors first, then the head of the log, the arrival of the last payload, the state of each radio, and
/// that of the nightly backups and of a one-time pairing code, if there is something to say.
pub fn status_line(health: &Health, pairing: &PairingStatus) -> String {
    let head = health.reader.head();
    let (last_error, last_payload_at_us) = {
        let recorder = health.recorder.borrow();
        (recorder.last_error.clone(), recorder.last_payload_at_us)
    };
    let last_payload = match last_payload_at_us {
        None => "no payload since the start".to_owned(),
        Some(at_us) => {
            let at = iso_utc_if_set(at_us).unwrap_or_else(|| "before the clock was set".to_owned());
            format!("last payload {at}")
        }
    };
    let mut parts = Vec::new();
    // A full disk may have room again before the next payload clears the last error, so the disk is checked directly.
    let error = last_error.filter(|error| !matches!(error, RecordError::Disk(_))).map(|error| error.to_string());
    let disk_error = health.disk.check().err().map(|error| error.to_string());
    parts.extend(disk_error.or(error).map(|why| format!("NOT RECORDING: {why}")));
    parts.extend(head.blocked.map(|why| format!("the tables stop at change {}: {why}", grouped(head.folded.0))));
    parts.extend(health.are_keys_damaged().then(|| "NOBODY IS LET IN: local.redb is damaged".to_owned()));
    parts.extend(health.missing_address().map(|ip| format!("NOBODY REACHES IT: this machine does not have {ip}")));
    parts.extend(health.certificate_failure().map(|why| format!("NOBODY IS LET IN: {why}")));
    parts.extend(health.damaged_rows().first().map(|row| format!("log.redb is damaged in {row}")));
    parts.extend(health.refusals.finding().map(|why| format!("NO READ TAKEN: {why}")));
    parts.push(format!("change {}", grouped(head.position.sequence.0)));
    parts.push(last_payload);
    parts.extend(health.radios.iter().map(radio_status));
    parts.extend(
        health.radios.iter().filter_map(|radio| Some(format!("{}: {}", radio.name, health.queue_note(radio)?.text))),
    );
    parts.extend(health.backup_note().map(|note| format!("backup: {note}")));
    parts.extend(pairing.notice());
    parts.join("; ")
}

fn radio_status(radio: &RadioHandle) -> String {
    let state = radio.state.borrow();
    match state.why() {
        Some(why) => format!("{} {}: {why}", radio.name, state.word()),
        None => format!("{} {}", radio.name, state.word()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{DiskGauge, DiskSpace};
    use crate::health::ClockGauge;
    use crate::ingest::refusals::ReadRefusals;
    use crate::receive::RadioState;
    use crate::test_world::{World, blocked_reader, scan};
    use herd::decide::Rules;
    use herd::store::LocalFile;
    use service::backup::BackupGauge;
    use service::supervisor::probe;
    use std::sync::Arc;
    use tokio::sync::watch;

    #[tokio::test]
    async fn the_line_states_errors_first_then_head_last_payload_and_radios() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let state = watch::Sender::new(RadioState::Listening);
        let radio = RadioHandle {
            name: "chute".into(),
            state: state.subscribe(),
            counters: radio::Counters::default(),
            transmitter: None,
            probe: Arc::new(probe().0),
        };
        let (reader, recorder) = (world.reader.clone(), world.recorder.status());
        let write_clock = world.recorder.write_clock().clone();
        let (disk, radios) = (DiskGauge::plenty(), vec![radio]);
        let refusals = ReadRefusals::default();
        let clock = ClockGauge::new(world.clock.clone());
        let mut health = Health {
            reader,
            recorder,
            write_clock,
            disk,
            radios,
            local: None,
            listen: None,
            identity: None,
            refusals,
            clock,
            backup: BackupGauge::default(),
        };
        assert_eq!(status_line(&health, &PairingStatus::None), "change 1; no payload since the start; chute listening");

        world.recorder.record(scan(1)).await.unwrap();
        state.send_replace(RadioState::Failing("no answer from /dev/spidev0.0".into()));
        let last = "last payload 2024-01-15T10:35:20.000Z";
        let failing = "chute failing: no answer from /dev/spidev0.0";
        assert_eq!(status_line(&health, &PairingStatus::None), format!("change 2; {last}; {failing}"));

        health.disk = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 1, needed_bytes: 2 }));
        let line = status_line(&health, &PairingStatus::None);
        assert!(line.starts_with("NOT RECORDING: the disk has only 1 bytes free") && line.ends_with(failing), "{line}");

        // A full disk that has room again, and then a failed commit.
        let (status, recorder) = watch::channel(world.recorder.status().borrow().clone());
        let disk_error = health.disk.check().unwrap_err();
        status.send_modify(|status| status.last_error = Some(RecordError::Disk(disk_error)));
        let mut health = Health { recorder, disk: DiskGauge::plenty(), radios: Vec::new(), ..health };
        assert_eq!(status_line(&health, &PairingStatus::None), format!("change 2; {last}"));
        status.send_modify(|status| status.last_error = Some(RecordError::Ended));
        health.local = Some(LocalFile::closed("local.redb", "a page is missing"));
        let expected = format!(
            "NOT RECORDING: {}; NOBODY IS LET IN: local.redb is damaged; change 2; {last}; waits for an office by its \
             one-time code",
            RecordError::Ended
        );
        assert_eq!(status_line(&health, &PairingStatus::Waiting { wrong_proofs: 0 }), expected);
        health.reader = blocked_reader();
        let line = status_line(&health, &PairingStatus::None);
        assert!(line.contains("; the tables stop at change 0: ") && line.contains("; change 1; "), "{line}");
    }
}
