//! Tenants: isolation, paths, eviction of subtrees, figures, life of a scope.

use crate::support::{
    Counted, Gate, Ledger, Told, cache, eventually, flush, ms, on_each_shape, timed,
};
use crate::support::{bounded, builder};
use cacheado::{CacheHandle, RemovalCause, ScopeFigure, ScopeTree, ScopedHandle};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub(crate) type Cache = CacheHandle<String, u64>;

fn org(cache: &Cache, id: &str) -> ScopedHandle<String, u64> {
    cache.scope([("organization", id)]).expect("a right path")
}

fn user(cache: &Cache, organization: &str, id: &str) -> ScopedHandle<String, u64> {
    cache.scope([("organization", organization), ("user", id)]).expect("a right path")
}

pub(crate) fn put(scope: &ScopedHandle<String, u64>, key: &str, value: u64) {
    scope.insert(key.into(), value);
}

#[test]
fn a_scope_evicts_and_weighs_those_below_it() {
    let cache = builder::<u64, u64>(2).weigher(|_, value| *value as u32).build().expect("valid");
    let organization = cache.scope([("organization", "a")]).expect("a right path");
    let user = organization.scope([("user", "u")]).expect("a right path");
    let namesake = cache.scope([("organization", "b"), ("user", "u")]).expect("a right path");
    organization.insert(1, 5);
    user.insert(1, 7);
    namesake.insert(1, 11);
    flush(&cache);
    assert_eq!([&organization, &user, &namesake].map(|scope| scope.weight()), [12, 7, 11]);
    let evict = |user: &str| organization.evict_scope([("user", user)]).expect("a right path");
    assert_eq!(evict("nobody").wait().expect("shards live"), 0);
    let reply = evict("u");
    assert_eq!(
        [&organization, &user, &namesake].map(|scope| scope.get(&1)),
        [Some(5), None, Some(11)]
    );
    assert_eq!(reply.wait().expect("shards live"), 1);
    assert_eq!(organization.weight(), 5);
    let error = organization.evict_scope([("session", "s")]).expect_err("it is not directly below");
    assert!(error.to_string().contains("user"), "{error}");
}

#[test]
fn a_key_belongs_to_exactly_one_scope() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        let scopes = [org(&cache, "a"), org(&cache, "b"), user(&cache, "a", "b")];
        cache.insert("k".into(), 0);
        for round in 0..3 {
            for (i, scope) in scopes.iter().enumerate() {
                put(scope, "k", 10 * round + i as u64 + 1);
            }
            if round == 1 {
                flush(&cache);
            }
            for (i, scope) in scopes.iter().enumerate() {
                let expected = Some(10 * round + i as u64 + 1);
                assert_eq!((scope.get("k"), scope.peek("k")), (expected, expected));
                assert_eq!(scope.pin().get("k").copied(), expected);
            }
            assert_eq!(cache.get("k"), Some(0));
        }
        assert_eq!(scopes[0].remove("k"), Some(21));
        assert!(!scopes[0].contains_key("k"));
        assert_eq!((scopes[1].get("k"), scopes[2].get("k")), (Some(22), Some(23)));
        flush(&cache);
        assert_eq!(cache.len(), 3);
        assert_eq!(cache.entries().wait().expect("shards live"), [("k".into(), 0)]);
        assert_eq!(scopes[2].entries().wait().expect("shards live"), [("k".into(), 23)]);
        assert_eq!(scopes[0].entries().wait().expect("shards live"), []);
    });
}

#[test]
fn every_verb_works_in_a_scope() {
    bounded(|| {
        let (clock, builder) = timed::<String, u64>(1);
        let cache = builder.build().expect("valid");
        let scope = user(&cache, "a", "u");
        scope.insert_with_ttl("t".into(), 1, ms(10));
        scope.try_insert("i".into(), 2).expect("there is room");
        scope.flush().wait().expect("shards live");
        assert_eq!((scope.get("t"), scope.read("i", |v| v + 1)), (Some(1), Some(3)));
        clock.advance(ms(10));
        assert_eq!(scope.get("t"), None);
        scope.insert_with_ttl("i".into(), 3, Duration::ZERO);
        assert_eq!(scope.get("i"), None);
        assert_eq!(scope.get_or_load("l", || 4), 4);
        assert_eq!(scope.get_or_load("l", || unreachable!("it is there")), 4);
        assert_eq!(scope.try_get_or_load("e", || Err::<u64, _>("no")).map_err(|e| *e), Err("no"));
        let loaded = pollster::block_on(scope.get_or_load_async("m", async { 5 }));
        assert_eq!(loaded, 5);
        let failed = scope.try_get_or_load_async("e", async { Err::<u64, _>("no") });
        assert_eq!(pollster::block_on(failed).map_err(|e| *e), Err("no"));
        scope.ready().wait().expect("shards live");
        // The timer wheel turns once in about a millisecond.
        clock.advance(ms(2));
        scope.flush().wait().expect("shards live");
        assert_eq!((scope.len(), cache.len(), cache.get("l")), (2, 2, None));
        assert_eq!(
            (scope.level(), scope.path().to_string()),
            ("user", "organization=a/user=u".into())
        );
    });
}

#[test]
fn an_eviction_reaches_the_subtree_and_nothing_else() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        let (a, b) = (org(&cache, "a"), org(&cache, "b"));
        let (au, av, bu) = (user(&cache, "a", "u"), user(&cache, "a", "v"), user(&cache, "b", "u"));
        let session = au.scope([("session", 1)]).expect("a right path");
        let all = [&a, &b, &au, &av, &bu, &session];
        let fill = || {
            for key in 0..40 {
                cache.insert(key.to_string(), key);
                all.iter().for_each(|scope| put(scope, &key.to_string(), key));
            }
        };
        let present =
            || all.map(|scope| (0..40).filter(|k| scope.contains_key(&k.to_string())).count());
        for flushed in [false, true] {
            fill();
            if flushed {
                flush(&cache);
            }
            let reply = au.evict();
            assert_eq!(present(), [40, 40, 0, 40, 40, 0], "at once");
            assert_eq!(reply.wait().expect("shards live"), 80);
            fill();
            let reply = cache.evict_scope([("organization", "a")]).expect("a right path");
            assert_eq!(present(), [0, 40, 0, 0, 40, 0]);
            assert_eq!(reply.wait().expect("shards live"), 160);
            assert_eq!(a.evict().wait().expect("shards live"), 0, "nothing is left");
            flush(&cache);
            assert_eq!((cache.len(), a.len(), b.len()), (120, 0, 80));
            assert_eq!(cache.clear().wait().expect("shards live"), 120);
            assert_eq!(present(), [0; 6]);
        }
    });
}

#[test]
fn the_eviction_of_any_level_reaches_the_deepest_scope() {
    on_each_shape(|shards| {
        let levels: Vec<String> = (0..9).map(|level| format!("level{level}")).collect();
        let tree = ScopeTree::new([levels.join("/")]).expect("valid levels");
        let cache: Cache = builder(shards).scopes(tree).build().expect("valid settings");
        let path: Vec<_> = levels.iter().map(|level| (level, 1)).collect();
        let scopes: Vec<_> =
            (1..=path.len()).map(|depth| cache.scope(path[..depth].to_vec())).collect();
        for scope in scopes.iter().map(|scope| scope.as_ref().expect("a right path")) {
            let deepest = cache.scope(path.clone()).expect("a right path");
            put(&deepest, "k", 1);
            assert_eq!(deepest.get("k"), Some(1));
            let reply = scope.evict();
            assert_eq!(deepest.get("k"), None, "evicted from {}", scope.path());
            assert_eq!(reply.wait().expect("alive"), 1);
        }
    });
}

#[test]
fn an_eviction_reaches_each_of_many_shards() {
    bounded(|| {
        for shards in [2, 3, 4, 7, 16, 33] {
            let cache: Cache = cache(shards);
            let acme = org(&cache, "acme");
            (0..500_u64).for_each(|i| put(&acme, &i.to_string(), i));
            flush(&cache);
            assert_eq!(acme.evict().wait().expect("alive"), 500, "{shards} shards");
            cache.insert("k".into(), 1);
            assert_eq!(cache.clear().wait().expect("alive"), 1, "{shards} shards");
        }
    });
}

#[test]
fn evicting_a_scope_that_never_was_is_zero() {
    let cache: Cache = cache(1);
    let reply = cache.evict_scope([("organization", "nobody")]).expect("a right path");
    assert_eq!(reply.wait().expect("at once"), 0);
    assert_eq!(cache.scopes().wait().expect("at once").reports().len(), 1, "none was made");
}

#[test]
fn a_count_is_of_live_entries_once_each() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<String, u64>(shards);
        let told = Told::new();
        let cache = told.listen(builder).build().expect("valid");
        let scope = user(&cache, "a", "u");
        for flushed in [false, true] {
            for key in 0..30 {
                put(&scope, &key.to_string(), 0);
                put(&scope, &key.to_string(), 1);
            }
            assert!((0..10).all(|key| scope.remove(&key.to_string()) == Some(1)));
            for key in 10..15 {
                scope.insert_with_ttl(key.to_string(), 2, ms(5));
            }
            clock.advance(ms(5));
            if flushed {
                flush(&cache);
            }
            let first = scope.evict();
            put(&scope, "29", 3);
            let second = org(&cache, "a").evict();
            assert_eq!((first.wait().expect("live"), second.wait().expect("live")), (15, 1));
            flush(&cache);
            let causes: Vec<_> = told.take().into_iter().map(|(_, _, cause)| cause).collect();
            let count = |cause| causes.iter().filter(|&&c| c == cause).count();
            assert_eq!(count(RemovalCause::Scope), 16);
            assert_eq!(count(RemovalCause::Removed), 10);
        }
        assert!(cache.is_empty());
    });
}

#[test]
fn what_was_issued_before_an_eviction_is_born_dead() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        let scope = user(&cache, "a", "u");
        let gate = Gate::new();
        thread::scope(|threads| {
            let load = threads.spawn(|| {
                scope.get_or_load("k", || {
                    gate.pass();
                    1
                })
            });
            gate.wait_for(1);
            let reply = org(&cache, "a").evict();
            let joined = scope.get_or_load("k", || 2);
            assert_eq!(joined, 2, "a load that began later does not join");
            gate.open();
            assert_eq!(load.join().expect("no panic"), 1, "it is returned all the same");
            assert_eq!(reply.wait().expect("shards live"), 0);
        });
        flush(&cache);
        assert_eq!((scope.get("k"), scope.len()), (Some(2), 1));
    });
}

#[test]
fn figures_are_exact_after_a_flush() {
    on_each_shape(|shards| {
        let cache: Cache =
            builder(shards).weigher(|_, value| *value as u32).build().expect("valid");
        let (a, u, v) = (org(&cache, "a"), user(&cache, "a", "u"), user(&cache, "a", "v"));
        cache.insert("g".into(), 7);
        (0..5).for_each(|key| put(&a, &key.to_string(), 1));
        (0..9).for_each(|key| put(&u, &key.to_string(), 2));
        put(&u, "0", 5);
        // Often enough for the counts of threads to be apart.
        (0..3_000).for_each(|_| assert_eq!(v.get("k"), None));
        (0..4).for_each(|_| assert_eq!(u.get("0"), Some(5)));
        v.get_or_load("l", || 3);
        assert_eq!(cache.get("g"), Some(7));
        flush(&cache);
        let snapshot = cache.scopes().wait().expect("at once");
        let figures = |scope: &ScopedHandle<String, u64>| {
            let report = snapshot.get(&scope.path()).expect("in use");
            assert_eq!(
                (report.own(), report.subtree()),
                (scope.stats().own(), scope.stats().subtree())
            );
            [report.own(), report.subtree()]
                .map(|f| [f.len(), f.weight(), f.hits(), f.misses(), f.loads()])
        };
        assert_eq!(figures(&a), [[5, 5, 0, 0, 0], [15, 29, 4, 3_001, 1]]);
        assert_eq!(figures(&u), [[9, 21, 4, 0, 0]; 2]);
        assert_eq!(figures(&v), [[1, 3, 0, 3_001, 1]; 2]);
        let global = &snapshot.reports()[0];
        assert_eq!((global.own().len(), global.own().weight(), global.own().hits()), (1, 7, 1));
        assert_eq!(global.subtree().len(), 16);
        assert_eq!((a.len(), u.len(), cache.len()), (15, 9, 16));
        let top = cache.top_scopes(2, ScopeFigure::Weight).wait().expect("at once");
        let top: Vec<_> = top.iter().map(|report| report.path().to_string()).collect();
        assert_eq!(top, ["organization=a/user=u", "organization=a"]);
        drop(v.evict().wait());
        flush(&cache);
        assert_eq!((a.len(), v.len(), a.stats().subtree().misses()), (14, 0, 3_001));
    });
}

#[test]
fn capacity_evictions_are_counted_where_they_happen() {
    bounded(|| {
        let cache: Cache = builder(1).max_capacity(10).build().expect("valid");
        let (u, v) = (user(&cache, "a", "u"), user(&cache, "a", "v"));
        (0..10).for_each(|key| put(&u, &key.to_string(), key));
        flush(&cache);
        (0..4).for_each(|key| put(&v, &key.to_string(), key));
        flush(&cache);
        assert_eq!((u.stats().own().evictions(), v.stats().own().evictions()), (4, 0));
        assert_eq!((u.len(), v.len(), org(&cache, "a").stats().subtree().evictions()), (6, 4, 4));
    });
}

#[test]
fn what_an_ended_scope_has_counted_stays_in_the_sums_above_it() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        let a = org(&cache, "a");
        for round in 1..=5 {
            let session = user(&cache, "a", "u").scope([("session", round)]).expect("a right path");
            assert_eq!(session.get("k"), None);
            drop(session);
            eventually("the session ends", || {
                cache.scopes().wait().expect("at once").reports().len() == 2
            });
            assert_eq!(a.stats().subtree().misses(), round);
        }
    });
}

#[test]
fn a_level_has_a_lifetime_that_calls_override() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<String, u64>(shards);
        let tree = ScopeTree::default().time_to_live("user", ms(100)).expect("a level");
        let cache = builder.time_to_live(ms(1000)).scopes(tree).build().expect("valid");
        let (organization, user) = (org(&cache, "a"), user(&cache, "a", "u"));
        let session = user.scope([("session", "s")]).expect("a right path");
        for scope in [&organization, &user, &session] {
            put(scope, "k", 1);
            scope.insert_with_ttl("own".into(), 1, ms(500));
            scope.get_or_load("loaded", || 1);
        }
        let present = |key| [&organization, &user, &session].map(|scope| scope.contains_key(key));
        clock.advance(ms(100));
        assert_eq!([present("k"), present("loaded")], [[true, false, false]; 2]);
        assert_eq!(present("own"), [true; 3]);
        clock.advance(ms(400));
        assert_eq!(present("own"), [false; 3]);
        clock.advance(ms(500));
        assert_eq!(present("k"), [false; 3]);
        eventually("all have left", || cache.is_empty());
    });
}

#[test]
fn a_scope_without_entries_and_handles_is_gone() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        let in_use = || cache.scopes().wait().expect("at once").reports().len() - 1;
        let session = user(&cache, "a", "u").scope([("session", "s")]).expect("a right path");
        assert_eq!(in_use(), 3, "with those above it");
        put(&session, "k", 1);
        drop(session);
        flush(&cache);
        flush(&cache);
        assert_eq!(in_use(), 3, "there is an entry");
        let session = user(&cache, "a", "u").scope([("session", "s")]).expect("a right path");
        assert_eq!(session.remove("k"), Some(1));
        flush(&cache);
        assert_eq!(in_use(), 3, "there is a handle");
        drop(session.clone());
        drop(session);
        eventually("all are gone", || in_use() == 0);
        put(&user(&cache, "a", "u"), "k", 2);
        assert_eq!(user(&cache, "a", "u").get("k"), Some(2));
        assert_eq!(cache.clear().wait().expect("shards live"), 1);
        eventually("all are gone", || in_use() == 0);
    });
}

#[test]
fn many_short_sessions_leave_nothing_behind() {
    on_each_shape(|shards| {
        let cache: Cache = builder(shards).max_capacity(1_000).build().expect("valid");
        thread::scope(|threads| {
            for me in 0..3 {
                let cache = &cache;
                threads.spawn(move || {
                    for round in 0..3_000u64 {
                        let session = cache
                            .scope([
                                ("organization", me % 2),
                                ("user", round % 7),
                                ("session", round),
                            ])
                            .expect("a right path");
                        assert!(session.get("k").is_none_or(|value| value == round));
                        session.insert("k".into(), round);
                        assert!(session.get("k").is_none_or(|value| value == round));
                        if round % 3 == 0 {
                            drop(session.evict());
                        }
                    }
                });
            }
        });
        cache.clear().wait().expect("shards live");
        eventually("no scope is left", || {
            cache.scopes().wait().expect("at once").reports().len() == 1
        });
        assert!(cache.is_empty());
    });
}

#[test]
fn values_are_dropped_once_whatever_evicts_them() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let cache: CacheHandle<u64, Counted> =
            builder(shards).max_capacity(500).build().expect("valid");
        let scope =
            |user: u64| cache.scope([("organization", 1), ("user", user)]).expect("a right path");
        for key in 0..3_000 {
            scope(key % 5).insert(key, ledger.value(key));
            if key % 700 == 0 {
                drop(scope(key % 5).evict());
            }
        }
        flush(&cache);
        eventually("only what is stored lives", || ledger.live() == cache.len());
        drop(cache);
        eventually("every value is dropped", || ledger.live() == 0);
    });
}

#[test]
fn a_handle_of_a_scope_keeps_the_cache() {
    let cache: Cache = cache(2);
    let scope = user(&cache, "a", "u");
    put(&scope, "k", 1);
    drop(cache);
    scope.flush().wait().expect("shards live");
    assert_eq!((scope.get("k"), scope.len()), (Some(1), 1));
    assert_eq!(scope.evict().wait().expect("shards live"), 1);
}

#[test]
fn scopes_are_made_and_ended_while_others_use_them() {
    on_each_shape(|shards| {
        let cache: Cache = builder(shards).backlog(64).build().expect("valid");
        let cache = Arc::new(cache);
        thread::scope(|threads| {
            for me in 0..4u64 {
                let cache = Arc::clone(&cache);
                threads.spawn(move || {
                    let mut seen = BTreeSet::new();
                    for round in 0..4_000u64 {
                        // All make and leave the same scopes; each has a key of its own there.
                        let id = round % 3;
                        let scope = cache.scope([("organization", id)]).expect("a right path");
                        let key = format!("{me}/{id}");
                        assert_eq!(scope.get(&key), None, "it was removed");
                        scope.insert(key.clone(), round);
                        assert_eq!(scope.get(&key), Some(round), "its own write");
                        assert_eq!(scope.remove(&key), Some(round));
                        seen.insert(id);
                    }
                    assert_eq!(seen.len(), 3);
                });
            }
        });
        flush(&cache);
        assert_eq!(cache.len(), 0);
        eventually("no scope is left", || {
            cache.scopes().wait().expect("at once").reports().len() == 1
        });
    });
}
