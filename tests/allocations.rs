//! A hit of a namespace or of a scope allocates nothing, whatever the types, nor a write that finds the memory of an entry that left. A test program of its own, because the
//! allocator counts for the whole process.

use allocation_counter::measure;
use cacheado::{CacheHandle, Namespace, ScopeTree, SharedCache};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How often this thread allocates in `f`, once it has run before.
fn allocations(mut f: impl FnMut()) -> u64 {
    f();
    measure(f).count_total
}

/// What a future says that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn a_hit_allocates_nothing() {
    let cache = SharedCache::new();
    let numbers: Namespace<u64, u64> = cache.namespace("numbers").expect("new");
    let texts: Namespace<String, Arc<str>> = cache.namespace("texts").expect("new");
    let pairs: Namespace<(u64, String), Arc<Vec<u8>>> = cache.namespace("pairs").expect("new");
    let acme = texts.scope([("organization", "acme")]).expect("valid");
    let pair = (1, "a".to_owned());
    numbers.insert(1, 1);
    texts.insert("a".into(), "b".into());
    acme.insert("a".into(), "b".into());
    pairs.insert(pair.clone(), Arc::new(vec![1]));
    cache.flush().wait().expect("alive");
    let hits = || {
        assert_eq!(numbers.get(&1), Some(1));
        assert_eq!(numbers.get_or_load(&1, || unreachable!("it is there")), 1);
        assert_eq!(texts.get("a").as_deref(), Some("b"));
        assert_eq!(acme.read("a", |value| value.len()), Some(1));
        assert!(texts.contains_key("a") && texts.peek("a").is_some());
        assert_eq!(pairs.get(&pair).map(|value| value.len()), Some(1));
        assert_eq!(pairs.pin().get(&pair).map(|value| value.len()), Some(1));
        let load = acme.get_or_load_async("a", async { unreachable!("it is there") });
        assert_eq!(&*now(load), "b");
    };
    assert_eq!(allocations(hits), 0);
    assert_eq!(allocations(|| assert_eq!(numbers.get(&2), None)), 0, "nor does a miss");
    assert!(allocations(|| numbers.insert(2, 2)) > 0, "a write does");
}

/// Also that hit by which it becomes one that is read much, and has counters of its own.
#[test]
fn no_hit_of_a_scope_allocates_however_many_there_are() {
    let tree = ScopeTree::new(["a/b/c/d/e"]).expect("valid");
    let cache = CacheHandle::<u64, u64>::builder().scopes(tree).build().expect("valid");
    for levels in 1..=5 {
        let path = ["a", "b", "c", "d", "e"].into_iter().map(|level| (level, "1")).take(levels);
        let scope = cache.scope(path).expect("a right path");
        scope.insert(1, 1);
        cache.flush().wait().expect("alive");
        assert_eq!(scope.get(&1), Some(1));
        let reads = || (0..20_000).for_each(|_| assert_eq!(scope.get(&1), Some(1)));
        assert_eq!(measure(reads).count_total, 0, "{levels} levels down");
    }
}

/// Entries of each form: without a time, with one, and with a deadline beside it.
#[test]
fn a_write_takes_the_memory_of_an_entry_that_left() {
    let hour = Duration::from_secs(3600);
    let builder = || CacheHandle::<u64, u64>::builder().shards(1);
    let caches = [
        builder(),
        builder().time_to_live(hour),
        builder().time_to_live(2 * hour).time_to_idle(hour),
    ];
    for (form, builder) in caches.into_iter().enumerate() {
        let cache = builder.build().expect("valid");
        let late = Instant::now() + Duration::from_secs(60);
        while measure(|| cache.insert(1, 1)).count_total > 0 {
            assert!(Instant::now() < late, "every write of form {form} allocates");
            cache.flush().wait().expect("alive");
        }
        assert_eq!(cache.get(&1), Some(1));
    }
}
