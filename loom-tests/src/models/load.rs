//! Loads in flight: one loader at a time, no waiter lost, no stale value stored.

use super::rig::{
    Ledger, Load, Rig, Tracked, audit, begun, get, later, poll, remove, search, settle, turns,
};
use crate::shard::pending::DEPTH_LIMIT;
use crate::sync::tally::Ordering;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::Poll;

const CAPACITY: u64 = 100;

/// Begins a load of `key` that will bring `number`.
fn begin(rig: &Rig<Tracked>, key: u8, number: u32, ledger: &Ledger) -> Load {
    let (cache, books) = (rig.cache.clone(), ledger.clone());
    begun(async move {
        cache.get_or_load_async(&key, later(move || books.value(number))).await.number()
    })
}

/// As [`begin`], but its loader blocks for `other` before it is done.
fn begin_for(rig: &Rig<Tracked>, key: u8, other: u8, alone: &Alone, ledger: &Ledger) -> Load {
    let (cache, books, alone) = (rig.cache.clone(), ledger.clone(), Arc::clone(alone));
    let inner = rig.cache.clone();
    begun(async move {
        let loader = later(move || {
            let value = inner.get_or_load(&other, || {
                alone.fetch_add(1, Ordering::Relaxed);
                books.value(50)
            });
            books.value(value.number() + 1)
        });
        cache.get_or_load_async(&key, loader).await.number()
    })
}

/// Loaders that ran because they must not wait.
type Alone = Arc<AtomicU32>;

/// Waits for a load of `key` that has been begun.
fn join(rig: &Rig<Tracked>, key: u8) -> Load {
    let cache = rig.cache.clone();
    begun(async move {
        cache.get_or_load_async(&key, async { unreachable!("not abandoned") }).await.number()
    })
}

/// Lets a load end with its value, on a thread of its own.
fn end(rig: &Rig<Tracked>, mut load: Load) -> loom::thread::JoinHandle<()> {
    rig.spawn(move |_| assert!(poll(&mut load).is_ready()))
}

/// Two callers that miss at once, while the shard folds: one loads, both have the value.
pub fn one_loader_at_a_time() {
    search("one_loader_at_a_time", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let loads = Arc::new(AtomicU32::new(0));
        let callers = [(); 2].map(|()| {
            let (books, loads) = (ledger.clone(), Arc::clone(&loads));
            rig.spawn(move |rig| {
                let loader = || {
                    loads.fetch_add(1, Ordering::Relaxed);
                    books.value(99)
                };
                assert_eq!(rig.cache.get_or_load(&1, loader).number(), 99);
            })
        });
        let shard = turns(worker, 1);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(loads.load(Ordering::Relaxed), 1, "the value was loaded once");
        assert_eq!(get(&rig, 1), Some(99));
    });
}

/// A waiter that joins as the load ends hears of it or sees its value.
pub fn no_waiter_is_lost() {
    search("no_waiter_is_lost", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let load = begin(&rig, 1, 99, &ledger);
        let leader = end(&rig, load);
        let waiter = rig.spawn(|rig| {
            let value = rig.cache.get_or_load(&1, || unreachable!("the load is not abandoned"));
            assert_eq!(value.number(), 99);
        });
        leader.join().unwrap();
        waiter.join().unwrap();
        audit(&rig, &mut worker, &ledger);
    });
}

/// A reader that sees a load done sees its value.
pub fn a_load_is_seen_whole() {
    search("a_load_is_seen_whole", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let leader = end(&rig, begin(&rig, 1, 99, &ledger));
        let reader = rig.spawn(|rig| assert!(get(rig, 1).is_none_or(|number| number == 99)));
        leader.join().unwrap();
        reader.join().unwrap();
        audit(&rig, &mut worker, &ledger);
    });
}

/// A leader that is cancelled: its waiter leads in its place.
pub fn an_abandoned_load_is_taken_over() {
    search("an_abandoned_load_is_taken_over", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let load = begin(&rig, 1, 99, &ledger);
        let leader = rig.spawn(move |_| drop(load));
        let books = ledger.clone();
        let waiter = rig.spawn(move |rig| {
            assert_eq!(rig.cache.get_or_load(&1, || books.value(98)).number(), 98);
        });
        let shard = turns(worker, 1);
        leader.join().unwrap();
        waiter.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(get(&rig, 1), Some(98));
    });
}

/// A leader that is cancelled while two wait: one of them leads, the other hears of it.
pub fn one_waiter_takes_over() {
    search("one_waiter_takes_over", 4, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let loads = Arc::new(AtomicU32::new(0));
        let load = begin(&rig, 1, 99, &ledger);
        let leader = rig.spawn(move |_| drop(load));
        let waiters = [(); 2].map(|()| {
            let (books, loads) = (ledger.clone(), Arc::clone(&loads));
            rig.spawn(move |rig| {
                let loader = || {
                    loads.fetch_add(1, Ordering::Relaxed);
                    books.value(98)
                };
                assert_eq!(rig.cache.get_or_load(&1, loader).number(), 98);
            })
        });
        leader.join().unwrap();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        audit(&rig, &mut worker, &ledger);
        assert_eq!(loads.load(Ordering::Relaxed), 1, "one of the two loaded");
    });
}

/// A waiter that is cancelled as the load ends: its channel is freed, the value is stored.
pub fn a_waiter_may_go() {
    search("a_waiter_may_go", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let leader = end(&rig, begin(&rig, 1, 99, &ledger));
        let waiter = rig.spawn(|rig| {
            let cache = rig.cache.clone();
            let mut wait: Load = Box::pin(async move {
                cache.get_or_load_async(&1, async { unreachable!("not abandoned") }).await.number()
            });
            if let Poll::Ready(number) = poll(&mut wait) {
                assert_eq!(number, 99);
            }
        });
        leader.join().unwrap();
        waiter.join().unwrap();
        audit(&rig, &mut worker, &ledger);
        assert_eq!(get(&rig, 1), Some(99));
    });
}

/// A write that was issued after a load began stays, whenever the load ends.
pub fn a_write_beats_a_load() {
    search("a_write_beats_a_load", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let leader = end(&rig, begin(&rig, 1, 99, &ledger));
        let books = ledger.clone();
        let writer = rig.spawn(move |rig| {
            rig.cache.insert(1, books.value(10));
            assert_eq!(get(rig, 1), Some(10));
        });
        let shard = turns(worker, 1);
        leader.join().unwrap();
        writer.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(get(&rig, 1), Some(10));
    });
}

/// A removal that was issued after a load began leaves nothing, whenever the load ends.
pub fn a_removal_beats_a_load() {
    search("a_removal_beats_a_load", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let leader = end(&rig, begin(&rig, 1, 99, &ledger));
        let remover = rig.spawn(|rig| {
            assert!(remove(rig, 1).is_none_or(|number| number == 99));
            assert_eq!(get(rig, 1), None);
        });
        let shard = turns(worker, 1);
        leader.join().unwrap();
        remover.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(get(&rig, 1), None);
    });
}

/// A removal and the fold of a newer write both supersede a load: whoever is first, the load is its
/// leader's until that ends it, and its waiter hears of the end and of nothing before.
pub fn a_superseded_load_stays_its_leaders() {
    search("a_superseded_load_stays_its_leaders", 4, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        // Not dropped if what follows fails: a leader does not survive the loss of its load.
        let mut load = ManuallyDrop::new(begin(&rig, 1, 99, &ledger));
        let mut waiter = join(&rig, 1);
        let remover = rig.spawn(|rig| remove(rig, 1));
        let books = ledger.clone();
        let shard = rig.spawn(move |rig| {
            rig.cache.insert(1, books.value(10));
            // One turn to fold and one to free what that retired.
            settle(&mut worker, 2);
            worker
        });
        // The last to be spawned: so the search does not need all its preemptions to keep it back.
        let leader = rig.spawn(move |_| {
            assert!(poll(&mut waiter).is_pending(), "nobody but the leader ends the load");
            assert_eq!(poll(&mut load), Poll::Ready(99));
            assert_eq!(poll(&mut waiter), Poll::Ready(99));
            drop(ManuallyDrop::into_inner(load));
        });
        let removed = remover.join().unwrap();
        let mut worker = shard.join().unwrap();
        leader.join().unwrap();
        audit(&rig, &mut worker, &ledger);
        assert_eq!(get(&rig, 1), (removed != Some(10)).then_some(10));
    });
}

/// A clear empties the cache for who issued it, and neither a load that began before it nor what was
/// folded before it comes back. Its reply counts what it removed.
pub fn a_clear_beats_a_load() {
    search("a_clear_beats_a_load", 4, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        rig.cache.insert(2, ledger.value(20));
        settle(&mut worker, 1);
        let leader = end(&rig, begin(&rig, 1, 99, &ledger));
        let clearer = rig.spawn(|rig| {
            let reply = rig.cache.clear();
            assert_eq!((get(rig, 1), get(rig, 2)), (None, None));
            reply
        });
        let shard = turns(worker, 1);
        leader.join().unwrap();
        let reply = clearer.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!((get(&rig, 1), get(&rig, 2)), (None, None));
        assert!(matches!(reply.wait(), Ok(1 | 2)), "the resident and perhaps the loaded value");
        assert_eq!(rig.cache.len(), 0);
    });
}

/// A write that was issued before a clear and comes after a newer one does not hide it.
pub fn a_late_write_hides_nothing() {
    search("a_late_write_hides_nothing", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let books = ledger.clone();
        let late = rig.spawn(move |rig| rig.cache.insert(1, books.value(10)));
        let books = ledger.clone();
        let clearer = rig.spawn(move |rig| {
            let reply = rig.cache.clear();
            rig.cache.insert(1, books.value(11));
            assert!(get(rig, 1).is_some(), "the key was written after the clear");
            reply
        });
        let shard = turns(worker, 1);
        late.join().unwrap();
        let reply = clearer.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert!(get(&rig, 1).is_some(), "the key was written after the clear");
        assert!(matches!(reply.wait(), Ok(0 | 1)));
    });
}

/// Two loads, each of which blocks for the other: at least one of them sees the circle, and both end.
pub fn no_circle_waits() {
    search("no_circle_waits", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let (ledger, alone) = (Ledger::default(), Alone::default());
        let loads =
            [(1, 2), (2, 1)].map(|(key, other)| begin_for(&rig, key, other, &alone, &ledger));
        let leaders = loads.map(|load| end(&rig, load));
        leaders.into_iter().for_each(|leader| leader.join().unwrap());
        audit(&rig, &mut worker, &ledger);
        assert!(matches!(alone.load(Ordering::Relaxed), 1 | 2), "nobody else loads a second time");
        assert!(get(&rig, 1).is_some() && get(&rig, 2).is_some(), "both are stored");
    });
}

/// A load that a fold has put below a base: when it ends its leader finds the value there, though no
/// operation was submitted since and the shard folds again.
pub fn a_load_ends_below_a_base() {
    search("a_load_ends_below_a_base", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let mut load = begin(&rig, 1, 99, &ledger);
        rig.cache.insert(2, ledger.value(20));
        settle(&mut worker, 1);
        let leader = rig.spawn(move |rig| {
            assert!(poll(&mut load).is_ready());
            assert_eq!(get(rig, 1), Some(99), "its leader has ended the load");
        });
        let shard = turns(worker, 1);
        leader.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
    });
}

/// A load that is claimed while the shard cuts a deep chain below it does not pass for deep afterwards:
/// a writer that is refused once is let in after the next fold, while the load goes on.
pub fn a_load_stands_on_no_depth() {
    search("a_load_stands_on_no_depth", 3, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        for key in 1..=DEPTH_LIMIT {
            rig.cache.insert(key, ledger.value(key.into()));
        }
        let shard = turns(worker, 1);
        let books = ledger.clone();
        let leader = rig.spawn(move |rig| begin(rig, 0, 10, &books));
        let (load, mut worker) = (leader.join().unwrap(), shard.join().unwrap());
        let mut refusals = 0;
        while rig.cache.try_insert(DEPTH_LIMIT + 1, ledger.value(20)).is_err() {
            refusals += 1;
            assert!(refusals < 2, "the load says that its slot is deep");
            settle(&mut worker, 1);
        }
        drop(load);
        audit(&rig, &mut worker, &ledger);
    });
}
