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

/// Two shards are over together by less than an entry and evict at the same time: one of them does.
pub fn what_is_over_is_evicted_once() {
    search("what_is_over_is_evicted_once", 3, || {
        let capacity = Arc::new(Capacity::new(5, 2));
        let evicts_one = |mut weight| {
            let mut budget = Budget::new(Arc::clone(&capacity));
            move || {
                budget.book(weight);
                let evicts = budget.claim(2);
                weight -= if evicts { 2 } else { 0 };
                budget.book(weight);
                evicts
            }
        };
        let one = loom::thread::spawn(evicts_one(4));
        let other = loom::thread::spawn(evicts_one(2));
        assert!(one.join().unwrap() ^ other.join().unwrap(), "one of them");
        assert_eq!(Budget::new(capacity).book(0), Bound::Holds);
    });
}
