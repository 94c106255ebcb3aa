//! Rows about scopes.

use crate::timed_cache;
use cacheado::{CacheHandle, Error, ScopeTree, SharedCache, memoize};
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn row_scopes_and_custom_trees() {
    let cache: CacheHandle<&str, u64> = CacheHandle::new();
    let organization = cache.scope([("organization", "acme")]).expect("valid");
    let user = cache.scope([("organization", "acme"), ("user", "ada")]).expect("valid");
    cache.insert("k", 0);
    organization.insert("k", 1);
    user.insert("k", 2);
    let all = (cache.get("k"), organization.get("k"), user.get("k"));
    assert_eq!(all, (Some(0), Some(1), Some(2)));

    let chains = ["organization/user/session", "tenant/project", "tenant/team"];
    let tree = ScopeTree::new(chains).expect("valid chains");
    let cache = CacheHandle::builder().scopes(tree).build().expect("valid settings");
    let session = [("organization", "a"), ("user", "b"), ("session", "c")];
    let paths: [&[(&str, &str)]; 7] = [
        &session,
        &session[..2],
        &session[..1],
        &[("tenant", "a")],
        &[("tenant", "a"), ("project", "b")],
        &[("tenant", "a"), ("team", "b")],
        // No character joins ids: these are other tenants.
        &[("organization", "a/b"), ("user", "c")],
    ];
    let scopes = paths.map(|path| cache.scope(path.iter().copied()).expect("valid"));
    for (value, scope) in scopes.iter().enumerate() {
        scope.insert("k", value);
    }
    for (value, scope) in scopes.iter().enumerate() {
        assert_eq!(scope.get("k"), Some(value), "{}", scope.path());
    }
}

#[memoize(cache = cache, scope(organization = org, user = user), key = ())]
fn profile(cache: &SharedCache, calls: &AtomicU64, org: &str, user: &str) -> Result<u64, Error> {
    Ok(calls.fetch_add(1, Ordering::SeqCst))
}

#[test]
fn row_missing_scope_parameter_is_an_error() {
    let cache: CacheHandle<&str, u64> = CacheHandle::new();
    cache.insert("k", 1);
    let refused = |path: &[(&str, &str)], says: &str| {
        let error = cache.scope(path.iter().copied()).expect_err("a level is missing");
        assert!(error.is_invalid_scope_path());
        assert!(error.to_string().contains(says), "{error}");
        let error = cache.evict_scope(path.iter().copied()).expect_err("a level is missing");
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(&[("user", "ada")], "organization");
    refused(&[("organization", "acme"), ("session", "s")], "user");
    refused(&[("organization", ""), ("user", "ada")], "\"organization\" is empty");
    refused(&[("organization", "acme"), ("user", "")], "\"user\" is empty");
    assert_eq!(cache.get("k"), Some(1), "what is global was not evicted");

    // A memoized function does not go on without the cache, nor in the global scope.
    let ((_, cache), calls) = (timed_cache(), AtomicU64::new(0));
    let error = profile(&cache, &calls, "acme", "").expect_err("a user without an id");
    assert!(error.is_invalid_scope_path() && error.to_string().contains("\"user\" is empty"));
    assert_eq!((calls.load(Ordering::SeqCst), cache.stats().misses()), (0, 0));
}

#[test]
fn row_evict_by_scope_counts_and_reaches_descendants() {
    let (_, cache) = timed_cache();
    let keys = cache.namespace::<u64, u64>("keys").expect("new");
    let fill = || {
        for org in 0..3 {
            let organization = keys.scope([("organization", org)]).expect("valid");
            organization.insert(0, org);
            for user in 0..4 {
                let user = organization.scope([("user", user)]).expect("valid");
                (0..5).for_each(|key| user.insert(key, key));
            }
        }
    };
    fill();
    let user = keys.scope([("organization", 1), ("user", 2)]).expect("valid");
    let other = keys.scope([("organization", 2), ("user", 2)]).expect("valid");
    let evict = |path: &[(&str, u64)]| cache.evict_scope(path.iter().copied()).expect("valid");

    let evicted = evict(&[("organization", 1), ("user", 2)]);
    assert_eq!(user.get(&0), None, "for every reader at once, before the count is known");
    assert_eq!(evicted.wait().expect("shards live"), 5);
    let evicted = evict(&[("organization", 1)]);
    assert_eq!(evicted.wait().expect("shards live"), 1 + 3 * 5);
    assert_eq!(evict(&[("organization", 1)]).wait().expect("shards live"), 0);
    assert_eq!((user.get(&0), other.get(&4), cache.len()), (None, Some(4), 2 * 21));
    fill();
    assert_eq!(user.get(&0), Some(0), "what is written after it stays");
}
