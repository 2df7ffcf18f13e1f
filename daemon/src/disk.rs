//! Free space on the disk, measured at most once a second.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Divisor of the reserve: packets of radios leave this fraction of it free, for the folding of what is recorded.
const LAST_RESERVE_DIVISOR: u64 = 4;
/// Time for which a measurement is reused.
const CACHE_DURATION: Duration = Duration::from_secs(1);

/// Free space on a file system, and how much of it must stay free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes free for an ordinary user (`f_bavail`).
    pub free_bytes: u64,
    /// Limit below which no payload is accepted that can be sent again.
    pub needed_bytes: u64,
}

/// Reason why the disk accepts no payload now. Both may pass, so a retry can help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// The free space is below the limit.
    #[error("the disk has only {free_bytes} bytes free, and recording needs {needed_bytes}; make room")]
    Full {
        /// Bytes that are free.
        free_bytes: u64,
        /// Bytes that must be free.
        needed_bytes: u64,
    },
    /// The file system did not report its free space.
    #[error("cannot read the free space of the disk: {why}; check the disk and `state_dir`")]
    Unknown {
        /// Error of the file system.
        why: String,
    },
}

type Measure = Box<dyn Fn() -> io::Result<DiskSpace> + Send + Sync>;

struct Gauge {
    measure: Measure,
    last: Mutex<Option<(Instant, Result<DiskSpace, DiskError>)>>,
}

/// Measures the free space. Clones share the last measurement.
#[derive(Clone)]
pub struct DiskGauge(Arc<Gauge>);

impl std::fmt::Debug for DiskGauge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskGauge").finish_non_exhaustive()
    }
}

impl DiskGauge {
    /// Creates a gauge that calls `measure`. This is the seam by which simulated worlds fill their disk.
    pub fn new(measure: impl Fn() -> io::Result<DiskSpace> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Gauge { measure: Box::new(measure), last: Mutex::default() }))
    }

    /// Creates a gauge of the file system that holds this directory.
    pub fn of_directory(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(move || {
            let disk = service::lifecycle::free_disk(&path).map_err(io::Error::other)?;
            let needed_bytes = service::lifecycle::min_free_bytes(disk.total_bytes);
            Ok(DiskSpace { free_bytes: disk.free_bytes, needed_bytes })
        })
    }

    /// Creates a gauge of a disk that never fills.
    pub fn plenty() -> Self {
        Self::new(|| Ok(DiskSpace { free_bytes: u64::MAX, needed_bytes: 0 }))
    }

    /// Returns an error if the free space is below the limit, or unknown.
    pub fn check(&self) -> Result<(), DiskError> {
        self.check_fraction(1)
    }

    /// Returns an error if there is no room for packets of radios, which may use most of the reserve: nobody sends them
    /// again.
    pub fn check_for_packets(&self) -> Result<(), DiskError> {
        self.check_fraction(LAST_RESERVE_DIVISOR)
    }

    fn check_fraction(&self, divisor: u64) -> Result<(), DiskError> {
        let DiskSpace { free_bytes, needed_bytes } = self.space()?;
        let needed_bytes = needed_bytes.div_ceil(divisor);
        if free_bytes < needed_bytes { Err(DiskError::Full { free_bytes, needed_bytes }) } else { Ok(()) }
    }

    /// Returns the free space and the limit. The only error is [`DiskError::Unknown`].
    pub fn space(&self) -> Result<DiskSpace, DiskError> {
        let now = Instant::now();
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((at, result)) if now.duration_since(*at) < CACHE_DURATION => result.clone(),
            _ => last.insert((now, self.measure())).1.clone(),
        }
    }

    fn measure(&self) -> Result<DiskSpace, DiskError> {
        (self.0.measure)().map_err(|error| DiskError::Unknown { why: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_measurement_is_reused_for_a_second() {
        let free = Arc::new(AtomicU64::new(5));
        let measured = free.clone();
        let gauge =
            DiskGauge::new(move || Ok(DiskSpace { free_bytes: measured.load(Ordering::Relaxed), needed_bytes: 10 }));
        let full = Err(DiskError::Full { free_bytes: 5, needed_bytes: 10 });
        assert_eq!(gauge.check(), full);
        free.store(10, Ordering::Relaxed);
        assert_eq!(gauge.check(), full);
        tokio::time::advance(CACHE_DURATION).await;
        assert_eq!(gauge.check(), Ok(()));
    }

    #[test]
    fn packets_of_radios_may_use_three_quarters_of_the_reserve() {
        for (free_bytes, for_calls, for_packets) in
            [(80, true, true), (79, false, true), (20, false, true), (19, false, false)]
        {
            let gauge = DiskGauge::new(move || Ok(DiskSpace { free_bytes, needed_bytes: 80 }));
            assert_eq!(
                (gauge.check().is_ok(), gauge.check_for_packets().is_ok()),
                (for_calls, for_packets),
                "{free_bytes}"
            );
        }
    }

    /// Catches packets that are taken while nothing is folded any more, or refused while it is, because one limit moved alone.
    #[test]
    fn packets_are_refused_where_the_store_puts_off_what_can_wait() {
        for total_bytes in [16_000_000, 2 << 30, (10 << 30) - 1, 10 << 30, 32 << 30, u64::MAX] {
            let needed_bytes = service::lifecycle::min_free_bytes(total_bytes);
            let room = herd::store::min_room_bytes(total_bytes);
            // Each rounds for itself.
            for (free_bytes, is_taken) in [(room - 2, false), (room + 1, true)] {
                let gauge = DiskGauge::new(move || Ok(DiskSpace { free_bytes, needed_bytes }));
                assert_eq!(gauge.check_for_packets().is_ok(), is_taken, "{total_bytes} {free_bytes}");
            }
        }
    }

    #[test]
    fn a_disk_that_cannot_be_measured_accepts_nothing() {
        let gauge = DiskGauge::new(|| Err(io::Error::other("gone")));
        assert!(matches!(gauge.check(), Err(DiskError::Unknown { why }) if why == "gone"));
    }
}
