//! A scope that the call does not tell.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, scope(organization = org))]
fn load(org_id: u64, user_id: u64) -> u64 {
    org_id + user_id
}

#[memoize(cache = CACHE, scope(organization = "acme"))]
fn load_constant(user_id: u64) -> u64 {
    user_id
}

fn main() {}
