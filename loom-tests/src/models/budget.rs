//! The room that one shard makes for another, what comes with it, and who makes it.
#![expect(unsafe_code, reason = "loom's cells are how a model shows a race, and give raw pointers")]

use super::rig::search;
use crate::shard::budget::{Bound, Budget, Capacity};
use loom::cell::UnsafeCell;
use std::sync::Arc;

/// What a shard publishes before it gives room back.
struct Counts(UnsafeCell<u32>);

// SAFETY: whoever sees the room reads, after its maker has written, which is what loom checks here.
unsafe impl Sync for Counts {}

/// A shard accounts for what it evicted and gives the room back; who sees the room sees the account.
pub fn room_comes_with_its_account() {
    search("room_comes_with_its_account", 3, || {
        let capacity = Arc::new(Capacity::new(1, 2));
        let counts = Arc::new(Counts(UnsafeCell::new(0)));
        let mut full = Budget::new(Arc::clone(&capacity));
        assert_eq!(full.book(2), Bound::Broken, "one too many");
        let account = Arc::clone(&counts);
        let payer = loom::thread::spawn(move || {
            // SAFETY: nobody reads before there is room.
            account.0.with_mut(|count| unsafe { *count = 1 });
            assert_eq!(full.book(1), Bound::Holds);
        });
        let watcher = loom::thread::spawn(move || {
            if Budget::new(capacity).book(0) == Bound::Holds {
                // SAFETY: there is room, so its maker has written.
                assert_eq!(counts.0.with(|count| unsafe { *count }), 1);
            }
        });
        payer.join().unwrap();
        watcher.join().unwrap();
    });
}

/// Two shards are over together and evict at the same time: as much as they must, and no more.
pub fn what_is_over_is_evicted_once() {
    search("what_is_over_is_evicted_once", 3, || {
        let capacity = Arc::new(Capacity::new(4, 2));
        let shard = || {
            let mut budget = Budget::new(Arc::clone(&capacity));
            move |weight| {
                budget.book(weight);
                let evicted = budget.claim(weight - 1);
                budget.book(weight - evicted);
                evicted
            }
        };
        let (mut one, mut other) = (shard(), shard());
        let one = loom::thread::spawn(move || one(2));
        let other = loom::thread::spawn(move || other(3));
        let evicted = one.join().unwrap() + other.join().unwrap();
        assert_eq!((evicted, Budget::new(capacity).book(0)), (1, Bound::Holds));
    });
}
