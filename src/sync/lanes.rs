//! Lanes: a place for each of the first threads, where it counts by itself and says whether it reads.
//!
//! The word of a lane is written by its thread alone, with plain stores. Its low half counts the guards that the
//! thread has, its high half how often it had given back all of them. So who frees reads from one word whether there is a
//! reader, and later from the same word whether that one has gone. Layer: base.

use super::{AtomicBool, AtomicU64, Ordering, barrier};

/// How many threads at a time can count, and read, without an atomic read-modify-write.
pub(crate) const LANES: usize = if cfg!(cache_loom) { 4 } else { 64 };

/// One guard of a thread, in the low half of its word.
const GUARD: u64 = 1;
/// Set once the thread has gone and left guards behind, whose last gives the lane back.
const LEFT: u32 = 1 << 31;
/// One time that all guards were given back, in the high half.
const TURN: u64 = 1 << 32;

/// The lanes of the process.
pub(crate) struct Lanes {
    /// Which are taken, one bit each.
    taken: AtomicU64,
    words: [Word; LANES],
    /// Whether threads have ever read that had no lane. Never taken back: a process that once had more threads
    /// than lanes will have them again.
    others: AtomicBool,
}

/// What the thread of a lane says of itself. On a pair of cache lines of its own, which processors fetch
/// together.
#[repr(align(128))]
pub(crate) struct Word(AtomicU64);

/// A reader that was there, by what its word was.
pub(crate) struct Present {
    lane: usize,
    turn: u32,
}

impl Lanes {
    #[cfg(not(any(cache_loom, cache_shuttle)))]
    pub(super) const fn new() -> Self {
        Self {
            taken: AtomicU64::new(0),
            words: [const { Word(AtomicU64::new(0)) }; LANES],
            others: AtomicBool::new(false),
        }
    }

    #[cfg(any(cache_loom, cache_shuttle))]
    pub(crate) fn new() -> Self {
        Self {
            taken: AtomicU64::new(0),
            words: std::array::from_fn(|_| Word(AtomicU64::new(0))),
            others: AtomicBool::new(false),
        }
    }

    /// The word of a lane, for its thread.
    pub(crate) fn word(&self, lane: usize) -> Option<&Word> {
        self.words.get(lane)
    }

    /// Says that a thread without a lane is going to read, before it passes a full fence.
    pub(crate) fn note_another(&self) {
        // Relaxed: the fence orders it before what is read next; a look first, so that the line stays shared.
        if !self.others.load(Ordering::Relaxed) {
            // Relaxed: as above.
            self.others.store(true, Ordering::Relaxed);
        }
    }

    /// Who is there and may have read what was unlinked before a barrier that the caller knows to have passed;
    /// `true` if there may be others, without a lane.
    pub(crate) fn present(&self, into: &mut Vec<Present>) -> bool {
        // Acquire: who came before the barrier is seen behind it, but not who has given the lane back since: what that one
        // read happens before it is freed [edge: lane-handover].
        let mut taken = self.taken.load(Ordering::Acquire);
        while taken != 0 {
            let lane = taken.trailing_zeros() as usize;
            taken &= taken - 1;
            // Acquire: what was read by who has gone happens before it is freed [edge: left].
            let now = self.words[lane].0.load(Ordering::Acquire);
            if guards(now) != 0 {
                into.push(Present { lane, turn: turn(now) });
            }
        }
        // Relaxed: who noted it before the barrier is seen behind it.
        self.others.load(Ordering::Relaxed)
    }

    /// Whether who was there has gone at least once since.
    pub(crate) fn has_left(&self, present: &Present) -> bool {
        // Acquire: see `present` [edge: left].
        turn(self.words[present.lane].0.load(Ordering::Acquire)) != present.turn
    }

    /// Takes a lane that no other live thread has, if there is one.
    pub(crate) fn claim(&self) -> Option<usize> {
        // Relaxed: only a guess for the exchange below.
        let mut taken = self.taken.load(Ordering::Relaxed);
        loop {
            let lane = taken.trailing_ones() as usize;
            if lane >= LANES {
                return None;
            }
            // Acquire: the counts and the word of the lane's last owner must be visible before we change them
            // with a plain load and store [edge: lane-handover]. Relaxed on failure: a new guess.
            match self.taken.compare_exchange_weak(
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

    /// Gives the lane of a thread that ends back, or leaves that to its last guard.
    pub(crate) fn quit(&self, lane: usize) {
        let word = &self.words[lane].0;
        // Relaxed: this thread alone writes the word.
        let now = word.load(Ordering::Relaxed);
        if guards(now) == 0 {
            self.release(lane);
        } else {
            // Release: as in `Word::enter` [edge: left].
            word.store(now | u64::from(LEFT), Ordering::Release);
        }
    }

    /// Gives the lane that has this word back.
    pub(crate) fn release_word(&self, word: &Word) {
        if let Some(lane) = self.words.iter().position(|one| std::ptr::eq(one, word)) {
            self.release(lane);
        }
    }

    /// Gives a lane back.
    pub(crate) fn release(&self, lane: usize) {
        // Release: hands our counts and our word to the next owner of the lane [edge: lane-handover].
        self.taken.fetch_and(!(1 << lane), Ordering::Release);
    }
}

impl Word {
    /// Says that its thread reads from now on.
    ///
    /// # Panics
    ///
    /// If the thread has two thousand million guards already.
    #[inline]
    pub(crate) fn enter(&self) {
        // Relaxed: this thread alone writes the word.
        let now = self.0.load(Ordering::Relaxed) + GUARD;
        if guards(now) >= LEFT {
            too_many();
        }
        // Release: who finds this word, and not the one before it, learns of the last leaving, too [edge: left].
        // The barrier orders it before what is read next.
        self.0.store(now, Ordering::Release);
        barrier::light();
    }

    /// Says that a reader has gone. The thread is the one that entered. `true` if its lane is to be released.
    #[inline]
    pub(crate) fn leave(&self) -> bool {
        // Relaxed: this thread alone writes the word. As if it were the last guard: it mostly is.
        let now = self.0.load(Ordering::Relaxed).wrapping_add(TURN - GUARD);
        if guards(now) == 0 {
            // Release: what the thread read happens before it is freed [edge: left].
            self.0.store(now, Ordering::Release);
            return false;
        }
        self.leave_some(now)
    }

    fn leave_some(&self, now: u64) -> bool {
        let is_last = guards(now) == LEFT;
        let now = if is_last { now - u64::from(LEFT) } else { now.wrapping_sub(TURN) };
        // Release: as in `leave`, if it is the last [edge: left].
        self.0.store(now, Ordering::Release);
        is_last
    }
}

/// How many guards there are, and whether their thread has left them.
#[inline]
fn guards(word: u64) -> u32 {
    word as u32
}

/// How often all guards were given back.
#[inline]
fn turn(word: u64) -> u32 {
    (word >> 32) as u32
}

#[cold]
fn too_many() -> ! {
    panic!("a thread holds two thousand million views at once: there must be fewer");
}

#[cfg(test)]
mod tests {
    use super::{AtomicU64, GUARD, LANES, LEFT, Lanes, TURN, Word};

    #[test]
    fn a_lane_comes_back_after_the_last_guard_of_a_thread_that_has_ended() {
        let lanes = Lanes::new();
        for _ in 0..3 {
            let lane = lanes.claim().expect("all are free");
            let word = lanes.word(lane).expect("it has a word");
            (0..3).for_each(|_| word.enter());
            lanes.quit(lane);
            assert_ne!(lanes.claim(), Some(lane), "it is still needed");
            let mut present = Vec::new();
            assert!(!lanes.present(&mut present));
            let [reader] = &present[..] else { panic!("one lane is read in") };
            for is_last in [false, false, true] {
                assert!(!lanes.has_left(reader));
                assert_eq!(word.leave(), is_last);
            }
            assert!(lanes.has_left(reader));
            lanes.release_word(word);
            lanes.release(lane + 1);
        }
    }

    #[test]
    fn all_lanes_are_given_once() {
        let lanes = Lanes::new();
        assert!((0..LANES).all(|lane| lanes.claim() == Some(lane)));
        assert_eq!(lanes.claim(), None);
        assert!(lanes.word(LANES).is_none());
        lanes.quit(7);
        assert_eq!((lanes.claim(), lanes.claim()), (Some(7), None));
    }

    #[test]
    #[should_panic(expected = "two thousand million views")]
    fn guards_do_not_overflow() {
        let word = Word(AtomicU64::new(u64::from(LEFT) - GUARD));
        word.enter();
    }

    #[test]
    fn turns_overflow_into_nothing() {
        let word = Word(AtomicU64::new(u64::from(u32::MAX) * TURN));
        (0..2).for_each(|_| word.enter());
        assert!(!word.leave() && !word.leave());
        assert_eq!(word.0.into_inner(), 0);
    }
}
