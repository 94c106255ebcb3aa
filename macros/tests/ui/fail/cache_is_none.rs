//! A cache of another kind.
use cacheado::memoize;
use std::sync::Mutex;

static CACHE: Mutex<u64> = Mutex::new(0);

#[memoize(cache = CACHE)]
fn load(id: u64) -> u64 {
    id
}

fn main() {}
