//! One name for the instances of a generic function.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, name = "ids")]
fn id<T: Clone + Eq + std::hash::Hash + Send + Sync + 'static>(value: T) -> T {
    value
}

#[memoize(cache = CACHE, name = "sizes")]
fn size<const N: usize>() -> usize {
    N
}

fn main() {}
