//! Namespaces with a limit of their own.

use super::{ACME, cache, flush};
use crate::support::bounded;
use cacheado::Namespace;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn a_namespace_has_at_most_its_max_items() {
    for shards in [1, 4] {
        let cache = cache(shards);
        let few: Namespace<u64, u64> =
            cache.namespace_builder("few").max_items(2).build().expect("new");
        let other: Namespace<u64, u64> = cache.namespace("other").expect("new");
        let (acme, user) = (few.scope(ACME).expect("valid"), few.scope([("organization", 2)]));
        for i in 0..100 {
            few.insert(i, i);
            other.insert(i, i);
            acme.insert(i, i);
            user.as_ref().expect("valid").insert(i, i);
            if i % 10 == 0 {
                flush(&cache);
                assert_eq!(few.len(), 2.min(3 * (i + 1)));
            }
        }
        flush(&cache);
        assert_eq!((few.len(), other.len(), cache.len()), (2, 100, 102));
        assert_eq!(few.stats().evictions(), 298);
        assert_eq!(few.clear().wait().expect("alive"), 2);
        for i in 1..=3 {
            few.insert(i, i);
            // What one fold takes up has no order among itself.
            flush(&cache);
        }
        assert_eq!((few.len(), few.get(&3)), (2, Some(3)), "a clear does not end the limit");
    }
}

#[test]
fn what_was_read_outlives_what_was_not() {
    for shards in [1, 4] {
        let cache = cache(shards);
        let few: Namespace<u64, u64> =
            cache.namespace_builder("few").max_items(3).build().expect("new");
        for key in 1..=3 {
            few.insert(key, key);
            flush(&cache);
        }
        for new in 4..20 {
            assert_eq!(few.get(&1), Some(1), "it was read each time");
            few.insert(new, new);
            flush(&cache);
            assert_eq!(few.len(), 3);
            assert_eq!(few.peek(&new), Some(new), "the newest stays");
        }
    }
}

#[test]
fn many_items_are_bounded_over_several_shards() {
    let cache = cache(4);
    let many: Namespace<u64, u64> =
        cache.namespace_builder("many").max_items(10_000).build().expect("new");
    for i in 0..50_000 {
        many.insert(i, i);
    }
    flush(&cache);
    assert!((9_900..=10_000).contains(&many.len()), "{} items", many.len());
}

#[test]
fn a_flush_comes_after_the_limit_also_while_scopes_are_evicted() {
    bounded(|| {
        let cache = cache(1);
        let few: Namespace<u64, u64> =
            cache.namespace_builder("few").max_items(5).build().expect("new");
        let stop = AtomicBool::new(false);
        let most = thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    cache.evict_scope(ACME).expect("valid").wait().expect("alive");
                }
            });
            let acme = few.scope(ACME).expect("valid");
            let live = (0..2_000).map(|round| {
                (0..5).for_each(|key| acme.insert(key, round));
                (0..10).for_each(|key| few.insert(key, round));
                flush(&cache);
                few.entries().wait().expect("alive").len()
            });
            let most = live.max();
            stop.store(true, Ordering::Relaxed);
            most
        });
        assert!(most <= Some(5), "{most:?} of five");
    });
}
