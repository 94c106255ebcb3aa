//! Verbs of a scope that concern more than one key: its events, and the figures of those below it.

use crate::support::{bounded, builder, eventually, flush, on_each_shape};
use cacheado::{CacheHandle, RemovalCause, ScopeFigure, ScopedHandle};
use std::time::Duration;

type Cache = CacheHandle<u64, u64>;

fn cache(shards: usize) -> Cache {
    builder(shards).build().expect("valid settings")
}

fn organization(cache: &Cache, id: &str) -> ScopedHandle<u64, u64> {
    cache.scope([("organization", id)]).expect("a right path")
}

fn in_use(cache: &Cache) -> usize {
    cache.scopes().wait().expect("at once").reports().len() - 1
}

#[test]
fn a_stream_has_what_leaves_its_scope_and_nothing_else() {
    on_each_shape(|shards| {
        let cache = cache(shards);
        let (acme, umbrella) = (organization(&cache, "acme"), organization(&cache, "umbrella"));
        let below = acme.scope([("user", 1)]).expect("a right path");
        let events = acme.events();
        for key in 0..50 {
            for (place, scope) in (0..).zip([&acme, &umbrella, &below]) {
                scope.insert(key, 100 * place + key);
            }
            cache.insert(key, 1_000);
        }
        acme.insert(0, 99);
        assert_eq!((acme.remove(&1), below.remove(&1)), (Some(1), Some(201)));
        drop(umbrella.evict());
        drop(acme.evict());
        flush(&cache);
        let mut left: Vec<_> = (0..51)
            .map(|_| events.recv_timeout(Duration::from_secs(60)).expect("it left the scope"))
            .map(|removal| (*removal.key(), *removal.value(), removal.cause()))
            .collect();
        left.sort_unstable_by_key(|&(key, value, _)| (key, value));
        let cause = |key, value| match (key, value) {
            (0, 0) => RemovalCause::Replaced,
            (1, _) => RemovalCause::Removed,
            _ => RemovalCause::Scope,
        };
        let expected: Vec<_> = [(0, 0), (0, 99)]
            .into_iter()
            .chain((1..50).map(|key| (key, key)))
            .map(|(key, value)| (key, value, cause(key, value)))
            .collect();
        assert_eq!(left, expected);
        drop(cache.clear());
        flush(&cache);
        drop((cache, acme, umbrella, below));
        bounded(move || assert_eq!(events.iter().count(), 0, "all else left other scopes"));
    });
}

#[test]
fn a_stream_keeps_its_scope_in_use_and_lets_it_go() {
    let cache = cache(2);
    let events = organization(&cache, "acme").events();
    let clone = events.clone();
    drop(events);
    flush(&cache);
    assert_eq!(in_use(&cache), 1);
    let acme = organization(&cache, "acme");
    acme.insert(1, 1);
    acme.remove(&1);
    let left = clone.recv_timeout(Duration::from_secs(60)).expect("it is the same scope");
    assert_eq!((*left.key(), left.cause()), (1, RemovalCause::Removed));
    drop((clone, acme));
    eventually("the scope has ended", || in_use(&cache) == 0);
    // The next one is given the number of the one before.
    let other = organization(&cache, "other");
    let events = other.events();
    let receiver = crossbeam_channel::Receiver::clone(&events);
    drop((events, other));
    eventually("the scope has ended", || in_use(&cache) == 0);
    let third = organization(&cache, "third");
    eventually("the receiver has ended with its stream", || {
        for key in 0..20 {
            third.insert(key, key);
            third.remove(&key);
        }
        receiver.try_recv().expect_err("it is another scope").is_disconnected()
    });
}

#[test]
fn a_stream_does_not_keep_the_cache_running() {
    let cache = cache(1);
    let acme = organization(&cache, "acme");
    acme.insert(1, 1);
    let events = acme.events();
    drop((cache, acme));
    bounded(move || assert_eq!(events.into_iter().count(), 0));
}

#[test]
fn a_scope_tells_the_figures_of_those_below_it() {
    on_each_shape(|shards| {
        let cache = cache(shards);
        let (acme, umbrella) = (organization(&cache, "acme"), organization(&cache, "umbrella"));
        umbrella.insert(1, 1);
        let users: Vec<_> =
            (0..3).map(|id| acme.scope([("user", id)]).expect("a right path")).collect();
        for (user, count) in users.iter().zip([2, 5, 3]) {
            (0..count).for_each(|key| user.insert(key, key));
        }
        acme.insert(1, 1);
        let session = users[0].scope([("session", 1)]).expect("a right path");
        assert_eq!(session.get(&1), None);
        flush(&cache);
        let all = acme.scopes().wait().expect("at once");
        let figures = |report: &cacheado::ScopeReport| {
            (report.own().len(), report.subtree().len(), report.subtree().misses())
        };
        let seen: Vec<_> = all.reports().iter().map(figures).collect();
        assert_eq!(seen, [(1, 11, 1), (2, 2, 1), (0, 0, 1), (5, 5, 0), (3, 3, 0)]);
        assert_eq!(all.reports()[0].path(), &acme.path());
        assert!(all.get(&umbrella.path()).is_none(), "it is not below");
        let top = acme.top_scopes(2, ScopeFigure::Len).wait().expect("at once");
        let paths: Vec<_> = top.iter().map(|report| report.path().to_string()).collect();
        assert_eq!(paths, ["organization=acme/user=1", "organization=acme/user=2"]);
        assert_eq!(acme.max_capacity(), cache.max_capacity());
    });
}
