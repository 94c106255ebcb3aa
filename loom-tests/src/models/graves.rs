//! What left is freed after its last reader, by the shard, once.

use super::rig::{Ledger, Rig, audit, get, search, settle};
use crate::sync::reclaim;

const CAPACITY: u64 = 100;

/// A replaced value that somebody reads is not dropped under him, and is dropped afterwards.
pub fn nothing_is_freed_under_a_reader() {
    search("nothing_is_freed_under_a_reader", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        settle(&mut worker, 1);
        let reader = rig.spawn(|rig| {
            assert!(get(rig, 1).is_none_or(|number| number == 10 || number == 11));
        });
        let books = ledger.clone();
        let shard = rig.spawn(move |rig| {
            rig.cache.insert(1, books.value(11));
            settle(&mut worker, 2);
            worker
        });
        reader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
    });
}

/// What is retired while a batch waits for one reader is not freed with it under another, who came later.
pub fn batches_follow_each_other() {
    search("batches_follow_each_other", 2, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        settle(&mut worker, 1);
        let pinned = reclaim::pin();
        rig.cache.insert(1, ledger.value(11));
        settle(&mut worker, 1);
        let reader = rig.spawn(|rig| {
            assert!(get(rig, 1).is_some_and(|number| number == 11 || number == 12));
        });
        rig.cache.insert(1, ledger.value(12));
        settle(&mut worker, 1);
        drop(pinned);
        settle(&mut worker, 2);
        reader.join().unwrap();
        audit(&rig, &mut worker, &ledger);
    });
}
