//! The rest of what is seen from outside: what `{:?}` says, what ids are made from, what figures and causes
//! tell.

use crate::support::{PATIENCE, builder, cache, eventually, flush};
use cacheado::{
    CacheHandle, Removal, RemovalCause, ScopeFigure, ScopeId, ScopeTree, ScopedHandle, SharedCache,
    Stats,
};
use std::borrow::Cow;
use std::sync::Arc;

/// A key and a value that cannot be shown.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Hidden;

#[test]
fn what_is_shown_of_a_cache_is_its_settings_and_never_its_data() {
    let cache: CacheHandle<Hidden, Hidden> =
        CacheHandle::builder().max_capacity(7).build().expect("valid");
    let shared = SharedCache::builder().max_capacity(7).build().expect("valid");
    let namespace = shared.namespace::<Hidden, Hidden>("secrets").expect("new");
    let scope = cache.scope([("organization", "acme")]).expect("valid");
    let shared_scope = shared.scope([("organization", "acme")]).expect("valid");
    let mut refused = None;
    while refused.is_none() {
        refused = cache.try_insert(Hidden, Hidden).err();
    }
    let limited = shared.namespace_builder::<Hidden, Hidden>("few").max_items(3);
    let shown = [
        (format!("{cache:?}"), "CacheHandle { max_capacity: 7, .. }"),
        (format!("{shared:?}"), "SharedCache { max_capacity: 7, .. }"),
        (format!("{namespace:?}"), "Namespace { name: \"secrets\", .. }"),
        (format!("{:?}", cache.pin()), "PinnedView { .. }"),
        (format!("{:?}", scope.pin()), "ScopedView { .. }"),
        (format!("{:?}", namespace.pin()), "NamespaceView { .. }"),
        (format!("{:?}", namespace.events()), "NamespaceEvents { len: 0, .. }"),
        (format!("{:?}", refused.expect("the loop ended")), "TryInsertError { why: Full, .. }"),
    ];
    for (shown, wanted) in shown {
        assert_eq!(shown, wanted);
    }
    let told = [
        (format!("{:?}", CacheHandle::<u8, u8>::builder().shards(3)), "shards: Some(3)"),
        (format!("{:?}", SharedCache::builder().shards(3)), "shards: Some(3)"),
        (format!("{limited:?}"), "max_items: Some(3)"),
        (format!("{scope:?}"), "(\"organization\", \"acme\")"),
        (format!("{shared_scope:?}"), "(\"organization\", \"acme\")"),
        (format!("{:?}", cache.flush()), "parts_to_come: 1"),
    ];
    for (shown, part) in told {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn one_scope_is_found_by_every_form_of_its_id() {
    let cache: CacheHandle<u64, u64> = cache(1);
    cache.scope([("organization", "42")]).expect("valid").insert(1, 1);
    let text = String::from("42");
    let forms = [
        ScopeId::from(&text),
        ScopeId::from(text.clone()),
        ScopeId::from(Cow::Borrowed("42")),
        ScopeId::from(42_u8),
        ScopeId::from(42_i64),
        ScopeId::from(42_u128),
    ];
    for id in forms {
        assert_eq!(format!("{id:?}"), "ScopeId(\"42\")");
        assert_eq!(cache.scope([("organization", id)]).expect("valid").get(&1), Some(1));
    }
    let long = cache.scope([("organization", u128::MAX)]).expect("valid");
    assert_eq!(long.path().to_string(), format!("organization={}", u128::MAX));
    assert_eq!(long.get(&1), None);
}

#[test]
fn a_path_tells_its_levels() {
    let cache: CacheHandle<u64, u64> = cache(1);
    let user = cache.scope([("organization", "acme"), ("user", "ada")]).expect("valid");
    let path = user.path();
    assert_eq!((path.level(), path.len(), path.is_empty()), ("user", 2, false));
    assert_eq!(user.level(), "user");
    assert_eq!(path.iter().next_back(), Some(("user", "ada")));
}

/// A cache whose values are their own weights, and a scope of it.
fn weighing() -> (CacheHandle<u64, u32>, ScopedHandle<u64, u32>) {
    let cache = builder(1).weigher(|_, weight: &u32| *weight).build().expect("valid");
    let scope = cache.scope([("organization", "acme")]).expect("valid");
    (cache, scope)
}

#[test]
fn a_scope_weighs_what_its_values_weigh_now() {
    let (cache, scope) = weighing();
    let weight = |cache: &CacheHandle<u64, u32>, scope: &ScopedHandle<u64, u32>| {
        flush(cache);
        (scope.stats().own().weight(), cache.weight())
    };
    cache.insert(1, 5);
    scope.insert(1, 3);
    assert_eq!(weight(&cache, &scope), (3, 8));
    scope.insert(1, 10);
    assert_eq!(weight(&cache, &scope), (10, 15), "a heavier value of the same key");
    scope.insert(1, 2);
    assert_eq!(weight(&cache, &scope), (2, 7), "a lighter one");
    scope.remove(&1);
    assert_eq!(weight(&cache, &scope), (0, 5));
}

#[test]
fn figures_are_told_by_their_names() {
    let (cache, scope) = weighing();
    assert_eq!((scope.stats().own().hit_ratio(), scope.stats().own().is_empty()), (0.0, true));
    for key in 0..4 {
        scope.get_or_load(&key, || 7);
    }
    for _ in 0..12 {
        scope.get(&0);
    }
    flush(&cache);
    let own = scope.stats().own();
    assert_eq!((own.hit_ratio(), own.is_empty()), (0.75, false));
    let all = [
        (ScopeFigure::Len, own.len(), 4),
        (ScopeFigure::Weight, own.weight(), 28),
        (ScopeFigure::Hits, own.hits(), 12),
        (ScopeFigure::Misses, own.misses(), 4),
        (ScopeFigure::Loads, own.loads(), 4),
        (ScopeFigure::Evictions, own.evictions(), 0),
    ];
    for (which, named, expected) in all {
        assert_eq!((own.get(which), named), (expected, expected), "{which:?}");
    }
    assert!(!cache.stats().is_empty() && Stats::default().is_empty());
}

#[test]
fn what_left_is_handed_over_with_its_cause() {
    let cache: CacheHandle<u64, String> = builder(1).max_capacity(1).build().expect("valid");
    let events = cache.events();
    cache.insert(1, "one".to_owned());
    flush(&cache);
    cache.insert(2, "two".to_owned());
    flush(&cache);
    cache.remove(&2);
    flush(&cache);
    let left = [(); 2].map(|()| events.recv_timeout(PATIENCE).expect("told"));
    let causes: Vec<_> = left.iter().map(|removal| removal.cause()).collect();
    assert_eq!(causes, [RemovalCause::Capacity, RemovalCause::Removed]);
    let decided: Vec<_> = causes.iter().map(|cause| cause.is_eviction()).collect();
    assert_eq!(decided, [true, false], "by the cache, and by its user");
    assert_eq!((left[0].key(), left[0].value().as_str()), (&1, "one"));
    eventually("the shard lets go", || left.iter().all(|left| Arc::strong_count(left) == 1));
    let inner = left.into_iter().map(|left| Arc::into_inner(left).map(Removal::into_inner));
    let inner: Option<Vec<_>> = inner.collect();
    assert_eq!(inner, Some(vec![(1, "one".to_owned()), (2, "two".to_owned())]));
}

#[test]
fn a_tree_has_at_most_1024_levels() {
    let names = |levels: usize| (0..levels).map(|level| format!("level-{level}"));
    assert!(ScopeTree::new(names(1_024)).is_ok());
    let refused = ScopeTree::new(names(1_025)).expect_err("one too many");
    assert!(refused.is_invalid_scope_tree());
    assert!(refused.to_string().contains("give at most 1024 levels"), "{refused}");
}
