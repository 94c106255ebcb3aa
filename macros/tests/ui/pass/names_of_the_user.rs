//! Names of the user's own that what is generated may use, too.
#![allow(non_upper_case_globals, dead_code, reason = "names are the matter")]

use cacheado::{Error, SharedCache, memoize};
use std::sync::LazyLock;

static cache: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);
static KNOWN: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);
static namespace: u64 = 1;
static title: u64 = 2;
static key: u64 = 3;
static error: u64 = 4;
static refusal: u64 = 5;
static kept: u64 = 6;
static part0: u64 = 7;
static level0: u64 = 8;

mod most {
    pub static KNOWN: u64 = 4;
}

#[derive(Clone, Debug)]
enum Refusal {
    Cache,
}

#[derive(Clone, Debug)]
struct Fallible;

impl From<Error> for Refusal {
    fn from(_: Error) -> Self {
        Refusal::Cache
    }
}

#[memoize(cache = cache, scope(organization = org), key = ((id + part0) as u64))]
fn pay(org: &str, id: u64) -> Result<u64, Refusal> {
    Ok(id + org.len() as u64)
}

#[memoize(cache = KNOWN)]
fn repay(id: u64) -> Result<u64, Fallible> {
    Ok(id)
}

#[memoize(cache = cache, max_items = most::KNOWN)]
fn owe(id: u64) -> u64 {
    id
}

fn main() {
    assert!(matches!(pay("", 1), Err(Refusal::Cache)));
    assert_eq!(pay("acme", 1).ok(), Some(5));
    assert_eq!((repay(1).ok(), repay_peek(1).ok().flatten()), (Some(1), Some(1)));
    assert_eq!(owe(1), 1);
}
