//! Memory, descriptors and disk of both processes, once a second.

use super::pair::{Pair, Pids, Place};
use crate::bench::memory::{Memory, mib};
use service::lifecycle::Shutdown;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::{MissedTickBehavior, interval};

/// Interval of the samples.
const INTERVAL: Duration = Duration::from_secs(1);
/// Unit of `st_blocks` (man 3 `stat`).
const BLOCK_BYTES: u64 = 512;
/// Memory that a process may have at the end above its median in an earlier stretch. A resync of 46,000 changes leaves an
/// office with 30 to 56 MiB, which is one time more and another time less.
pub(super) const MEMORY_BOUND_BYTES: u64 = 32 * 1024 * 1024;
/// Descriptors that a process may have at the end above its median in an earlier stretch: connections of the senders and of
/// exports come and go.
pub(super) const DESCRIPTOR_BOUND: u64 = 24;

/// Sizes of one process. A process that does not run has only files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Anonymous memory (`RssAnon`).
    pub(super) memory_bytes: Option<u64>,
    /// Number of open descriptors.
    pub(super) descriptors: Option<u64>,
    /// Allocated size of the state directory without the file that the soak keeps stderr in.
    pub(super) disk_bytes: Option<u64>,
}

impl Sizes {
    fn of(pid: Option<u32>, state_dir: &Path) -> Self {
        let descriptors = pid.and_then(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok());
        Self {
            memory_bytes: pid.and_then(|_| Memory::of(pid).ok()).map(|memory| memory.anonymous_bytes),
            descriptors: descriptors.map(|entries| entries.count() as u64),
            disk_bytes: Some(allocated_bytes(state_dir)),
        }
    }
}

/// Returns the allocated size of the files below a directory, which may change meanwhile.
fn allocated_bytes(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => allocated_bytes(&entry.path()),
        Ok(kind) if kind.is_file() && entry.path().extension().is_none_or(|extension| extension != "log") => {
            entry.metadata().map_or(0, |metadata| metadata.blocks() * BLOCK_BYTES)
        }
        _ => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

/// Sizes of both processes at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Time since the start of the sampler.
    pub(super) at: Duration,
    /// Sizes of the barn and of the office.
    pub(super) of: [Sizes; 2],
}

impl Sample {
    /// Returns the sizes of one process in words.
    pub(super) fn describe(&self, place: Place) -> String {
        let size = |measure: Measure| {
            let value = (measure.of)(&self.of[place as usize]);
            format!("{} {}", value.map_or_else(|| "-".to_owned(), |value| measure.text(value)), measure.words)
        };
        format!("{}: {}", place.name(), Measure::ALL.map(size).join(", "))
    }
}

/// The state directories and process ids of a pair.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    pids: watch::Receiver<Pids>,
    state_dirs: [PathBuf; 2],
}

impl Sampler {
    pub(super) fn new(pair: &Pair) -> Self {
        let state_dirs = [pair.barn.state_dir().to_owned(), pair.office.state_dir().to_owned()];
        Self { pids: pair.pids(), state_dirs }
    }

    /// Takes a sample every second until the shutdown, and shows each to `look`.
    pub(super) async fn run(self, shutdown: Shutdown, mut look: impl FnMut(&Sample)) -> Vec<Sample> {
        let (start, mut samples) = (Instant::now(), Vec::new());
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => return samples,
                _ = ticks.tick() => {}
            }
            let sample = block_in_place(|| self.sample(start.elapsed()));
            look(&sample);
            samples.push(sample);
        }
    }

    fn sample(&self, at: Duration) -> Sample {
        let pids = *self.pids.borrow();
        Sample { at, of: Place::BOTH.map(|place| Sizes::of(pids.of(place), &self.state_dirs[place as usize])) }
    }
}

/// One of the sizes of one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    /// Name and unit.
    pub(super) name: &'static str,
    /// Words that follow a value.
    words: &'static str,
    of: fn(&Sizes) -> Option<u64>,
    /// Surplus that the end may have; `None` if it may grow.
    bound: Option<u64>,
    is_bytes: bool,
}

impl Measure {
    /// All measures.
    pub(super) const ALL: [Self; 3] = [
        Self {
            name: "memory (RssAnon), MiB",
            words: "MiB of memory",
            of: |sizes| sizes.memory_bytes,
            bound: Some(MEMORY_BOUND_BYTES),
            is_bytes: true,
        },
        Self {
            name: "descriptors",
            words: "descriptors",
            of: |sizes| sizes.descriptors,
            bound: Some(DESCRIPTOR_BOUND),
            is_bytes: false,
        },
        Self { name: "disk, MiB", words: "MiB on disk", of: |sizes| sizes.disk_bytes, bound: None, is_bytes: true },
    ];

    fn text(&self, value: u64) -> String {
        if self.is_bytes { format!("{:.1}", mib(value)) } else { value.to_string() }
    }
}

/// Samples of a part of the time.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// Name of the column.
    pub(super) name: &'static str,
    samples: Vec<Sample>,
}

/// Median and maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Summary {
    median: u64,
    maximum: u64,
}

impl Stretch {
    /// Splits samples into the quarters of `duration`, and those from `quiet_from` on.
    pub(super) fn split(samples: &[Sample], duration: Duration, quiet_from: Duration) -> Vec<Self> {
        let names = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];
        let stretch = |name, range: Range<Duration>| {
            let samples = samples.iter().filter(|sample| range.contains(&sample.at)).copied().collect();
            Self { name, samples }
        };
        let quarters = (0..).zip(names).map(|(n, name)| stretch(name, duration * n / 4..duration * (n + 1) / 4));
        quarters.chain([stretch("quiet end", quiet_from.max(duration)..Duration::MAX)]).collect()
    }

    fn summary(&self, place: Place, measure: &Measure) -> Option<Summary> {
        let mut values: Vec<_> =
            self.samples.iter().filter_map(|sample| (measure.of)(&sample.of[place as usize])).collect();
        values.sort_unstable();
        Some(Summary { median: *values.get(values.len() / 2)?, maximum: *values.last()? })
    }

    /// Returns median and maximum as text.
    pub(super) fn cell(&self, place: Place, measure: &Measure) -> String {
        let text = |of: Summary| format!("{} / {}", measure.text(of.median), measure.text(of.maximum));
        self.summary(place, measure).map_or_else(|| "-".to_owned(), text)
    }
}

/// Returns a sentence for each size whose median in the last stretch is above the one in the stretch `base` plus the bound.
pub(super) fn growth_faults(stretches: &[Stretch], base: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let (Some(first), Some(last)) = (stretches.get(base), stretches.iter().rfind(|one| !one.samples.is_empty())) else {
        return faults;
    };
    for (place, measure) in Place::BOTH.iter().flat_map(|place| Measure::ALL.map(|measure| (*place, measure))) {
        let (Some(bound), Some(before), Some(after)) =
            (measure.bound, first.summary(place, &measure), last.summary(place, &measure))
        else {
            continue;
        };
        if after.median > before.median + bound {
            let [before, after, bound] = [before.median, after.median, bound].map(|value| measure.text(value));
            faults.push(format!(
                "{} of the {}: {after} in the end, {before} in the {}, and at most {bound} more are allowed",
                measure.name,
                place.name(),
                first.name
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: u64, memory_mib: u64, descriptors: Option<u64>) -> Sample {
        let memory_bytes = Some(memory_mib * 1024 * 1024);
        let sizes = Sizes { memory_bytes, descriptors, disk_bytes: Some(at_s * 1024 * 1024) };
        Sample { at: Duration::from_secs(at_s), of: [Sizes::default(), sizes] }
    }

    #[test]
    fn samples_are_summed_up_by_quarter_and_a_process_that_did_not_run_has_none() {
        let samples: Vec<_> = (0..90).map(|at| sample(at, 10 + at, (at >= 20).then_some(7))).collect();
        let stretches = Stretch::split(&samples, Duration::from_secs(80), Duration::from_secs(85));
        let cells = |measure: usize| -> Vec<_> {
            stretches.iter().map(|stretch| stretch.cell(Place::Office, &Measure::ALL[measure])).collect()
        };
        assert_eq!(cells(0), ["20.0 / 29.0", "40.0 / 49.0", "60.0 / 69.0", "80.0 / 89.0", "97.0 / 99.0"]);
        assert_eq!(cells(1), ["-", "7 / 7", "7 / 7", "7 / 7", "7 / 7"]);
        assert_eq!(stretches[0].cell(Place::Barn, &Measure::ALL[0]), "-");
    }

    #[test]
    fn growth_beyond_the_bound_is_a_fault_and_growth_of_the_disk_is_not() {
        let faults = |memory_mib, descriptors| {
            let samples = [sample(0, 10, Some(20)), sample(90, memory_mib, Some(descriptors))];
            growth_faults(&Stretch::split(&samples, Duration::from_secs(80), Duration::ZERO), 0).len()
        };
        assert_eq!(faults(42, 44), 0);
        assert_eq!(faults(43, 44), 1);
        assert_eq!(faults(42, 45), 1);
    }

    #[test]
    fn the_files_of_a_directory_are_counted_below_it_and_the_log_is_not() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("sites")).unwrap();
        fs::write(directory.path().join("sites/one"), [1; 8192]).unwrap();
        fs::write(directory.path().join("barn.log"), [1; 8192]).unwrap();
        let found = allocated_bytes(directory.path());
        assert!((8192..16384).contains(&found), "{found}");
    }
}
