//! Deferred reclamation: pins that keep what a reader may see from being freed.
//!
//! The collector is this library's own, never crossbeam's default one: a guard that stalls in some
//! other crate must not hold our garbage, and our readers must not run other crates' destructors. A
//! thread registers once, in a thread-local participant; the same participant carries the thread's
//! lane for striped counters, so that a hit pays for one thread-local access and not two. Layer: base.

use super::{AtomicU64, Ordering};

/// How many threads at a time can count without an atomic read-modify-write.
pub(crate) const LANES: usize = 64;

/// The lane of threads that came when all others were taken: shared, so it counts with `fetch_add`.
pub(crate) const SHARED_LANE: usize = LANES;

/// A pinned thread: nothing that was reachable when it was made is freed while it lives. Not `Send`.
pub(crate) struct Guard {
    inner: Inner,
    lane: usize,
}

#[cfg(not(any(cache_loom, cache_shuttle)))]
type Inner = crossbeam_epoch::Guard;
#[cfg(any(cache_loom, cache_shuttle))]
type Inner = super::oracle::Pinned;

impl Guard {
    /// The counter lane of the pinned thread.
    #[inline]
    pub(crate) fn lane(&self) -> usize {
        self.lane
    }

    /// Calls `f` on some thread once every guard that is alive now has gone.
    pub(crate) fn defer(&self, f: impl FnOnce() + Send + 'static) {
        self.inner.defer(f);
    }

    /// Hands this thread's deferred calls to the collector and runs some that are due.
    pub(crate) fn flush(&self) {
        self.inner.flush();
    }
}

/// Pins the current thread. Costs one atomic read-modify-write on memory of its own.
#[inline]
pub(crate) fn pin() -> Guard {
    imp::pin()
}

/// Frees some of what the collector itself still has of calls that were made: it does so when somebody comes by, and
/// who sleeps does not.
pub(crate) fn tidy() {
    #[cfg(not(any(cache_loom, cache_shuttle)))]
    pin().flush();
}

/// Which lanes are taken, one bit each.
pub(crate) struct Lanes(AtomicU64);

impl Lanes {
    #[cfg(not(any(cache_loom, cache_shuttle)))]
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[cfg(any(cache_loom, cache_shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes a lane that no other live thread has, if there is one.
    pub(crate) fn claim(&self) -> Option<usize> {
        // Relaxed: only a guess for the exchange below.
        let mut taken = self.0.load(Ordering::Relaxed);
        loop {
            let lane = taken.trailing_ones() as usize;
            if lane >= LANES {
                return None;
            }
            // Acquire: the counts of the lane's last owner must be visible before we add to them with
            // a plain load and store [edge: lane-handover]. Relaxed on failure: a new guess.
            match self.0.compare_exchange_weak(
                taken,
                taken | 1 << lane,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(lane),
                Err(now) => taken = now,
            }
        }
    }

    /// Gives a lane back.
    pub(crate) fn release(&self, lane: usize) {
        // Release: hands our counts to the next owner of the lane [edge: lane-handover].
        self.0.fetch_and(!(1 << lane), Ordering::Release);
    }
}

#[cfg(not(any(cache_loom, cache_shuttle)))]
mod imp {
    use super::{Guard, Lanes, SHARED_LANE};
    use crossbeam_epoch::{Collector, LocalHandle};
    use std::sync::OnceLock;

    static COLLECTOR: OnceLock<Collector> = OnceLock::new();
    static LANES_IN_USE: Lanes = Lanes::new();

    thread_local! {
        static PARTICIPANT: Participant = Participant {
            local: collector().register(),
            lane: LANES_IN_USE.claim().unwrap_or(SHARED_LANE),
        };
    }

    struct Participant {
        local: LocalHandle,
        lane: usize,
    }

    impl Drop for Participant {
        fn drop(&mut self) {
            if self.lane != SHARED_LANE {
                LANES_IN_USE.release(self.lane);
            }
        }
    }

    fn collector() -> &'static Collector {
        COLLECTOR.get_or_init(Collector::new)
    }

    #[inline]
    pub(super) fn pin() -> Guard {
        PARTICIPANT
            .try_with(|p| Guard { inner: p.local.pin(), lane: p.lane })
            .unwrap_or_else(|_| pin_unregistered())
    }

    /// A thread that is being torn down has lost its participant but may still use a cache from the
    /// destructor of another thread-local: it registers for this one guard.
    #[cold]
    fn pin_unregistered() -> Guard {
        Guard { inner: collector().register().pin(), lane: SHARED_LANE }
    }
}

#[cfg(any(cache_loom, cache_shuttle))]
mod imp {
    use super::{Guard, SHARED_LANE};

    pub(super) fn pin() -> Guard {
        Guard { inner: crate::sync::oracle::Pinned::new(), lane: SHARED_LANE }
    }
}
