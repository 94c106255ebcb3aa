//! A hit allocates nothing: not for the key, not for the namespace, not for the call.

use allocation_counter::measure;
use cacheado::{SharedCache, memoize};
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, ttl = "1h")]
fn named(name: &str, title: Option<&str>, tags: &[u8], owned: u64) -> Result<Arc<str>, String> {
    Ok(format!("{name} {title:?} {tags:?} {owned}").into())
}

#[memoize(cache = CACHE)]
async fn awaited(name: &str) -> Arc<str> {
    name.into()
}

#[memoize(cache = CACHE)]
fn any<T: Clone + Eq + std::hash::Hash + Send + Sync + 'static>(value: &T) -> T {
    value.clone()
}

#[memoize(cache = cache)]
fn elsewhere(cache: &SharedCache, n: u64) -> u64 {
    n + cache.max_capacity()
}

#[memoize(cache = CACHE, scope(organization = organization, user = user))]
fn of_a_user(organization: &str, user: u64, name: &str) -> Result<Arc<str>, cacheado::Error> {
    Ok(format!("{organization} {user} {name}").into())
}

#[memoize(cache = CACHE, scope(organization = organization, user = user), key = ())]
fn of_long_ids(organization: u128, user: i128) -> Result<u64, cacheado::Error> {
    Ok(u64::from(organization > user.unsigned_abs()))
}

/// What a future says that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn allocations(mut call: impl FnMut()) -> u64 {
    // The first loads, the second is this thread's first hit.
    call();
    CACHE.flush().wait().expect("shards live");
    call();
    measure(|| (0..100).for_each(|_| call())).count_total
}

#[test]
fn a_hit_allocates_nothing() {
    let call = || drop(named("Ada", Some("Countess"), &[1, 2], 7));
    assert_eq!(allocations(call), 0, "borrowed arguments");
    assert_eq!(allocations(|| drop(now(awaited("Ada")))), 0, "async");
    assert_eq!(allocations(|| assert_eq!((any(&7_u64), any(&'a')), (7, 'a'))), 0, "generic");
    let call = || drop(of_a_user("acme", 7, "Ada"));
    assert_eq!(allocations(call), 0, "in a scope");
    let call = || assert_eq!(of_long_ids(u128::MAX, i128::MIN).ok(), Some(1));
    assert_eq!(allocations(call), 0, "in a scope with long ids");
    let cache = SharedCache::new();
    let most = cache.max_capacity();
    let call = || assert_eq!(elsewhere(&cache, 1), 1 + most);
    assert_eq!(allocations(call), 0, "a cache that is told by the call");
    assert!(measure(|| drop(named("Eva", None, &[], 7))).count_total > 0, "a miss does");
}
