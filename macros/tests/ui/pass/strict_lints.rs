//! What is generated offends no lint of a strict crate.
#![deny(warnings, missing_docs, unused, future_incompatible, nonstandard_style, rust_2018_idioms)]
#![deny(unused_qualifications, trivial_casts, trivial_numeric_casts, unreachable_pub, unsafe_code)]

use cacheado::{Error, SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

/// Doubles.
#[memoize(cache = CACHE, ttl = "1h", scope(organization = org), key = (n, n as u32), result = "all")]
pub fn double<'a>(org: &'a str, n: u32, _unheeded: &'a f64) -> Result<u32, Error> {
    Ok(2 * n)
}

/// A holder.
#[derive(Debug)]
pub struct Holder {
    cache: SharedCache,
}

impl Holder {
    /// Triples.
    #[memoize(cache = self.cache, option = "some")]
    pub async fn triple(&self, cache: u32, namespace: Option<&str>, error: String) -> Option<u32> {
        let key = namespace?.len() + error.len();
        Some(3 * cache + u32::try_from(key).ok()?)
    }

    /// Makes one.
    #[memoize(cache = CACHE)]
    pub fn make() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self { cache: SharedCache::new() })
    }
}

/// Of any type.
#[memoize(cache = *caches.first().expect("one cache"), key = (value))]
pub fn any<T: Clone + Eq + std::hash::Hash + Send + Sync + 'static>(caches: &[&SharedCache], value: T) -> T {
    value
}

/// What only the attribute looks at is no unused variable.
#[memoize(cache = cache, ttl = ttl, scope(organization = org, user = user.len()), key = n)]
pub async fn asked_for(
    cache: &SharedCache,
    ttl: std::time::Duration,
    org: &str,
    user: String,
    n: u32,
) -> Result<u32, Error> {
    Ok(n)
}

fn main() {
    assert_eq!(double("acme", 2, &0.5).ok(), Some(4));
    assert_eq!(Holder::make().cache.len(), 0);
    let cache = SharedCache::new();
    assert_eq!(asked_for_peek(&cache, "acme", String::from("ada"), 1).ok(), Some(None));
    assert_eq!((any(&[&cache], 'a'), any_peek(&[&cache], 'a').ok().flatten()), ('a', Some('a')));
}
