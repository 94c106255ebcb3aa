//! Verbs of a scope that concern more than one key: its events, and the figures of those below it.

use crate::support::{bounded, builder, eventually, flush, on_each_shape};
use cacheado::{CacheHandle, RemovalCause, ScopeFigure, ScopedHandle};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
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
    let other = organization(&cache, "other");
    let events = other.events();
    let receiver = crossbeam_channel::Receiver::clone(&events);
    drop((events, other));
    eventually("the scope has ended", || in_use(&cache) == 0);
    let end = receiver.recv_timeout(Duration::from_secs(60)).expect_err("nothing has left it");
    assert!(end.is_disconnected(), "it ends with its stream");
}

/// A scope is given the number of one that has ended, whose entries wait for a reader to let them go.
#[test]
fn a_stream_has_nothing_of_who_had_the_number_of_its_scope_before() {
    on_each_shape(|shards| {
        let cache = cache(shards);
        let victim = organization(&cache, "victim");
        (0..100).for_each(|key| victim.insert(key, key));
        flush(&cache);
        let view = cache.pin();
        assert_eq!(victim.evict().wait().expect("shards live"), 100);
        drop(victim);
        eventually("the scope has ended", || in_use(&cache) == 0);
        // Now its number has been given back, too.
        flush(&cache);
        let next = organization(&cache, "next");
        let events = next.events();
        next.insert(1, 1_000);
        flush(&cache);
        drop(view);
        assert_eq!(next.remove(&1), Some(1_000));
        let first = events.recv_timeout(Duration::from_secs(60)).expect("it was removed");
        assert_eq!((*first.value(), first.cause()), (1_000, RemovalCause::Removed));
        drop((cache, next));
        bounded(move || assert_eq!(events.into_iter().count(), 0, "all else was the victim's"));
    });
}

#[test]
fn each_of_many_streams_has_its_own() {
    let cache = cache(2);
    let streams: Vec<_> = (0..200)
        .map(|id| {
            let scope = cache.scope([("organization", id)]).expect("a right path");
            (scope.events(), scope)
        })
        .collect();
    for (_, scope) in &streams {
        (0..3).for_each(|key| scope.insert(key, key));
    }
    for (id, (_, scope)) in (0..).zip(&streams) {
        assert_eq!(scope.remove(&(id % 3)), Some(id % 3));
    }
    for (id, (events, _)) in (0..).zip(&streams) {
        let left = events.recv_timeout(Duration::from_secs(60)).expect("it was removed");
        assert_eq!((*left.key(), events.len()), (id % 3, 0));
    }
}

/// A scope that ends while a snapshot is taken, and begins anew, is in it once at most.
#[test]
fn a_snapshot_has_each_path_once() {
    let cache = cache(1);
    let done = AtomicBool::new(false);
    let start = Barrier::new(3);
    thread::scope(|scope| {
        for me in 0..2 {
            let (cache, done, start) = (&cache, &done, &start);
            scope.spawn(move || {
                start.wait();
                // Relaxed: it only says when to stop.
                for round in (0_u64..).take_while(|_| !done.load(Ordering::Relaxed)) {
                    // So that the same scope has another number each time.
                    let path = |i| [("organization", format!("{me}-{i}"))];
                    let others: Vec<_> = (0..round % 5).map(|i| cache.scope(path(i))).collect();
                    organization(cache, "same").get(&1);
                    assert!(others.iter().all(Result::is_ok));
                }
            });
        }
        start.wait();
        let once = (0..20_000).all(|_| {
            let snapshot = cache.scopes().wait().expect("at once");
            // They are in the order of their paths.
            snapshot.reports().windows(2).all(|pair| pair[0].path() < pair[1].path())
        });
        // Relaxed: as above.
        done.store(true, Ordering::Relaxed);
        assert!(once, "a path is there twice");
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
