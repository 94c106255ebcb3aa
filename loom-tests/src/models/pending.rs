//! Submit, read and fold: what a reader of the pending table and the index may see.

use super::rig::{Ledger, Rig, Tracked, audit, get, remove, search, settle, turns};
use crate::shard::entry::Span;
use crate::shard::flight::{Flight, LoadPermit};
use crate::shard::hash::KeyHash;
use crate::shard::worker::Worker;
use crate::sync::reclaim;
use loom::thread::JoinHandle;

const CAPACITY: u64 = 100;

/// A load of `key` that is in flight, claimed before the contenders start.
pub(super) fn claim(rig: &Rig<Tracked>, key: u8) -> (KeyHash, LoadPermit<u8, Tracked>) {
    let (hash, guard) = (rig.hash(&key), reclaim::pin());
    let pinned = guard.pinned();
    let (seen, _) = rig.shard().survey(hash, |k| *k == key, rig.validity(), pinned);
    let draft = Flight::draft((hash.local(), rig.stamp()), Span::Endless, key, &rig.shard().blocks);
    (hash, rig.shard().claim(hash, seen, draft, pinned).ok().expect("nobody else is here yet"))
}

/// A writer sees its own write at once, while the shard folds it.
pub fn read_your_writes() {
    search("read_your_writes", 3, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let books = ledger.clone();
        let writer = rig.spawn(move |rig| {
            rig.cache.insert(1, books.value(10));
            assert_eq!(get(rig, 1), Some(10));
            rig.cache.insert(1, books.value(11));
            assert_eq!(get(rig, 1), Some(11));
        });
        let shard = turns(worker, 1);
        writer.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(get(&rig, 1), Some(11));
    });
}

/// A key that has had a value all the time is never absent, and its versions come in order.
pub fn no_read_goes_back_in_time() {
    search("no_read_goes_back_in_time", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        let books = ledger.clone();
        let writer = rig.spawn(move |rig| rig.cache.insert(1, books.value(11)));
        let reader = rig.spawn(|rig| {
            let first = get(rig, 1).expect("the key has a value all the time");
            let second = get(rig, 1).expect("the key has a value all the time");
            assert!(first <= second, "read {first}, then {second}");
        });
        let shard = turns(worker, 1);
        writer.join().unwrap();
        reader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(get(&rig, 1), Some(11));
    });
}

/// A reader that finds the newest operation of a chain finds the older ones behind it.
pub fn a_chain_is_seen_whole() {
    search("a_chain_is_seen_whole", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        let books = ledger.clone();
        let writer = rig.spawn(move |rig| rig.cache.insert(2, books.value(20)));
        let reader = rig.spawn(|rig| assert_eq!(get(rig, 1), Some(10)));
        writer.join().unwrap();
        reader.join().unwrap();
        audit(&rig, &mut worker, &ledger);
    });
}

/// What is folded is in the index before it is out of the chain.
pub fn published_before_unlinked() {
    search("published_before_unlinked", 3, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        rig.cache.insert(2, ledger.value(20));
        let reader = rig.spawn(|rig| {
            assert_eq!(get(rig, 1), Some(10));
            assert_eq!(get(rig, 2), Some(20));
        });
        let shard = turns(worker, 1);
        reader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
    });
}

/// Of two writes around an unfinished load, which stays in the chain, the older one leaves first.
pub fn unlinked_oldest_first() {
    search("unlinked_oldest_first", 3, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        let (hash, permit) = claim(&rig, 2);
        rig.cache.insert(1, ledger.value(11));
        let reader = rig.spawn(|rig| {
            assert_eq!(get(rig, 1), Some(11));
            assert_eq!(get(rig, 1), Some(11));
        });
        let shard = turns(worker, 1);
        reader.join().unwrap();
        let mut worker = shard.join().unwrap();
        rig.shard().settle(hash, permit, Some((ledger.value(20), rig.forever())));
        audit(&rig, &mut worker, &ledger);
        assert_eq!(get(&rig, 2), Some(20));
    });
}

/// Who saw the key absent and claims its load must lose if it was written, folded and unlinked since:
/// the written value stays.
pub fn stale_claim_loses() {
    search("stale_claim_loses", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        claim_against_write(&rig, turns(worker, 1), &ledger);
    });
}

/// The same in a slot that holds another key's unfinished load, which a fold leaves behind.
pub fn stale_claim_loses_beside_a_load() {
    search("stale_claim_loses_beside_a_load", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let (hash, permit) = claim(&rig, 2);
        let mut worker = claim_against_write(&rig, turns(worker, 1), &ledger);
        rig.shard().settle(hash, permit, None);
        audit(&rig, &mut worker, &ledger);
    });
}

fn claim_against_write(
    rig: &Rig<Tracked>,
    shard: JoinHandle<Worker<u8, Tracked>>,
    ledger: &Ledger,
) -> Worker<u8, Tracked> {
    let books = ledger.clone();
    let writer = rig.spawn(move |rig| rig.cache.insert(1, books.value(10)));
    let books = ledger.clone();
    let loader = rig.spawn(move |rig| {
        let seen = rig.cache.get_or_load(&1, || books.value(99)).number();
        assert!(seen == 10 || seen == 99);
    });
    writer.join().unwrap();
    loader.join().unwrap();
    let mut worker = shard.join().unwrap();
    settle(&mut worker, 3);
    assert_eq!(get(rig, 1), Some(10), "the write came after the load began, or was seen");
    worker
}

/// A mark brings the shard to an operation, whoever set the bit first: two writers, one fold that
/// runs against both, and one after them.
pub fn no_mark_is_lost() {
    search("no_mark_is_lost", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let writers = [1_u8, 2].map(|key| {
            let books = ledger.clone();
            rig.spawn(move |rig| rig.cache.insert(key, books.value(key.into())))
        });
        let shard = turns(worker, 1);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(rig.cache.len(), 2, "both were folded");
    });
}

/// After a removal returned, nobody sees the key; two reads do not bring it back.
pub fn removed_is_removed() {
    search("removed_is_removed", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        let remover = rig.spawn(|rig| {
            assert_eq!(remove(rig, 1), Some(10));
            assert_eq!(get(rig, 1), None);
        });
        let reader = rig.spawn(|rig| {
            if get(rig, 1).is_none() {
                assert_eq!(get(rig, 1), None, "the key came back");
            }
        });
        let shard = turns(worker, 1);
        remover.join().unwrap();
        reader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(rig.cache.len(), 0);
    });
}
