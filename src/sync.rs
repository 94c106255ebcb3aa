//! The switch between the real primitives and loom's: the only place that names `std::sync::atomic`.
//!
//! Compiled normally it re-exports the standard library's atomics and threads, crossbeam-epoch and
//! flume. Compiled with `--cfg cache_loom` the same names are loom's atomics and threads, and two
//! oracles stand in for the epoch collector and the mailbox, so that `loom-tests/` can search the
//! interleavings of the very code that ships. Owns nothing; layer: base.

pub(crate) mod mailbox;
#[cfg(cache_loom)]
mod oracle;
pub(crate) mod reclaim;

#[cfg(not(cache_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering};

#[cfg(cache_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering};

/// Atomics that no protocol hangs on (statistics, recency stamps): real ones also under loom, so that
/// they add no branches to a search.
pub(crate) mod tally {
    pub(crate) use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
}

/// Threads that can be started, parked and woken: what a shard runs on.
pub(crate) mod thread {
    #[cfg(cache_loom)]
    pub(crate) use loom::thread::{JoinHandle, Thread, current, park};
    #[cfg(not(cache_loom))]
    pub(crate) use std::thread::{JoinHandle, Thread, current, park, park_timeout};

    /// Starts a named thread.
    #[cfg(not(cache_loom))]
    pub(crate) fn spawn(
        name: String,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(name).spawn(run)
    }

    #[cfg(cache_loom)]
    pub(crate) fn spawn(
        _name: String,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        Ok(loom::thread::spawn(run))
    }

    /// Loom has no time, and here it never passes: a nap lasts until somebody ends it, so a model sees a
    /// wake-up that was forgotten.
    #[cfg(cache_loom)]
    pub(crate) fn park_timeout(_limit: std::time::Duration) {
        park();
    }
}

/// Forgets what an earlier execution of a loom model left in the oracles.
#[cfg(cache_loom)]
pub fn reset_oracles() {
    oracle::reset();
}
