//! Functions that are called otherwise.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE)]
const fn constant(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE)]
unsafe fn careless(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE)]
extern "C" fn foreign(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE)]
fn sometimes(id: u64, #[cfg(unix)] group: u64) -> u64 {
    id
}

fn main() {}
