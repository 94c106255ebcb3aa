//! Reclamation: pins that keep what a reader may see from being freed, and who waits for them.
//!
//! A thread takes a lane when it reads for the first time. To be pinned is to say so in the lane's word, which costs a
//! store: who frees brings the barrier ([`barrier`](super::barrier), [`grace`](super::grace)). A thread that
//! finds no lane, and every thread where the system has no such barrier, is pinned in crossbeam-epoch's
//! collector, which costs a locked instruction; so is who follows notes of waits. The collector is this library's own,
//! never crossbeam's default one: a guard that stalls in some other crate must not hold our garbage, and our
//! readers must not run other crates' destructors. Layer: base.

pub(crate) use super::lanes::LANES;
pub(crate) use imp::{Grace, enter, pin, pin_epoch, tidy};
use std::marker::PhantomData;

/// The lane of threads that came when all others were taken: shared, so it counts with `fetch_add`.
pub(crate) const SHARED_LANE: usize = LANES;

/// A pinned thread: nothing that was reachable when it was made is freed while it lives. Not `Send`.
pub(crate) struct Guard {
    lane: usize,
    _kept: imp::Kept,
    not_send: PhantomData<*mut ()>,
}

impl Guard {
    #[inline]
    pub(crate) fn pinned(&self) -> Pinned<'_> {
        Pinned { lane: self.lane, guard: PhantomData }
    }
}

/// That a thread is pinned, while its guard lives: what who looks at shared memory asks for. Not a reference to the guard,
/// which would have to be in memory for that.
#[derive(Clone, Copy)]
pub(crate) struct Pinned<'g> {
    lane: usize,
    guard: PhantomData<&'g Guard>,
}

impl Pinned<'_> {
    /// The counter lane of the pinned thread.
    #[inline]
    pub(crate) fn lane(self) -> usize {
        self.lane
    }
}

/// What `f` finds while the current thread is pinned.
#[inline(always)]
pub(crate) fn pinned<R>(f: impl FnOnce(Pinned<'_>) -> R) -> R {
    let guard = pin();
    f(guard.pinned())
}

/// A thread pinned in the collector itself: what is deferred there after it was made waits for it.
pub(crate) struct Epoch(Inner);

#[cfg(not(any(cache_loom, cache_shuttle)))]
type Inner = crossbeam_epoch::Guard;
#[cfg(any(cache_loom, cache_shuttle))]
type Inner = super::oracle::Pinned;

impl Epoch {
    /// Calls `f` on some thread once all that are pinned in the collector now have gone.
    pub(crate) fn defer(&self, f: impl FnOnce() + Send + 'static) {
        self.0.defer(f);
    }

    /// Hands this thread's deferred calls to the collector and runs some that are due.
    pub(crate) fn flush(&self) {
        self.0.flush();
    }
}

#[cfg(not(any(cache_loom, cache_shuttle)))]
mod imp {
    use super::super::barrier;
    use super::super::epochs::Epochs;
    use super::super::grace::{Barriers, LaneGrace};
    use super::super::lanes::{Lanes, Word};
    use super::{Epoch, Guard, Pinned, SHARED_LANE};
    use crossbeam_epoch::{Collector, LocalHandle};
    use std::cell::{Cell, OnceCell};
    use std::marker::PhantomData;
    use std::sync::{LazyLock, OnceLock};
    use std::time::Instant;

    static READERS: Lanes = Lanes::new();
    static BARRIERS: Barriers = Barriers::new();
    static COLLECTOR: OnceLock<Collector> = OnceLock::new();
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    thread_local! {
        static PARTICIPANT: Participant = Participant::new();
        /// The participant's lane and its word, if that says by itself that the thread is pinned. Apart, so that who reads
        /// need not ask whether there is a participant.
        static OWN: Cell<Option<(usize, &'static Word)>> = const { Cell::new(None) };
        static IN_EPOCHS: OnceCell<LocalHandle> = const { OnceCell::new() };
    }

    /// That a thread is pinned, in the word of its lane.
    pub(crate) struct Reader {
        lane: usize,
        word: &'static Word,
        not_send: PhantomData<*mut ()>,
    }

    /// Where it is said that a thread is pinned: in the word of its lane, or in the collector and in the word of its
    /// lane if it has one, which keeps that from being given back. Not an enumeration: a guard would move it in
    /// one piece, which the processor cannot read before both stores that wrote it are done.
    pub(super) struct Kept {
        _reader: Option<Reader>,
        epoch: Option<Epoch>,
    }

    /// Where the thread counts: its lane, or that of all who have none.
    struct Participant(usize);

    impl Participant {
        fn new() -> Self {
            let lane = READERS.claim().unwrap_or(SHARED_LANE);
            OWN.set(READERS.word(lane).filter(|_| barrier::is_there()).map(|word| (lane, word)));
            Self(lane)
        }
    }

    impl Drop for Participant {
        fn drop(&mut self) {
            OWN.set(None);
            if self.0 != SHARED_LANE {
                READERS.quit(self.0);
            }
        }
    }

    impl Reader {
        #[inline]
        pub(crate) fn pinned(&self) -> Pinned<'_> {
            Pinned { lane: self.lane, guard: PhantomData }
        }

        #[inline]
        fn enter(lane: usize, word: &'static Word) -> Self {
            word.enter();
            Self { lane, word, not_send: PhantomData }
        }
    }

    impl Drop for Reader {
        #[inline]
        fn drop(&mut self) {
            if self.word.leave() {
                release(self.word);
            }
        }
    }

    impl Drop for Kept {
        #[inline]
        fn drop(&mut self) {
            if let Some(epoch) = self.epoch.take() {
                unpin(epoch);
            }
        }
    }

    /// Gives back the lane of a thread that has ended. Apart, as the next, so that what is left of a guard's drop is small
    /// enough to become part of every look-up.
    #[cold]
    fn release(word: &Word) {
        READERS.release_word(word);
    }

    #[cold]
    fn unpin(epoch: Epoch) {
        drop(epoch);
    }

    /// Pins the current thread. Costs two stores on memory of its own; without a lane, or where the system lacks the
    /// barrier, an atomic read-modify-write.
    #[inline]
    pub(crate) fn pin() -> Guard {
        match enter() {
            Some(reader) => Guard::new(reader.lane, Some(reader), None),
            None => pin_slowly(),
        }
    }

    /// Pins the current thread, if that costs two stores only.
    #[inline(always)]
    pub(crate) fn enter() -> Option<Reader> {
        let (lane, word) = OWN.get()?;
        Some(Reader::enter(lane, word))
    }

    /// As [`pin`], for the first time in a thread, without a lane, or with a fence.
    #[cold]
    fn pin_slowly() -> Guard {
        // A thread that is being torn down has lost its participant but may still use a cache from the destructor of
        // another thread-local.
        let lane = PARTICIPANT.try_with(|own| own.0).unwrap_or(SHARED_LANE);
        if let Some(reader) = enter() {
            return Guard::new(lane, Some(reader), None);
        }
        READERS.note_another();
        let reader = READERS.word(lane).map(|word| Reader::enter(lane, word));
        Guard::new(lane, reader, Some(pin_epoch()))
    }

    impl Guard {
        #[inline]
        fn new(lane: usize, reader: Option<Reader>, epoch: Option<Epoch>) -> Self {
            Self { lane, _kept: Kept { _reader: reader, epoch }, not_send: PhantomData }
        }
    }

    /// Pins the current thread in the collector. Costs an atomic read-modify-write if it was not pinned there; if it was,
    /// it stays so from before and orders nothing anew: so nobody who holds one of these calls `pin`.
    pub(crate) fn pin_epoch() -> Epoch {
        let registered = IN_EPOCHS.try_with(|one| one.get_or_init(|| collector().register()).pin());
        Epoch(registered.unwrap_or_else(|_| collector().register().pin()))
    }

    fn collector() -> &'static Collector {
        COLLECTOR.get_or_init(Collector::new)
    }

    /// Frees some of what the collector itself still has of calls that were made: it does so when somebody comes by, and
    /// who sleeps does not.
    pub(crate) fn tidy() {
        if COLLECTOR.get().is_some() {
            pin_epoch().flush();
        }
    }

    /// Waits for everybody who was pinned when it began.
    pub(crate) struct Grace {
        lanes: LaneGrace,
        epochs: Epochs,
    }

    impl Grace {
        pub(crate) fn new() -> Self {
            // Now, and not when the first reader comes: a process of many threads may take milliseconds to enrol.
            barrier::is_there();
            Self { lanes: LaneGrace::default(), epochs: Epochs::new() }
        }

        /// Begins anew, for what can be reached by no new reader. What it waited for before is over.
        pub(crate) fn begin(&mut self) {
            if barrier::is_there() {
                self.lanes.begin(&BARRIERS);
            } else {
                self.epochs.begin();
            }
        }

        /// Whether they have gone. A call in a millisecond may pass the barrier for all who wait in the process. If the
        /// system refuses that, nobody has gone before it permits it again.
        pub(crate) fn is_over(&mut self) -> bool {
            let Self { lanes, epochs } = self;
            let now = || START.elapsed().as_micros() as u64;
            lanes.is_over(&READERS, &BARRIERS, now, || epochs.begin()) && epochs.is_over()
        }
    }
}

#[cfg(any(cache_loom, cache_shuttle))]
mod imp {
    use super::{Epoch, Guard, SHARED_LANE};
    use crate::sync::oracle;
    use std::marker::PhantomData;

    #[cfg(crossbeam_loom)]
    pub(crate) use crate::sync::epochs::Epochs as Grace;
    #[cfg(not(crossbeam_loom))]
    pub(crate) use crate::sync::oracle::Grace;

    pub(super) type Kept = Epoch;

    pub(crate) fn pin() -> Guard {
        Guard { lane: SHARED_LANE, _kept: pin_epoch(), not_send: PhantomData }
    }

    pub(crate) fn enter() -> Option<Guard> {
        Some(pin())
    }

    pub(crate) fn pin_epoch() -> Epoch {
        Epoch(oracle::Pinned::new())
    }

    pub(crate) fn tidy() {}
}
