//! `#[memoize]`: what is found without a call, what is called once, what is told apart, and what is refused.

mod calls;
mod identity;
mod named;
mod results;
mod scope_and_time;

use crate::support::ms;
use cacheado::{Error, SharedCache, memoize};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

/// Common to tests that run at once: no two of them name the same organization.
static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

/// How often the functions of these tests were called, each by its own name.
static CALLS: LazyLock<Mutex<HashMap<&'static str, u64>>> = LazyLock::new(Mutex::default);

fn called(function: &'static str) {
    *CALLS.lock().expect("no poison").entry(function).or_default() += 1;
}

fn calls(function: &'static str) -> u64 {
    CALLS.lock().expect("no poison").get(function).copied().unwrap_or(0)
}

/// Adds two numbers.
#[memoize(cache = CACHE)]
fn add(a: u64, b: u64) -> u64 {
    called("add");
    a + b
}

#[test]
fn a_second_call_is_a_hit() {
    assert_eq!((add(1, 2), add(1, 2), calls("add")), (3, 3, 1));
    assert_eq!((add(2, 1), calls("add")), (3, 2));
    assert_eq!((add_uncached(1, 2), calls("add")), (3, 3));
}

#[memoize(cache = CACHE)]
fn greeting(name: &str, title: Option<&str>, path: &Path, tags: &[String], number: u8) -> String {
    called("greeting");
    format!("{} {name} {} {tags:?} {number}", title.unwrap_or(""), path.display())
}

#[test]
fn borrowed_arguments_are_part_of_the_key() {
    let call = |name: &str, title: Option<&str>, tags: &[String]| {
        greeting(name, title, Path::new("/tmp"), tags, 1)
    };
    let first = call("Ada", None, &[]);
    assert_eq!(first, call(&String::from("Ada"), None, &Vec::new()));
    assert_eq!(calls("greeting"), 1);
    for (title, tags) in [(Some(""), vec![]), (None, vec!["a".to_owned()])] {
        call("Ada", title, &tags);
    }
    assert_eq!(calls("greeting"), 3);
    let namespace = greeting_namespace().expect("a valid namespace");
    let key = ("Ada".to_owned(), None::<String>, Path::new("/tmp").to_owned(), Vec::new(), 1);
    assert_eq!(namespace.get(&key), Some(first));
}

#[memoize(cache = CACHE)]
fn taken_apart(
    (a, b): (u64, String),
    [c, _]: [u64; 2],
    mut d: u64,
    key: u64,
    namespace: u64,
) -> u64 {
    called("taken_apart");
    d += a + c + key + namespace;
    d + b.len() as u64
}

#[test]
fn arguments_are_taken_apart_and_changed_and_called_as_they_like() {
    for _ in 0..2 {
        assert_eq!(taken_apart((1, "ab".to_owned()), [3, 4], 5, 6, 7), 24);
    }
    assert_eq!(calls("taken_apart"), 1);
    assert_eq!(
        taken_apart_peek((1, "ab".to_owned()), [3, 4], 5, 6, 7).expect("no scope"),
        Some(24)
    );
}

#[memoize(cache = CACHE)]
fn nothing_to_say() -> &'static str {
    called("nothing_to_say");
    "said"
}

#[test]
fn a_function_without_arguments_is_called_once() {
    assert_eq!((nothing_to_say(), nothing_to_say(), calls("nothing_to_say")), ("said", "said", 1));
    assert_eq!(nothing_to_say_invalidate().expect("no scope"), Some("said"));
    assert_eq!((nothing_to_say(), calls("nothing_to_say")), ("said", 2));
}

#[memoize(cache = CACHE)]
fn tracked(id: u64) -> u64 {
    called("tracked");
    id + calls("tracked")
}

#[test]
fn companions_peek_drop_and_refresh() {
    assert_eq!(tracked_peek(1).expect("no scope"), None);
    assert_eq!(tracked(1), 2);
    assert_eq!(tracked_peek(1).expect("no scope"), Some(2));
    assert_eq!(tracked_refresh(1), 3);
    assert_eq!((tracked(1), calls("tracked")), (3, 2));
    assert_eq!(tracked_invalidate(1).expect("no scope"), Some(3));
    assert_eq!(tracked_invalidate(1).expect("no scope"), None);
    assert_eq!((tracked(1), tracked(2), calls("tracked")), (4, 6, 4));
    let namespace = tracked_namespace().expect("a valid namespace");
    assert_eq!((namespace.get(&1), namespace.get(&2), namespace.get(&3)), (Some(4), Some(6), None));
    assert_eq!(namespace.name(), concat!(module_path!(), "::tracked"));
}

#[derive(Clone, Debug, PartialEq)]
enum Fault {
    Missing,
    Cache(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Cache(error.to_string())
    }
}

struct Service {
    cache: SharedCache,
    id: u64,
    ttl: Duration,
}

impl Service {
    fn new(id: u64) -> Self {
        Self { cache: SharedCache::new(), id, ttl: ms(100) }
    }

    /// All receivers share what is kept.
    #[memoize(cache = self.cache)]
    fn shared(&self, n: u64) -> u64 {
        called("Service::shared");
        self.id * 100 + n
    }

    #[memoize(cache = self.cache, key = (self.id as u64, n))]
    fn own(&self, n: u64) -> u64 {
        called("Service::own");
        self.id * 100 + n
    }

    #[memoize(cache = self.cache, ttl = self.ttl)]
    fn brief(&self, n: u64) -> u64 {
        called("Service::brief");
        n
    }

    #[memoize(cache = CACHE)]
    fn made(id: u64) -> Arc<Self> {
        called("Service::made");
        Arc::new(Self::new(id))
    }

    #[memoize(cache = CACHE, key = (n))]
    async fn later(self: &Arc<Self>, n: u64) -> u64 {
        called("Service::later");
        n + 1
    }
}
