//! The read index against its readers: publish, replace, remove, come home, grow, shrink.

use super::rig::{Key, Ledger, Rig, Tracked, audit, get, remove, search, settle, turns};
use crate::shard::hash::home;
use crate::sync::reclaim::{self, Pinned};

const CAPACITY: u64 = 100;

/// Reads key 1 under a pin that was made before, so that nothing but the read itself orders it.
fn read(rig: &Rig<Tracked, Key>, pinned: Pinned<'_>) -> Option<u32> {
    let key = Key::new(1);
    let found = rig.shard().find(rig.hash(&key), |k| *k == key, rig.validity(), pinned);
    found.unwrap_or(None).map(|live| live.value().number())
}

/// A key that is written again while it is read has one of its values, whole, and never none.
pub fn replaced_in_place() {
    search("replaced_in_place", 4, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(Key::new(1), ledger.value(10));
        settle(&mut worker, 1);
        let guard = reclaim::pin();
        let reader = rig.spawn(move |rig| {
            let first = read(rig, guard.pinned()).expect("the key has a value all the time");
            let second = read(rig, guard.pinned()).expect("the key has a value all the time");
            assert!(first <= second, "read {first}, then {second}");
        });
        let books = ledger.clone();
        let writer = rig.spawn(move |rig| rig.cache.insert(Key::new(1), books.value(11)));
        let shard = turns(worker, 1);
        writer.join().unwrap();
        reader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
    });
}

/// Who finds a key in the index finds key and value complete.
pub fn published_whole() {
    search("published_whole", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let guard = reclaim::pin();
        let reader = rig.spawn(move |rig| {
            assert!(read(rig, guard.pinned()).is_none_or(|number| number == 10));
        });
        let books = ledger.clone();
        let writer = rig.spawn(move |rig| rig.cache.insert(Key::new(1), books.value(10)));
        let shard = turns(worker, 1);
        writer.join().unwrap();
        reader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
    });
}

/// A removal takes out its key and no other, for a reader in the middle of the bucket too.
pub fn withdrawn_alone() {
    search("withdrawn_alone", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(1, ledger.value(10));
        rig.cache.insert(2, ledger.value(20));
        settle(&mut worker, 1);
        let reader = rig.spawn(|rig| {
            assert_eq!(get(rig, 2), Some(20));
            if get(rig, 1).is_none() {
                assert_eq!(get(rig, 1), None, "the key came back");
            }
        });
        let shard = rig.spawn(move |rig| {
            assert_eq!(remove(rig, 1), Some(10));
            settle(&mut worker, 2);
            worker
        });
        reader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(rig.cache.len(), 1);
    });
}

/// Who comes home behind the back of a reader is found all the same.
pub fn home_behind_a_reader() {
    come_nearer("home_behind_a_reader", 1, 1);
}

/// So is who only comes nearer.
pub fn nearer_behind_a_reader() {
    come_nearer("nearer_behind_a_reader", 2, 1);
}

/// And who comes nearer and then home.
pub fn nearer_and_home_behind_a_reader() {
    come_nearer("nearer_and_home_behind_a_reader", 2, 2);
}

/// An entry is `away` buckets from its home, which is the first of four, and comes nearer by one bucket, `steps` times.
fn come_nearer(name: &'static str, away: usize, steps: usize) {
    search(name, 3, move || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let of = |bucket, most| {
            let is_home = |key: &u8| home(rig.hash(key).local(), 4) == bucket;
            (0..=u8::MAX).filter(is_home).take(most).collect::<Vec<_>>()
        };
        let last = of(0, 8)[7];
        // Seven are at home in each bucket before him, and as many others elsewhere as the table needs for its size.
        let before: Vec<_> = (0..away).flat_map(|bucket| of(bucket, 7)).collect();
        let others = of(3, 14 - before.len());
        for &key in before.iter().chain(&others).chain([&last]) {
            rig.cache.insert(key, ledger.value(key.into()));
            settle(&mut worker, 1);
        }
        // Who makes room for him, step by step; the first before the search, which is for where he goes.
        let leaving: Vec<_> = (away - steps..away).rev().map(|bucket| before[7 * bucket]).collect();
        let leave = |rig: &Rig<Tracked>, key: u8| assert_eq!(remove(rig, key), Some(key.into()));
        leave(&rig, leaving[0]);
        let reader = rig.spawn(move |rig| assert_eq!(get(rig, last), Some(last.into())));
        let shard = rig.spawn(move |rig| {
            settle(&mut worker, 1);
            for &key in &leaving[1..] {
                leave(rig, key);
                settle(&mut worker, 1);
            }
            worker
        });
        reader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(get(&rig, last), Some(last.into()));
        assert_eq!(rig.cache.len(), 15 - steps as u64);
    });
}

/// A table that is outgrown hides nobody while it is exchanged, and is freed after its last reader.
pub fn grown_under_a_reader() {
    search("grown_under_a_reader", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        for key in 0..5 {
            rig.cache.insert(key, ledger.value(key.into()));
            settle(&mut worker, 1);
        }
        rig.cache.insert(5, ledger.value(5));
        let reader = rig.spawn(|rig| {
            assert_eq!(get(rig, 1), Some(1));
            assert_eq!(get(rig, 5), Some(5));
        });
        let shard = turns(worker, 2);
        reader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(rig.cache.len(), 6);
    });
}

/// A table that has become too large hides nobody either, nor what is written while some of it is in the smaller one.
pub fn shrunk_under_a_reader() {
    search("shrunk_under_a_reader", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        for key in 0..6 {
            rig.cache.insert(key, ledger.value(key.into()));
            settle(&mut worker, 1);
        }
        // With three of fourteen cells in use the table begins to shrink.
        for key in [0, 5, 3] {
            assert_eq!(remove(&rig, key), Some(key.into()));
            settle(&mut worker, 1);
        }
        rig.cache.insert(1, ledger.value(10));
        rig.cache.insert(2, ledger.value(20));
        settle(&mut worker, 1);
        let reader = rig.spawn(|rig| {
            assert_eq!(get(rig, 1), Some(10));
            assert_eq!(get(rig, 2), Some(20));
        });
        let shard = rig.spawn(move |rig| {
            assert_eq!(remove(rig, 4), Some(4));
            settle(&mut worker, 2);
            worker
        });
        reader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!([get(&rig, 1), get(&rig, 2), get(&rig, 4)], [Some(10), Some(20), None]);
        assert_eq!(rig.cache.len(), 2);
    });
}
