//! Rows about functions whose results are kept.

use crate::support::{bounded, ms};
use crate::{flush, timed_cache};
use allocation_counter::measure;
use cacheado::{Error, SharedCache, memoize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, LazyLock};
use std::thread;
use std::time::Duration;
use tokio::task::JoinSet;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = cache, ttl = "5m", scope(organization = org, user = uid), key = id)]
fn profile(
    cache: &SharedCache,
    calls: &AtomicU64,
    id: u64,
    org: &str,
    uid: &str,
) -> Result<Arc<str>, Error> {
    calls.fetch_add(1, Ordering::SeqCst);
    Ok(format!("{id} {org} {uid}").into())
}

#[memoize(cache = cache, key = id)]
fn found(cache: &SharedCache, calls: &AtomicU64, id: u64) -> Option<u64> {
    calls.fetch_add(1, Ordering::SeqCst);
    (id > 9).then_some(id)
}

mod left {
    use super::{CACHE, memoize};

    #[memoize(cache = CACHE)]
    pub(super) fn side(n: u64) -> String {
        format!("left {n}")
    }
}

mod right {
    use super::{CACHE, memoize};

    #[memoize(cache = CACHE)]
    pub(super) fn side(n: u64) -> String {
        format!("right {n}")
    }
}

#[memoize(cache = CACHE, ttl = "5m", scope(organization = org), key = name)]
fn hit(org: &str, name: &str) -> Result<u64, Error> {
    Ok((org.len() + name.len()) as u64)
}

#[test]
fn row_decorator_on_functions_ttl_scope() {
    let ((clock, cache), calls) = (timed_cache(), AtomicU64::new(0));
    let call = |org, uid| profile(&cache, &calls, 1, org, uid).expect("a valid scope");
    for _ in 0..2 {
        assert_eq!(&*call("acme", "ada"), "1 acme ada");
        assert_eq!(&*call("globex", "ada"), "1 globex ada");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    clock.advance(Duration::from_secs(299));
    call("acme", "ada");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    clock.advance(Duration::from_secs(1));
    call("acme", "ada");
    assert_eq!(calls.load(Ordering::SeqCst), 3);

    // Equal names in two modules do not meet.
    assert_eq!((left::side(1), right::side(1)), ("left 1".to_owned(), "right 1".to_owned()));
    let namespace = left::side_namespace().expect("a valid namespace");
    assert_eq!(namespace.name(), concat!(module_path!(), "::left::side"));

    // `None` is kept, too.
    assert_eq!((found(&cache, &calls, 7), found(&cache, &calls, 7)), (None, None));
    assert_eq!(calls.load(Ordering::SeqCst), 4);

    for _ in 0..2 {
        assert_eq!(hit("acme", "ada").expect("a valid scope"), 7);
        flush(&CACHE);
    }
    let hits = measure(|| assert!((0..100).all(|_| hit("acme", "ada").is_ok_and(|n| n == 7))));
    assert_eq!(hits.count_total, 0, "a hit allocates nothing");
}

#[memoize(cache = cache, ttl = "3m", scope(organization = org), key = slug)]
async fn fetched(
    cache: &SharedCache,
    calls: &AtomicU64,
    slug: &str,
    org: &str,
) -> Result<String, Error> {
    calls.fetch_add(1, Ordering::SeqCst);
    cache.ready().await?;
    Ok(format!("{slug} of {org}"))
}

/// The same on an executor of tokio and on one that is none.
#[test]
fn row_decorator_on_async_functions() {
    let ((clock, cache), calls) = (timed_cache(), AtomicU64::new(0));
    let call = |org| fetched(&cache, &calls, "a", org);
    assert_eq!(pollster::block_on(call("acme")).expect("valid"), "a of acme");
    let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert_eq!(tokio.block_on(call("acme")).expect("valid"), "a of acme");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(tokio.block_on(call("globex")).expect("valid"), "a of globex");
    clock.advance(Duration::from_secs(180));
    pollster::block_on(call("acme")).expect("valid");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn row_one_cache_for_many_functions_and_keys() {
    let ((_, cache), calls) = (timed_cache(), AtomicU64::new(0));
    let fill = || {
        for org in ["acme", "globex"] {
            profile(&cache, &calls, 1, org, "ada").expect("valid");
            pollster::block_on(fetched(&cache, &calls, "a", org)).expect("valid");
            let notes = cache.namespace::<u8, Vec<u8>>("notes").expect("new");
            notes.scope([("organization", org)]).expect("valid").insert(1, vec![1, 2]);
        }
        found(&cache, &calls, 1);
    };
    fill();
    flush(&cache);
    assert_eq!((cache.len(), cache.stats().misses(), calls.load(Ordering::SeqCst)), (7, 5, 5));

    let evicted = cache.evict_scope([("organization", "acme")]).expect("a valid path");
    assert_eq!(evicted.wait().expect("shards live"), 3, "two functions' and a key by hand");
    fill();
    assert_eq!(calls.load(Ordering::SeqCst), 7, "those of the other scopes are hits");
    flush(&cache);
    assert_eq!((cache.len(), cache.stats().hits(), cache.stats().misses()), (7, 3, 7));
}

/// Counts its calls and takes long enough for callers to gather.
#[memoize(cache = cache, key = endpoint, name = "api")]
fn slow(cache: &SharedCache, calls: &AtomicU64, endpoint: &str) -> u64 {
    thread::sleep(ms(20));
    calls.fetch_add(1, Ordering::SeqCst) + endpoint.len() as u64
}

#[memoize(cache = cache, key = endpoint, name = "api")]
async fn slow_async(cache: &SharedCache, calls: &AtomicU64, endpoint: &str) -> u64 {
    tokio::time::sleep(ms(20)).await;
    calls.fetch_add(1, Ordering::SeqCst) + endpoint.len() as u64
}

/// Lets so many threads and tasks call at once and returns how often the function ran.
fn stampede(threads: usize, tasks: usize) -> u64 {
    let (cache, calls) = (SharedCache::new(), Arc::new(AtomicU64::new(0)));
    let start = Barrier::new(threads + 1);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let asked = || {
        let (cache, calls) = (cache.clone(), Arc::clone(&calls));
        async move { slow_async(&cache, &calls, "/api").await }
    };
    let answers: Vec<u64> = thread::scope(|scope| {
        let call = || {
            start.wait();
            slow(&cache, &calls, "/api")
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(call)).collect();
        start.wait();
        let tasks = async { (0..tasks).map(|_| asked()).collect::<JoinSet<_>>().join_all().await };
        let mut answers = tokio.expect("a runtime").block_on(tasks);
        answers.extend(threads.into_iter().map(|thread| thread.join().expect("no panic")));
        answers
    });
    assert_eq!((answers.len(), answers.iter().all(|n| *n == 4)), (threads + tasks, true));
    calls.load(Ordering::SeqCst)
}

#[test]
fn row_stampede_100_callers_1_call() {
    bounded(|| {
        assert_eq!(stampede(100, 0), 1, "threads");
        assert_eq!(stampede(0, 100), 1, "tasks");
        assert_eq!(stampede(50, 50), 1, "both");
    });

    // A leader that is lost loses nobody: one that waited loads in its stead.
    bounded(|| {
        let cache = SharedCache::new();
        let loads = cache.namespace::<u64, u64>("loads").expect("new");
        let (entered, leave) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let leader = scope.spawn(|| {
                loads.get_or_load(&1, || {
                    entered.wait();
                    leave.wait();
                    panic!("the leader is lost")
                })
            });
            entered.wait();
            let waiters: Vec<_> =
                (0..10).map(|_| scope.spawn(|| loads.get_or_load(&1, || 7))).collect();
            leave.wait();
            assert!(leader.join().is_err());
            assert!(waiters.into_iter().all(|waiter| waiter.join().is_ok_and(|value| value == 7)));
        });
        let stats = loads.stats();
        assert_eq!((stats.loads(), stats.load_failures()), (2, 1), "the leader's and one more");
    });
}
