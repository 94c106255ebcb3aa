//! The hand-over of a counter lane from a thread that ends to one that begins.
#![expect(unsafe_code, reason = "loom's cells are how a model shows a race, and give raw pointers")]

use super::rig::search;
use crate::sync::reclaim::Lanes;
use loom::cell::UnsafeCell;
use std::sync::Arc;

/// Counters that only the owner of their lane may touch, without an atomic read-modify-write.
struct Counters([UnsafeCell<u32>; 2]);

// SAFETY: a lane has one owner at a time, which is what loom checks here.
unsafe impl Sync for Counters {}

/// Two threads claim, count and release: who gets a used lane sees its counts, and nobody shares one.
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
                lanes.release(lane);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // SAFETY: all other threads have ended.
        let sum: u32 = counters.0.iter().map(|count| count.with(|count| unsafe { *count })).sum();
        assert_eq!(sum, 2, "no count is lost");
        assert_eq!(lanes.claim(), Some(0), "both lanes came back");
    });
}
