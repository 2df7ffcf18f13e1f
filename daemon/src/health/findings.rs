//! Findings: each part that fails or needs a look, with a sentence that says what is wrong and what to do.
//!
//! # Decisions
//!
//! - **Every reader of the health gets it from the same list**: the open call its words, the status and the offices the
//!   sentences. Two lists would tell two stories.
//! - **A queue that fills is told at a quarter.** A chute at its limit delivers 15 packets a second. A radio then has
//!   50 s left before packets are lost. An ordinary stall of a slow card is a second, which is 15 packets, and stays below. A
//!   full queue loses packets, so its radio fails.
//! - **A backup that is missing is no failure either.** Nothing is lost yet, and an office is a copy as well. The open call
//!   lists it after two days, so that a stick may be away for a night without a call in the morning; the sentence comes with
//!   the first failure.
//! - **A clock that no time server sets is no failure.** Order and sync do not depend on it, and a barn without a network
//!   never has another one. Yet the office shows its times.

use super::{BACKUP_PART, CERTIFICATE_PART, Health, LISTEN_PART, STUCK_WRITE};
use crate::receive::RadioHandle;
use crate::recorder::RecordError;
use herd::store::{DamagedRow, grouped};
use herd::wire::HealthFinding;
use radio::QueueLevel;
use std::net::IpAddr;
use std::time::Duration;

/// Divisor of a radio's queue: from this fraction on, waiting packets are a finding.
const QUEUE_NOTE_DIVISOR: usize = 4;

/// A note about the queue of a radio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueNote {
    /// True if the queue is full, so that packets are lost.
    pub is_full: bool,
    /// A sentence about the packets that wait and what holds the recorder up.
    pub text: String,
}

fn failing(part: &str, text: String) -> HealthFinding {
    HealthFinding { part: part.to_owned(), failing: true, text }
}

fn address_text(ip: IpAddr) -> String {
    format!(
        "this machine does not have the address {ip} of `listen`, so nobody reaches it, and what the radios hear is \
         recorded: correct the setting or the network"
    )
}

fn certificate_text(why: &str) -> String {
    format!("nobody is let in until the certificate can be used, and what the radios hear is recorded: {why}")
}

impl Health {
    /// Returns what fails or needs a look, part by part.
    pub fn findings(&self) -> Vec<HealthFinding> {
        let mut findings: Vec<_> = [
            self.store_failure().map(|why| failing("store", why)),
            self.log_damage().map(|why| failing("log", why)),
            self.disk.check().err().map(|error| failing("disk", error.to_string())),
            self.key_failure().map(|why| failing("keys", why)),
            self.certificate_failure().map(|why| failing(CERTIFICATE_PART, certificate_text(&why))),
            self.missing_address().map(|ip| failing(LISTEN_PART, address_text(ip))),
            self.refusals.finding().map(|why| failing("reads", why)),
        ]
        .into_iter()
        .flatten()
        .collect();
        findings.extend(self.radios.iter().flat_map(|radio| self.radio_findings(radio)));
        let note = |part: &str, text| HealthFinding { part: part.to_owned(), failing: false, text };
        findings.extend(self.backup_note().map(|text| note(BACKUP_PART, text)));
        findings.extend(self.clock_note().map(|text| note("clock", text)));
        findings
    }

    fn store_failure(&self) -> Option<String> {
        // A closed channel means that the writer has ended.
        let ended = || self.recorder.has_changed().is_err().then(|| RecordError::Ended.to_string());
        self.blocked_tables().or_else(|| self.stuck_write()).or_else(|| self.last_error()).or_else(ended)
    }

    fn blocked_tables(&self) -> Option<String> {
        let head = self.reader.head();
        let why = head.blocked?;
        Some(format!("nothing is recorded, because the tables stop at change {}: {why}", grouped(head.folded.0)))
    }

    fn stuck_write(&self) -> Option<String> {
        let elapsed = self.write_clock.elapsed().filter(|elapsed| *elapsed >= STUCK_WRITE)?;
        Some(format!("a write to the disk has taken {}; check the disk, and replace a worn card", seconds(elapsed)))
    }

    /// Returns the error of the last commit. A full disk may have room again before the next payload clears the error, so
    /// the disk is checked directly.
    fn last_error(&self) -> Option<String> {
        let recorder = self.recorder.borrow();
        let error = recorder.last_error.as_ref().filter(|error| !matches!(error, RecordError::Disk(_)));
        error.map(ToString::to_string)
    }

    fn log_damage(&self) -> Option<String> {
        damage_text(&self.damaged_rows())
    }

    fn key_failure(&self) -> Option<String> {
        let local = self.local.as_ref()?;
        if let Some(damage) = local.damage() {
            return Some(format!(
                "local.redb is damaged, so nobody is let in: put a backup of it in its place; what the radios hear is \
                 recorded ({damage})"
            ));
        }
        local.failure().map(|why| format!("keys and counters cannot be written: {why}; check the disk"))
    }

    fn radio_findings(&self, radio: &RadioHandle) -> Vec<HealthFinding> {
        let state = radio.state.borrow().clone();
        let finding = |failing, text| HealthFinding { part: radio.name.clone(), failing, text };
        let own = state.why().map(|why| finding(state.is_failing(), why.to_owned()));
        let queue = self.queue_note(radio).map(|note| finding(note.is_full, note.text));
        own.into_iter().chain(queue).collect()
    }

    /// Returns a note about the packets that wait in a radio, if they are many.
    pub fn queue_note(&self, radio: &RadioHandle) -> Option<QueueNote> {
        let QueueLevel { packets, capacity } = radio.counters.queue();
        if packets == 0 || packets < capacity / QUEUE_NOTE_DIVISOR {
            return None;
        }
        let (waiting, places, why) = (grouped(packets as u64), grouped(capacity as u64), self.holdup());
        let is_full = packets >= capacity;
        let text = if is_full {
            format!("its queue of {places} packets is full, so packets are lost: {why}")
        } else {
            format!("{waiting} packets wait to be recorded, and at {places} they are lost: {why}")
        };
        Some(QueueNote { is_full, text })
    }

    /// Returns what holds the recorder up.
    fn holdup(&self) -> String {
        let disk = || self.disk.check_for_packets().err().map(|error| error.to_string());
        let known = disk().or_else(|| self.store_failure());
        known.unwrap_or_else(|| "they arrive faster than the disk takes them; a faster card or disk helps".to_owned())
    }

    /// Returns a note about the nightly backups, if the last attempt failed or the last verified one is old.
    pub fn backup_note(&self) -> Option<String> {
        self.backup.report()?.note()
    }

    fn clock_note(&self) -> Option<String> {
        (!self.clock.is_synchronized()).then(|| {
            "no time server has set the clock since the boot: times of reads may be wrong, their order is right; connect \
             the barn to the internet, or enable systemd-timesyncd (`timedatectl`)"
                .to_owned()
        })
    }
}

/// Returns the finding about damaged rows of the log; `None` without any.
fn damage_text(damaged: &[DamagedRow]) -> Option<String> {
    let (first, others) = damaged.split_first()?;
    let others = match others.len() {
        0 => String::new(),
        1 => " and in one more place".to_owned(),
        others => format!(" and in {others} more places"),
    };
    Some(format!(
        "log.redb is damaged in {first}{others}; keep all files. `herdlinxd verify` names every row, and an office that has \
         them puts them back: run `herdlinx-mirror give-back SITE` there"
    ))
}

/// Formats a duration in seconds, with a decimal.
fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{health, radio_handle, with_clock};
    use super::*;
    use crate::disk::{DiskError, DiskGauge, DiskSpace};
    use crate::receive::RadioState;
    use crate::recorder::RecorderStatus;
    use crate::test_world::{World, blocked_reader};
    use herd::decide::Rules;
    use herd::position::Sequence;
    use herd::store::{LocalFile, MemoryDisk};
    use radio::{Counters, Packet};
    use tokio::sync::{mpsc, watch};
    use tokio::time::Instant;

    fn texts(health: &Health) -> Vec<(String, bool, String)> {
        health.findings().into_iter().map(|finding| (finding.part, finding.failing, finding.text)).collect()
    }

    fn packet() -> Packet {
        let (rssi_dbm, snr_quarter_db, frequency_error_hz) = (None, None, None);
        Packet { bytes: vec![1], rssi_dbm, snr_quarter_db, frequency_error_hz, received_at: Instant::now() }
    }

    /// Catches a part whose failure has no sentence, or one that does not say what to do.
    #[tokio::test(start_paused = true)]
    async fn each_failing_part_says_what_is_wrong_and_what_to_do() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let (_state, state) = watch::channel(RadioState::Failing("no chip answers; check the wires".into()));
        let mut health = health(&world, vec![radio_handle("chute", &state, Counters::default())]);
        health.disk = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 0, needed_bytes: 1 }));
        health.local = Some(LocalFile::closed("local.redb", "a page is missing"));
        let _writing = world.recorder.write_clock().start();
        tokio::time::advance(STUCK_WRITE).await;
        let found = texts(&health);
        let parts: Vec<_> = found.iter().map(|(part, failing, _)| (part.as_str(), *failing)).collect();
        assert_eq!(parts, [("store", true), ("disk", true), ("keys", true), ("chute", true)]);
        for (remedy, (.., text)) in
            ["replace a worn card", "make room", "put a backup", "check the wires"].iter().zip(&found)
        {
            assert!(text.contains(*remedy), "{text}");
        }
    }

    /// Catches a barn that is called unwell because it has no time server, and an office that is not told.
    #[tokio::test]
    async fn a_clock_without_a_time_server_is_a_note_and_no_failure() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let health = with_clock(health(&world, Vec::new()), false);
        assert!(health.failing().is_empty() && health.degraded().is_empty());
        let found = texts(&health);
        assert!(
            matches!(found.as_slice(), [(part, false, text)] if part == "clock" && text.contains("timedatectl")),
            "{found:?}"
        );
    }

    /// Catches a radio whose packets pile up unnoticed until they are lost.
    #[tokio::test(start_paused = true)]
    async fn a_queue_that_fills_is_told_with_its_packets_and_what_holds_the_recorder_up() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let (counters, (queue, _packets)) = (Counters::default(), mpsc::channel(64));
        counters.watch_queue(&queue);
        let (own_report, state) = watch::channel(RadioState::Listening);
        let mut health = health(&world, vec![radio_handle("chute", &state, counters)]);
        let fill = |packets: usize| (0..packets).for_each(|_| queue.try_send(packet()).unwrap());
        fill(15);
        assert!(texts(&health).is_empty());
        fill(1);
        let expected = "16 packets wait to be recorded, and at 64 they are lost: they arrive faster than the disk takes them; a \
            faster card or disk helps";
        assert_eq!(texts(&health), [("chute".to_owned(), false, expected.to_owned())]);
        assert_eq!((health.degraded(), health.failing()), (vec!["chute".to_owned()], vec![]));

        let _writing = world.recorder.write_clock().start();
        tokio::time::advance(STUCK_WRITE).await;
        let found = texts(&health);
        assert!(
            found[1].2.ends_with("a write to the disk has taken 1.5 s; check the disk, and replace a worn card"),
            "{found:?}"
        );
        health.disk = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 0, needed_bytes: 1 }));
        fill(48);
        let found = texts(&health);
        assert!(found[2].1 && found[2].2.contains("its queue of 64 packets is full"), "{found:?}");
        assert!(found[2].2.contains("make room"), "{found:?}");
        assert_eq!(health.failing(), ["store", "disk", "chute"]);
        own_report.send_replace(RadioState::Failing("no chip answers".into()));
        assert_eq!((texts(&health).len(), health.failing()), (4, ["store", "disk", "chute"].map(str::to_owned).into()));
    }

    /// Catches a store that records nothing while its finding has another reason, or none; and one that is called failing
    /// because a disk was full that has room again.
    #[tokio::test]
    async fn the_store_says_why_nothing_is_recorded() {
        let world = World::new(Rules::default(), DiskGauge::plenty());
        let (status, recorder) = watch::channel(RecorderStatus::default());
        let mut health = Health { recorder, ..health(&world, Vec::new()) };
        let failure =
            |health: &Health| texts(health).into_iter().map(|(part, _, text)| format!("{part}: {text}")).next();
        let set_error = |error| status.send_modify(|status| status.last_error = error);
        set_error(Some(RecordError::Disk(DiskError::Full { free_bytes: 0, needed_bytes: 1 })));
        assert_eq!(failure(&health), None);
        set_error(Some(RecordError::TooMany { count: 1_001 }));
        assert!(failure(&health).unwrap().starts_with("store: 1001 payloads are too many"));
        health.reader = blocked_reader();
        let blocked = failure(&health).unwrap();
        assert!(blocked.starts_with("store: nothing is recorded, because the tables stop at change 0: "), "{blocked}");
        health.reader = world.reader.clone();
        set_error(None);
        assert_eq!(failure(&health), None);
        drop(status);
        assert_eq!(failure(&health).unwrap(), format!("store: {}", RecordError::Ended));
    }

    /// Catches keys whose last use is lost at the next start while the barn calls itself well.
    #[tokio::test]
    async fn keys_that_cannot_be_written_are_a_failure() {
        let (world, disk) = (World::new(Rules::default(), DiskGauge::plenty()), MemoryDisk::default());
        let local = LocalFile::open_in(&disk).unwrap();
        let health = Health { local: Some(local.clone()), ..health(&world, Vec::new()) };
        assert!(texts(&health).is_empty() && !health.are_keys_damaged());
        assert!(disk.fail_after("local.redb", 0));
        local.put("keys", "gate", &1).unwrap_err();
        let found = texts(&health);
        assert!(
            matches!(found.as_slice(), [(part, true, text)] if part == "keys" && text.contains("cannot be written")),
            "{found:?}"
        );
    }

    #[test]
    fn the_damage_of_the_log_names_its_first_row_and_the_number_of_the_others() {
        let rows = [(5, 7), (11, 11), (20, 30)]
            .map(|(first, last)| DamagedRow { first: Sequence(first), last: Sequence(last) });
        assert_eq!(damage_text(&[]), None);
        for (count, place) in
            [(1, "changes 5 to 7;"), (2, "changes 5 to 7 and in one more place;"), (3, "7 and in 2 more places;")]
        {
            let text = damage_text(&rows[..count]).unwrap();
            assert!(text.contains(place) && text.contains("herdlinx-mirror give-back"), "{text}");
        }
    }
}
