//! The switch between the real primitives and those of two model checkers: the only place that names
//! `std::sync::atomic`.
//!
//! Compiled normally it re-exports the standard library's atomics and threads, crossbeam-epoch, flume
//! and futures-channel. Compiled with `--cfg cache_loom` or `--cfg cache_shuttle` the same names are
//! loom's or shuttle's atomics and threads, and two oracles stand in for reclamation and the
//! mailbox, so that `loom-tests/` and `shuttle-tests/` can search the interleavings of the very code
//! that ships. Owns nothing; layer: base.

mod barrier;
mod contained;
pub(crate) mod epochs;
pub(crate) mod grace;
pub(crate) mod lanes;
pub(crate) mod mailbox;
pub(crate) mod map;
#[cfg(any(all(cache_loom, not(crossbeam_loom)), cache_shuttle))]
mod oracle;
#[cfg(all(cache_loom, crossbeam_loom))]
#[path = "sync/collector.rs"]
mod oracle;
#[cfg(any(cache_loom, cache_shuttle))]
mod places;
pub(crate) mod reclaim;
pub(crate) mod slot;
pub(crate) mod spare;
#[cfg(cache_loom)]
mod watched;

pub(crate) use contained::contained;
#[cfg(not(any(cache_loom, cache_shuttle)))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence};

#[cfg(cache_loom)]
pub(crate) use watched::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence};

#[cfg(cache_shuttle)]
pub(crate) use shuttle::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence,
};

/// Atomics that no protocol hangs on (statistics, recency stamps): real ones also under a model
/// checker, so that they add no branches to a search. Nothing that one thread writes there may decide what another
/// does: the search would not try it.
pub(crate) mod tally {
    pub(crate) use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
}

/// Threads that can be started, parked and woken: what a shard runs on.
pub(crate) mod thread {
    #[cfg(cache_loom)]
    pub(crate) use loom::thread::{JoinHandle, Thread, current, park, yield_now};
    #[cfg(cache_shuttle)]
    pub(crate) use shuttle::thread::{
        Builder, JoinHandle, Thread, current, park, park_timeout, yield_now,
    };
    #[cfg(not(any(cache_loom, cache_shuttle)))]
    pub(crate) use std::thread::{
        Builder, JoinHandle, Thread, current, park, park_timeout, yield_now,
    };

    /// Variables of one thread. A model checker's threads are coroutines of one thread of the system and
    /// have their own.
    #[cfg(cache_loom)]
    pub(crate) use loom::thread_local;
    #[cfg(cache_shuttle)]
    pub(crate) use shuttle::thread_local;
    #[cfg(not(any(cache_loom, cache_shuttle)))]
    pub(crate) use std::thread_local;

    /// Starts a named thread.
    #[cfg(not(cache_loom))]
    pub(crate) fn spawn(
        name: String,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        Builder::new().name(name).spawn(run)
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

/// Raises a number to at least `least`.
pub(crate) fn raise(number: &AtomicU64, least: u64, order: Ordering) {
    if cfg!(cache_tsan) {
        // ThreadSanitizer does not see `fetch_max`. Relaxed: only a guess for the exchange.
        let _ = number.fetch_update(order, Ordering::Relaxed, |now| Some(now.max(least)));
    } else {
        number.fetch_max(least, order);
    }
}

/// What a cache hashes its keys with: seeded at random for each cache, except where an execution must
/// be the same when it is repeated.
pub(crate) fn hasher() -> ahash::RandomState {
    if cfg!(cache_shuttle) {
        ahash::RandomState::with_seeds(1, 2, 3, 4)
    } else {
        ahash::RandomState::new()
    }
}

/// Forgets what an earlier execution of a model left in the oracles.
#[cfg(any(cache_loom, cache_shuttle))]
pub fn reset_oracles() {
    places::reset();
    oracle::reset();
}

/// Takes the current thread of a model out of the real collector, before it ends.
#[cfg(crossbeam_loom)]
pub fn leave_collector() {
    oracle::leave();
}
