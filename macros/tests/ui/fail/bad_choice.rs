//! Choices that there are not.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, result = "err")]
fn load(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[memoize(cache = CACHE, option = some)]
fn find(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
