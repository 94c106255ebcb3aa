//! Shared caches: namespaces of many types in one cache.

use cacheado::{Namespace, SharedCache};

#[test]
fn two_namespaces_with_equal_keys_do_not_meet() {
    let cache = SharedCache::new();
    let names: Namespace<u64, String> = cache.namespace("names").expect("new");
    let nicks: Namespace<u64, String> = cache.namespace("nicks").expect("new");
    let ages: Namespace<u64, u8> = cache.namespace("ages").expect("new");
    names.insert(1, "Ada".into());
    ages.insert(1, 36);
    assert_eq!(names.get(&1).as_deref(), Some("Ada"));
    assert_eq!(ages.get(&1), Some(36));
    assert_eq!(nicks.get(&1), None);
    assert_eq!(nicks.get_or_load(&1, || "Countess".into()), "Countess");
    assert_eq!(ages.remove(&1), Some(36));
    assert_eq!(ages.get(&1), None);
    assert_eq!(pollster::block_on(ages.get_or_load_async(&1, async { 37 })), 37);
    assert_eq!(names.get(&1).as_deref(), Some("Ada"));
    cache.flush().wait().expect("alive");
    assert_eq!(cache.len(), 3);
}

#[test]
fn the_eviction_of_a_scope_reaches_all_namespaces() {
    let cache = SharedCache::new();
    let names: Namespace<String, String> = cache.namespace("names").expect("new");
    let ages: Namespace<u64, u8> = cache.namespace("ages").expect("new");
    let acme = [("organization", "acme")];
    let (acme_names, acme_ages) =
        (names.scope(acme).expect("valid"), ages.scope(acme).expect("valid"));
    acme_names.insert("a".into(), "Ada".into());
    acme_ages.insert(1, 36);
    ages.insert(1, 40);
    assert_eq!(cache.evict_scope(acme).expect("valid").wait().expect("alive"), 2);
    assert_eq!((acme_names.get("a"), acme_ages.get(&1), ages.get(&1)), (None, None, Some(40)));
}

#[test]
fn a_name_with_other_types_is_an_error_that_names_both() {
    let cache = SharedCache::new();
    let _kept = cache.namespace::<u64, String>("names").expect("new");
    let error = cache.namespace::<u64, u8>("names").expect_err("other types");
    assert!(error.is_namespace_conflict());
    let text = error.to_string();
    for part in ["\"names\"", "(u64, alloc::string::String)", "(u64, u8)"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
