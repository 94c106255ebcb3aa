//! What of a result is kept: `result` and `option`.

use super::{CACHE, Fault, called, calls};
use cacheado::memoize;
use std::sync::Arc;

#[memoize(cache = CACHE)]
fn halved(n: u64) -> Result<u64, Fault> {
    called("halved");
    if n % 2 == 0 { Ok(n / 2) } else { Err(Fault::Missing) }
}

#[memoize(cache = CACHE, result = "all")]
fn halved_or_not(n: u64) -> Result<u64, Fault> {
    called("halved_or_not");
    if n % 2 == 0 { Ok(n / 2) } else { Err(Fault::Missing) }
}

#[test]
fn an_error_is_kept_if_all_is() {
    for _ in 0..2 {
        assert_eq!((halved(4), halved(3)), (Ok(2), Err(Fault::Missing)));
        assert_eq!((halved_or_not(4), halved_or_not(3)), (Ok(2), Err(Fault::Missing)));
    }
    assert_eq!((calls("halved"), calls("halved_or_not")), (3, 2));
    assert_eq!(halved_namespace().expect("a valid namespace").get(&4), Some(2));
    assert_eq!(halved_or_not_peek(3).expect("no scope"), Some(Err(Fault::Missing)));
}

#[memoize(cache = CACHE)]
fn found(n: u64) -> Option<u64> {
    called("found");
    (n > 0).then_some(n)
}

#[memoize(cache = CACHE, option = "some")]
fn found_again(n: u64) -> Option<u64> {
    called("found_again");
    (n > 0).then_some(n)
}

#[test]
fn none_is_kept_unless_only_some_is() {
    for _ in 0..2 {
        assert_eq!((found(0), found(1)), (None, Some(1)));
        assert_eq!((found_again(0), found_again(1)), (None, Some(1)));
    }
    assert_eq!((calls("found"), calls("found_again")), (2, 3));
    assert_eq!(found_again_peek(1).expect("no scope"), Some(1));
}

type Fetched<T> = Result<T, Fault>;

#[memoize(cache = CACHE, option = "some")]
fn sought(n: u64) -> Result<Option<u64>, Fault> {
    called("sought");
    if n == 9 { Err(Fault::Missing) } else { Ok((n > 0).then_some(n)) }
}

#[memoize(cache = CACHE, result = "all", option = "some")]
fn sought_with_errors(n: u64) -> Result<Option<u64>, Fault> {
    called("sought_with_errors");
    if n == 9 { Err(Fault::Missing) } else { Ok((n > 0).then_some(n)) }
}

#[memoize(cache = CACHE, result = "ok", option = "some")]
fn sought_by_alias(n: u64) -> Fetched<Option<u64>> {
    called("sought_by_alias");
    if n == 9 { Err(Fault::Missing) } else { Ok((n > 0).then_some(n)) }
}

#[test]
fn both_choices_hold_together_and_for_an_alias() {
    type Function = fn(u64) -> Fetched<Option<u64>>;
    let functions: [(Function, _, _); 3] = [
        (sought, "sought", 5),
        (sought_with_errors, "sought_with_errors", 4),
        (sought_by_alias, "sought_by_alias", 5),
    ];
    for (function, name, expected) in functions {
        for _ in 0..2 {
            assert_eq!((function(1), function(0)), (Ok(Some(1)), Ok(None)));
            assert_eq!(function(9), Err(Fault::Missing));
        }
        assert_eq!(calls(name), expected, "{name}");
    }
    let kept: Option<u64> = sought_by_alias_peek(1).expect("no scope");
    assert_eq!(kept, Some(1));
}

#[memoize(cache = CACHE, scope(organization = org))]
fn shared(org: &str) -> Result<usize, Arc<Fault>> {
    called("shared");
    Ok(org.len())
}

#[memoize(cache = CACHE, scope(organization = org))]
fn shared_of_the_caches_own(org: &str) -> Result<usize, Arc<cacheado::Error>> {
    Ok(org.len())
}

#[memoize(cache = CACHE, scope(organization = org))]
fn shared_of_any(org: &str) -> Result<usize, Arc<Box<dyn std::error::Error + Send + Sync>>> {
    Ok(org.len())
}

#[test]
fn a_refusal_is_an_error_that_is_shared() {
    let refused = shared("").expect_err("an empty id");
    assert!(matches!(&*refused, Fault::Cache(why) if why.contains("is empty")), "{refused:?}");
    assert!(shared_of_the_caches_own("").expect_err("an empty id").is_invalid_scope_path());
    let refused = shared_of_any("").expect_err("an empty id");
    assert!(refused.to_string().contains("is empty"), "{refused}");
    assert_eq!((shared("duff").ok(), calls("shared")), (Some(4), 1));
}

/// An alias is a `Result` too, but what is generic may be anything.
#[memoize(cache = CACHE)]
fn anything<T>(value: T) -> T
where
    T: Clone + std::hash::Hash + Eq + Send + Sync + 'static,
{
    called("anything");
    value
}

#[test]
fn what_may_be_anything_is_kept_whatever_it_is() {
    for _ in 0..2 {
        assert_eq!(anything(Err::<u8, u8>(1)), Err(1));
    }
    assert_eq!(calls("anything"), 1);
}
