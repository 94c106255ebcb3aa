//! Who retires an entry: the remover who took it, or the shard that did, and never both.

use super::rig::{Ledger, Rig, audit, remove, search, settle, turns};

/// Two removers of one key, while the shard folds: one gets the value.
pub fn one_remover_wins() {
    search("one_remover_wins", 4, || {
        let (rig, worker) = Rig::new(100);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        let removers = [(); 2].map(|()| rig.spawn(|rig| remove(rig, 1)));
        let shard = turns(worker, 1);
        let taken = removers.map(|remover| remover.join().unwrap());
        assert!(taken == [Some(10), None] || taken == [None, Some(10)], "{taken:?}");
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(rig.cache.len(), 0);
    });
}

/// A removal against a write of the same key and its fold: the removed one of the two is gone, the
/// other is there, and each is dropped once.
pub fn removal_against_replacement() {
    search("removal_against_replacement", 3, || {
        let (rig, mut worker) = Rig::new(100);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        settle(&mut worker, 1);
        let remover =
            rig.spawn(|rig| remove(rig, 1).expect("the key has a value until it is removed"));
        let books = ledger.clone();
        let shard = rig.spawn(move |rig| {
            rig.cache.insert(1, books.value(11));
            settle(&mut worker, 1);
            worker
        });
        let taken = remover.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(super::rig::get(&rig, 1), (taken == 10).then_some(11));
    });
}

/// A removal against an eviction of the same entry.
pub fn removal_against_eviction() {
    search("removal_against_eviction", 3, || {
        let (rig, mut worker) = Rig::new(1);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        settle(&mut worker, 1);
        rig.cache.insert(2, ledger.value(20));
        let remover = rig.spawn(|rig| remove(rig, 1));
        let shard = turns(worker, 1);
        let taken = remover.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        let stats = rig.cache.stats();
        let removed = u64::from(taken.is_some());
        assert_eq!((stats.invalidations(), stats.evictions()), (removed, 1 - removed));
        assert_eq!(stats.len(), 1);
    });
}
