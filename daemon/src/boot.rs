//! Which boot of the machine this is, as the store counts them: boots, not starts of the process.

use herd::clock::Clock;
use herd::store::{Disk, LocalError, LocalFile, Store, StoreError};

/// The space of `local.redb` that holds the number of the current boot under the kernel's id for it.
const SPACE: &str = "boot";

/// Why the boot could not be numbered.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The local file failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The number of the current boot. One that was not seen before is the one after all that this machine or the log
/// knows: a Pi that was restored from a backup goes on after the boots of the one that died.
pub fn boot_number(local: &LocalFile, disk: &dyn Disk, clock: &dyn Clock) -> Result<u32, BootError> {
    let boot_id = clock.boot_id();
    if let Some(number) = local.get(SPACE, &boot_id)? {
        return Ok(number);
    }
    let known: Vec<(String, u32)> = local.list(SPACE)?;
    let last_here = known.iter().map(|(_, number)| *number).max().unwrap_or(0);
    let number = last_here.max(Store::last_boot(disk)?).saturating_add(1);
    local.put(SPACE, &boot_id, &number)?;
    // Ids of boots that are over never come again.
    for (over, _) in known {
        local.remove(SPACE, &over)?;
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::clock::{ClockReading, RawReading};
    use herd::decide::Rules;
    use herd::position::StoreId;
    use herd::store::MemoryDisk;

    struct Boot(&'static str);

    impl Clock for Boot {
        fn read(&self) -> RawReading {
            RawReading::default()
        }
        fn boot_id(&self) -> String {
            self.0.to_owned()
        }
    }

    #[test]
    fn a_boot_keeps_its_number_over_restarts_of_the_process_and_the_next_boot_has_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let (local, disk) = (LocalFile::open(directory.path().join("local.redb")).unwrap(), MemoryDisk::default());
        let number = |id| boot_number(&local, &disk, &Boot(id)).unwrap();
        assert_eq!([number("a"), number("a"), number("b"), number("b"), number("c")], [1, 1, 2, 2, 3]);
        assert_eq!(local.list::<u32>(SPACE).unwrap(), [("c".to_owned(), 3)]);
    }

    #[test]
    fn a_machine_that_lost_its_own_count_goes_on_after_the_boots_in_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let (local, disk) = (LocalFile::open(directory.path().join("local.redb")).unwrap(), MemoryDisk::default());
        let clock = ClockReading { boot: 41, ..ClockReading::default() };
        drop(Store::open_source(&disk, Rules::default(), clock, || StoreId([1; 16])).unwrap());
        assert_eq!(boot_number(&local, &disk, &Boot("a")).unwrap(), 42);
    }
}
