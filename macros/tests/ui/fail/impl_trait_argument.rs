//! An argument whose type has no name.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE)]
fn load(id: impl Into<u64>) -> u64 {
    id.into()
}

fn main() {}
