//! Grace periods: when all who could have read something have gone.
//!
//! Who has unlinked something *orders* a barrier; when one has passed that began after the order, a look at the lanes
//! says who is there that may have seen it; when each of those has gone once, nobody is left. Readers do
//! nothing for it but to write their own word. One barrier serves all who ordered before it, and the
//! process passes one in a millisecond at most: each of them interrupts every reader. Layer: base.

use super::lanes::{Lanes, Present};
use super::{AtomicU64, Ordering, barrier, raise};

/// How long after a barrier another may pass, in microseconds.
const PERIOD: u64 = 1_000;

/// The barriers that the process has passed, by number.
pub(crate) struct Barriers {
    begun: AtomicU64,
    done: AtomicU64,
    /// When the next may begin.
    due: AtomicU64,
}

impl Barriers {
    #[cfg(not(any(cache_loom, cache_shuttle)))]
    pub(super) const fn new() -> Self {
        Self { begun: AtomicU64::new(0), done: AtomicU64::new(0), due: AtomicU64::new(0) }
    }

    #[cfg(any(cache_loom, cache_shuttle))]
    pub(crate) fn new() -> Self {
        Self { begun: AtomicU64::new(0), done: AtomicU64::new(0), due: AtomicU64::new(0) }
    }

    /// A number: barriers above it begin after all that the caller has done.
    fn order(&self) -> u64 {
        // Release: what we unlinked happens before a barrier of a higher number [edge: ordered].
        self.begun.fetch_add(0, Ordering::Release)
    }

    /// Whether a barrier above `number` has passed. If one is due at `now` it passes here, unless the system
    /// refuses; then nobody knows who reads, and nothing may be freed until a later one passes.
    fn have_passed(&self, number: u64, now: u64, pass: impl FnOnce() -> bool) -> bool {
        // Acquire: who was there before that barrier is seen [edge: barrier].
        if self.done.load(Ordering::Acquire) > number {
            return true;
        }
        if !self.take_turn(now) {
            return false;
        }
        // Acquire: what was unlinked by all who ordered happens before our barrier [edge: ordered].
        let ours = self.begun.fetch_add(1, Ordering::Acquire) + 1;
        if !pass() {
            // The next has a higher number, which serves all who wait for this one.
            return false;
        }
        // Release: who sees the number sees who was there before our barrier [edge: barrier].
        raise(&self.done, ours, Ordering::Release);
        true
    }

    /// Whether a barrier is due at `now`, and it is the caller who is to pass it.
    fn take_turn(&self, now: u64) -> bool {
        // Relaxed: it spares readers interruptions, and orders nothing.
        let due = self.due.load(Ordering::Relaxed);
        // Relaxed: as above; on failure somebody else has taken the turn.
        let relaxed = Ordering::Relaxed;
        due <= now && self.due.compare_exchange(due, now + PERIOD, relaxed, relaxed).is_ok()
    }
}

/// Waits for the readers in lanes.
#[derive(Default)]
pub(crate) struct LaneGrace {
    ordered: Option<u64>,
    present: Vec<Present>,
}

impl LaneGrace {
    /// Begins anew: from now on it waits for all who are there.
    pub(crate) fn begin(&mut self, barriers: &Barriers) {
        self.present.clear();
        self.ordered = Some(barriers.order());
    }

    /// Whether they have gone, as far as they have lanes. `others` is called once if there may be such that have none.
    pub(crate) fn is_over(
        &mut self,
        lanes: &Lanes,
        barriers: &Barriers,
        now: impl FnOnce() -> u64,
        others: impl FnOnce(),
    ) -> bool {
        if let Some(number) = self.ordered {
            if !barriers.have_passed(number, now(), barrier::heavy) {
                return false;
            }
            self.ordered = None;
            if lanes.present(&mut self.present) {
                others();
            }
        }
        self.present.retain(|reader| !lanes.has_left(reader));
        self.present.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Barriers, LaneGrace, PERIOD};
    use crate::sync::lanes::Lanes;

    #[test]
    fn one_barrier_passes_in_a_period_and_serves_all_who_ordered_before() {
        let barriers = Barriers::new();
        let (first, second) = (barriers.order(), barriers.order());
        assert!(barriers.have_passed(first, 0, || true));
        assert!(barriers.have_passed(second, 0, nobody), "ordered before the barrier");
        let third = barriers.order();
        assert!(!barriers.have_passed(third, PERIOD - 1, nobody), "ordered after it, none is due");
        assert!(barriers.have_passed(third, PERIOD, || true));
    }

    #[test]
    fn a_barrier_that_is_refused_serves_nobody() {
        let barriers = Barriers::new();
        let number = barriers.order();
        assert!(!barriers.have_passed(number, 0, || false));
        assert!(!barriers.have_passed(number, PERIOD - 1, nobody), "none is due");
        assert!(!barriers.have_passed(number, PERIOD, || false));
        assert!(barriers.have_passed(number, 2 * PERIOD, || true));
        assert!(barriers.have_passed(number, 0, nobody));
    }

    fn nobody() -> bool {
        panic!("no barrier is to pass")
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    #[test]
    fn a_reader_is_waited_for_once() {
        let (lanes, barriers) = (Lanes::new(), Barriers::new());
        let mut grace = LaneGrace::default();
        let word = lanes.word(lanes.claim().expect("one")).expect("its word");
        let mut is_over = |at: u64, begin: bool| {
            if begin {
                grace.begin(&barriers);
            }
            grace.is_over(&lanes, &barriers, || at, || panic!("there are no others"))
        };
        word.enter();
        assert!(!is_over(0, true));
        word.leave();
        word.enter();
        assert!(is_over(0, false), "he has gone, and come again");
        assert!(!is_over(PERIOD - 1, true), "no barrier is due");
        word.leave();
        assert!(!is_over(PERIOD - 1, false));
        assert!(is_over(PERIOD, false), "nobody is there");
    }
}
