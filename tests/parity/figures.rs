//! Rows about figures: what is counted, and what the original says of its speed and memory.

use crate::flush;
use cacheado::{CacheHandle, SharedCache};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn row_stats() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 1_000;
    let cache = SharedCache::builder().max_capacity(100).shards(1).build().expect("valid");
    let keys = cache.namespace::<u64, u64>("keys").expect("new");
    let scoped = keys.scope([("organization", "acme")]).expect("valid");
    keys.insert(0, 0);
    scoped.insert(0, 0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    assert_eq!((keys.get(&0), scoped.get(&0)), (Some(0), Some(0)));
                    assert_eq!(scoped.get(&1), None);
                }
            });
        }
    });
    flush(&cache);
    let total = THREADS * ROUNDS;
    let stats = cache.stats();
    assert_eq!((stats.hits(), stats.misses(), stats.len()), (2 * total, total, 2));
    let namespace = keys.stats();
    assert_eq!((namespace.hits(), namespace.misses(), namespace.len()), (2 * total, total, 2));
    let scope = cache.scope([("organization", "acme")]).expect("valid").stats().own();
    assert_eq!((scope.hits(), scope.misses(), scope.len()), (total, total, 1));

    (1..=150).for_each(|key| keys.insert(key, key));
    flush(&cache);
    let said = "{\"hits\": 8000, \"misses\": 4000, \"loads\": 0, \"evictions\": 52, \
                \"expirations\": 0, \"current_size\": 100, \"hit_rate\": \"66.7%\"}";
    assert_eq!(cache.stats().to_string(), said);
    assert_eq!((keys.stats().len(), keys.stats().evictions()), (100, 52));
}

/// The quickest of some tries: what the machine does beside them can only add.
fn quickest(mut work: impl FnMut() -> Duration) -> Duration {
    (0..10).map(|_| work()).min().expect("ten tries")
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The most memory that this process has had, in MB, where that can be asked.
fn peak_megabytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") / 1024)
}

/// The original's figures, ten times over; `make test-performance` says how far above them this is.
#[test]
fn row_figures() {
    let cache: CacheHandle<u64, u64> = CacheHandle::new();
    let operations = |from: u64, operations: u64| {
        for key in from..from + operations / 2 {
            cache.insert(key, key);
            assert_eq!(cache.get(&key), Some(key));
        }
    };
    let took = quickest(|| timed(|| operations(0, 10_000)));
    assert!(took < Duration::from_millis(100), "10,000 operations took {took:?}");

    let concurrent = || {
        thread::scope(|scope| {
            (0..5).for_each(|n| drop(scope.spawn(move || operations(n * 10_000, 1_000))));
        });
    };
    let took = quickest(|| timed(concurrent));
    assert!(took < Duration::from_millis(100), "5,000 concurrent operations took {took:?}");

    let hit = quickest(|| timed(|| assert_eq!(cache.get(&0), Some(0))));
    assert!(hit < Duration::from_micros(100), "a hit took {hit:?}");
    let mut fresh = 1_000_000..;
    let miss = quickest(|| {
        let key = fresh.next().expect("without end");
        timed(|| assert_eq!(cache.get_or_load(&key, || key), key))
    });
    assert!(miss < Duration::from_millis(1), "a miss took {miss:?}");

    let items: CacheHandle<String, Vec<u8>> = CacheHandle::new();
    for n in 0_u64..50_000 {
        items.insert(n.to_string(), vec![n as u8; 1024]);
    }
    items.flush().wait().expect("shards live");
    assert_eq!(items.len(), 50_000);
    assert!(peak_megabytes().is_none_or(|peak| peak < 500), "{:?} MB", peak_megabytes());
}
