//! A scope whose id is none.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, scope(organization = wanted))]
fn load(wanted: bool) -> u64 {
    u64::from(wanted)
}

fn main() {}
