//! What to keep of a type that is not returned.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, result = "all")]
fn load(id: u64) -> Option<u64> {
    Some(id)
}

#[memoize(cache = CACHE, option = "some")]
fn find(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
