//! A part of the key whose type nobody knows.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

struct User {
    id: u64,
}

#[memoize(cache = CACHE, key = (user.id))]
fn load(user: &User) -> u64 {
    user.id
}

fn main() {}
