//! Claims about update files and their installation.

use super::file::{FileError, MAX_MANIFEST_BYTES, encode_header, read_header};
use super::frames::{FRAME_BYTES, compress};
use super::install::{InstallError, install};
use super::keys::{KeyFileError, PublicKeys, SigningKey};
use super::manifest::{Manifest, READS_STATE_FORMAT, UnfitError};
use super::seal::seal;
use crate::slots::Slot::{self, A, B};
use crate::slots::booted_slot::BootedSlot;
use crate::slots::card::{Card, SlotError};
use crate::slots::copies::Copies;
use crate::slots::fault_disk::{FaultDisk, SLOT_A_OFFSET, SLOT_BYTES, card_image, slot_bytes, start};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha12Rng;
use std::io::{self, Cursor, Read};
use tempfile::TempDir;

/// A private key of these tests only, made by `openssl genpkey -algorithm ed25519`.
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINUoVfmQX3At7UPFOeBIF6ehLA3fzaqdnGVXrFuOv08N
-----END PRIVATE KEY-----
";

fn key() -> SigningKey {
    SigningKey::from_pem(KEY).unwrap()
}

/// Returns the keys of a file with this text.
fn keys_of(text: &str) -> Result<PublicKeys, KeyFileError> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("update.pub");
    std::fs::write(&path, text).unwrap();
    PublicKeys::load(&path)
}

fn trusted() -> PublicKeys {
    keys_of(&key().public_line()).unwrap()
}

/// Returns an image that looks like a file system, with parts that compress and parts that do not.
fn image() -> Vec<u8> {
    let mut image = vec![0; SLOT_BYTES - 512];
    ChaCha12Rng::seed_from_u64(1).fill_bytes(&mut image[100_000..1_500_000]);
    image[0x438..][..2].copy_from_slice(&[0x53, 0xef]);
    image
}

fn update_file() -> Vec<u8> {
    let mut file = Vec::new();
    let version = env!("CARGO_PKG_VERSION").parse().unwrap();
    seal(&mut Cursor::new(image()), version, "c0ffee".into(), &key(), &mut file).unwrap();
    file
}

fn manifest() -> Manifest {
    read_header(&mut &update_file()[..], &trusted()).unwrap()
}

/// Returns the manifest of no image.
fn frozen_manifest() -> Manifest {
    Manifest {
        version: "1.2.3".parse().unwrap(),
        commit: "c0ffee".into(),
        slot_bytes: 268_435_456,
        slot_sha256: [0xab; 32],
        state_format: 1,
    }
}

const RUNNING_A: BootedSlot = BootedSlot { slot: A, is_trial: false };

/// Installs a file on a disk that runs slot a.
fn install_file(disk: FaultDisk, mut file: &[u8]) -> (Card<FaultDisk>, Result<(), InstallError>) {
    let card = Card::new(disk, RUNNING_A).unwrap();
    let manifest = read_header(&mut file, &trusted()).unwrap();
    let result = install(&card, &manifest, file, &mut |_| ());
    (card, result)
}

/// Catches a header that a card in the field does not read any more. Ed25519 signs the same bytes in the same way each time.
#[test]
fn the_header_has_the_frozen_bytes() {
    let manifest = frozen_manifest();
    let header = encode_header(&manifest, &key()).unwrap();
    let length = header.len() - 64;
    assert_eq!(header[..24], *b"herdlinx-update\n\x01\0\0\0\x9d\0\0\0");
    let text = format!(
        "version = \"1.2.3\"\ncommit = \"c0ffee\"\nslot_bytes = 268435456\nslot_sha256 = \"{}\"\nstate_format = 1\n",
        "ab".repeat(32)
    );
    assert_eq!(String::from_utf8_lossy(&header[24..length]), text);
    assert_eq!(hex::encode(&header[length..]), SIGNATURE);
    assert_eq!(read_header(&mut &header[..], &trusted()).unwrap(), manifest);
    // A key of a later manifest is skipped.
    let later: Manifest = toml::from_str(&(text + "notes = 'x'\n")).unwrap();
    assert_eq!(later, manifest);
}

/// Signature of that header by another implementation: `openssl pkeyutl -sign -rawin`.
const SIGNATURE: &str = "\
    0975d07150cc39569c43ade55195abfd80e24c8b56258244d766af2e263516b6\
    d945a81bff6bd7bab39e9860ad816a6fda57575cc2962c5e436811f25bcc3506";

/// Catches a header with a wrong bit that is accepted, and one that makes the parser panic.
#[test]
fn a_header_with_any_wrong_bit_or_cut_is_refused() {
    let (file, keys) = (update_file(), trusted());
    let header = file.len() - compressed_length();
    for bit in 0..header * 8 {
        let mut wrong = file[..header].to_vec();
        wrong[bit / 8] ^= 1 << (bit % 8);
        read_header(&mut &wrong[..], &keys).unwrap_err();
    }
    for length in 0..header {
        let error = read_header(&mut &file[..length], &keys).unwrap_err();
        assert!(if length < 24 { matches!(error, FileError::Magic) } else { matches!(error, FileError::CutShort) });
    }
    let refusal = |bytes: &[u8]| read_header(&mut &bytes[..], &keys).unwrap_err();
    assert!(matches!(refusal(b""), FileError::Magic));
    assert!(matches!(refusal(&[0x50; 100]), FileError::Magic));
    let with = |offset: usize, number: u32| {
        let mut file = file.clone();
        file[offset..][..4].copy_from_slice(&number.to_le_bytes());
        file
    };
    assert!(matches!(refusal(&with(16, 2)), FileError::Format { format: 2 }));
    assert!(matches!(refusal(&with(20, u32::MAX)), FileError::TooLong));
    assert!(matches!(refusal(&with(20, u32::try_from(MAX_MANIFEST_BYTES).unwrap() + 1)), FileError::TooLong));
    assert!(matches!(refusal(&with(20, u32::try_from(MAX_MANIFEST_BYTES).unwrap())[..1_000]), FileError::CutShort));
    assert!(matches!(refusal(&with(20, 5)), FileError::Signature));
}

/// Catches a medium that fails and passes for a file that ends early.
#[test]
fn a_file_that_cannot_be_read_is_not_called_incomplete() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the stick is gone"))
        }
    }
    let header = encode_header(&frozen_manifest(), &key()).unwrap();
    for whole in [0, 24] {
        let error = read_header(&mut header[..whole].chain(Failing), &trusted()).unwrap_err();
        assert!(matches!(&error, FileError::Read(_)) && error.to_string().contains("the stick is gone"), "{error}");
    }
}

/// Catches a manifest that is sealed although no card reads it.
#[test]
fn a_manifest_is_sealed_up_to_the_length_that_is_read() {
    let with_commit = |length: usize| Manifest { commit: "c".repeat(length), ..frozen_manifest() };
    let rest = toml::to_string(&with_commit(0)).unwrap().len();
    let longest = with_commit(MAX_MANIFEST_BYTES - rest);
    let header = encode_header(&longest, &key()).unwrap();
    assert_eq!(read_header(&mut &header[..], &trusted()).unwrap(), longest);
    let refused = encode_header(&with_commit(MAX_MANIFEST_BYTES - rest + 1), &key());
    assert!(matches!(refused, Err(FileError::TooLong)), "{refused:?}");
}

fn compressed_length() -> usize {
    image().chunks(FRAME_BYTES).map(|chunk| compress(chunk).len()).sum()
}

proptest! {
    /// Catches bytes that make a parser panic.
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), is_update: bool) {
        let mut file = bytes;
        if is_update {
            file.splice(0..0, *b"herdlinx-update\n\x01\0\0\0\x10\0\0\0");
        }
        prop_assert!(read_header(&mut &file[..], &trusted()).is_err());
        prop_assert!(SigningKey::from_pem(&String::from_utf8_lossy(&file)).is_none());
    }
}

/// Catches a card that trusts a key that it should not, or none after a key was replaced.
#[test]
fn an_update_is_accepted_from_each_trusted_key_and_from_no_other() {
    let other = SigningKey::from_pem(&SigningKey::generate().unwrap()).unwrap();
    let (file, public) = (update_file(), key().public_line());
    let both = keys_of(&format!("# next key\r\n{}\n\n# key\n  {public}", other.public_line())).unwrap();
    read_header(&mut &file[..], &both).unwrap();
    let wrong = read_header(&mut &file[..], &keys_of(&other.public_line()).unwrap()).unwrap_err();
    assert!(matches!(wrong, FileError::Signature), "{wrong}");
    assert!(matches!(keys_of("# none\n"), Err(KeyFileError::Empty { .. })));
    assert!(matches!(keys_of(&(public.clone() + "00\n")), Err(KeyFileError::Line { line: 2, .. })));
    assert!(matches!(
        keys_of(public.trim_end().trim_end_matches(char::is_alphanumeric)),
        Err(KeyFileError::Empty { .. })
    ));
    assert!(SigningKey::from_pem(&KEY.replace("BEGIN", "END")).is_none());
}

/// Catches an update that a running program could not return from, or that does not fit.
#[test]
fn an_update_is_refused_if_it_is_older_or_larger_or_writes_newer_formats() {
    let good = manifest();
    let size = good.slot_bytes;
    good.check(size, false).unwrap();
    let older = Manifest { version: "0.0.9".parse().unwrap(), ..good.clone() };
    assert!(matches!(older.check(size, false), Err(UnfitError::Downgrade { .. })));
    older.check(size, true).unwrap();
    let preview = Manifest { version: format!("{}-rc.1", good.version).parse().unwrap(), ..good.clone() };
    assert!(matches!(preview.check(size, false), Err(UnfitError::Downgrade { .. })));
    let rebuilt = Manifest { version: format!("{}+7", good.version).parse().unwrap(), ..good.clone() };
    rebuilt.check(size, false).unwrap();
    let newer_format = Manifest { state_format: READS_STATE_FORMAT + 1, ..good.clone() };
    assert!(matches!(newer_format.check(size, true), Err(UnfitError::StateFormat { .. })));
    assert!(matches!(good.check(size - 1, true), Err(UnfitError::Size { .. })));
    let empty = Manifest { slot_bytes: 0, ..good };
    assert!(matches!(empty.check(size, true), Err(UnfitError::Size { .. })));
}

/// Catches an image that is not written as it is, and a new root that is not on trial.
#[test]
fn an_installed_image_is_in_the_idle_slot_and_starts_on_trial() {
    let (card, result) = install_file(FaultDisk::new(card_image()), &update_file());
    result.unwrap();
    let disk = card.disk().image();
    let (slot, image) = (slot_bytes(&disk, B), image());
    assert!(slot[..image.len()] == image && slot[image.len()..].iter().all(|byte| *byte == b'b'));
    assert!(slot_bytes(&disk, A).iter().all(|byte| *byte == b'a'));
    let disk = FaultDisk::new(disk);
    assert_eq!(start(&disk), BootedSlot { slot: B, is_trial: true });
    let unconfirmed = Card::new(disk, BootedSlot { slot: B, is_trial: true }).unwrap();
    let error = install(&unconfirmed, &manifest(), &[][..], &mut |_| ()).unwrap_err();
    assert!(matches!(error, InstallError::Card(SlotError::Unconfirmed { running: B })), "{error}");
}

/// Asserts that slot a is what starts, that it is whole, and that nothing leads to slot b.
fn assert_unaffected(card: &Card<FaultDisk>, context: &str) {
    assert_eq!(start(card.disk()), RUNNING_A, "{context}");
    assert!(slot_bytes(&card.disk().image(), A).iter().all(|byte| *byte == b'a'), "{context}");
    assert!(matches!(card.back(), Err(SlotError::Empty { slot: B })), "{context}");
}

/// Catches a damaged file that is put on trial.
#[test]
fn a_damaged_image_leaves_the_running_slot_and_an_empty_one() {
    let file = update_file();
    let header = file.len() - compressed_length();
    let mut random = ChaCha12Rng::seed_from_u64(2);
    for _ in 0..60 {
        let offset = header + below(&mut random, file.len() - header);
        let mut wrong = file.clone();
        wrong[offset] ^= 1 << below(&mut random, 8);
        let (card, result) = install_file(FaultDisk::new(card_image()), &wrong);
        // A bit that the decoder ignores, such as one of an unused flag, changes nothing.
        if let Err(error) = result {
            assert!(matches!(error, InstallError::Frames(_) | InstallError::Hash | InstallError::Surplus), "{error}");
            assert_unaffected(&card, &format!("byte {offset}"));
        } else {
            assert_eq!(slot_bytes(&card.disk().image(), B)[..image().len()], image(), "byte {offset}");
        }
    }
    for length in [header, header + 1, file.len() / 2, file.len() - 1] {
        let (card, result) = install_file(FaultDisk::new(card_image()), &file[..length]);
        assert!(matches!(result, Err(InstallError::Frames(_))), "{result:?}");
        assert_unaffected(&card, &format!("{length} bytes"));
    }
    let longer = [&file[..], b"x"].concat();
    let (card, result) = install_file(FaultDisk::new(card_image()), &longer);
    assert!(matches!(result, Err(InstallError::Surplus)), "{result:?}");
    assert_unaffected(&card, "one byte more");
}

/// Catches a frame that makes a small board run out of memory, and frames that never end.
#[test]
fn hostile_frames_are_refused() {
    let file = update_file();
    let header = file.len() - compressed_length();
    // A frame that announces a window of 3.75 TiB, and one of 16 MiB.
    for window in [0xff, 14 << 3] {
        let huge = [&file[..header], &[0x28, 0xb5, 0x2f, 0xfd, 0, window, 1, 0, 0]].concat();
        let (card, result) = install_file(FaultDisk::new(card_image()), &huge);
        assert!(matches!(result, Err(InstallError::Frames(_))), "{result:?}");
        assert_unaffected(&card, "a huge window");
    }
    let mut endless = RepeatReader { bytes: compress(&[]), position: 0, read: 0 };
    let card = Card::new(FaultDisk::new(card_image()), RUNNING_A).unwrap();
    let result = install(&card, &manifest(), &mut endless, &mut |_| ());
    assert!(matches!(result, Err(InstallError::Frames(_))), "{result:?}");
    assert_eq!(endless.read, image().len() + image().len() / 64 + 1024 * 1024, "what incompressible frames may need");
    assert_unaffected(&card, "endless empty frames");
}

/// Draws a number below `limit`.
fn below(random: &mut ChaCha12Rng, limit: usize) -> usize {
    usize::try_from(random.next_u64() % u64::try_from(limit).unwrap()).unwrap()
}

/// Bytes that are repeated for ever.
struct RepeatReader {
    bytes: Vec<u8>,
    position: usize,
    /// Bytes that were read.
    read: usize,
}

impl Read for RepeatReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.bytes.len() - self.position);
        buffer[..length].copy_from_slice(&self.bytes[self.position..][..length]);
        self.position = (self.position + length) % self.bytes.len();
        self.read += length;
        Ok(length)
    }
}

/// Catches an order of writes in which a power cut starts a root that is not whole. After each write and flush the power
/// fails, and the disk keeps any of the sectors that were not flushed.
#[test]
fn a_power_cut_at_any_time_leaves_the_old_root_or_the_new_one() {
    let file = update_file();
    let prepared = |old_state: Slot| {
        // Slot b once held a root, and the state may even count it as the good one.
        let mut image = card_image();
        image[SLOT_A_OFFSET + SLOT_BYTES + 0x438..][..2].copy_from_slice(&[0x53, 0xef]);
        let disk = FaultDisk::new(image);
        Copies::read(&disk).write_next(&disk, old_state, None).unwrap();
        disk.image()
    };
    let (whole, result) = install_file(FaultDisk::new(prepared(B)), &file);
    result.unwrap();
    let actions = whole.disk().actions();
    let (mut random, mut new_roots) = (ChaCha12Rng::seed_from_u64(3), 0);
    for old_state in [A, B] {
        let image = prepared(old_state);
        for cut in 0..actions {
            let (card, _) = install_file(FaultDisk::new(image.clone()).cut_after(cut), &file);
            for share in [0, 50, 100] {
                let torn_at = below(&mut random, 513);
                let keeps = || below(&mut random, 100) < share;
                let disk = FaultDisk::new(card.disk().after_cut(keeps, torn_at));
                let booted = start(&disk);
                let context = format!("cut {cut} of {actions}, {share} %, started {booted:?}");
                new_roots += usize::from(check_started(&disk.image(), booted, cut == 0, &context));
            }
        }
    }
    assert!(new_roots > 0, "the last cuts are after the state was written");
}

/// Checks that the started root is whole, and returns true if it is the new one.
fn check_started(image_after: &[u8], booted: BootedSlot, is_untouched: bool, context: &str) -> bool {
    let slot = slot_bytes(image_after, booted.slot);
    if booted.slot == A {
        assert!(slot.iter().all(|byte| *byte == b'a'), "{context}");
        return false;
    }
    if booted.is_trial {
        assert!(slot[..image().len()] == image(), "{context}");
        return true;
    }
    // The state still counts b as good: then b must not have been touched.
    let expected = slot_bytes(&card_image(), B).to_vec();
    let rest_is_old = slot[0x43a..] == expected[0x43a..] && slot[..0x438] == expected[..0x438];
    assert!(rest_is_old && slot[0x438..0x43a] == [0x53, 0xef], "{context}, untouched: {is_untouched}");
    false
}

/// Catches a card that forgets what is written: the read-back must notice it in any part of the slot.
#[test]
fn a_disk_that_does_not_keep_the_image_is_noticed() {
    let slot_b = SLOT_A_OFFSET + SLOT_BYTES;
    for offset in [0, 512, 150_000, 1_200_000, SLOT_BYTES - 1_024] {
        let disk = FaultDisk::new(card_image()).with_dead_sector(slot_b + offset);
        let (card, result) = install_file(disk, &update_file());
        assert!(matches!(result, Err(InstallError::NotKept)), "{offset}: {result:?}");
        assert_eq!(start(card.disk()), RUNNING_A, "{offset}");
    }
}
