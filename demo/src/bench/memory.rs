//! Resident memory of a process, as the kernel counts it.

use super::BenchError;
use anyhow::Context as _;

const KIB: u64 = 1024;

/// Resident memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Current size (`VmRSS`).
    pub resident_bytes: u64,
    /// Its anonymous part (`RssAnon`): heap and stacks. The rest is pages of the executable and its libraries, which
    /// processes share and which the kernel may drop.
    pub anonymous_bytes: u64,
    /// Peak size (`VmHWM`).
    pub peak_bytes: u64,
}

impl Memory {
    /// Reads the memory of the running process `pid`.
    pub fn of(pid: Option<u32>) -> Result<Self, BenchError> {
        let pid = pid.context("cannot read the memory of a process that does not run")?;
        let path = format!("/proc/{pid}/status");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Self::parse(&text).with_context(|| format!("{path} has no VmRSS, RssAnon and VmHWM"))
    }

    /// Resets the peak of the process `pid` to its current size (man 5 `proc_pid_clear_refs`).
    pub fn reset_peak(pid: Option<u32>) -> Result<(), BenchError> {
        const RESET_PEAK: &str = "5";
        let pid = pid.context("cannot read the memory of a process that does not run")?;
        let path = format!("/proc/{pid}/clear_refs");
        std::fs::write(&path, RESET_PEAK).with_context(|| format!("cannot write {path}"))
    }

    /// Parses `/proc/PID/status` (man 5 `proc_pid_status`), whose unit is KiB although it says kB.
    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(KIB)
        };
        Some(Self { resident_bytes: field("VmRSS")?, anonymous_bytes: field("RssAnon")?, peak_bytes: field("VmHWM")? })
    }
}

/// Converts to MiB, rounded to a tenth.
pub fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    let mib = bytes as f64 / 1024.0 / 1024.0;
    (mib * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_and_its_peak_are_found_among_other_lines() {
        let text =
            "Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\nRssAnon:\t 512 kB\nThreads:\t1\n";
        let expected = Memory { resident_bytes: 1024 * 1024, anonymous_bytes: 512 * 1024, peak_bytes: 2048 * 1024 };
        assert_eq!(Memory::parse(text), Some(expected));
        assert_eq!(Memory::parse("Name:\tx\n"), None);
    }
}
