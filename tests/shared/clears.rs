//! What the clear of a namespace counts, and what becomes of all that is under way meanwhile.

use super::{ACME, cache, flush};
use crate::support::{Gate, Ledger, bounded, ms};
use cacheado::testing::ManualClock;
use cacheado::{Namespace, Reply, SharedCache};
use equivalent::Equivalent;
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A value whose destructor stops the shard at a gate.
#[derive(Clone)]
struct Stop(Option<Gate>);

impl Drop for Stop {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.pass();
        }
    }
}

/// A cache of one shard, which stands in a destructor until this is dropped.
struct Stuck(Gate);

impl Stuck {
    fn hold(cache: &SharedCache) -> Self {
        let stops: Namespace<u64, Stop> = cache.namespace("stops").expect("new");
        let gate = Gate::new();
        stops.insert(0, Stop(Some(gate.clone())));
        flush(cache);
        stops.insert(0, Stop(None));
        gate.wait_for(1);
        Self(gate)
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.0.open();
    }
}

fn one_shard(capacity: u64) -> SharedCache {
    let builder = SharedCache::builder().shards(1).max_capacity(capacity).backlog(4096);
    builder.build().expect("valid settings")
}

fn count(reply: Reply<u64>) -> u64 {
    reply.wait().expect("alive")
}

/// What came in, has not left and is not there would be lost.
fn books_balance(cache: &SharedCache) {
    let stats = cache.stats();
    let left = stats.evictions() + stats.expirations() + stats.invalidations();
    assert_eq!(stats.insertions() - left, stats.len(), "{stats:?}");
}

#[test]
fn an_entry_is_counted_by_the_first_that_ends_it() {
    bounded(|| {
        for clear_first in [true, false] {
            let cache = one_shard(10_000);
            let names: Namespace<u64, u64> = cache.namespace("names").expect("new");
            let acme = names.scope(ACME).expect("valid");
            (0..2_000).for_each(|key| acme.insert(key, key));
            (0..10).for_each(|key| names.insert(key, key));
            flush(&cache);
            let stuck = Stuck::hold(&cache);
            let evict = || cache.evict_scope(ACME).expect("valid");
            let (cleared, evicted) = if clear_first {
                let cleared = names.clear();
                (cleared, evict())
            } else {
                let evicted = evict();
                (names.clear(), evicted)
            };
            drop(stuck);
            let expected = if clear_first { (2_010, 0) } else { (10, 2_000) };
            assert_eq!((count(cleared), count(evicted)), expected);
            flush(&cache);
            assert_eq!((names.len(), cache.len()), (0, 1));
            books_balance(&cache);
        }
    });
}

#[test]
fn what_leaves_for_the_capacity_after_a_clear_was_removed_by_it() {
    bounded(|| {
        let cache = one_shard(1_000);
        let old: Namespace<u64, u64> = cache.namespace("old").expect("new");
        let new: Namespace<u64, u64> = cache.namespace("new").expect("new");
        (0..999).for_each(|key| old.insert(key, key));
        flush(&cache);
        let stuck = Stuck::hold(&cache);
        let cleared = old.clear();
        (0..900).for_each(|key| new.insert(key, key));
        drop(stuck);
        assert_eq!(count(cleared), 999);
        flush(&cache);
        assert_eq!((old.stats().evictions(), new.len(), cache.stats().evictions()), (0, 900, 0));
        books_balance(&cache);
    });
}

#[test]
fn a_clear_counts_neither_what_had_expired_nor_what_was_replaced_or_removed() {
    bounded(|| {
        let clock = ManualClock::new();
        let builder = SharedCache::builder().shards(1).backlog(4096).clock(clock.clock());
        let cache = builder.build().expect("valid settings");
        let names: Namespace<u64, u64> = cache.namespace("names").expect("new");
        (0..10).for_each(|key| names.insert_with_ttl(key, key, ms(5)));
        (10..30).for_each(|key| names.insert(key, key));
        flush(&cache);
        let stuck = Stuck::hold(&cache);
        clock.advance(ms(5));
        (10..15).for_each(|key| names.insert(key, 0));
        (15..20).for_each(|key| assert_eq!(names.remove(&key), Some(key)));
        names.get_or_load(&30, || 30);
        let (cleared, again) = (names.clear(), names.clear());
        names.insert(10, 10);
        let third = names.clear();
        drop(stuck);
        assert_eq!((count(cleared), count(again), count(third)), (16, 0, 1));
        flush(&cache);
        assert_eq!((names.len(), cache.stats().expirations()), (0, 10));
        books_balance(&cache);
    });
}

#[test]
fn a_load_that_ends_after_a_clear_is_neither_stored_nor_counted() {
    bounded(|| {
        let cache = one_shard(1_000);
        let names: Namespace<u64, u64> = cache.namespace("names").expect("new");
        let acme = names.scope(ACME).expect("valid");
        (1..10).for_each(|key| names.insert(key, key));
        flush(&cache);
        let stuck = Stuck::hold(&cache);
        let (mut cleared, mut again) = (None, None);
        assert_eq!(
            names.get_or_load(&0, || {
                cleared = Some(names.clear());
                7
            }),
            7
        );
        let loader = async {
            again = Some(acme.clear());
            8
        };
        assert_eq!(pollster::block_on(acme.get_or_load_async(&0, loader)), 8);
        assert_eq!((names.get(&0), acme.get(&0)), (None, None));
        drop(stuck);
        assert_eq!([cleared, again].map(|reply| reply.map(count)), [Some(9), Some(0)]);
        flush(&cache);
        assert_eq!(names.len(), 0);
        books_balance(&cache);
    });
}

#[test]
fn a_load_that_began_before_a_clear_is_not_joined_after() {
    bounded(|| {
        let cache = cache(4);
        let names: Namespace<u64, u64> = cache.namespace("names").expect("new");
        let gate = Gate::new();
        thread::scope(|scope| {
            let early = scope.spawn(|| {
                names.get_or_load(&1, || {
                    gate.pass();
                    1
                })
            });
            gate.wait_for(1);
            assert_eq!(count(names.clear()), 0);
            assert_eq!(names.get_or_load(&1, || 2), 2, "its own loader ran");
            gate.open();
            assert_eq!(early.join().expect("no panic"), 1);
        });
        assert_eq!(names.get(&1), Some(2));
        flush(&cache);
        assert_eq!((names.get(&1), names.len()), (Some(2), 1));
    });
}

/// Whether a key is found, by one of the ways to look.
type Read = fn(&Namespace<u64, u64>, &Asked<'_>) -> bool;

/// A key that is asked for, and what happens while it is compared with the one that is found.
struct Asked<'a>(u64, &'a dyn Fn());

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<u64> for Asked<'_> {
    fn equivalent(&self, key: &u64) -> bool {
        self.1();
        self.0 == *key
    }
}

#[test]
fn a_read_does_not_give_what_was_cleared_while_it_looked() {
    bounded(|| {
        let cache = one_shard(100);
        let names: Namespace<u64, u64> = cache.namespace("names").expect("new");
        let acme = names.scope(ACME).expect("valid");
        for space in [&names, &acme] {
            let reads: [Read; 4] = [
                |space, key| space.get(key).is_some(),
                |space, key| space.peek(key).is_some(),
                |space, key| space.contains_key(key),
                |space, key| space.pin().get(key).is_some(),
            ];
            for (nth, read) in reads.into_iter().enumerate() {
                space.insert(1, 1);
                flush(&cache);
                // Else the shard might have taken it out by now.
                let stuck = Stuck::hold(&cache);
                let cleared = RefCell::new(None);
                let clear = || *cleared.borrow_mut() = Some(names.clear());
                assert!(!read(space, &Asked(1, &clear)), "the {nth}. way");
                drop(stuck);
                assert_eq!(cleared.take().map(count), Some(1));
                space.insert(1, 1);
                assert!(read(space, &Asked(1, &|| ())), "the {nth}. way");
                assert_eq!(count(names.clear()), 1);
            }
        }
        books_balance(&cache);
    });
}

/// Of a key there is one live entry at a time, so no clear counts more than there are keys, whatever comes
/// late; and what clears and writers did adds up.
#[test]
fn no_key_is_counted_twice_while_writers_are_late() {
    const KEYS: u64 = 3_000;
    // Each clear waits for all that the writers have queued, which under ThreadSanitizer takes a second or two.
    const CLEARS: u64 = if cfg!(cache_tsan) { 15 } else { 60 };
    bounded(|| {
        for shards in [1, 4] {
            let cache = cache(shards);
            let space: Namespace<u64, u64> = cache.namespace("space").expect("new");
            let acme = space.scope(ACME).expect("valid");
            let stop = AtomicBool::new(false);
            let counts: Vec<(u64, u64)> = thread::scope(|scope| {
                for (writer, view) in [&space, &acme].into_iter().enumerate() {
                    let stop = &stop;
                    scope.spawn(move || {
                        let mut i = writer as u64;
                        while !stop.load(Ordering::Relaxed) {
                            view.insert(i * 7 % KEYS, i);
                            view.get_or_load(&(i % KEYS), || i);
                            i += 1;
                        }
                    });
                }
                let counts = (0..CLEARS).map(|round| {
                    let evicted = (round % 3 == 0).then(|| cache.evict_scope(ACME).expect("valid"));
                    (count(space.clear()), evicted.map_or(0, count))
                });
                let counts = counts.collect();
                stop.store(true, Ordering::Relaxed);
                counts
            });
            let most = counts.iter().map(|(cleared, _)| *cleared).max();
            assert!(most <= Some(2 * KEYS), "{most:?} of {KEYS} keys in two scopes");
            let counted: u64 = counts.iter().map(|(cleared, evicted)| cleared + evicted).sum();
            let rest = count(space.clear());
            flush(&cache);
            assert_eq!((space.len(), cache.len()), (0, 0));
            books_balance(&cache);
            assert!(counted + rest <= cache.stats().invalidations());
        }
    });
}

#[test]
fn five_thousand_namespaces_are_kept_apart_and_cleared() {
    bounded(|| {
        let ledger = Ledger::new();
        let cache = cache(2);
        let spaces: Vec<Namespace<u64, _>> =
            (0..5_000).map(|i| cache.namespace(&format!("space {i}")).expect("new")).collect();
        for (i, space) in spaces.iter().enumerate() {
            space.insert(1, ledger.value(i as u64));
            space.insert(2, ledger.value(i as u64));
        }
        flush(&cache);
        assert_eq!(cache.len(), 10_000);
        for (i, space) in spaces.iter().enumerate() {
            let known: Namespace<u64, crate::support::Counted> =
                cache.namespace(&format!("space {i}")).expect("known");
            assert_eq!(known.read(&1, |value| value.id), Some(i as u64));
            assert_eq!(space.len(), 2);
        }
        let (even, odd): (Vec<_>, Vec<_>) =
            spaces.iter().enumerate().partition(|(i, _)| i % 2 == 0);
        let cleared: Vec<_> = even.iter().map(|(_, space)| space.clear()).collect();
        assert_eq!(cleared.into_iter().map(count).sum::<u64>(), 5_000);
        assert!(even.iter().all(|(_, space)| space.peek(&1).is_none()));
        assert!(odd.iter().all(|(_, space)| space.len() == 2));
        assert_eq!(count(cache.clear()), 5_000);
        drop((spaces, cache));
        assert_eq!(ledger.live(), 0);
    });
}
