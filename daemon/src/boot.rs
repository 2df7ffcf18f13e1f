//! The boot counter of the machine, for the timestamps of the store. It counts boots, not starts of the process.

use herd::clock::Clock;
use herd::store::{Disk, LocalError, LocalFile, Store, StoreError};

/// Namespace in `local.redb` that maps the kernel's id of the current boot to its number.
const NAMESPACE: &str = "boot";

/// Reason why the boot could not be numbered.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Returns the number of the current boot.
///
/// A new boot gets the number after the highest one that this machine or the log knows. A Pi that was restored from a
/// backup thus continues after the boots of the one that it replaces. A number that `local.redb` cannot store counts all the
/// same: a barn must hear its radios whatever happens to that file.
///
/// A boot whose number the log has passed is numbered anew: its barn has recorded while `local.redb` was closed, and the
/// number that it took then would be given to the next boot again.
pub fn boot_number(local: &LocalFile, disk: &dyn Disk, clock: &dyn Clock) -> Result<u32, BootError> {
    let boot_id = clock.boot_id();
    let known: Vec<(String, u32)> = local.list(NAMESPACE)?;
    let last_in_log = Store::last_boot(disk)?;
    if let Some((_, number)) = known.iter().find(|(id, number)| *id == boot_id && *number >= last_in_log) {
        return Ok(*number);
    }
    let last_here = known.iter().map(|(_, number)| *number).max().unwrap_or(0);
    let number = last_here.max(last_in_log).saturating_add(1);
    // If the number is not stored, each start counts as a boot, so that no two of them have the same times since boot.
    if local.damage().is_none()
        && let Err(error) = store_number(local, &boot_id, number, &known)
    {
        tracing::error!(
            %error,
            boot = number,
            "cannot store the number of this boot; each restart counts as a boot until it can be stored"
        );
    }
    Ok(number)
}

/// Stores the number of the current boot in the place of those that are `known`: the id of a past boot never returns.
fn store_number(local: &LocalFile, boot_id: &str, number: u32, known: &[(String, u32)]) -> Result<(), LocalError> {
    local.put(NAMESPACE, boot_id, &number)?;
    for (past_id, _) in known.iter().filter(|(id, _)| id != boot_id) {
        local.remove(NAMESPACE, past_id)?;
    }
    Ok(())
}

/// Numbers the current boot anew, after the highest number that this machine or the log knows, and returns the number.
///
/// For a log that another machine wrote, in boots that it counted itself.
pub fn renumber_boot(local: &LocalFile, disk: &dyn Disk, clock: &dyn Clock) -> Result<u32, BootError> {
    renumber_boot_after(local, disk, clock, 0)
}

/// Numbers the current boot anew, as [`renumber_boot`] does, and after `lost` as well: the highest boot of payloads that are
/// about to come back.
pub fn renumber_boot_after(local: &LocalFile, disk: &dyn Disk, clock: &dyn Clock, lost: u32) -> Result<u32, BootError> {
    let known: Vec<(String, u32)> = local.list(NAMESPACE)?;
    let last_here = known.into_iter().map(|(_, number)| number).max().unwrap_or(0);
    let number = last_here.max(Store::last_boot(disk)?).max(lost).saturating_add(1);
    local.put(NAMESPACE, &clock.boot_id(), &number)?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::clock::{ClockReading, RawReading};
    use herd::decide::Rules;
    use herd::position::StoreId;
    use herd::store::MemoryDisk;
    use service::process::LOCAL_FILE;

    /// A clock of the boot with this id.
    struct BootClock(&'static str);

    impl Clock for BootClock {
        fn read(&self) -> RawReading {
            RawReading::default()
        }
        fn boot_id(&self) -> String {
            self.0.to_owned()
        }
    }

    #[test]
    fn a_boot_keeps_its_number_across_process_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let (local, disk) = (LocalFile::open(directory.path().join("local.redb")).unwrap(), MemoryDisk::default());
        let number = |id| boot_number(&local, &disk, &BootClock(id)).unwrap();
        assert_eq!([number("a"), number("a"), number("b"), number("b"), number("c")], [1, 1, 2, 2, 3]);
        assert_eq!(local.list::<u32>(NAMESPACE).unwrap(), [("c".to_owned(), 3)]);
    }

    /// Catches a barn that is deaf because the file of its keys cannot be written.
    #[test]
    fn a_boot_that_cannot_be_kept_has_a_number_all_the_same() {
        let disk = MemoryDisk::default();
        let local = LocalFile::open_in(&disk).unwrap();
        assert!(disk.fail_after(LOCAL_FILE, 0));
        assert_eq!(boot_number(&local, &disk, &BootClock("a")).unwrap(), 1);
    }

    #[test]
    fn a_machine_without_its_count_continues_after_the_boots_in_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let (local, disk) = (LocalFile::open(directory.path().join("local.redb")).unwrap(), MemoryDisk::default());
        let clock = ClockReading { boot: 41, ..ClockReading::default() };
        drop(Store::open_source(&disk, Rules::default(), clock, || StoreId([1; 16])).unwrap());
        assert_eq!(boot_number(&local, &disk, &BootClock("a")).unwrap(), 42);
    }

    /// Catches a number that is given to two boots, so that what the second one hears is taken for repeats of the first.
    #[test]
    fn a_boot_that_recorded_while_its_count_was_closed_gets_a_number_after_that() {
        let directory = tempfile::tempdir().unwrap();
        let (local, disk) = (LocalFile::open(directory.path().join("local.redb")).unwrap(), MemoryDisk::default());
        let number = |local: &LocalFile, id| boot_number(local, &disk, &BootClock(id)).unwrap();
        assert_eq!(number(&local, "a"), 1);
        let closed = LocalFile::closed(directory.path().join("closed.redb"), "a disk that failed for a moment");
        let reading = ClockReading { boot: 2, ..ClockReading::default() };
        drop(Store::open_source(&disk, Rules::default(), reading, || StoreId([1; 16])).unwrap());
        assert_eq!(number(&closed, "a"), 3);
        assert_eq!([number(&local, "a"), number(&local, "a"), number(&local, "b")], [3, 3, 4]);
        assert_eq!(local.list::<u32>(NAMESPACE).unwrap(), [("b".to_owned(), 4)]);
    }

    /// Catches a boot that has the number of one of another machine, so that times since boot of two machines are compared.
    #[test]
    fn a_boot_that_has_a_number_gets_another_one_after_those_of_a_foreign_log() {
        let directory = tempfile::tempdir().unwrap();
        let (local, disk) = (LocalFile::open(directory.path().join("local.redb")).unwrap(), MemoryDisk::default());
        assert_eq!(boot_number(&local, &disk, &BootClock("a")).unwrap(), 1);
        for (boot, expected) in [(1, 2), (41, 42)] {
            let (clock, disk) = (ClockReading { boot, ..ClockReading::default() }, MemoryDisk::default());
            drop(Store::open_source(&disk, Rules::default(), clock, || StoreId([1; 16])).unwrap());
            assert_eq!(renumber_boot(&local, &disk, &BootClock("a")).unwrap(), expected);
        }
        assert_eq!(boot_number(&local, &disk, &BootClock("a")).unwrap(), 42);
        for (lost, expected) in [(7, 43), (70, 71)] {
            assert_eq!(renumber_boot_after(&local, &disk, &BootClock("a"), lost).unwrap(), expected);
        }
    }
}
