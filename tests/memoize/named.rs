//! The namespaces of functions: given names, options, and which cache they are in.

use super::{CACHE, Fault, called, calls};
use cacheado::{SharedCache, memoize};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static OTHER: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

/// A constant cannot refer to a static that changes: not for the oldest compiler that is supported.
enum Whose {
    Everybodys,
    Another,
}

impl Deref for Whose {
    type Target = SharedCache;

    fn deref(&self) -> &SharedCache {
        match self {
            Self::Everybodys => &CACHE,
            Self::Another => &OTHER,
        }
    }
}

trait Tenant {
    const NAME: &'static str;
    const CACHE: Whose;
}

struct Red;
struct Blue;

impl Tenant for Red {
    const NAME: &'static str = "red";
    const CACHE: Whose = Whose::Everybodys;
}

impl Tenant for Blue {
    const NAME: &'static str = "blue";
    const CACHE: Whose = Whose::Another;
}

struct Shop<T>(PhantomData<T>);

impl<T: Tenant> Shop<T> {
    #[memoize(cache = CACHE, name = "wares")]
    fn wares(&self, n: u64) -> String {
        format!("{} {n}", T::NAME)
    }

    #[memoize(cache = CACHE, name = "wares")]
    fn same_wares(&self, n: u64) -> String {
        called("same_wares");
        format!("{} {n}", T::NAME)
    }

    #[memoize(cache = T::CACHE)]
    fn stock(&self, n: u64) -> String {
        format!("{} {n}", T::NAME)
    }
}

#[memoize(cache = T::CACHE)]
fn of_cache<T: Tenant>(n: u64) -> u64 {
    n
}

#[test]
fn a_name_given_to_methods_is_for_each_self() {
    let (red, blue) = (Shop::<Red>(PhantomData), Shop::<Blue>(PhantomData));
    for _ in 0..2 {
        assert_eq!((red.wares(1), blue.wares(1)), ("red 1".to_owned(), "blue 1".to_owned()));
        assert_eq!((red.same_wares(1), calls("same_wares")), ("red 1".to_owned(), 0));
    }
    assert_eq!(red.stock(1), "red 1");
    assert_eq!(blue.stock(1), "blue 1");
}

#[test]
fn a_cache_that_differs_by_instance_is_the_instances() {
    assert_eq!((of_cache::<Red>(1), of_cache::<Blue>(2)), (1, 2));
    assert_eq!(of_cache_peek::<Blue>(2).expect("no scope"), Some(2));
    OTHER.clear().wait().expect("shards live");
    assert_eq!(of_cache_peek::<Red>(1).expect("no scope"), Some(1));
    assert_eq!(of_cache_peek::<Blue>(2).expect("no scope"), None);
}

#[memoize(cache = CACHE, name = "brief first", ttl = "1m")]
fn brief_first(n: u64) -> Result<u64, Fault> {
    Ok(n)
}

#[memoize(cache = CACHE, name = "brief first")]
fn lasting_second(n: u64) -> Result<u64, Fault> {
    Ok(n)
}

#[memoize(cache = CACHE, name = "lasting first")]
fn lasting_first(n: u64) -> Result<u64, Fault> {
    Ok(n)
}

#[memoize(cache = CACHE, name = "lasting first", max_items = 7)]
fn few_second(n: u64) -> Result<u64, Fault> {
    Ok(n)
}

#[test]
fn functions_of_one_name_have_the_same_options_in_whatever_order() {
    assert_eq!((brief_first(1), lasting_first(1)), (Ok(1), Ok(1)));
    for (call, says) in [
        (lasting_second as fn(u64) -> _, "a time_to_live of 60s, not no time_to_live"),
        (few_second, "no max_items, not a max_items of 7"),
    ] {
        let Err(Fault::Cache(why)) = call(1) else { panic!("the options are others") };
        assert!(why.contains(says) && why.contains("same options"), "{why}");
    }
}

static LIMIT: AtomicU64 = AtomicU64::new(5);

fn limit() -> u64 {
    called("limit");
    LIMIT.load(Ordering::Relaxed)
}

fn chosen() -> &'static SharedCache {
    &CACHE
}

#[memoize(cache = chosen(), max_items = limit())]
fn limited(n: u64) -> u64 {
    n
}

#[memoize(cache = CACHE, max_items = n() - 7)]
fn none_kept(n: u64) -> Result<u64, Fault> {
    Ok(n)
}

fn n() -> u64 {
    7
}

#[test]
fn a_limit_is_evaluated_when_the_namespace_is_made() {
    assert_eq!((limited(1), calls("limit")), (1, 1));
    LIMIT.store(6, Ordering::Relaxed);
    assert_eq!((limited(1), limited(2), calls("limit")), (1, 2, 1));
    let Err(Fault::Cache(why)) = none_kept(1) else { panic!("nothing may be kept") };
    assert!(why.contains("max_items"), "{why}");
}
