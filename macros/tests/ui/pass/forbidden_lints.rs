//! A crate that forbids what a function does not do that is generated.
#![forbid(deprecated, trivial_casts, trivial_numeric_casts, unsafe_code)]

use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE)]
fn load(id: u64) -> u64 {
    id
}

fn main() {
    assert_eq!(load(1), 1);
}
