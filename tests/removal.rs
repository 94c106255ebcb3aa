//! Departures: each entry that leaves is told once, with its cause, to the listener and to streams.

use crate::support::{Told, bounded, builder, eventually, flush, ms, on_each_shape, timed};
use cacheado::{CacheHandle, Error, Removal, RemovalCause};
use crossbeam_channel::Receiver;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

#[test]
fn each_departure_is_told_once_with_its_cause() {
    on_each_shape(|shards| {
        let told = Told::new();
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = told.listen(builder).max_capacity(4).build().expect("valid");
        cache.insert(1, 10);
        flush(&cache);
        assert_eq!(told.take(), vec![]);
        cache.insert(1, 11);
        flush(&cache);
        assert_eq!(told.take(), vec![(1, 10, RemovalCause::Replaced)]);
        assert_eq!(cache.remove(&1), Some(11));
        assert_eq!(cache.remove(&1), None);
        flush(&cache);
        assert_eq!(told.take(), vec![(1, 11, RemovalCause::Removed)]);
        cache.insert_with_ttl(2, 20, ms(10));
        flush(&cache);
        clock.advance(ms(100));
        eventually("expiry", || told.len() == 1);
        assert_eq!(told.take(), vec![(2, 20, RemovalCause::Expired)]);
        for key in 3..8 {
            cache.insert(key, key);
        }
        flush(&cache);
        let departed = told.take();
        assert!(departed.iter().all(|departure| departure.2 == RemovalCause::Capacity));
        assert_eq!(departed.len() as u64 + cache.len(), 5);
        let left = cache.len();
        assert_eq!(cache.clear().wait().expect("shards live"), left);
        flush(&cache);
        let departed = told.take();
        assert!(departed.iter().all(|departure| departure.2 == RemovalCause::Scope));
        assert_eq!(departed.len() as u64, left);
    });
}

#[test]
fn an_expired_entry_that_is_written_anew_departs_once() {
    on_each_shape(|shards| {
        let told = Told::new();
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = told.listen(builder).build().expect("valid");
        for round in 0..50 {
            cache.insert_with_ttl(1, round, ms(10));
            if round % 2 == 0 {
                flush(&cache);
            }
            clock.advance(ms(10));
        }
        // The timer wheel turns once in about a millisecond.
        clock.advance(ms(2));
        eventually("the last expires", || cache.is_empty());
        flush(&cache);
        let departed = told.take();
        let values: BTreeSet<u64> = departed.iter().map(|(_, value, _)| *value).collect();
        assert_eq!(values.len(), departed.len(), "no value twice");
        let stats = cache.stats();
        assert_eq!(departed.len() as u64, stats.insertions() + stats.updates(), "{stats}");
    });
}

#[test]
fn what_was_stored_is_kept_or_told() {
    on_each_shape(|shards| {
        let told = Told::new();
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = told.listen(builder).max_capacity(64).build().expect("valid");
        thread::scope(|scope| {
            for me in 0..4u64 {
                let (cache, clock) = (&cache, &clock);
                scope.spawn(move || {
                    for round in 0..3_000u64 {
                        let (key, id) = (round * 31 % 200, me * 1_000_000 + round);
                        match round % 8 {
                            0 => drop(cache.remove(&key)),
                            1 => cache.insert_with_ttl(key, id, ms(5)),
                            2 => drop(cache.get_or_load(&key, || id)),
                            3 if round % 500 == 3 => {
                                assert!(cache.clear().wait().is_ok())
                            }
                            4 if round % 100 == 4 => clock.advance(ms(1)),
                            _ => cache.insert(key, id),
                        }
                    }
                });
            }
        });
        flush(&cache);
        let (stats, departed) = (cache.stats(), told.take());
        let stored = stats.insertions() + stats.updates();
        assert_eq!(departed.len() as u64 + cache.len(), stored, "{stats}");
        let ids: BTreeSet<u64> = departed.iter().map(|(_, id, _)| *id).collect();
        assert_eq!(ids.len(), departed.len(), "no value is told twice");
        let kept = cache.entries().wait().expect("shards live");
        assert!(kept.iter().all(|(_, id)| !ids.contains(id)), "what is kept is not told");
        let count = |cause| departed.iter().filter(|departure| departure.2 == cause).count() as u64;
        assert_eq!(count(RemovalCause::Capacity), stats.evictions());
        assert_eq!(count(RemovalCause::Expired), stats.expirations());
        let invalidations = count(RemovalCause::Removed) + count(RemovalCause::Scope);
        assert_eq!(invalidations, stats.invalidations());
    });
}

#[test]
fn a_clear_counts_no_key_twice() {
    on_each_shape(|shards| {
        const KEYS: u64 = 120;
        let cache = builder::<u64, u64>(shards).max_capacity(64).build().expect("valid");
        for round in 0..1_000 {
            (0..KEYS).for_each(|key| cache.insert(key, round));
            if round % 2 == 0 {
                flush(&cache);
            }
            // Written anew: what a key had before is not there any more, though no shard may know yet.
            (0..KEYS).for_each(|key| cache.insert(key, round));
            let cleared = cache.clear().wait().expect("shards live");
            assert!(cleared <= KEYS, "{cleared} of {KEYS} keys, round {round}");
        }
    });
}

#[test]
fn a_clear_counts_one_value_of_a_key_that_was_written_often() {
    on_each_shape(|shards| {
        let cache = builder::<u64, u64>(shards).max_capacity(3).build().expect("valid");
        for round in 0..10_000 {
            // The shard folds in the middle of it, and now and then just as the clear comes.
            (0..20 + round % 10).for_each(|value| cache.insert(0, value));
            let cleared = cache.clear().wait().expect("shards live");
            assert_eq!(cleared, 1, "round {round}");
        }
    });
}

#[test]
fn a_clear_counts_all_that_lived_though_writes_follow() {
    on_each_shape(|shards| {
        let cache = builder::<u64, u64>(shards).max_capacity(1_000).build().expect("valid");
        for round in 0..50 {
            (0..1_000).for_each(|key| cache.insert(key, round));
            flush(&cache);
            let live = cache.len();
            let cleared = cache.clear();
            // More than there is room for beside the dead, who count as cleared and not as evicted.
            (1_000..2_000).for_each(|key| cache.insert(key, round));
            assert_eq!(cleared.wait().expect("shards live"), live, "round {round}");
            cache.clear().wait().expect("shards live");
        }
    });
}

fn next(stream: &Receiver<Arc<Removal<u64, u64>>>) -> Arc<Removal<u64, u64>> {
    stream.recv_timeout(Duration::from_secs(30)).expect("told")
}

#[test]
fn every_subscriber_gets_every_event() {
    on_each_shape(|shards| {
        let told = Told::new();
        let cache = told.listen(builder::<u64, u64>(shards)).build().expect("valid");
        let streams: Vec<_> = (0..3).map(|_| cache.events()).collect();
        for key in 1..=300 {
            cache.insert(key, key * 2);
        }
        for key in (1..=300).step_by(3) {
            assert_eq!(cache.remove(&key), Some(key * 2));
        }
        flush(&cache);
        let mut expected = told.take();
        expected.sort_by_key(|(key, ..)| *key);
        for stream in &streams {
            let events: Vec<_> = expected.iter().map(|_| next(stream)).collect();
            let facts =
                |event: &Arc<Removal<u64, u64>>| (*event.key(), *event.value(), event.cause());
            let mut events: Vec<_> = events.iter().map(facts).collect();
            events.sort_by_key(|(key, ..)| *key);
            assert_eq!(events, expected, "as the listener is told");
            assert!(stream.try_recv().is_err(), "nothing twice");
        }
        assert_eq!(cache.stats().events_dropped(), 0);
    });
}

/// More leave under one view than are freed at a time. (Of what leaves in one turn of the shard the order is its own.)
#[test]
fn events_come_in_the_order_of_the_turns_in_which_entries_left() {
    bounded(|| {
        const COUNT: u64 = 2_000;
        let builder = builder::<u64, u64>(1).event_capacity(COUNT as usize);
        let cache = builder.build().expect("valid");
        let (stream, view) = (cache.events(), cache.pin());
        for round in 0..=COUNT {
            cache.insert(1, round);
            flush(&cache);
        }
        drop(view);
        let values = (0..COUNT).map(|_| *next(&stream).value());
        assert!(values.eq(0..COUNT), "oldest first");
    });
}

#[test]
fn a_slow_subscriber_loses_events_and_stops_nobody() {
    on_each_shape(|shards| {
        let told = Told::new();
        let builder = told.listen(builder::<u64, u64>(shards)).event_capacity(16);
        let cache = builder.build().expect("valid");
        let (slow, gone) = (cache.events(), cache.events());
        drop(gone);
        for round in 0..2_000 {
            cache.insert(round % 10, round);
            if round % 10 == 9 {
                flush(&cache);
            }
        }
        flush(&cache);
        let dropped = told.len() - 16;
        eventually("the rest is counted", || cache.stats().events_dropped() == dropped);
        assert_eq!(slow.try_iter().count(), 16, "as many as there was room for");
        cache.insert(0, 9_999);
        assert_eq!(cache.remove(&0), Some(9_999));
        while *next(&slow).value() != 9_999 {}
        assert_eq!(cache.stats().events_dropped(), dropped, "it goes on with what happens next");
    });
}

#[test]
fn a_listener_may_use_the_cache() {
    on_each_shape(|shards| {
        let slot: Arc<OnceLock<CacheHandle<u64, u64>>> = Arc::default();
        let (sender, outcomes) = mpsc::channel::<(Option<u64>, Option<u64>, u64)>();
        let inner = Arc::clone(&slot);
        let builder =
            builder::<u64, u64>(shards).removal_listener(move |key: &u64, value: &u64, _| {
                let Some(cache) = inner.get().filter(|_| *key < 100) else { return };
                cache.insert(key + 1_000, *value);
                let seen = cache.get(&(key + 1_000));
                cache.insert(key + 2_000, 1);
                let removed = cache.remove(&(key + 2_000));
                let loaded = cache.get_or_load(&(key + 3_000), || 7);
                let _ = sender.send((seen, removed, loaded));
            });
        let cache = builder.build().expect("valid");
        assert!(slot.set(cache.clone()).is_ok());
        for key in 0..100 {
            cache.insert(key, key * 5);
        }
        for key in 0..100 {
            assert_eq!(cache.remove(&key), Some(key * 5));
        }
        flush(&cache);
        flush(&cache);
        for (seen, removed, loaded) in outcomes.try_iter() {
            assert_eq!((seen.map(|value| value % 5), removed, loaded), (Some(0), Some(1), 7));
        }
        let told = cache.stats().invalidations();
        assert!(told >= 100, "{told}");
        assert!(
            (0..100)
                .all(|key| cache.get(&key).is_none() && cache.get(&(key + 1_000)) == Some(key * 5))
        );
        assert_eq!(cache.stats().panics(), 0);
    });
}

#[test]
fn a_listener_that_floods_the_cache_does_not_deadlock_it() {
    on_each_shape(|shards| {
        let slot: Arc<OnceLock<CacheHandle<u64, u64>>> = Arc::default();
        let inner = Arc::clone(&slot);
        let builder = builder::<u64, u64>(shards).backlog(8).removal_listener(
            move |key: &u64, _: &u64, _| {
                if let Some(cache) = inner.get().filter(|_| *key == 1) {
                    (10_000..11_000).for_each(|key| cache.insert(key, key));
                }
            },
        );
        let cache = builder.build().expect("valid");
        assert!(slot.set(cache.clone()).is_ok());
        cache.insert(1, 1);
        flush(&cache);
        assert_eq!(cache.remove(&1), Some(1));
        flush(&cache);
        flush(&cache);
        assert!(
            (10_000..11_000).all(|key| cache.get(&key) == Some(key)),
            "a shard never waits for a shard"
        );
        assert_eq!(cache.len(), 1_000);
    });
}

#[test]
fn waiting_for_a_shard_on_a_shard_is_an_error() {
    type Outcome = [Option<Error>; 4];
    on_each_shape(|shards| {
        let slot: Arc<OnceLock<CacheHandle<u64, u64>>> = Arc::default();
        let (sender, outcomes) = mpsc::channel::<Outcome>();
        let inner = Arc::clone(&slot);
        let builder = builder::<u64, u64>(shards).removal_listener(move |key: &u64, _: &u64, _| {
            let Some(cache) = inner.get().filter(|_| *key == 1) else { return };
            let _ = sender.send([
                cache.flush().wait().err(),
                cache.clear().wait().err(),
                cache.entries().wait().err(),
                cache.ready().wait().err(),
            ]);
        });
        let cache = builder.build().expect("valid");
        assert!(slot.set(cache.clone()).is_ok());
        cache.insert(1, 1);
        assert_eq!(cache.remove(&1), Some(1));
        cache.insert(1, 2);
        assert_eq!(cache.remove(&1), Some(2));
        flush(&cache);
        let [flushed, cleared, entries, ready] = outcomes.recv().expect("told");
        for error in [flushed, cleared, entries] {
            let error = error.expect("refused");
            assert!(error.is_would_deadlock() && !error.is_closed(), "{error}");
        }
        assert!(
            ready.is_none_or(|error| error.is_would_deadlock()),
            "ready may be known without waiting"
        );
        cache.insert(2, 2);
        flush(&cache);
        assert_eq!(cache.get(&2), Some(2), "the shard lives");
    });
}

#[test]
fn the_listener_runs_on_a_shard_and_not_on_the_caller() {
    bounded(|| {
        let threads: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let inner = Arc::clone(&threads);
        let builder =
            builder::<u64, u64>(1).max_capacity(10).removal_listener(move |_: &u64, _: &u64, _| {
                let id = format!("{:?}", thread::current().id());
                inner.lock().expect("no poison").insert(id);
            });
        let cache = builder.build().expect("valid");
        for key in 0..100 {
            cache.insert(key, key);
            cache.remove(&(key / 2));
        }
        flush(&cache);
        let threads = threads.lock().expect("no poison");
        assert_eq!(threads.len(), 1, "one shard, one thread");
        assert!(!threads.contains(&format!("{:?}", thread::current().id())));
    });
}

#[test]
fn concurrent_writers_account_for_every_value() {
    on_each_shape(|shards| {
        let total = Arc::new(AtomicU64::new(0));
        let inner = Arc::clone(&total);
        let builder = builder::<u64, u64>(shards).max_capacity(100).removal_listener(
            move |_: &u64, value: &u64, _| {
                inner.fetch_add(*value, Ordering::SeqCst);
            },
        );
        let cache = builder.build().expect("valid");
        thread::scope(|scope| {
            for me in 0..4 {
                let cache = &cache;
                scope.spawn(move || {
                    (0..2_000).for_each(|round| cache.insert(me * 2_000 + round, 1))
                });
            }
        });
        flush(&cache);
        assert_eq!(
            total.load(Ordering::SeqCst) + cache.len(),
            8_000,
            "distinct keys: kept or told"
        );
    });
}
