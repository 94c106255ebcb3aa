//! Types whose fault only the compiler sees.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

struct Plain;

#[memoize(cache = CACHE)]
fn no_value(id: u64) -> Plain {
    assert!(id > 0);
    Plain
}

#[memoize(cache = CACHE)]
fn no_error(id: u64) -> Result<u64, Plain> {
    Ok(id)
}

fn main() {}
