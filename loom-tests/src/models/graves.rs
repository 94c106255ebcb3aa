//! What left is freed after its last reader, by the shard, once.

use super::rig::{Ledger, Rig, audit, get, search, settle};

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

/// Two readers hold two batches; whichever goes last, both batches are freed.
pub fn acknowledged_in_any_order() {
    search("acknowledged_in_any_order", 4, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        settle(&mut worker, 1);
        let readers = [(); 2].map(|()| {
            rig.spawn(|rig| {
                get(rig, 1);
            })
        });
        let books = ledger.clone();
        let shard = rig.spawn(move |rig| {
            for number in [11, 12] {
                rig.cache.insert(1, books.value(number));
                settle(&mut worker, 1);
            }
            worker
        });
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        audit(&rig, &mut shard.join().unwrap(), &ledger);
    });
}
