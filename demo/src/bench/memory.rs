//! What a process holds in memory, as the kernel counts it.

use super::Failed;
use anyhow::Context as _;

const KIB: u64 = 1024;

/// Resident memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Now (`VmRSS`).
    pub resident_bytes: u64,
    /// The most there was (`VmHWM`).
    pub peak_bytes: u64,
}

impl Memory {
    /// Of the running process `pid`.
    pub fn of(pid: Option<u32>) -> Result<Self, Failed> {
        let pid = pid.context("the process whose memory is asked for does not run")?;
        let path = format!("/proc/{pid}/status");
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        Self::read(&text).with_context(|| format!("{path} names no VmRSS and VmHWM"))
    }

    /// From now on the peak of the process `pid` is counted anew (man 5 `proc_pid_clear_refs`).
    pub fn forget_peak(pid: Option<u32>) -> Result<(), Failed> {
        const RESET_PEAK: &str = "5";
        let pid = pid.context("the process whose memory is asked for does not run")?;
        let path = format!("/proc/{pid}/clear_refs");
        std::fs::write(&path, RESET_PEAK).with_context(|| format!("writing {path}"))
    }

    /// From the text of `/proc/PID/status` (man 5 `proc_pid_status`), where the unit is KiB though it says kB.
    fn read(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(KIB)
        };
        Some(Self { resident_bytes: field("VmRSS")?, peak_bytes: field("VmHWM")? })
    }
}

/// To a tenth of a MiB.
pub fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    let mib = bytes as f64 / 1024.0 / 1024.0;
    (mib * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_lines_are_found_among_the_others() {
        let text = "Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\nThreads:\t1\n";
        assert_eq!(Memory::read(text), Some(Memory { resident_bytes: 1024 * 1024, peak_bytes: 2048 * 1024 }));
        assert_eq!(Memory::read("Name:\tx\n"), None);
    }
}
