//! How a shard sleeps and who wakes it: one word that counts its backlog and says how it sleeps.
//!
//! ```text
//! word: | backlog: operations submitted and not yet folded (62 bits, signed) | sleep state (2 bits) |
//! ```
//!
//! A submit adds to the backlog and learns from the same read-modify-write how the shard sleeps; the
//! shard goes to sleep by a compare-and-swap that demands an empty backlog. Because both are one word
//! there is no window between "is there work" and "I sleep", and no fence is needed. A submitter adds
//! *after* its operation is in place, so the count can be below the truth for a moment, even below
//! zero, and hide another operation; whoever is late finds the shard in a deep sleep and wakes it, and a
//! light sleep is short. A command must not wait for that: who sends one *calls* the shard, and a shard
//! that was called does not go to sleep. Invariant: no-lost-wake-up (see `docs/concurrency.md`). Layer:
//! shard.

use crate::sync::thread::{self, Thread};
use crate::sync::{AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

const STATE_BITS: u32 = 2;
const STATE: u64 = (1 << STATE_BITS) - 1;
const ONE: u64 = 1 << STATE_BITS;

/// How deep a shard sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Sleep {
    Awake = 0,
    /// For about a millisecond, because there was activity lately: woken only by a large backlog or by who
    /// calls it, so that a steady trickle of writes costs its callers no system call.
    Light = 1,
    /// Until the next timer, or for ever: woken by anything.
    Deep = 2,
    /// Not, and it must look for commands before it does.
    Called = 3,
}

/// What a shard had before it at some moment.
pub(crate) struct Load {
    pub(crate) backlog: i64,
    /// Whether somebody has called it since it last went to sleep.
    pub(crate) called: bool,
}

/// How long a shard may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nap {
    Light(Duration),
    Deep(Option<Duration>),
}

/// The meeting point of a shard and those who submit to it. On a cache line pair of its own.
#[repr(align(128))]
pub(crate) struct Signal {
    word: AtomicU64,
    sleeper: OnceLock<Thread>,
    /// A backlog that wakes a light sleeper.
    wake_at: i64,
}

impl Signal {
    pub(crate) fn new(wake_at: i64) -> Self {
        Self { word: AtomicU64::new(0), sleeper: OnceLock::new(), wake_at }
    }

    /// Tells whom to wake. Before anybody can submit.
    pub(crate) fn bind(&self, sleeper: Thread) {
        let _ = self.sleeper.set(sleeper);
    }

    /// How many operations wait for the shard, more or less.
    #[inline]
    pub(crate) fn backlog(&self) -> i64 {
        // Relaxed: a bound on waste, not a protocol.
        backlog(self.word.load(Ordering::Relaxed))
    }

    /// Whether the shard sleeps at this moment.
    pub(crate) fn sleeps(&self) -> bool {
        // Relaxed: it decides who wakes others, not whether they are woken.
        is_sleep(self.word.load(Ordering::Relaxed))
    }

    #[cfg(test)]
    pub(crate) fn sleeps_deeply(&self) -> bool {
        // Relaxed: as above.
        self.word.load(Ordering::Relaxed) & STATE == Sleep::Deep as u64
    }

    /// Adds an operation that is in place; wakes the shard if that is called for.
    #[inline]
    pub(crate) fn submitted(&self) {
        // AcqRel: the shard that sees the count finds the operation; whoever finds the shard asleep
        // comes after its going to sleep [edge: backlog].
        let before = self.word.fetch_add(ONE, Ordering::AcqRel);
        let asleep = before & STATE;
        if asleep == Sleep::Deep as u64
            || (asleep == Sleep::Light as u64 && backlog(before) + 1 >= self.wake_at)
        {
            self.wake();
        }
    }

    /// Wakes the shard if it sleeps, however lightly, and keeps it from going to sleep if it does not.
    #[cold]
    pub(crate) fn wake(&self) {
        // AcqRel: as in `submitted` [edge: backlog].
        let before = self.word.fetch_or(Sleep::Called as u64, Ordering::AcqRel);
        if is_sleep(before) {
            // Only one waker finds a sleep state, so only one pays for the system call.
            if let Some(sleeper) = self.sleeper.get() {
                sleeper.unpark();
            }
        }
    }

    /// Takes folded operations off the backlog, and says how it was before; nothing if there are none. Shard thread only.
    pub(crate) fn folded(&self, operations: u64) -> Option<Load> {
        if operations == 0 {
            return None;
        }
        // AcqRel: keeps the word's history one release sequence [edge: backlog].
        let before = self.word.fetch_sub(operations << STATE_BITS, Ordering::AcqRel);
        Some(Load { backlog: backlog(before), called: before & STATE == Sleep::Called as u64 })
    }

    /// Sleeps unless there is a backlog or a call. Shard thread only.
    pub(crate) fn sleep(&self, nap: Nap) {
        let state = match nap {
            Nap::Light(_) => Sleep::Light,
            Nap::Deep(_) => Sleep::Deep,
        };
        // Acquire: work that is seen is taken next [edge: backlog].
        let seen = self.word.load(Ordering::Acquire);
        if backlog(seen) > 0 {
            return;
        }
        if seen & STATE == Sleep::Called as u64 {
            self.rise();
            return;
        }
        debug_assert_eq!(seen & STATE, Sleep::Awake as u64, "only the shard goes to sleep");
        // AcqRel: submits before this are seen in the count, submits after see us asleep
        // [edge: backlog]. Relaxed on failure: we do not sleep and look again.
        let slept = self.word.compare_exchange(
            seen,
            seen | state as u64,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if slept.is_ok() {
            match nap {
                Nap::Light(limit) | Nap::Deep(Some(limit)) => thread::park_timeout(limit),
                Nap::Deep(None) => self.park(),
            }
            self.rise();
        }
    }

    /// Ends a sleep, and answers the calls so far by the look at the commands that follows.
    fn rise(&self) {
        // AcqRel: whatever woke us is behind us [edge: backlog].
        self.word.fetch_and(!STATE, Ordering::AcqRel);
    }

    /// Parks until woken: `park` may return for no reason, and then nobody has called.
    fn park(&self) {
        loop {
            thread::park();
            // Acquire: a call is a wake-up [edge: backlog].
            if self.word.load(Ordering::Acquire) & STATE == Sleep::Called as u64 {
                return;
            }
        }
    }
}

fn is_sleep(word: u64) -> bool {
    [Sleep::Light as u64, Sleep::Deep as u64].contains(&(word & STATE))
}

fn backlog(word: u64) -> i64 {
    (word as i64) >> STATE_BITS
}

#[cfg(test)]
mod tests {
    use super::{ONE, Sleep, backlog};

    #[test]
    fn a_backlog_may_be_below_zero_for_a_moment_and_leaves_the_state_alone() {
        let word = (Sleep::Light as u64).wrapping_sub(ONE);
        assert_eq!(backlog(word), -1);
        assert_eq!(word & super::STATE, Sleep::Light as u64);
        assert_eq!(backlog(word.wrapping_add(2 * ONE)), 1);
    }
}
