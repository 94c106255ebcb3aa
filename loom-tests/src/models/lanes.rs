//! Lanes: their hand-over from thread to thread, and what their words tell who frees.
#![expect(unsafe_code, reason = "loom's cells are how a model shows a race, and give raw pointers")]

use super::rig::search;
use crate::sync::epochs::Epochs;
use crate::sync::grace::{Barriers, LaneGrace};
use crate::sync::lanes::Lanes;
use crate::sync::reclaim;
use crate::sync::{AtomicU64, Ordering, fence};
use loom::cell::UnsafeCell;
use std::sync::Arc;

/// Counters that only the owner of their lane may touch, without an atomic read-modify-write.
struct Counters([UnsafeCell<u32>; 2]);

// SAFETY: a lane has one owner at a time, which is what loom checks here.
unsafe impl Sync for Counters {}

/// Two threads claim, count and leave: who gets a used lane sees its counts, and nobody shares one.
pub fn lanes_are_handed_over() {
    search("lanes_are_handed_over", 3, || {
        let lanes = Arc::new(Lanes::new());
        let counters = Arc::new(Counters([UnsafeCell::new(0), UnsafeCell::new(0)]));
        let threads = [(); 2].map(|()| {
            let (lanes, counters) = (Arc::clone(&lanes), Arc::clone(&counters));
            loom::thread::spawn(move || {
                let lane = lanes.claim().expect("there are more lanes than threads");
                // SAFETY: the lane is ours until it is released.
                counters.0[lane].with_mut(|count| unsafe { *count += 1 });
                lanes.quit(lane);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // SAFETY: all other threads have ended.
        let sum: u32 = counters.0.iter().map(|count| count.with(|count| unsafe { *count })).sum();
        assert_eq!(sum, 2, "no count is lost");
        assert_eq!(lanes.claim(), Some(0), "both lanes came back");
    });
}

const THERE: u64 = 1;
const UNLINKED: u64 = 0;
/// Within the time in which one barrier passes.
const NOW: u64 = 0;

/// Something that is read while it is linked, and overwritten when it is freed.
struct Thing {
    link: AtomicU64,
    contents: UnsafeCell<u32>,
}

// SAFETY: nobody reads what nobody can reach, which is what loom checks here.
unsafe impl Sync for Thing {}

impl Thing {
    fn new() -> Self {
        Self { link: AtomicU64::new(THERE), contents: UnsafeCell::new(7) }
    }

    fn read(&self) {
        // Relaxed: the contents were there before there were threads.
        if self.link.load(Ordering::Relaxed) == THERE {
            // SAFETY: it is linked, and we are pinned.
            self.contents.with(|contents| assert_eq!(unsafe { *contents }, 7));
        }
    }

    fn unlink(&self) {
        // Relaxed: what orders it is what the models are about.
        self.link.store(UNLINKED, Ordering::Relaxed);
    }

    fn free(&self) {
        // SAFETY: unlinked, and nobody is left who reads it.
        self.contents.with_mut(|contents| unsafe { *contents = 0 });
    }
}

struct Ground {
    things: Vec<Thing>,
    lanes: Lanes,
    barriers: Barriers,
}

impl Ground {
    fn new(things: usize) -> Arc<Self> {
        let things = (0..things).map(|_| Thing::new()).collect();
        Arc::new(Self { things, lanes: Lanes::new(), barriers: Barriers::new() })
    }

    /// Reads everything, `times` times, in a lane.
    fn read(&self, times: usize) {
        let lane = self.lanes.claim().expect("there are more lanes than threads");
        let word = self.lanes.word(lane).expect("a lane has a word");
        for _ in 0..times {
            word.enter();
            self.things.iter().for_each(Thing::read);
            assert!(!word.leave(), "the thread still lives");
        }
        self.lanes.quit(lane);
    }

    /// Reads everything as a thread that ends before the last of its two guards does.
    fn read_and_end(&self) {
        let lane = self.lanes.claim().expect("there are more lanes than threads");
        let word = self.lanes.word(lane).expect("a lane has a word");
        word.enter();
        word.enter();
        self.lanes.quit(lane);
        assert!(!word.leave(), "another guard is there");
        self.things.iter().for_each(Thing::read);
        assert!(word.leave(), "it was the last");
        self.lanes.release(lane);
    }

    /// Whether all have gone who could read; `others` says whether some may be without a lane.
    fn is_over(&self, grace: &mut LaneGrace, others: &mut bool) -> bool {
        grace.is_over(&self.lanes, &self.barriers, || NOW, || *others = true)
    }

    /// Unlinks a thing and frees it if all its readers have gone at the second look. Gives what is left to do.
    fn drop_thing(&self, at: usize) -> Option<LaneGrace> {
        let mut grace = LaneGrace::default();
        self.things[at].unlink();
        grace.begin(&self.barriers);
        let mut others = false;
        let over = (0..2).any(|_| self.is_over(&mut grace, &mut others));
        assert!(!others, "all have lanes");
        if over {
            self.things[at].free();
        }
        (!over).then_some(grace)
    }
}

/// What is read in a lane is freed after its reader has gone, and then it is.
pub fn nothing_is_freed_under_a_lane() {
    search("nothing_is_freed_under_a_lane", 3, || {
        let ground = Ground::new(1);
        let (readers, shards) = (Arc::clone(&ground), Arc::clone(&ground));
        let reader = loom::thread::spawn(move || readers.read(2));
        let shard = loom::thread::spawn(move || shards.drop_thing(0));
        reader.join().unwrap();
        if let Some(mut grace) = shard.join().unwrap() {
            assert!(ground.is_over(&mut grace, &mut false), "everybody has gone");
            ground.things[0].free();
        }
    });
}

/// A thread that ends before its guards is waited for until the last of them has gone.
pub fn guards_outlive_their_thread() {
    search("guards_outlive_their_thread", 3, || {
        let ground = Ground::new(1);
        let (readers, shards) = (Arc::clone(&ground), Arc::clone(&ground));
        let reader = loom::thread::spawn(move || readers.read_and_end());
        let shard = loom::thread::spawn(move || shards.drop_thing(0));
        reader.join().unwrap();
        if let Some(mut grace) = shard.join().unwrap() {
            assert!(ground.is_over(&mut grace, &mut false), "everybody has gone");
            ground.things[0].free();
        }
        assert_eq!(ground.lanes.claim(), Some(0), "the lane came back");
    });
}

/// One barrier serves all who had ordered one before it began.
pub fn one_barrier_serves_two() {
    search("one_barrier_serves_two", 4, || {
        let ground = Ground::new(2);
        let readers = Arc::clone(&ground);
        let reader = loom::thread::spawn(move || readers.read(1));
        let shards = [0, 1].map(|at| {
            let ground = Arc::clone(&ground);
            loom::thread::spawn(move || ground.drop_thing(at))
        });
        reader.join().unwrap();
        shards.into_iter().for_each(|shard| {
            shard.join().unwrap();
        });
    });
}

/// A reader without a lane is noticed by whoever frees what he may read, and waited for in the collector.
pub fn a_reader_without_a_lane_is_noticed() {
    search("a_reader_without_a_lane_is_noticed", 3, || {
        let ground = Ground::new(1);
        let (readers, shards) = (Arc::clone(&ground), Arc::clone(&ground));
        let reader = loom::thread::spawn(move || {
            readers.lanes.note_another();
            let _pinned = reclaim::pin_epoch();
            // SeqCst: that of the collector's pin.
            fence(Ordering::SeqCst);
            readers.things[0].read();
        });
        let shard = loom::thread::spawn(move || {
            let (mut grace, mut others, mut epochs) = (LaneGrace::default(), false, Epochs::new());
            shards.things[0].unlink();
            grace.begin(&shards.barriers);
            let over = shards.is_over(&mut grace, &mut others);
            assert!(over, "nobody is in a lane");
            if others {
                epochs.begin();
            }
            let over = (0..2).any(|_| epochs.is_over());
            if over {
                shards.things[0].free();
            }
            (!over).then_some(epochs)
        });
        reader.join().unwrap();
        if let Some(epochs) = shard.join().unwrap() {
            assert!(epochs.is_over(), "everybody has gone");
            ground.things[0].free();
        }
    });
}

/// What the collector answers comes after all that its readers did.
pub fn the_collector_answers_after_its_readers() {
    search("the_collector_answers_after_its_readers", 3, || {
        let ground = Ground::new(1);
        let (readers, shards) = (Arc::clone(&ground), Arc::clone(&ground));
        let reader = loom::thread::spawn(move || {
            let _pinned = reclaim::pin_epoch();
            readers.things[0].read();
        });
        let shard = loom::thread::spawn(move || {
            let mut epochs = Epochs::new();
            assert!(epochs.is_over(), "it was asked nothing");
            shards.things[0].unlink();
            epochs.begin();
            let over = (0..2).any(|_| epochs.is_over());
            if over {
                shards.things[0].free();
            }
            (!over).then_some(epochs)
        });
        reader.join().unwrap();
        if let Some(epochs) = shard.join().unwrap() {
            assert!(epochs.is_over(), "everybody has gone");
            ground.things[0].free();
        }
    });
}
