//! Claims about the state of the slots: its bytes, its copies under power cuts, and what commands do with it.

use super::Slot::{self, A, B};
use super::booted_slot::BootedSlot;
use super::card::{Card, Confirmation, Return, SlotError, TRIAL_STARTS};
use super::copies::{COPY_OFFSETS, Copies, StateError};
use super::disk::RawDisk as _;
use super::fault_disk::{FaultDisk, SLOT_A_OFFSET, SLOT_BYTES, card_image, slot_bytes, start};
use super::layout::{Extent, Layout};
use super::state::{MAX_SEQUENCE, STATE_BYTES, SlotState, Trial};
use proptest::prelude::*;

fn trial(slot: Slot, starts_left: u8) -> Trial {
    Trial { slot, starts_left }
}

/// Returns a text as U-Boot would store it: with the right checksum, whatever it says.
fn environment(text: &str) -> [u8; STATE_BYTES] {
    let mut bytes = [0; STATE_BYTES];
    bytes[4..][..text.len()].copy_from_slice(text.as_bytes());
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Catches a state that U-Boot does not read. The bytes are those of U-Boot's own tool, for a text with these keys:
/// `mkenvimage -s 512 -p 0x00` of u-boot-tools 2023.01.
#[test]
fn the_bytes_are_those_that_mkenvimage_makes() {
    let padded = |hex: &str| {
        let mut bytes = hex::decode(hex).unwrap();
        bytes.resize(STATE_BYTES, 0);
        bytes
    };
    let on_trial = SlotState { sequence: 0x2a, good: A, trial: Some(trial(B, 3)) };
    let golden = "ab4528c9676f6f643d61006c6566743d33007365713d3261007472793d620000";
    assert_eq!(hex::encode(on_trial.encode()), hex::encode(padded(golden)));
    let confirmed = SlotState { sequence: 1, good: B, trial: None };
    let golden = "6dcc4486676f6f643d62007365713d310000";
    assert_eq!(hex::encode(confirmed.encode()), hex::encode(padded(golden)));
}

/// Catches a damaged state that is taken for a valid one.
#[test]
fn a_state_with_a_wrong_bit_is_none() {
    let bytes = SlotState { sequence: 7, good: B, trial: Some(trial(A, 2)) }.encode();
    for bit in 0..STATE_BYTES * 8 {
        let mut wrong = bytes;
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SlotState::decode(&wrong), None, "bit {bit}");
    }
    assert_eq!(SlotState::decode(&[0; STATE_BYTES]), None);
    assert_eq!(SlotState::decode(&[0xff; STATE_BYTES]), None);
}

/// Catches a state that U-Boot and this program read in different ways.
#[test]
fn texts_are_read_as_u_boot_reads_them() {
    let decode = |text: &str| SlotState::decode(&environment(text));
    let confirmed = |sequence, good| Some(SlotState { sequence, good, trial: None });
    assert_eq!(decode("seq=1\0good=b\0"), confirmed(1, B));
    assert_eq!(decode("new=1\0good=b\0good=a\0seq=a\0seq=B\0"), confirmed(11, A), "the last value counts");
    assert_eq!(decode("good=a\0left=3\0seq=5\0"), confirmed(5, A), "starts without a trial");
    assert_eq!(decode("good=a\0seq=5\0\0try=b\0left=1\0"), confirmed(5, A), "after the end");
    let not_states = [
        "",
        "seq=1\0",
        "good=a\0",
        "seq=0\0good=a\0",
        "seq=80000000\0good=a\0",
        "seq=+1\0good=a\0",
        "seq=\0good=a\0",
        "seq=0x1\0good=a\0",
        "seq=1\0good=c\0",
        "seq=1\0good=a\0try=b\0",
        "seq=1\0good=a\0try=b\0left=100\0",
        "seq=1\0good=a\0try=c\0left=1\0",
        "seqs=1\0good=a\0",
    ];
    for text in not_states {
        assert_eq!(decode(text), None, "{text:?}");
    }
}

proptest! {
    /// Catches bytes that make the decoder panic, and a state that changes on its way through the disk.
    #[test]
    fn every_state_survives_its_encoding_and_no_bytes_panic(
        sequence in 1..=MAX_SEQUENCE,
        good_is_b: bool,
        on_trial: Option<(bool, u8)>,
        text in "[a-z0-9=\\x00]{0,300}",
        noise in proptest::collection::vec(any::<u8>(), STATE_BYTES),
    ) {
        let slot = |is_b| if is_b { B } else { A };
        let trial = on_trial.map(|(is_b, starts_left)| Trial { slot: slot(is_b), starts_left });
        let state = SlotState { sequence, good: slot(good_is_b), trial };
        prop_assert_eq!(SlotState::decode(&state.encode()), Some(state));
        SlotState::decode(&environment(&text));
        prop_assert_eq!(SlotState::decode(noise.first_chunk().unwrap()), None);
    }

    /// Catches an MBR that makes the decoder panic.
    #[test]
    fn no_partition_table_panics(noise in proptest::collection::vec(any::<u8>(), 512), is_signed: bool) {
        let mut mbr: [u8; 512] = noise.try_into().unwrap();
        if is_signed {
            mbr[450 + 16] = 0x83;
            mbr[450 + 32] = 0x83;
            mbr[510..].copy_from_slice(&[0x55, 0xaa]);
        }
        let _result = Layout::decode(&mbr);
    }
}

/// Catches a slot that is written over another partition or over the state.
#[test]
fn a_disk_is_a_card_only_with_two_equal_slots_behind_the_state() {
    let mbr: [u8; 512] = *card_image().first_chunk().unwrap();
    let layout = Layout::decode(&mbr).unwrap();
    let (a, length) = (SLOT_A_OFFSET as u64, SLOT_BYTES as u64);
    assert_eq!(layout.slot(A), Extent { offset: a, length });
    assert_eq!(layout.slot(B), Extent { offset: a + length, length });
    // Offsets of single bytes in the table: signature, types, starts and lengths of partitions 2 and 3.
    for (offset, byte) in [(510, 0), (466, 0x0c), (482, 0), (470, 0), (486, 0), (474, 1), (490, 1)] {
        let mut other = mbr;
        other[offset] = byte;
        // Only the low byte of a start or length changes, so it stays a number of sectors.
        assert_ne!(mbr[offset], byte, "{offset}");
        Layout::decode(&other).unwrap_err();
    }
    let mut empty = mbr;
    for length in [474, 490] {
        empty[length..length + 4].fill(0);
    }
    Layout::decode(&empty).unwrap_err();
}

fn card_with(good: Slot, trial: Option<Trial>) -> Vec<u8> {
    let disk = FaultDisk::new(card_image());
    Copies::read(&disk).write_next(&disk, good, trial).unwrap();
    disk.image()
}

/// Catches a write that damages the state that counts: a power cut in the middle of a write, at any byte, leaves the old
/// state or the new one.
#[test]
fn a_write_that_is_torn_at_any_byte_leaves_the_old_state_or_the_new_one() {
    let mut image = card_with(A, Some(trial(B, 3)));
    for round in 0..2 {
        let old = Copies::read(&FaultDisk::new(image.clone())).newest().unwrap();
        let disk = FaultDisk::new(image.clone()).cut_after(1);
        Copies::read(&disk).write_next(&disk, B, None).unwrap_err();
        let mut news = 0;
        for torn_at in 0..=STATE_BYTES {
            let after = Copies::read(&FaultDisk::new(disk.after_cut(|| true, torn_at))).newest().unwrap();
            let new = SlotState { sequence: old.sequence + 1, good: B, trial: None };
            assert!(after == old || after == new, "round {round}, byte {torn_at}: {after:?}");
            news += usize::from(after == new);
        }
        assert!(news > 0 && disk.after_cut(|| false, 0) == image);
        // The other copy in the next round.
        image = disk.after_cut(|| true, STATE_BYTES);
    }
}

/// Catches a power cut before the flush that is reported as a success.
#[test]
fn a_state_counts_as_written_only_when_it_is_durable() {
    let image = card_with(A, Some(trial(B, 3)));
    for actions in 0..2 {
        let disk = FaultDisk::new(image.clone()).cut_after(actions);
        Copies::read(&disk).write_next(&disk, B, None).unwrap_err();
    }
    let disk = FaultDisk::new(image).cut_after(2);
    let written = Copies::read(&disk).write_next(&disk, B, None).unwrap();
    let after = FaultDisk::new(disk.after_cut(|| false, 0));
    assert_eq!(Copies::read(&after).newest(), Some(written));
}

/// Catches a card that is stuck without a state, and a copy that is damaged for ever.
#[test]
fn one_damaged_copy_is_no_loss_and_two_are_replaced() {
    let mut image = card_with(B, None);
    let disk = FaultDisk::new(image.clone());
    Copies::read(&disk).write_next(&disk, B, Some(trial(A, 1))).unwrap();
    let both = Copies::read(&disk);
    assert_eq!(both.0.map(|copy| copy.unwrap().sequence), [1, 2]);
    let equal = Copies([A, B].map(|good| Some(SlotState { sequence: 7, good, trial: None })));
    assert_eq!(equal.newest().unwrap().good, A, "the first one counts, as in U-Boot");
    for (damaged, remaining) in [(0, 1), (1, 0)] {
        let mut image = disk.image();
        image[usize::try_from(COPY_OFFSETS[damaged]).unwrap() + 9] ^= 1;
        let disk = FaultDisk::new(image);
        assert_eq!(Copies::read(&disk).newest(), both.0[remaining]);
        Copies::read(&disk).write_next(&disk, A, None).unwrap();
        let repaired = Copies::read(&disk);
        assert!(repaired.0[damaged].is_some() && repaired.0[remaining] == both.0[remaining], "{repaired:?}");
    }
    image[usize::try_from(COPY_OFFSETS[0]).unwrap()] ^= 1;
    let disk = FaultDisk::new(image);
    assert_eq!(start(&disk), BootedSlot { slot: A, is_trial: false });
    let card = Card::new(disk, BootedSlot { slot: B, is_trial: false }).unwrap();
    assert_eq!((card.status().good, card.status().copies), (A, [None, None]));
    assert_eq!(card.confirm().unwrap(), Confirmation::Done);
    assert_eq!(start(card.disk()).slot, B);
}

/// Catches a card that forgets: the state must not be reported as written.
#[test]
fn a_disk_that_keeps_nothing_is_noticed_and_numbers_end() {
    let offset = usize::try_from(COPY_OFFSETS[1]).unwrap();
    let disk = FaultDisk::new(card_with(A, None)).with_dead_sector(offset);
    let error = Copies::read(&disk).write_next(&disk, B, None).unwrap_err();
    assert!(matches!(error, StateError::NotKept), "{error}");
    assert_eq!(Copies::read(&disk).newest().unwrap().good, A);
    let write = |sequence| {
        let state = SlotState { sequence, good: A, trial: None };
        disk.write_at(&state.encode(), COPY_OFFSETS[1]).unwrap();
        Copies::read(&disk)
    };
    assert_eq!(write(MAX_SEQUENCE - 1).write_next(&disk, B, None).unwrap().sequence, MAX_SEQUENCE);
    let error = Copies::read(&disk).write_next(&disk, B, None).unwrap_err();
    assert!(matches!(error, StateError::Exhausted), "{error}");
}

/// Returns the card as the running root sees it after a start.
fn start_card(image: Vec<u8>) -> Card<FaultDisk> {
    let disk = FaultDisk::new(image);
    let booted = start(&disk);
    Card::new(disk, booted).unwrap()
}

/// Catches a broken root that stays, and a confirmed one that is counted down.
#[test]
fn a_trial_returns_after_its_starts_unless_it_is_confirmed() {
    let mut image = card_with(A, Some(trial(B, TRIAL_STARTS)));
    for left in (0..TRIAL_STARTS).rev() {
        let card = start_card(image);
        let status = card.status();
        assert_eq!((status.running, status.on_trial, status.trial_starts_left), (B, true, Some(left)));
        image = card.disk().image();
    }
    let card = start_card(image.clone());
    assert_eq!((card.running(), card.status().on_trial), (A, false));
    assert!(matches!(card.back(), Err(SlotError::Empty { slot: B })), "a trial without starts is none to end");
    assert_eq!(card.confirm().unwrap(), Confirmation::NotNeeded);
    assert_eq!(card.disk().image(), image, "an ordinary start writes nothing");

    let card = start_card(card_with(A, Some(trial(B, TRIAL_STARTS))));
    assert_eq!(card.confirm().unwrap(), Confirmation::Done);
    let mut image = card.disk().image();
    for _ in 0..5 {
        let card = start_card(image.clone());
        assert_eq!((card.running(), card.confirm().unwrap()), (B, Confirmation::NotNeeded));
        assert_eq!(card.disk().image(), image);
        image = card.disk().image();
    }
}

/// Catches a command that leads to a slot without a root, or that confirms a root whose trial was ended.
#[test]
fn back_ends_a_trial_or_begins_one_of_the_other_root() {
    let card = start_card(card_with(A, Some(trial(B, TRIAL_STARTS))));
    assert_eq!(card.back().unwrap(), Return::TrialEnded(A));
    assert_eq!(card.back().unwrap(), Return::NotNeeded(A));
    assert!(matches!(card.confirm(), Err(SlotError::TrialEnded { running: B })));
    assert!(matches!(card.release_idle(), Err(SlotError::TrialEnded { running: B })));
    assert_eq!(start(card.disk()), BootedSlot { slot: A, is_trial: false });

    let mut image = card_with(A, None);
    assert!(matches!(start_card(image.clone()).back(), Err(SlotError::Empty { slot: B })));
    image[SLOT_A_OFFSET + SLOT_BYTES + 0x438..][..2].copy_from_slice(&[0x53, 0xef]);
    let card = start_card(image);
    assert_eq!(card.back().unwrap(), Return::TrialBegun(B));
    assert_eq!(card.back().unwrap(), Return::TrialEnded(A), "a trial that was not started yet");
    assert_eq!(card.back().unwrap(), Return::TrialBegun(B));
    assert_eq!(start(card.disk()), BootedSlot { slot: B, is_trial: true });
}

/// Catches an update that overwrites the only root that works, or one that U-Boot starts half written.
#[test]
fn the_idle_slot_is_released_before_it_is_written_and_refused_on_trial() {
    let card = start_card(card_with(A, Some(trial(B, TRIAL_STARTS))));
    assert!(matches!(card.release_idle(), Err(SlotError::Unconfirmed { running: B })));

    let running_a = BootedSlot { slot: A, is_trial: false };
    let pending = Card::new(FaultDisk::new(card_with(A, Some(trial(B, 2)))), running_a).unwrap();
    pending.release_idle().unwrap();
    assert_eq!(start(pending.disk()), running_a, "a pending trial is withdrawn");

    // U-Boot could not start the good slot b, so a runs.
    let fallback = Card::new(FaultDisk::new(card_with(B, None)), running_a).unwrap();
    assert!(matches!(fallback.back(), Err(SlotError::CannotStart { good: B })));
    fallback.release_idle().unwrap();
    assert_eq!(start(fallback.disk()), running_a);

    let ordinary = Card::new(FaultDisk::new(card_with(A, None)), running_a).unwrap();
    let before = ordinary.disk().image();
    ordinary.release_idle().unwrap();
    assert_eq!(ordinary.disk().image(), before, "there is nothing to write");
    assert!(slot_bytes(&before, A).iter().all(|byte| *byte == b'a'));
}
