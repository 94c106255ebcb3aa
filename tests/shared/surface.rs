//! Shared caches: scopes of all namespaces together, and values of every type given back.

use super::{cache, flush};
use crate::support::{bounded, ms};
use cacheado::testing::ManualClock;
use cacheado::{Namespace, ScopeFigure, SharedCache};
use std::fmt::Debug;
use std::hash::Hash;

#[test]
fn a_shared_scope_is_the_same_scope_of_all_namespaces() {
    let cache = SharedCache::default();
    assert!(cache.is_empty());
    let acme = cache.scope([("organization", "acme")]).expect("valid");
    let ada = acme.scope([("user", "ada")]).expect("valid");
    assert_eq!(ada.path().to_string(), "organization=acme/user=ada");
    assert!(acme.scope([("organization", "acme")]).is_err(), "no organization in an organization");
    let texts: Namespace<u64, String> = ada.namespace("texts").expect("new");
    let numbers: Namespace<u64, u64> = acme.namespace("numbers").expect("new");
    assert!(texts.is_empty() && acme.is_empty() && ada.is_empty());
    let everywhere: Namespace<u64, u64> = cache.namespace("numbers").expect("it is there");
    assert_eq!(
        [texts.level(), numbers.level(), everywhere.level()],
        ["user", "organization", "global"]
    );

    texts.insert(1, "a".to_owned());
    numbers.insert(1, 2);
    assert_eq!((numbers.get(&1), numbers.get(&2)), (Some(2), None));
    flush(&cache);
    assert_eq!(
        (acme.len(), ada.len(), texts.path(), numbers.path()),
        (2, 1, ada.path(), acme.path())
    );
    assert!(!(texts.is_empty() || acme.is_empty() || texts.stats().is_empty()));
    assert_eq!((acme.stats().own().hits(), acme.stats().own().misses()), (1, 1));
    assert_eq!((acme.stats().subtree().len(), numbers.stats().hit_ratio()), (2, 0.5));

    let all = cache.scopes().wait().expect("at once");
    let report = all.get(&ada.path()).expect("a scope in use");
    assert_eq!((report.own().len(), report.path()), (1, &ada.path()));
    assert_eq!(ada.clone().evict().wait().expect("alive"), 1);
    assert_eq!((texts.get(&1), numbers.get(&1)), (None, Some(2)));
    assert_eq!(acme.evict().wait().expect("alive"), 1);
    assert!(cache.is_empty());
    cache.ready().wait().expect("room for writes");
    texts.ready().wait().expect("room for writes");
}

#[test]
fn a_shared_scope_tells_the_figures_of_those_below_it() {
    let cache = SharedCache::builder().max_capacity(1_000).build().expect("valid");
    let acme = cache.scope([("organization", "acme")]).expect("valid");
    let other = cache.scope([("organization", "other")]).expect("valid");
    other.namespace::<u64, u64>("numbers").expect("new").insert(1, 1);
    let users: Vec<_> = (1..=3).map(|id| acme.scope([("user", id)]).expect("valid")).collect();
    for (user, count) in users.iter().zip([2, 5, 3]) {
        let numbers: Namespace<u64, u64> = user.namespace("numbers").expect("valid");
        let texts: Namespace<u64, String> = user.namespace("texts").expect("valid");
        (1..count).for_each(|key| numbers.insert(key, key));
        texts.insert(1, "a".to_owned());
    }
    flush(&cache);
    let all = acme.scopes().wait().expect("at once");
    let own: Vec<_> = all.reports().iter().map(|report| report.own().len()).collect();
    assert_eq!((own, acme.weight()), (vec![0, 2, 5, 3], 10));
    let top = acme.top_scopes(2, ScopeFigure::Len).wait().expect("at once");
    let paths: Vec<_> = top.iter().map(|report| report.path().clone()).collect();
    assert_eq!(paths, [users[1].path(), users[2].path()]);
    assert_eq!(acme.evict_scope([("user", 2)]).expect("valid").wait().expect("alive"), 5);
    assert_eq!(acme.evict_scope([("user", 9)]).expect("valid").wait().expect("alive"), 0);
    assert!(acme.evict_scope([("organization", "acme")]).is_err(), "it is not below");
    assert_eq!((acme.weight(), acme.max_capacity()), (5, 1_000));
    let global = users[0].namespace::<u64, u64>("numbers").expect("valid");
    let whole = global.cache().namespace::<u64, u64>("numbers").expect("valid").shared_scope();
    assert_eq!((whole.weight(), whole.scopes().wait().expect("at once").reports().len()), (6, 6));
}

#[test]
fn what_nobody_reads_expires_in_a_shared_cache() {
    let clock = ManualClock::new();
    let builder = SharedCache::builder().clock(clock.clock()).time_to_live(ms(100));
    let cache = builder.time_to_idle(ms(10)).build().expect("valid");
    let space: Namespace<u64, u64> = cache.namespace("space").expect("new");
    space.insert(1, 1);
    space.insert(2, 2);
    clock.advance(ms(9));
    assert_eq!(space.get(&1), Some(1));
    clock.advance(ms(1));
    assert_eq!((space.peek(&1), space.peek(&2)), (Some(1), None), "2 was not read for 10 ms");
    for _ in 0..10 {
        assert_eq!(space.get(&1), Some(1));
        clock.advance(ms(9));
    }
    assert_eq!(space.peek(&1), None, "it was read, but 100 ms have passed");
}

/// Writes the pair until it is refused, and demands it back.
fn given_back<K, V>(name: &str, key: K, value: V)
where
    K: Hash + Eq + Clone + Debug + Send + Sync + 'static,
    V: PartialEq + Clone + Debug + Send + Sync + 'static,
{
    let cache = SharedCache::builder().shards(1).backlog(1).build().expect("valid settings");
    let space: Namespace<K, V> = cache.namespace(name).expect("new");
    let refused = loop {
        if let Err(refused) = space.try_insert(key.clone(), value.clone()) {
            break refused;
        }
    };
    assert!(refused.is_full() && !refused.is_closed() && !refused.is_forked());
    assert!(refused.to_string().contains("await ready()"), "{refused}");
    assert_eq!(refused.into_inner(), (key, value), "{name}");
}

#[test]
fn a_refused_pair_of_any_type_comes_back_as_it_was() {
    bounded(|| {
        given_back("u64", u64::MAX, i32::MIN);
        given_back("i64", i64::MIN, usize::MAX);
        given_back("u32", u32::MAX, i64::MIN);
        given_back("i32", i32::MIN, u32::MAX);
        given_back("usize", usize::MAX, u64::MAX);
        given_back("text", "k".to_owned(), "v".to_owned());
        given_back("box", ('k', vec![1_u8]), Some(1.5));
    });
}

#[test]
fn every_type_is_read_and_removed_as_it_was_written() {
    fn kept<K, V>(cache: &SharedCache, key: K, value: V)
    where
        K: Hash + Eq + Clone + Send + Sync + Debug + 'static,
        V: PartialEq + Clone + Debug + Send + Sync + 'static,
    {
        let name = std::any::type_name::<(K, V)>();
        let space: Namespace<K, V> = cache.namespace(name).expect("new");
        assert_eq!(space.get_or_load(&key, || value.clone()), value, "{name}");
        assert_eq!(space.pin().get(&key), Some(&value), "{name}");
        flush(cache);
        let entries = space.entries().wait().expect("alive");
        assert_eq!(entries, [(key.clone(), value.clone())], "{name}");
        assert_eq!((space.remove(&key), space.get(&key)), (Some(value), None), "{name}");
    }
    let cache = cache(2);
    kept(&cache, u64::MAX, i32::MIN);
    kept(&cache, i64::MIN, usize::MAX);
    kept(&cache, u32::MAX, i64::MIN);
    kept(&cache, i32::MIN, u32::MAX);
    kept(&cache, usize::MAX, u64::MAX);
    kept(&cache, "k".to_owned(), "v".to_owned());
    kept(&cache, ('k', vec![1_u8]), Some(1.5));
}
