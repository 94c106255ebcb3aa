//! Time: entries leave when they are due, and are not returned a moment longer.

use crate::support::{StuckShard, Told, builder, eventually, flush, ms, on_each_shape, timed};
use cacheado::RemovalCause;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const TTL: Duration = ms(1_000);

#[test]
fn an_entry_lives_until_its_deadline_and_not_longer() {
    on_each_shape(|shards| {
        for folded in [false, true] {
            let (clock, builder) = timed::<u64, u64>(shards);
            let cache = builder.time_to_live(TTL).build().expect("valid");
            cache.insert(1, 10);
            if folded {
                flush(&cache);
            }
            clock.advance(TTL - ms(1));
            assert_eq!(cache.get(&1), Some(10));
            clock.advance(ms(1));
            assert_eq!(cache.get(&1), None);
            assert_eq!(cache.peek(&1), None);
            assert_eq!(cache.read(&1, |value| *value), None);
            assert_eq!(cache.pin().get(&1), None);
            assert!(!cache.contains_key(&1));
            assert_eq!(cache.remove(&1), None, "what has expired cannot be removed");
            assert_eq!(cache.entries().wait().expect("shards live"), vec![]);
            flush(&cache);
            assert_eq!(cache.stats().invalidations(), 0);
        }
    });
}

#[test]
fn a_late_shard_does_not_make_entries_live_longer() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        let (gate, builder) = StuckShard::prepare(builder.time_to_live(TTL));
        let cache = builder.build().expect("valid");
        cache.insert(1, 10);
        flush(&cache);
        let stuck = StuckShard::hold(&cache, gate, 2, 20);
        cache.insert(3, 30);
        clock.advance(TTL);
        assert_eq!((cache.get(&1), cache.get(&2), cache.get(&3)), (None, None, None));
        assert_eq!(cache.get_or_load(&1, || 11), 11, "an expired entry is loaded anew");
        stuck.release();
    });
}

#[test]
fn a_call_may_choose_its_own_time_to_live() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = builder.time_to_live(TTL).build().expect("valid");
        cache.insert_with_ttl(1, 1, TTL / 2);
        cache.insert_with_ttl(2, 2, TTL * 3);
        cache.insert(3, 3);
        cache.insert_with_ttl(4, 4, Duration::MAX);
        let live = || [1, 2, 3, 4].map(|key| cache.contains_key(&key));
        assert_eq!(live(), [true; 4]);
        clock.advance(TTL / 2);
        assert_eq!(live(), [false, true, true, true]);
        clock.advance(TTL / 2);
        assert_eq!(live(), [false, true, false, true]);
        clock.advance(TTL * 2);
        assert_eq!(live(), [false, false, false, true]);
        clock.advance(Duration::from_secs(100 * 365 * 86_400));
        assert_eq!(live(), [false, false, false, true], "the longest time outlives us");
        eventually("the dead leave", || cache.len() == 1);
    });
}

#[test]
fn a_cache_without_time_to_live_takes_one_per_call() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = builder.build().expect("valid");
        cache.insert_with_ttl(1, 1, TTL);
        cache.insert(2, 2);
        clock.advance(TTL);
        assert_eq!((cache.get(&1), cache.get(&2)), (None, Some(2)));
        eventually("the dead leave", || cache.len() == 1);
    });
}

#[test]
fn a_time_to_live_of_zero_stores_nothing_and_removes_what_was_there() {
    on_each_shape(|shards| {
        let told = Told::new();
        let cache = told.listen(builder::<u64, u64>(shards)).build().expect("valid");
        cache.insert_with_ttl(1, 1, Duration::ZERO);
        assert_eq!(cache.get(&1), None);
        cache.insert(2, 2);
        flush(&cache);
        cache.insert_with_ttl(2, 3, Duration::ZERO);
        assert_eq!(cache.get(&2), None);
        flush(&cache);
        assert_eq!((cache.get(&1), cache.get(&2), cache.len()), (None, None, 0));
        let departed: Vec<_> =
            told.take().into_iter().filter(|(key, value, _)| (*key, *value) == (2, 2)).collect();
        assert_eq!(departed.len(), 1, "the old value departs once");
    });
}

#[test]
fn a_huge_time_to_live_is_clamped() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        clock.advance(Duration::from_secs(1_000_000_000));
        let cache =
            builder.time_to_live(Duration::MAX).time_to_idle(Duration::MAX).build().expect("valid");
        cache.insert(1, 1);
        cache.insert_with_ttl(2, 2, Duration::MAX - ms(1));
        flush(&cache);
        clock.advance(Duration::from_secs(1_000_000_000));
        assert_eq!((cache.get(&1), cache.get(&2)), (Some(1), Some(2)));
        flush(&cache);
        assert_eq!(cache.len(), 2);
    });
}

/// The longest time to live ends one nanosecond before the clock does, in a tick of the timers that
/// no time lies behind.
#[test]
fn an_entry_that_lives_to_the_end_of_time_leaves_then() {
    on_each_shape(|shards| {
        let told = Told::new();
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = told.listen(builder).build().expect("valid");
        cache.insert_with_ttl(1, 1, Duration::MAX);
        cache.insert(2, 2);
        flush(&cache);
        clock.advance(Duration::from_nanos(u64::MAX - 2));
        flush(&cache);
        assert_eq!((cache.get(&1), cache.len()), (Some(1), 2), "its time has not come");
        clock.advance(Duration::from_nanos(1));
        flush(&cache);
        assert_eq!(cache.get(&1), None, "it has");
        clock.advance(Duration::MAX);
        flush(&cache);
        eventually("it leaves", || cache.len() == 1);
        assert_eq!(told.take(), vec![(1, 1, RemovalCause::Expired)]);
        cache.insert_with_ttl(3, 3, Duration::MAX);
        flush(&cache);
        assert_eq!((cache.get(&2), cache.get(&3), cache.len()), (Some(2), None, 1));
    });
}

#[test]
fn a_read_keeps_an_entry_from_idling() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = builder.time_to_idle(TTL).build().expect("valid");
        for key in 0..7 {
            cache.insert(key, key);
        }
        flush(&cache);
        let step = TTL * 3 / 4;
        for round in 0..4 {
            clock.advance(step);
            assert_eq!(cache.get(&0), Some(0), "round {round}");
            assert_eq!(cache.read(&1, |value| *value), Some(1), "round {round}");
            assert_eq!(cache.pin().get(&2), Some(&2), "round {round}");
            assert_eq!(cache.get_or_load(&3, || 99), 3, "round {round}");
            let first = round == 0;
            assert_eq!(
                cache.peek(&4).is_some(),
                first,
                "peek does not count as use, round {round}"
            );
            assert_eq!(
                cache.contains_key(&5),
                first,
                "contains_key does not count as use, round {round}"
            );
            assert_eq!(cache.contains_key(&6), first, "round {round}");
        }
        eventually("the idle leave", || cache.len() == 4);
        clock.advance(TTL);
        assert!((0..7).all(|key| cache.get(&key).is_none()));
        eventually("all leave", || cache.is_empty());
    });
}

#[test]
fn reads_do_not_stretch_the_time_to_live() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = builder.time_to_live(TTL).time_to_idle(TTL / 2).build().expect("valid");
        cache.insert(1, 1);
        cache.insert(2, 2);
        for _ in 0..3 {
            clock.advance(TTL / 4);
            assert_eq!(cache.get(&1), Some(1));
        }
        assert_eq!(cache.get(&2), None, "idle");
        clock.advance(TTL / 4);
        assert_eq!(cache.get(&1), None, "old, however often it was read");
    });
}

#[test]
fn reads_do_not_stretch_the_time_to_live_of_what_was_loaded() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = builder.time_to_live(TTL).time_to_idle(TTL / 2).build().expect("valid");
        assert_eq!(cache.get_or_load(&1, || 1), 1);
        for _ in 0..3 {
            clock.advance(TTL / 4);
            assert_eq!(cache.get(&1), Some(1));
        }
        clock.advance(TTL / 4);
        assert_eq!(cache.get(&1), None, "old, however often it was read");
        assert_eq!(cache.get_or_load(&1, || 2), 2);
    });
}

#[test]
fn a_write_starts_the_time_anew() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = builder.time_to_live(TTL).build().expect("valid");
        cache.insert(1, 1);
        flush(&cache);
        clock.advance(TTL / 2);
        cache.insert(1, 2);
        flush(&cache);
        clock.advance(TTL / 2);
        flush(&cache);
        assert_eq!(cache.get(&1), Some(2));
        cache.insert_with_ttl(1, 3, TTL / 4);
        clock.advance(TTL / 4);
        assert_eq!(cache.get(&1), None, "a shorter one counts too");
        eventually("it leaves", || cache.is_empty());
        assert_eq!(cache.stats().expirations(), 1);
    });
}

#[test]
fn a_loaded_value_expires_and_is_loaded_again() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = builder.time_to_live(TTL).build().expect("valid");
        assert_eq!(cache.get_or_load(&1, || 1), 1);
        clock.advance(TTL - ms(1));
        assert_eq!(cache.get_or_load(&1, || 2), 1);
        clock.advance(ms(1));
        assert_eq!(cache.get_or_load(&1, || 3), 3);
        assert_eq!(pollster::block_on(cache.get_or_load_async(&1, async { 4 })), 3);
    });
}

#[test]
fn moving_the_clock_expires_entries_without_traffic() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        let (sender, departures) = mpsc::channel();
        let builder =
            builder.time_to_live(TTL).removal_listener(move |key: &u64, _: &u64, cause| {
                let _ = sender.send((*key, cause));
            });
        let cache = builder.build().expect("valid");
        for key in 0..100 {
            cache.insert(key, key);
        }
        flush(&cache);
        clock.advance(TTL * 2);
        let mut departed: Vec<u64> = (0..100)
            .map(|_| {
                let limit = Duration::from_secs(30);
                let (key, cause) = departures.recv_timeout(limit).expect("expires by itself");
                assert_eq!(cause, RemovalCause::Expired);
                key
            })
            .collect();
        departed.sort_unstable();
        assert_eq!(departed, (0..100).collect::<Vec<_>>());
        eventually("the count follows", || cache.is_empty());
        assert_eq!(cache.stats().expirations(), 100);
        assert!(departures.try_recv().is_err(), "each departs once");
    });
}

#[test]
fn the_real_clock_expires_entries_without_traffic() {
    on_each_shape(|shards| {
        let (sender, departures) = mpsc::channel();
        let builder =
            builder::<u64, u64>(shards).removal_listener(move |_: &u64, _: &u64, cause| {
                let _ = sender.send((Instant::now(), cause));
            });
        let ttl = ms(40);
        let cache = builder.time_to_live(ttl).build().expect("valid");
        let start = Instant::now();
        cache.insert(1, 1);
        let (end, cause) =
            departures.recv_timeout(Duration::from_secs(30)).expect("expires by itself");
        assert_eq!(cause, RemovalCause::Expired);
        // A coarse clock may be off by its own resolution.
        assert!(end - start >= ttl - ms(5), "left after {:?}", end - start);
        assert_eq!(cache.get(&1), None);
        eventually("the count follows", || cache.is_empty());
    });
}

#[test]
fn a_long_gap_expires_everything_that_fell_due_in_it() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u64>(shards);
        let cache = builder.build().expect("valid");
        for key in 0..2_000 {
            cache.insert_with_ttl(key, key, Duration::from_secs(1 + key * 97));
        }
        flush(&cache);
        clock.advance(Duration::from_secs(97 * 1_000));
        let live = (0..2_000).filter(|key| cache.contains_key(key)).count() as u64;
        assert_eq!(live, 1_000, "1 + 97 k > 97 000 from k = 1 000 on");
        eventually("half leaves", || cache.len() == 1_000);
        clock.advance(Duration::from_secs(97 * 1_000));
        eventually("all leave", || cache.is_empty());
        assert_eq!(cache.stats().expirations(), 2_000);
    });
}
