//! Keeps the memory of the process small: one heap for all threads, and what is free is given back to the system.
//!
//! # Decisions
//!
//! - **The allocator is told when a burst is over.** glibc returns freed memory only from the top of each heap. What a first
//!   copy, a verification or an export freed stayed with the process until it ended: tens of MiB, on a Pi that may have 512.
//! - **All threads share one heap.** glibc makes further ones for threads that allocate at the same time. What is freed in one of
//!   them is of no use to the others, and a first copy goes through four threads: it took the office 17 MiB more, and left
//!   15 MiB more behind (docs/figures.md).
//! - **Very large blocks are no part of the heap.** By itself, glibc puts blocks of a size into the heap once one of them was
//!   freed. Argon2 takes 19 MiB for each log-in, and small blocks that outlive it tear holes into what it leaves. A flood of
//!   wrong log-ins took an office 458 MiB. With 16 MiB as the size, a first copy of 1,000,000 changes left 38 MiB behind, with
//!   1 MiB 23.
//! - **Once a burst, when memory has stopped changing.** A trim holds the locks of all heaps while it looks through them, and
//!   what it gives back has to be fetched again. So neither traffic nor a copy under way is disturbed.
//! - **And every ten seconds while the process has more than it needs at rest.** What was in use when the burst
//!   had stopped changing is freed later, by a flush for one, and nothing grows then. After an hour of traffic and new copies
//!   and a minute of quiet, an office still had 66 MiB.
//! - **This is the one place with unsafe code.** No kept crate wraps the calls. Other allocators held more (docs/figures.md).

use crate::lifecycle::Shutdown;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Time between two looks at the memory of the process.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Change of memory from one look to the next up to which the process counts as quiet.
const QUIET_BYTES: u64 = 1024 * 1024;
/// Growth since the last trim that is worth another one.
const BURST_BYTES: u64 = 4 * 1024 * 1024;
/// Size from which a block is mapped by itself, and unmapped when it is freed: those of Argon2, and of pages of a copy.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BLOCK_BYTES: libc::c_int = 1024 * 1024;
/// Free bytes at the top of the heap that are given back at once. Twice the size of a large block, as glibc has it by itself.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TOP_BYTES: libc::c_int = 2 * LARGE_BLOCK_BYTES;
/// Memory of a process at rest: page caches that are full (10 MiB), kept rows (6 MiB), and what it had after its start.
const REST_BYTES: u64 = 20 * 1024 * 1024;
/// Looks after which what exceeds that is trimmed again.
const AGAIN_LOOKS: u32 = 10;
/// The kernel's count of this process's memory, in pages (man 5 `proc_pid_statm`).
const STATM: &str = "/proc/self/statm";

/// Has all threads share one heap, without very large blocks. Called before there are others.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc's call has no safe wrapper")]
pub(super) fn share_one_heap() {
    // SAFETY: mallopt takes no pointer and is safe to call from any thread (man 3 mallopt; glibc takes the lock of the heap).
    let set = |option, value| unsafe { libc::mallopt(option, value) } != 0;
    let is_set = set(libc::M_ARENA_MAX, 1)
        && set(libc::M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        && set(libc::M_TRIM_THRESHOLD, TOP_BYTES);
    if !is_set {
        tracing::warn!("glibc does not let all threads share one small heap, so the process takes more memory");
    }
}

/// Other allocators have no such setting.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn share_one_heap() {}

/// Gives freed memory back after each burst, until the shutdown. Does nothing where the kernel does not tell how much
/// memory the process has.
pub async fn give_back_free_memory(shutdown: Shutdown) {
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut burst = Burst::default();
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            _ = looks.tick() => {}
        }
        let Some(before) = anonymous_bytes() else { continue };
        if burst.is_over(before) {
            trim().await;
            let after = anonymous_bytes().unwrap_or(before);
            burst.settle(after);
            tracing::debug!(before, after, "gave free memory back");
        }
    }
}

/// Tells when memory has grown, and stays as it is.
#[derive(Debug, Default)]
struct Burst {
    /// Bytes after the last trim, or less if they have shrunk since.
    settled: u64,
    /// Bytes at the last look.
    last: u64,
    /// Looks since the last trim.
    looks: u32,
}

impl Burst {
    /// Takes a look; returns whether a burst has just ended, or may have left more free since the last trim.
    fn is_over(&mut self, bytes: u64) -> bool {
        let is_quiet = bytes.abs_diff(self.last) <= QUIET_BYTES;
        self.last = bytes;
        self.settled = self.settled.min(bytes);
        self.looks = self.looks.saturating_add(1);
        let has_grown = bytes - self.settled >= BURST_BYTES;
        let may_have_freed = self.looks >= AGAIN_LOOKS && bytes >= REST_BYTES;
        is_quiet && (has_grown || may_have_freed)
    }

    fn settle(&mut self, bytes: u64) {
        (self.settled, self.last, self.looks) = (bytes, bytes, 0);
    }
}

/// Returns the heap and stacks of this process that are in memory; `None` if the kernel does not tell.
fn anonymous_bytes() -> Option<u64> {
    parse_statm(&std::fs::read_to_string(STATM).ok()?)
}

/// Returns the resident pages that belong to no file, as bytes.
fn parse_statm(text: &str) -> Option<u64> {
    let mut fields = text.split_whitespace().skip(1).map(str::parse::<u64>);
    let (resident, of_files) = (fields.next()?.ok()?, fields.next()?.ok()?);
    let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
    resident.checked_sub(of_files)?.checked_mul(page_bytes)
}

/// Trims all heaps, on a thread that may block.
async fn trim() {
    if let Err(error) = tokio::task::spawn_blocking(trim_heaps).await {
        tracing::debug!(%error, "free memory was not given back");
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc's call has no safe wrapper")]
fn trim_heaps() {
    // SAFETY: malloc_trim takes no pointer and is safe to call from any thread (man 3 malloc_trim, "MT-Safe"). Its result
    // only says whether anything was given back.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give memory back by themselves, or have no such call.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim_heaps() {}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// Catches a trim in the middle of a copy, one that is repeated for memory that is in use, and a burst that is missed
    /// because memory had shrunk before.
    #[test]
    fn a_burst_is_over_once_and_only_when_memory_stops_changing() {
        let mut burst = Burst::default();
        assert!(!burst.is_over(10 * MIB), "the start is growth");
        assert!(burst.is_over(10 * MIB));
        burst.settle(9 * MIB);
        for growing in [9, 20, 40, 60] {
            assert!(!burst.is_over(growing * MIB));
        }
        assert!(burst.is_over(60 * MIB));
        burst.settle(30 * MIB);
        assert!(!burst.is_over(30 * MIB), "what is in use is not given back again and again");
        assert!(!burst.is_over(12 * MIB));
        assert!(!burst.is_over(18 * MIB));
        assert!(burst.is_over(18 * MIB));
    }

    /// Catches a trim that waits for ever beside ordinary traffic, and one for memory that is not worth it.
    #[test]
    fn a_mebibyte_of_change_is_quiet_and_four_of_growth_are_a_burst() {
        let is_over = |before: u64, now: u64| Burst { settled: 100 * MIB, last: before, looks: 0 }.is_over(now);
        for (before, now, expected) in [
            (103 * MIB, 104 * MIB, true),
            (103 * MIB - 1, 104 * MIB, false),
            (105 * MIB, 104 * MIB, true),
            (105 * MIB + 1, 104 * MIB, false),
            (104 * MIB, 104 * MIB - 1, false),
        ] {
            assert_eq!(is_over(before, now), expected, "{before} {now}");
        }
    }

    /// Catches memory that stays for good because it was in use when the burst had stopped changing, and trims without end of a
    /// process at rest.
    #[test]
    fn what_is_freed_after_a_trim_is_given_back_as_well() {
        let trims = |bytes: u64| {
            let mut burst = Burst::default();
            burst.settle(bytes);
            let mut after = Vec::new();
            for look in 1..=2 * AGAIN_LOOKS {
                if burst.is_over(bytes) {
                    burst.settle(bytes);
                    after.push(look);
                }
            }
            after
        };
        assert_eq!(trims(REST_BYTES), [AGAIN_LOOKS, 2 * AGAIN_LOOKS]);
        assert!(trims(REST_BYTES - 1).is_empty());
    }

    #[test]
    fn memory_is_what_belongs_to_no_file() {
        let page = u64::try_from(rustix::param::page_size()).unwrap();
        assert_eq!(parse_statm("9000 700 200 1 0 500 0\n"), Some(500 * page));
        for broken in ["", "1", "1 2", "1 a b", "1 2 3"] {
            assert_eq!(parse_statm(broken), None, "{broken:?}");
        }
    }

    /// Catches a call that gives nothing back: glibc keeps all of this without it, because of the block at the top. Catches a
    /// process that does not make the call, or outlives its shutdown.
    #[cfg(target_env = "gnu")]
    #[tokio::test(start_paused = true)]
    async fn what_was_freed_below_a_live_block_is_given_back_until_the_shutdown() {
        let blocks: Vec<Vec<u8>> = (0..64 * 1024).map(|_| vec![1; 1024]).collect();
        let top = vec![1_u8; 1024];
        drop(blocks);
        let kept = anonymous_bytes().unwrap();
        let trigger = crate::lifecycle::ShutdownTrigger::default();
        let part = tokio::spawn(give_back_free_memory(trigger.signal()));
        tokio::time::sleep(10 * LOOK_INTERVAL).await;
        let left = anonymous_bytes().unwrap();
        assert!(kept - left > 32 * MIB, "{kept} before, {left} after");
        assert_eq!(top[0], 1);
        assert!(!part.is_finished());
        trigger.request();
        part.await.unwrap();
    }
}
