//! Returns what it borrows.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE)]
fn load(name: &str) -> &str {
    name
}

#[memoize(cache = CACHE)]
fn load_some(name: &str) -> Option<&str> {
    Some(name)
}

fn main() {}
