//! What the README says of moka and quick_cache, which a new version of them may make untrue.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Long enough to believe that a call does not return.
const HANGS: Duration = Duration::from_secs(3);

type Moka = moka::sync::Cache<u64, u64>;
type QuickCache = quick_cache::sync::Cache<u64, u64>;

/// Whether a call does not return. Its thread is left behind.
fn hangs(call: impl FnOnce() + Send + 'static) -> bool {
    let (returned, returns) = channel();
    thread::spawn(move || {
        call();
        let _ = returned.send(());
    });
    returns.recv_timeout(HANGS) == Err(RecvTimeoutError::Timeout)
}

fn load(cache: &QuickCache, key: u64, make: impl FnOnce() -> u64) -> u64 {
    let loaded = cache.get_or_insert_with(&key, || Ok::<_, Infallible>(make()));
    loaded.unwrap_or_else(|never| match never {})
}

#[test]
fn a_loader_that_asks_for_its_own_key_hangs_in_both_and_not_in_ours() {
    let moka = Arc::new(Moka::new(100));
    assert!(hangs(move || assert_eq!(moka.get_with(1, || moka.get_with(1, || 2)), 2)));
    let quick = Arc::new(QuickCache::new(100));
    assert!(hangs(move || assert_eq!(load(&quick, 1, || load(&quick, 1, || 2)), 2)));
    let ours = cacheado::CacheHandle::<u64, u64>::new();
    assert!(!hangs(move || assert_eq!(ours.get_or_load(&1, || ours.get_or_load(&1, || 2)), 2)));
}

#[test]
fn a_load_that_began_before_an_invalidation_outlives_it_in_moka() {
    let moka = Moka::new(100);
    let stale = moka.get_with(1, || {
        moka.invalidate(&1);
        7
    });
    assert_eq!((stale, moka.get(&1)), (7, Some(7)));
}

#[test]
fn in_quick_cache_it_outlives_none() {
    let quick = QuickCache::new(100);
    let removed = load(&quick, 1, || {
        quick.remove(&1);
        7
    });
    assert_eq!((removed, quick.get(&1)), (7, None));
    let cleared = load(&quick, 2, || {
        quick.clear();
        7
    });
    assert_eq!((cleared, quick.get(&2)), (7, None));
    let written = load(&quick, 3, || {
        quick.insert(3, 8);
        7
    });
    assert_eq!((written, quick.get(&3)), (7, Some(8)));
}

#[test]
fn in_ours_it_outlives_none() {
    let ours = cacheado::CacheHandle::<u64, u64>::new();
    let removed = ours.get_or_load(&1, || {
        ours.remove(&1);
        7
    });
    assert_eq!((removed, ours.get(&1)), (7, None));
    let cleared = ours.get_or_load(&2, || {
        drop(ours.clear());
        7
    });
    assert_eq!((cleared, ours.get(&2)), (7, None));
    let written = ours.get_or_load(&3, || {
        ours.insert(3, 8);
        7
    });
    assert_eq!((written, ours.get(&3)), (7, Some(8)));
}
