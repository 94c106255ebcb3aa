//! Settings that are refused: the error names the setting and says what would be accepted.

use crate::support::{bounded, ms};
use cacheado::{CacheBuilder, CacheHandle, Error, ScopeTree, SharedCache};
use std::time::Duration;

type Configure = fn(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>;

fn refusal(configure: Configure) -> Error {
    match configure(CacheHandle::builder()).build() {
        Ok(_) => panic!("accepted"),
        Err(error) => error,
    }
}

#[test]
fn every_refused_setting_is_named_with_what_is_accepted() {
    let refused: [(&str, Configure); 7] = [
        ("max_capacity", |builder| builder.max_capacity(0)),
        ("shards", |builder| builder.shards(0)),
        ("weigher", |builder| builder.weigher(|_, _| 1)),
        ("event_capacity", |builder| builder.event_capacity(usize::MAX)),
        ("time_to_live", |builder| builder.time_to_live(Duration::ZERO)),
        ("time_to_idle", |builder| builder.time_to_idle(Duration::ZERO)),
        ("time_to_idle", |builder| builder.time_to_live(ms(10)).time_to_idle(ms(11))),
    ];
    for (setting, configure) in refused {
        let error = refusal(configure);
        let text = error.to_string();
        assert!(error.is_invalid_setting(), "{text}");
        assert!(
            !(error.is_closed() || error.is_thread_start() || error.is_would_deadlock()),
            "{text}"
        );
        assert!(text.contains(setting), "`{text}` does not name {setting}");
        let said = text.split_once(": give ").is_some_and(|(_, accepted)| !accepted.is_empty());
        assert!(said, "`{text}` does not say what is accepted");
    }
}

#[test]
fn a_refusal_is_a_plain_error() {
    let error = refusal(|builder| builder.shards(0));
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
    assert!(!boxed.to_string().is_empty());
    assert!(format!("{boxed:?}").contains("shards"));
}

#[test]
fn edge_settings_are_accepted() {
    bounded(|| {
        let accepted: [Configure; 6] = [
            |builder| builder.max_capacity(1),
            |builder| builder.max_capacity(u64::MAX),
            |builder| builder.shards(16),
            |builder| builder.time_to_live(Duration::MAX),
            |builder| builder.time_to_idle(Duration::MAX),
            |builder| builder.max_capacity(1).shards(4).weigher(|_, _| 0),
        ];
        for (at, configure) in accepted.into_iter().enumerate() {
            let cache = configure(CacheHandle::builder()).build();
            let cache = cache.unwrap_or_else(|error| panic!("setting {at}: {error}"));
            cache.insert(1, 10);
            assert_eq!(cache.get(&1), Some(10), "setting {at}");
        }
    });
}

#[test]
fn the_largest_capacity_costs_nothing_up_front() {
    bounded(|| {
        let caches: Vec<CacheHandle<u64, [u64; 32]>> = (0..20)
            .map(|_| {
                CacheHandle::builder().max_capacity(u64::MAX).shards(2).build().expect("valid")
            })
            .collect();
        for cache in &caches {
            assert_eq!(cache.max_capacity(), u64::MAX);
            cache.insert(1, [1; 32]);
            assert_eq!(cache.get(&1), Some([1; 32]));
            cache.flush().wait().expect("shards live");
            assert_eq!((cache.get(&1), cache.len()), (Some([1; 32]), 1));
        }
    });
}

#[test]
fn every_error_is_of_one_kind() {
    let cache: CacheHandle<u64, u64> = CacheHandle::new();
    let shared = SharedCache::new();
    let name = shared.namespace::<u64, u64>("name").expect("new");
    let errors = [
        refusal(|builder| builder.shards(0)),
        refusal(|builder| builder.max_capacity(1 << 60).shards(1).weigher(|_, _| 1).backlog(0)),
        ScopeTree::new([""]).expect_err("a level without a name"),
        cache.scope([("user", "ada")]).expect_err("no organization"),
        shared.namespace::<u64, String>(name.name()).expect_err("other types"),
        shared.namespace::<u64, u64>("").expect_err("no name"),
    ];
    let kinds: [fn(&Error) -> bool; 11] = [
        Error::is_invalid_setting,
        Error::is_invalid_scope_tree,
        Error::is_invalid_scope_path,
        Error::is_namespace_conflict,
        Error::is_thread_start,
        Error::is_closed,
        Error::is_would_deadlock,
        Error::is_panic,
        Error::is_forked,
        Error::is_out_of_memory,
        Error::is_too_many_scopes,
    ];
    let of = errors.map(|error| {
        let fits: Vec<_> = (0..kinds.len()).filter(|kind| kinds[*kind](&error)).collect();
        assert_eq!(fits.len(), 1, "{error}");
        fits[0]
    });
    assert_eq!(of, [0, 0, 1, 2, 3, 3]);
}
