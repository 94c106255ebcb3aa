//! Storms: threads with all verbs on few keys. Nothing is lost, versions never go back.

use crate::support::{
    Counted, Ledger, Polled, Steps, bounded, builder, eventually, flush, ms, on_each_shape, timed,
};
use cacheado::CacheHandle;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const THREADS: u64 = 4;
/// Threads of the long storm.
const MANY: u64 = 8;

/// A small generator: the storm must be the same on every machine up to the scheduler.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn any_verb(cache: &CacheHandle<u64, Counted>, ledger: &Ledger, dice: &mut Dice) {
    let (key, id) = (dice.roll(8), dice.roll(1_000));
    let check = |value: Option<Counted>| assert!(value.is_none_or(|value| value.id < 1_000));
    match dice.roll(64) {
        0..8 => cache.insert(key, ledger.value(id)),
        8..10 => cache.insert_with_ttl(key, ledger.value(id), ms(dice.roll(3))),
        10..14 => drop(cache.try_insert(key, ledger.value(id))),
        14..20 => check(cache.remove(&key)),
        20..30 => check(cache.get(&key)),
        30..34 => check(cache.peek(&key)),
        34..38 => assert!(cache.read(&key, |value| value.id).is_none_or(|id| id < 1_000)),
        38..42 => {
            let view = cache.pin();
            let (first, second) = (view.get(&key), view.get(&((key + 1) % 8)));
            assert!(first.into_iter().chain(second).all(|value| value.id < 1_000));
        }
        42..48 => check(Some(cache.get_or_load(&key, || ledger.value(id)))),
        48..51 => check(Some(pollster::block_on(
            cache.get_or_load_async(&key, async { ledger.value(id) }),
        ))),
        51..54 => check(cache.try_get_or_load::<_, u64>(&key, || Err(id)).ok()),
        54..57 => check(
            pollster::block_on(cache.try_get_or_load_async::<_, u64>(&key, async { Err(id) })).ok(),
        ),
        57 => drop(cache.clear()),
        58 => drop(cache.flush()),
        59 => assert!(cache.entries().wait().expect("shards live").len() <= 8),
        60 => cache.ready().wait().expect("shards live"),
        61 => drop(cache.clone()),
        62 => assert!(cache.stats().hit_ratio() <= 1.0),
        _ => thread::yield_now(),
    }
}

#[test]
fn nothing_is_lost_in_a_storm_of_all_verbs() {
    on_each_shape(|shards| {
        for (capacity, backlog) in [(5, 8), (1_000, 64), (1_000, 4_096)] {
            let ledger = Ledger::new();
            let (clock, builder) = timed::<u64, Counted>(shards);
            let cache = builder.max_capacity(capacity).backlog(backlog).build().expect("valid");
            thread::scope(|scope| {
                for me in 0..THREADS {
                    let (cache, ledger, clock) = (cache.clone(), &ledger, &clock);
                    scope.spawn(move || {
                        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (me << 40) ^ capacity);
                        for round in 0..6_000 {
                            any_verb(&cache, ledger, &mut dice);
                            if round % 64 == 0 {
                                clock.advance(Duration::from_millis(1));
                            }
                        }
                    });
                }
            });
            flush(&cache);
            assert!(cache.len() <= capacity.min(8), "{}", cache.stats());
            assert_eq!(cache.stats().panics(), 0);
            eventually("only what is stored lives", || ledger.live() == cache.len());
            drop(cache);
            eventually("every value is dropped once", || ledger.live() == 0);
        }
    });
}

/// Counts a panic and panics, without a message.
fn burst(panics: &AtomicU64) -> ! {
    panics.fetch_add(1, Ordering::SeqCst);
    resume_unwind(Box::new("by order of the test"));
}

/// What ends badly or is given up, on the caller's thread.
fn any_mishap(cache: &CacheHandle<u64, Counted>, ledger: &Ledger, dice: &mut Dice) {
    let (key, id) = (dice.roll(8), dice.roll(1_000));
    let own = AtomicU64::new(0);
    let outcome = catch_unwind(AssertUnwindSafe(|| match dice.roll(5) {
        0 => drop(cache.get_or_load(&key, || burst(&own))),
        1 => drop(pollster::block_on(cache.get_or_load_async(&key, async { burst(&own) }))),
        2 => assert!(cache.read(&key, |_| burst(&own)).is_none()),
        3 => {
            let (polls, load) = (dice.roll(4), dice.roll(3) as u32);
            let mut load = Polled::new(cache.get_or_load_async(&key, async {
                Steps(load).await;
                ledger.value(id)
            }));
            let _ready = (0..polls).any(|_| !load.is_pending());
        }
        _ => {
            // Loads within loads, in circles too: whoever closes one loads for itself.
            let inner = || cache.get_or_load(&((key + 1) % 8), || ledger.value(id));
            drop(cache.get_or_load(&key, inner));
        }
    }));
    assert_eq!(u64::from(outcome.is_err()), own.into_inner(), "its own panic and no other");
}

/// All that can happen at once, for about half a second of a quiet core.
fn long_storm(round: u64) {
    let (ledger, panics) = (Ledger::new(), Arc::new(AtomicU64::new(0)));
    let (weighing, listening) = (Arc::clone(&panics), Arc::clone(&panics));
    let (clock, builder) = timed::<u64, Counted>(1 + round as usize % 4);
    let capacity = 5 + round % 30;
    let cache = builder
        .max_capacity(capacity)
        .backlog(1 + (round * 7 % 64) as usize)
        .time_to_idle(ms(20))
        .weigher(
            move |_, value| if value.id % 97 == 1 { burst(&weighing) } else { value.id as u32 % 7 },
        )
        .removal_listener(move |_, value, _| {
            if value.id % 89 == 1 {
                burst(&listening);
            }
        })
        .build()
        .expect("valid");
    thread::scope(|scope| {
        for me in 0..MANY {
            let (cache, ledger, clock) = (cache.clone(), &ledger, &clock);
            scope.spawn(move || {
                let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (me << 40) ^ (round << 8));
                let events = cache.events();
                for step in 0..2_000 {
                    any_verb(&cache, ledger, &mut dice);
                    if step % 16 == me {
                        any_mishap(&cache, ledger, &mut dice);
                        assert!(events.try_iter().all(|removal| *removal.key() < 8));
                        clock.advance(ms(1));
                    }
                }
            });
        }
    });
    flush(&cache);
    assert!(cache.weight() <= capacity, "{}", cache.stats());
    eventually("every panic of the shards is counted", || {
        cache.stats().panics() == panics.load(Ordering::SeqCst)
    });
    // A shard learns that a stream was dropped when it has something to say in it.
    (8..1_008).for_each(|key| cache.insert(key, ledger.value(0)));
    let _ = cache.clear().wait().expect("shards live");
    eventually("only what is stored lives", || ledger.live() == cache.len());
    drop(cache);
    eventually("every value is dropped once", || ledger.live() == 0);
}

/// For `STRESS_SECONDS`, one of them if that is not set.
#[test]
fn nothing_is_lost_in_a_long_storm_with_mishaps() {
    let seconds = std::env::var("STRESS_SECONDS").ok().map(|text| text.parse().expect("a number"));
    let (begun, limit) = (Instant::now(), Duration::from_secs(seconds.unwrap_or(1)));
    let mut rounds = 0;
    while rounds < 4 || begun.elapsed() < limit {
        bounded(move || long_storm(rounds));
        rounds += 1;
    }
    eprintln!("{rounds} storms of {} calls", MANY * 2_000);
}

#[test]
fn versions_of_a_key_never_go_back() {
    on_each_shape(|shards| {
        const KEYS: u64 = 4;
        const ROUNDS: u64 = 15_000;
        let cache =
            builder::<u64, u64>(shards).max_capacity(1_000).backlog(256).build().expect("valid");
        let writers = AtomicU64::new(KEYS);
        thread::scope(|scope| {
            for key in 0..KEYS {
                let (cache, writers) = (&cache, &writers);
                // Each key has one writer, so the order of its versions is known.
                scope.spawn(move || {
                    for version in 1..=ROUNDS {
                        cache.insert(key, version);
                        if version % 16 == 0 {
                            assert!(
                                cache.get(&key).is_none_or(|seen| seen == version),
                                "its own write"
                            );
                        }
                    }
                    writers.fetch_sub(1, Ordering::SeqCst);
                });
            }
            for reader in 0..2u64 {
                let (cache, writers) = (&cache, &writers);
                scope.spawn(move || {
                    let mut latest = [0; KEYS as usize];
                    let mut round = reader;
                    while writers.load(Ordering::SeqCst) > 0 {
                        round += 1;
                        let key = round % KEYS;
                        let seen = match round % 11 {
                            0 => cache.remove(&key),
                            1 => cache.pin().get(&key).copied(),
                            2 => cache.peek(&key),
                            _ => cache.get(&key),
                        };
                        let latest = &mut latest[key as usize];
                        assert!(
                            seen.is_none_or(|seen| seen >= *latest),
                            "key {key}: {seen:?} after {latest}"
                        );
                        *latest = seen.unwrap_or(*latest);
                    }
                });
            }
        });
        flush(&cache);
        assert!((0..KEYS).all(|key| cache.get(&key).is_none_or(|seen| seen == ROUNDS)));
    });
}

#[test]
fn a_removed_version_never_comes_back() {
    on_each_shape(|shards| {
        let cache = builder::<u64, u64>(shards).backlog(64).build().expect("valid");
        thread::scope(|scope| {
            for me in 0..THREADS {
                let cache = &cache;
                scope.spawn(move || {
                    // Own keys, in slots shared with the others'.
                    for round in 0..8_000u64 {
                        let key = me + THREADS * (round % 5);
                        cache.insert(key, round);
                        assert_eq!(cache.remove(&key), Some(round));
                        assert_eq!(cache.get(&key), None);
                        assert_eq!(cache.get_or_load(&key, || round + 1), round + 1);
                        assert_eq!(cache.remove(&key), Some(round + 1));
                        assert!(!cache.contains_key(&key));
                    }
                });
            }
        });
        flush(&cache);
        assert_eq!((cache.len(), cache.weight()), (0, 0));
        assert_eq!(cache.stats().invalidations(), THREADS * 8_000 * 2);
    });
}

#[test]
fn the_index_keeps_every_key_while_it_changes_under_readers() {
    on_each_shape(|shards| {
        const STABLE: u64 = 3_000;
        let cache = builder::<u64, u64>(shards).max_capacity(1_000_000).build().expect("valid");
        (0..STABLE).for_each(|key| cache.insert(key, key));
        let writers = AtomicU64::new(2);
        thread::scope(|scope| {
            for me in 0..2u64 {
                let (cache, writers) = (&cache, &writers);
                scope.spawn(move || {
                    for round in 0..20_000u64 {
                        let key = STABLE + me * 1_000_000 + round;
                        cache.insert(key, round);
                        if round % 3 == 2 {
                            assert_eq!(cache.remove(&(key - 1)), Some(round - 1));
                        }
                    }
                    writers.fetch_sub(1, Ordering::SeqCst);
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    while writers.load(Ordering::SeqCst) > 0 {
                        assert!(
                            (0..STABLE).all(|key| cache.get(&key) == Some(key)),
                            "a stable key is always found"
                        );
                    }
                });
            }
        });
    });
}
